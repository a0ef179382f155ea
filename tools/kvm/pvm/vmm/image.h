/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_IMAGE_H
#define PVM_IMAGE_H

struct vm;

int image_open(struct vm *vm);
int image_load(struct vm *vm);
void image_close(struct vm *vm);

#endif
