/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_NVHE_MM_H
#define __PKVM_TEST_NVHE_MM_H

#include <el2_env.h>

#endif
