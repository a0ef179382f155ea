/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_FDT_H
#define PVM_FDT_H

struct vm;

int fdt_load(struct vm *vm);

#endif
