/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_NVHE_ARM_SMCCC_H
#define PKVM_TEST_CPU_NVHE_ARM_SMCCC_H

#define hyp_smccc_1_1_smc	firmware_call

#endif
