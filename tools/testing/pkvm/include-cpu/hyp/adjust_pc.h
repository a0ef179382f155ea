/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_HYP_ADJUST_PC_H
#define PKVM_TEST_CPU_HYP_ADJUST_PC_H

#include <cpu_env.h>

#endif
