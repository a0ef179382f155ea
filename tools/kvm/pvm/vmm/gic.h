/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GIC_H
#define PVM_GIC_H

struct vm;

int gic_create(struct vm *vm);
void gic_destroy(struct vm *vm);

#endif
