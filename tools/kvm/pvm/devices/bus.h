/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_BUS_H
#define PVM_BUS_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

void bus_access(struct vm *vm, uint64_t addr, uint8_t *data, uint32_t len, bool is_write);

#endif
