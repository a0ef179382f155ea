/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_ASM_KVM_PKVM_H
#define PKVM_TEST_CPU_ASM_KVM_PKVM_H

#include <cpu_env.h>

#endif
