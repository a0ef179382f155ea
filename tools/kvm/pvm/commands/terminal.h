/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_TERMINAL_H
#define PVM_TERMINAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void terminal_raw(void);
void terminal_restore(void);
bool terminal_filter(uint8_t *buf, size_t *len);

#endif
