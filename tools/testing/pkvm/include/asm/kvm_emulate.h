/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_ASM_KVM_EMULATE_H
#define __PKVM_TEST_ASM_KVM_EMULATE_H

#include <el2_env.h>

#endif
