/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_SERIAL_H
#define PVM_SERIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct serial;
struct vm;

struct serial *serial_create(struct vm *vm, int out_fd);
void serial_destroy(struct serial *s);	/* or of NULL */
void serial_access(struct serial *s, uint64_t reg, uint8_t *data, bool is_write);
size_t serial_input_room(struct serial *s);
void serial_input(struct serial *s, const uint8_t *buf, size_t len);

#endif
