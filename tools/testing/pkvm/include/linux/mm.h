/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_MM_H
#define __PKVM_TEST_LINUX_MM_H

#include <linux/align.h>

#define PAGE_SHIFT	12
#define PAGE_SIZE	(1UL << PAGE_SHIFT)
#define PAGE_ALIGNED(x)	IS_ALIGNED(x, PAGE_SIZE)
#define PAGE_ALIGN_DOWN(x)	((x) & ~(PAGE_SIZE - 1))

#endif
