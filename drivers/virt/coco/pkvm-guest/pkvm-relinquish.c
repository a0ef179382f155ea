// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives the free memory of a protected guest back to the host.
 *
 * Free page reporting takes large blocks off the free lists, hands them to us and puts
 * them back. In between nobody else can have them: no allocation, no conversion to shared,
 * no memory offlining. EL2 scrubs what we relinquish, and the host may use it for
 * something else. The next access to it in the guest, after an allocation as a rule,
 * faults and gets a page of the host's.
 *
 * So the content of free memory is the host's choice from then on, and whatever counts on
 * it must be off:
 *  - init_on_free: the page allocator does not zero what it hands out, not even for
 *    __GFP_ZERO, since it was zeroed when it was freed. The host could plant data in
 *    "zeroed" memory of the kernel;
 *  - page poisoning: the pattern is checked at allocation and would not be found.
 * virtio-balloon can tell the host which pattern to put there. A protected guest must not
 * trust the host to do it, so we do not register at all.
 *
 * The reporting work calls us without locks and with interrupts enabled. Each block is
 * one call or a few, in which the host does its part, so we may be interrupted or sleep
 * between blocks, but there is nothing to wait for.
 */
#define pr_fmt(fmt) "pkvm-guest: " fmt

#include <linux/arm-smccc.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/moduleparam.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <linux/sched.h>
#include <linux/sizes.h>

#include <asm/hypervisor.h>

#include "pkvm-guest.h"

/*
 * A block that the hypervisor refuses counts as reported, so that it does not keep those
 * beside it from being: it would be refused again next time. Either memory was freed while
 * it is shared, which is a bug of the guest's, or its backing cannot go back to the host:
 * destroyed, or pinned by the host for the life of this guest.
 *
 * Any other error ends the pass; what was in it is reported again some time, which does
 * no harm to what has been given up already.
 */
static int pkvm_relinquish_report(struct page_reporting_dev_info *prdev,
				  struct scatterlist *sgl, unsigned int nents)
{
	struct scatterlist *sg;
	unsigned int i;

	for_each_sg(sgl, sg, nents, i) {
		phys_addr_t phys = sg_phys(sg);
		size_t done;
		int ret;

		ret = pkvm_mem_relinquish(phys, sg->length, &done);
		phys += done;
		if (ret == -EPERM)
			pr_warn_once("free memory at %pa stays: it is shared, or not the host's to take\n",
				     &phys);
		else if (ret)
			return ret;
		cond_resched();
	}

	return 0;
}

/*
 * One block at a time. More would save nothing, as each is a call of its own. They would
 * all be off the free lists, where an allocation misses them, and reporting wants to see
 * as much free beyond the watermark: with its default of 32 blocks, a guest of 64 MiB
 * would never give anything back.
 */
static struct page_reporting_dev_info pkvm_relinquish_dev = {
	.report		= pkvm_relinquish_report,
	.capacity	= 1,
};

static bool enabled = true;
/* From the initcall on, a change of @enabled takes effect. Both: kernel_param_lock(). */
static bool ready;

static int pkvm_relinquish_start(void)
{
	int ret;

	if (!is_protected_kvm_guest() ||
	    !kvm_arm_hyp_service_available(ARM_SMCCC_KVM_FUNC_MEM_RELINQUISH))
		return -EOPNOTSUPP;

	if (want_init_on_free() || page_poisoning_enabled_static()) {
		pr_info("free memory stays: init_on_free or page poisoning counts on its content\n");
		return -EOPNOTSUPP;
	}

	/* What the host has its blocks in, whatever our page size is. */
	pkvm_relinquish_dev.order = get_order(SZ_2M);
	ret = page_reporting_register(&pkvm_relinquish_dev);
	if (ret == -EBUSY)
		pr_info("free memory is reported by another driver\n");

	return ret;
}

static int pkvm_relinquish_set(const char *val, const struct kernel_param *kp)
{
	bool was = enabled;
	int ret;

	ret = param_set_bool(val, kp);
	if (ret || !ready || enabled == was)
		return ret;

	if (!enabled) {
		/* Waits for a report that is under way. */
		page_reporting_unregister(&pkvm_relinquish_dev);
		return 0;
	}

	ret = pkvm_relinquish_start();
	enabled = !ret;
	return ret;
}

static const struct kernel_param_ops pkvm_relinquish_param_ops = {
	.flags	= KERNEL_PARAM_OPS_FL_NOARG,
	.set	= pkvm_relinquish_set,
	.get	= param_get_bool,
};

module_param_cb(enabled, &pkvm_relinquish_param_ops, &enabled, 0644);
MODULE_PARM_DESC(enabled, "Give free memory back to the host (Y where it does so)");

/*
 * Late, so that a built-in balloon driver that offers reporting comes first: it takes it
 * for an error if somebody else has registered, and does not probe.
 */
static int __init pkvm_relinquish_init(void)
{
	kernel_param_lock(THIS_MODULE);
	if (enabled)
		enabled = !pkvm_relinquish_start();
	ready = true;
	kernel_param_unlock(THIS_MODULE);

	return 0;
}
late_initcall(pkvm_relinquish_init);
