/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_ARRAY_SIZE_H
#define __PKVM_TEST_LINUX_ARRAY_SIZE_H

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
