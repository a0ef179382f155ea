// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory calls of a protected guest: SHARE, UNSHARE and RELINQUISH of ranges.
 *
 * A hypervisor that says so in R1 of HYP_MEMINFO takes a number of granules per call and
 * answers how many it has done, which may be fewer. Any other gets one granule per call.
 *
 * Nothing here sleeps or allocates: set_memory_decrypted() is called from atomic context
 * too. A call may take long, though, while the VMM lets go of a page. It is restarted
 * when an interrupt is taken meanwhile, on this or another CPU.
 */
#define pr_fmt(fmt) "pkvm-guest: " fmt

#include <linux/arm-smccc.h>
#include <linux/cache.h>
#include <linux/kasan.h>
#include <linux/log2.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/printk.h>
#include <linux/ratelimit.h>

#include "pkvm-guest.h"

/* The hypervisor would do no more in one call; it bounds how long one call takes. */
#define PKVM_MAX_GRANULES	512

static size_t mem_granule __ro_after_init;
static unsigned long features __ro_after_init;

/**
 * pkvm_mem_init() - before any other of the memory calls
 * @hyp_granule: what HYP_MEMINFO answers in R0, and not larger than a page
 * @hyp_features: what it answers in R1: ARM_SMCCC_KVM_HYP_MEMINFO_*
 *
 * Return: 0, or -EINVAL if no page can be made of such granules.
 */
int pkvm_mem_init(size_t hyp_granule, unsigned long hyp_features)
{
	if (!is_power_of_2(hyp_granule) || hyp_granule > PAGE_SIZE)
		return -EINVAL;

	mem_granule = hyp_granule;
	features = hyp_features;
	return 0;
}

/*
 * One call for at most @nr granules, or for one granule if the hypervisor takes no
 * @ranges. Return: for how many it was done, or a negative errno.
 */
static long call_once(u32 func_id, phys_addr_t phys, unsigned long nr, bool ranges)
{
	struct arm_smccc_res res;

	nr = ranges ? min(nr, PKVM_MAX_GRANULES) : 1;

	/* Older hypervisors insist on 0 in R2, and do not say in R1 what they did. */
	arm_smccc_1_1_invoke(func_id, phys, ranges ? nr : 0, 0, &res);
	switch ((int)res.a0) {
	case SMCCC_RET_SUCCESS:
		break;
	case SMCCC_RET_NOT_SUPPORTED:
		return -EOPNOTSUPP;
	default:
		return -EPERM;
	}
	if (!ranges)
		return 1;

	/* A loop that does not get on, or skips memory, would be worse than a failure. */
	return res.a1 && res.a1 <= nr ? res.a1 : -EPROTO;
}

/**
 * pkvm_call_range() - one of the calls that take an address and a number of granules
 * @func_id: which
 * @phys: first byte; a multiple of @granule, as @size
 * @size: in bytes
 * @granule: of this call, in bytes
 * @ranges: whether the hypervisor takes more than one granule at a time
 * @done: how many bytes from @phys on are done, on failure too: the granule after them is
 *	what failed
 *
 * Return: 0; -EPERM if it is refused; -EOPNOTSUPP if there is no such call; -EPROTO for an
 * answer that makes no sense.
 */
int pkvm_call_range(u32 func_id, phys_addr_t phys, size_t size, size_t granule, bool ranges,
		    size_t *done)
{
	*done = 0;
	while (*done < size) {
		long nr = call_once(func_id, phys + *done, (size - *done) / granule, ranges);

		if (nr < 0)
			return nr;
		*done += nr * granule;
	}

	return 0;
}

static int mem_call(u32 func_id, phys_addr_t phys, size_t size, bool ranges, size_t *done)
{
	return pkvm_call_range(func_id, phys, size, mem_granule, ranges, done);
}

static bool takes_ranges(void)
{
	return features & ARM_SMCCC_KVM_HYP_MEMINFO_RANGES;
}

/*
 * Only the linear map is contiguous in physical memory, and only there does
 * virt_to_phys() mean anything: elsewhere it could name somebody else's page.
 */
static int linear_range(unsigned long addr, int numpages, phys_addr_t *phys, size_t *size)
{
	unsigned long start = (unsigned long)kasan_reset_tag((void *)addr);

	if (numpages < 0)
		return -EINVAL;

	*size = (size_t)numpages << PAGE_SHIFT;
	if (!*size)
		return 0;
	if (!__is_lm_address(start) || !__is_lm_address(start + *size - 1))
		return -EINVAL;

	*phys = virt_to_phys((void *)start);
	return 0;
}

/**
 * pkvm_mem_share() - share pages with the host, in place
 * @addr: of the first page, in the linear map
 * @numpages: how many
 *
 * What set_memory_decrypted() does in a protected guest. On failure the pages that were
 * shared already are unshared again. Callers cannot know whether that has worked, and
 * must not let the memory go back to where it is believed to be private: they leak it.
 *
 * Return: 0, or a negative errno if not all of them are shared.
 */
int pkvm_mem_share(unsigned long addr, int numpages)
{
	size_t size, done, undone;
	phys_addr_t phys, failed;
	int ret;

	ret = linear_range(addr, numpages, &phys, &size);
	if (ret || !size)
		return ret;

	ret = mem_call(ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID, phys, size, takes_ranges(),
		       &done);
	if (!ret)
		return 0;

	failed = phys + done;
	mem_call(ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID, phys, done, takes_ranges(),
		 &undone);
	pr_warn_ratelimited("%zu bytes at %pa cannot be shared: error %d at %pa; %zu bytes stay shared\n",
			    size, &phys, ret, &failed, done - undone);
	return ret;
}

/**
 * pkvm_mem_unshare() - make pages private that are shared with the host
 * @addr: of the first page, in the linear map
 * @numpages: how many
 *
 * What set_memory_encrypted() does in a protected guest. What has become private before a
 * failure stays so: the callers leak all of it, and the less of that the host can see,
 * the better.
 *
 * Return: 0, or a negative errno if not all of them are private.
 */
int pkvm_mem_unshare(unsigned long addr, int numpages)
{
	phys_addr_t phys, failed;
	size_t size, done;
	int ret;

	ret = linear_range(addr, numpages, &phys, &size);
	if (ret || !size)
		return ret;

	ret = mem_call(ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID, phys, size, takes_ranges(),
		       &done);
	if (!ret)
		return 0;

	failed = phys + done;
	pr_warn_ratelimited("%zu bytes at %pa cannot be unshared: error %d at %pa; %zu bytes may stay shared\n",
			    size, &phys, ret, &failed, size - done);
	return ret;
}

/**
 * pkvm_mem_relinquish() - give memory to the host that nobody in the guest uses
 * @phys: first byte; a multiple of the page size, as @size
 * @size: in bytes
 * @done: how many bytes from @phys on the guest has given up, on failure too
 *
 * The next access gets a page of the host's, with content of the host's choice.
 *
 * Return: 0; -EPERM if the page at @phys + *@done is shared or no memory; -EOPNOTSUPP if
 * there is no such call; -EPROTO for an answer that makes no sense.
 */
int pkvm_mem_relinquish(phys_addr_t phys, size_t size, size_t *done)
{
	return mem_call(ARM_SMCCC_VENDOR_HYP_KVM_MEM_RELINQUISH_FUNC_ID, phys, size,
			features & ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES, done);
}
