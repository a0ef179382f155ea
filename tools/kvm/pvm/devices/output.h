/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_OUTPUT_H
#define PVM_OUTPUT_H

#include <stddef.h>
#include <stdint.h>

struct vm;

void output_console(struct vm *vm, int fd, const uint8_t *buf, size_t len);

#endif
