/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_KVM_ARM_HYPERCALLS_H
#define __PKVM_TEST_KVM_ARM_HYPERCALLS_H

#include <el2_env.h>

#endif
