/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GUEST_MEMORY_H
#define PVM_GUEST_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#define PAGE	4096UL
#define MIB	(1UL << 20)

unsigned long meminfo_kb(const char *name);
size_t some_memory(void);
bool use_memory(size_t size);

#endif
