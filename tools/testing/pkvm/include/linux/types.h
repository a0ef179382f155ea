/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's types, for a build of pure logic as an ordinary program. */
#ifndef __PKVM_TEST_LINUX_TYPES_H
#define __PKVM_TEST_LINUX_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef int8_t s8;
typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef int64_t s64;
typedef uint64_t u64;
typedef u64 phys_addr_t;
#define atomic64_t s64
#define pgoff_t unsigned long

#endif
