/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_KVM_ARM_HYPERCALLS_H
#define PKVM_TEST_CPU_KVM_ARM_HYPERCALLS_H

#include <cpu_env.h>

#endif
