/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_NVHE_PKVM_H
#define __PKVM_TEST_NVHE_PKVM_H

#include <el2_env.h>

#endif
