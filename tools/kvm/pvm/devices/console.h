/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_CONSOLE_H
#define PVM_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct vm;

size_t console_input_room(struct vm *vm);
void console_input(struct vm *vm, const uint8_t *buf, size_t len);

#endif
