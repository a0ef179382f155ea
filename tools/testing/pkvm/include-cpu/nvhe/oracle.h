/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_NVHE_ORACLE_H
#define PKVM_TEST_CPU_NVHE_ORACLE_H

#include <cpu_env.h>

#endif
