/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_LINUX_ARM_SMCCC_H
#define PKVM_TEST_LINUX_ARM_SMCCC_H

#include <guest_env.h>

#endif
