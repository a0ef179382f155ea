/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_PERCPU_H
#define __PKVM_TEST_LINUX_PERCPU_H

#include <el2_env.h>

#endif
