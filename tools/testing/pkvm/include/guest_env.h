/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the driver of a protected guest needs of its kernel, for a build as an ordinary
 * program: a linear map at LM_BASE, and calls that go to the test's hypervisor().
 */
#ifndef PKVM_TEST_GUEST_ENV_H
#define PKVM_TEST_GUEST_ENV_H

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

#include <linux/types.h>

#define __ro_after_init

/* Calls and answers; the values only have to differ. */
enum {
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID = 0x100,
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MEM_RELINQUISH_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID,
	ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID,
};

#define ARM_SMCCC_KVM_HYP_MEMINFO_RANGES		(1UL << 0)
#define ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES	(1UL << 1)

#define ARM_SMCCC_KVM_MMIO_GUARD_RANGES			(1UL << 0)

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

#define PHYS_PFN(p)		((unsigned long)((p) >> PAGE_SHIFT))
#define PFN_PHYS(n)		((phys_addr_t)(n) << PAGE_SHIFT)

/* Locks that must be free when they are taken, and are free at the end. */
struct mutex {
	int held;
};

#define DEFINE_MUTEX(name)	struct mutex name
#define mutex_lock(m)		do { if ((m)->held++) abort(); } while (0)
#define mutex_unlock(m)		do { if (--(m)->held) abort(); } while (0)

/* An array of values, of which a new one may not find memory: the test's xa_store(). */
#define XA_ENTRIES		4096

struct xarray {
	void *entry[XA_ENTRIES];
};

#define DEFINE_XARRAY(name)	struct xarray name
#define GFP_KERNEL		0
#define xa_mk_value(v)		((void *)((unsigned long)(v) << 1 | 1))
#define xa_to_value(e)		((unsigned long)(e) >> 1)
#define xa_load(xa, i)		((xa)->entry[(i) % XA_ENTRIES])
#define xa_erase(xa, i)		((xa)->entry[(i) % XA_ENTRIES] = NULL)

void *xa_store(struct xarray *xa, unsigned long index, void *entry, int gfp);

static inline int xa_err(void *entry)
{
	return (long)entry < 0 && (long)entry >= -4095 ? (long)entry : 0;
}

void warned(const char *fmt, ...);
#define pr_warn_ratelimited	warned

#endif
