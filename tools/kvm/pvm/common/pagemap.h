/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_PAGEMAP_H
#define PVM_PAGEMAP_H

#include <stdint.h>

uint64_t pfn_of(const void *addr);

#endif
