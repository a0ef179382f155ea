/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_LINUX_MM_H
#define PKVM_TEST_CPU_LINUX_MM_H

#include <cpu_env.h>

#endif
