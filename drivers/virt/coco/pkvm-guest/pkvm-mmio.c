// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO guard: the guest says which pages are devices'.
 *
 * The hypervisor cannot tell an access to a device from one to memory that the host has
 * not given yet, or has told of and never gives. It would show the host what is stored
 * there. Once the guest has enrolled, only pages that it has guarded are devices', and
 * values go to the host from those only. An access to any other page without memory is an
 * external abort. So every device page is guarded before it is accessed.
 *
 * Pages are counted, since devices share them and drivers come and go.
 */
#include <linux/arm-smccc.h>
#include <linux/cache.h>
#include <linux/log2.h>
#include <linux/mm.h>
#include <linux/mutex.h>
#include <linux/pfn.h>
#include <linux/xarray.h>

#include "pkvm-guest.h"

static size_t mmio_granule __ro_after_init;
static bool mmio_ranges __ro_after_init;

/* How often each page is mapped, by its pfn; no entry for none. Guarded by mmio_lock. */
static DEFINE_XARRAY(mmio_count);
/* Held over the calls, too: no page is unguarded while another CPU counts on it. */
static DEFINE_MUTEX(mmio_lock);

/**
 * pkvm_mmio_init() - before any other call of MMIO guard
 * @granule: what pages are made of, for a hypervisor that has no MMIO_GUARD_INFO
 */
void pkvm_mmio_init(size_t granule)
{
	mmio_granule = granule;
	mmio_ranges = false;
}

/**
 * pkvm_mmio_enroll() - from here on, only what is guarded is a device's
 *
 * For good, and for all CPUs. Nothing else is done until the pages of the devices that
 * are in use already are guarded: a message, for one, goes to a device.
 *
 * Return: 0; -EINVAL if no page can be made of what the hypervisor guards; -EPERM if it
 * refuses.
 */
int pkvm_mmio_enroll(void)
{
	struct arm_smccc_res res;

	arm_smccc_1_1_invoke(ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID, 0, 0, 0, &res);
	/* Error codes are larger than a page. */
	if (!is_power_of_2(res.a0) || res.a0 > PAGE_SIZE)
		return -EINVAL;
	mmio_granule = res.a0;
	mmio_ranges = res.a1 & ARM_SMCCC_KVM_MMIO_GUARD_RANGES;

	arm_smccc_1_1_invoke(ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID, 0, 0, 0, &res);
	return res.a0 == SMCCC_RET_SUCCESS ? 0 : -EPERM;
}

/**
 * pkvm_mmio_guard() - guard pages without counting them
 * @phys: first byte, page-aligned as @size
 * @size: in bytes
 *
 * For what is mapped before there is memory to count in. Does not sleep. A page that is
 * guarded already stays so.
 *
 * Return: 0, or a negative errno if not all of them are guarded.
 */
int pkvm_mmio_guard(phys_addr_t phys, size_t size)
{
	size_t done;

	return pkvm_call_range(ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID, phys, size,
			       mmio_granule, mmio_ranges, &done);
}

/* There is nothing to be done about a failure: the page stays guarded. */
static void unguard(unsigned long pfn, unsigned long nr)
{
	size_t done;

	pkvm_call_range(ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID, PFN_PHYS(pfn),
			nr << PAGE_SHIFT, mmio_granule, mmio_ranges, &done);
}

/* *@first becomes true if nobody had the page; a failure changes nothing. */
static int count_get(unsigned long pfn, bool *first)
{
	void *count = xa_load(&mmio_count, pfn);

	if (!count)
		*first = true;
	return xa_err(xa_store(&mmio_count, pfn, xa_mk_value(count ? xa_to_value(count) + 1 : 1),
			       GFP_KERNEL));
}

/* Returns whether that was the last one. */
static bool count_put(unsigned long pfn)
{
	void *count = xa_load(&mmio_count, pfn);

	if (!count)
		return false;
	if (xa_to_value(count) == 1) {
		xa_erase(&mmio_count, pfn);
		return true;
	}
	/* In place of another value: needs no memory. */
	xa_store(&mmio_count, pfn, xa_mk_value(xa_to_value(count) - 1), GFP_KERNEL);
	return false;
}

/* The pages that nobody else has are unguarded, in as few calls as possible. */
static void put_pages(unsigned long pfn, unsigned long nr)
{
	unsigned long run = 0;

	for (; nr; nr--, pfn++) {
		if (count_put(pfn) && !pkvm_fixmap_maps(pfn)) {
			run++;
			continue;
		}
		unguard(pfn - run, run);
		run = 0;
	}
	unguard(pfn - run, run);
}

/**
 * pkvm_mmio_get() - guard the pages of a mapping that is about to be made
 * @phys: first byte of a device
 * @size: in bytes, not 0
 *
 * May sleep. On failure all is as before, but that pages may stay guarded.
 *
 * Return: 0; -ENOMEM; or another negative errno if one of the pages is no device's: the
 * guest has memory there, private or shared.
 */
int pkvm_mmio_get(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys), nr = PHYS_PFN(phys + size - 1) - pfn + 1, got;
	bool first = false;
	int ret = 0;

	mutex_lock(&mmio_lock);
	for (got = 0; got < nr && !ret; got++) {
		ret = count_get(pfn + got, &first);
		if (ret)
			break;
	}
	/* Whatever was guarded already may be so once more. */
	if (!ret && first)
		ret = pkvm_mmio_guard(PFN_PHYS(pfn), nr << PAGE_SHIFT);
	if (ret)
		put_pages(pfn, got);
	mutex_unlock(&mmio_lock);

	return ret;
}

/**
 * pkvm_mmio_put() - a mapping is gone, or about to go, that pkvm_mmio_get() was called for
 * @phys: first byte of a device
 * @size: in bytes, not 0
 *
 * May sleep.
 */
void pkvm_mmio_put(phys_addr_t phys, size_t size)
{
	unsigned long pfn = PHYS_PFN(phys);

	mutex_lock(&mmio_lock);
	put_pages(pfn, PHYS_PFN(phys + size - 1) - pfn + 1);
	mutex_unlock(&mmio_lock);
}
