/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_BITS_H
#define __PKVM_TEST_LINUX_BITS_H

#define BIT(n)		(1UL << (n))
#define GENMASK(h, l)	((~0UL << (l)) & (~0UL >> (63 - (h))))
#define GENMASK_ULL(h, l)	GENMASK(h, l)

#endif
