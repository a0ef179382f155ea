/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_STATS_H
#define PVM_STATS_H

#include <stdint.h>

struct vm;

void stats_open(struct vm *vm);
void stats_close(struct vm *vm);
void stats_begin(struct vm *vm);
void stats_console(struct vm *vm, uint8_t byte);
void stats_destroy_begin(struct vm *vm);
void stats_print(struct vm *vm, int code);

#endif
