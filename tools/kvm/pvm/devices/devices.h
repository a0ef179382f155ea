/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_DEVICES_H
#define PVM_DEVICES_H

#include <stdbool.h>
#include <stdint.h>

struct vm;

int devices_create(struct vm *vm);
void devices_destroy(struct vm *vm);
int devices_start(struct vm *vm);
void devices_join(struct vm *vm);
void devices_access(struct vm *vm, uint64_t offset, uint8_t *data, uint32_t len,
		    bool is_write);

#endif
