/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_KVM_TYPES_H
#define __PKVM_TEST_LINUX_KVM_TYPES_H

#include <linux/types.h>

typedef u64 gfn_t;

#endif
