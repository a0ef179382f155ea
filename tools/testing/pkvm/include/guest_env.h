/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver of a protected guest needs of its kernel, for a build as an ordinary
 * program: a linear map at LM_BASE, and calls that go to the test's hypervisor().
 */
#ifndef PKVM_TEST_GUEST_ENV_H
#define PKVM_TEST_GUEST_ENV_H

#include <errno.h>
#include <stddef.h>

#include <linux/types.h>

#define __ro_after_init

/* Calls and answers; the values only have to differ. */
enum {
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID = 0x100,
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_RELINQUISH_FUNC_ID,
};

#define ARM_SMCCC_KVM_HYP_MEMINFO_RANGES		(1UL << 0)
#define ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES	(1UL << 1)

#define SMCCC_RET_SUCCESS		0
#define SMCCC_RET_NOT_SUPPORTED		-1
#define SMCCC_RET_INVALID_PARAMETER	-3

struct arm_smccc_res {
	unsigned long a0, a1, a2, a3;
};

void hypervisor(u32 func_id, u64 ipa, u64 nr, u64 zero, struct arm_smccc_res *res);
#define arm_smccc_1_1_invoke	hypervisor

/* Linear map: the top bits are a tag, as KASAN has it. */
#define LM_TAG		(0xffUL << 56)
#define LM_BASE		(LM_TAG | 0x100000000UL)
#define LM_SIZE		0x10000000UL
#define LM_PHYS		0x80000000UL

#define kasan_reset_tag(p)	((void *)((unsigned long)(p) | LM_TAG))
#define __is_lm_address(a)	((a) - LM_BASE < LM_SIZE)
#define virt_to_phys(p)		((phys_addr_t)((unsigned long)(p) - LM_BASE + LM_PHYS))

#define is_power_of_2(n)	((n) && !((n) & ((n) - 1)))

void warned(const char *fmt, ...);
#define pr_warn_ratelimited	warned

#endif
