/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_REGISTERS_ASK_H
#define PVM_REGISTERS_ASK_H

#include <stdint.h>

struct target;

int registers_ask(const struct target *t, uint32_t which, int *got);

#endif
