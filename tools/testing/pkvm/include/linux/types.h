/* SPDX-License-Identifier: GPL-2.0-only */
/* The kernel's types, for a build of pure logic as an ordinary program. */
#ifndef __PKVM_TEST_LINUX_TYPES_H
#define __PKVM_TEST_LINUX_TYPES_H

#include <stdbool.h>
#include <stdint.h>

typedef uint32_t u32;
typedef uint64_t u64;
#define pgoff_t unsigned long

#endif
