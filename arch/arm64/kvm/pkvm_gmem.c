// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs whose memory is a guest_memfd: the host kernel's part.
 *
 * EL2 knows who owns each page; guest_memfd knows what host userspace may map. Nothing
 * is remembered here per page: a donated page stays in the page cache, whose reference
 * keeps it, and every way out of the page cache (PUNCH_HOLE, the file's release, the
 * VM's end) comes through here to take it back from EL2 first.
 *
 * Locks: pages are donated with the file's invalidate_lock held shared, converted, freed
 * and found bad with it held exclusively. Taking back may race with the VM's teardown, which
 * does the same on its own: EL2's locks decide page by page who does it, and both return
 * only when all of their range is done.
 */
#include <linux/guest_memfd.h>
#include <linux/guest_memfd_range.h>
#include <linux/kvm_host.h>
#include <linux/moduleparam.h>
#include <linux/pagemap.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_mmu.h>
#include <asm/kvm_pkvm.h>
#include <asm/kvm_pkvm_gmem.h>

#define CREATE_TRACE_POINTS
#include "trace_pkvm_gmem.h"

/*
 * A fault donates the aligned block of this many pages around it. Holes in it are filled
 * too, but not where somebody has given the memory up.
 */
static unsigned int donate_around = 64;
module_param_named(pkvm_donate_around, donate_around, uint, 0644);
MODULE_PARM_DESC(pkvm_donate_around,
		 "pages that one fault of a protected guest on guest_memfd donates at most");

static unsigned long donate_window(void)
{
	return rounddown_pow_of_two(clamp(READ_ONCE(donate_around), 1U,
					  (unsigned int)PKVM_DONATE_MAX_PAGES));
}

static void count_donated(struct kvm *kvm, unsigned long nr)
{
	atomic64_add(nr, &kvm->stat.gmem.pages_donated);
	atomic64_add(nr, &kvm->stat.gmem.private);
}

/*
 * Donate physically contiguous pages. A page on the way that cannot go (another vCPU was
 * faster, the guest's entry is poisoned) is passed over; *fault_ret becomes the result for
 * fault_gfn once it is known. Returns -ENOMEM if the tables could not be paid for.
 */
static int donate_run(struct kvm_vcpu *vcpu, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr,
		      gfn_t fault_gfn, int *fault_ret)
{
	unsigned long min_pages = kvm_mmu_cache_min_pages(vcpu->arch.hw_mmu);
	int ret;

	for (; nr; gfn += ret, pfn += ret, nr -= ret) {
		ret = topup_hyp_memcache(&vcpu->arch.pkvm_memcache, min_pages);
		if (!ret)
			ret = kvm_call_hyp_nvhe(__pkvm_host_donate_guest_range, pfn, gfn,
						(u64)nr);
		trace_pkvm_gmem_donate(vcpu->kvm, gfn, pfn, nr, ret);
		if (ret == -ENOMEM)
			return ret;
		if (ret > 0)
			count_donated(vcpu->kvm, ret);

		if (fault_gfn >= gfn && fault_gfn < gfn + max(ret, 1))
			*fault_ret = min(ret, 0);
		ret = max(ret, 1);
	}

	return 0;
}

/*
 * Donate the page at fault_gfn, and what is private around it. The invalidate_lock is
 * held shared: the pages stay, and so do their attributes. Want of memory for the pages
 * around is not the fault's failure.
 */
static int donate_block(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
			struct file *file, gfn_t fault_gfn)
{
	unsigned long min_pages = kvm_mmu_cache_min_pages(vcpu->arch.hw_mmu);
	pgoff_t index, end_index;
	int ret, fault_ret = -ENOMEM;
	gfn_t first, end;
	unsigned long nr;
	kvm_pfn_t pfn;

	kvm_gmem_block_around(fault_gfn, donate_window(), slot->base_gfn, slot->npages,
			      &first, &end);
	index = kvm_gmem_slot_index(slot, first);
	end_index = index + (end - first);

	/* First, lest the pages around take what the fault's own tables need. */
	ret = topup_hyp_memcache(&vcpu->arch.pkvm_memcache, min_pages);
	if (ret)
		return ret;

	ret = kvm_gmem_fill(file, index, end_index, kvm_gmem_slot_index(slot, fault_gfn));
	if (ret)
		return ret;

	while (!ret && (nr = kvm_gmem_next_run(file, &index, end_index, &pfn))) {
		ret = donate_run(vcpu, kvm_gmem_slot_gfn(slot, index), pfn, nr, fault_gfn,
				 &fault_ret);
		index += nr;
	}

	return fault_ret;
}

/* Set for good when EL2 has taken a page from some guest for the host kernel's sake. */
static bool force_reclaimed;

void pkvm_gmem_note_force_reclaim(void)
{
	WRITE_ONCE(force_reclaimed, true);
}

/* Where the guest's entry may be poisoned EL2 is asked before a hole is filled again. */
static bool fault_is_poisoned(struct kvm_vcpu *vcpu)
{
	return (READ_ONCE(vcpu->kvm->arch.pkvm.gmem_poisoned) || READ_ONCE(force_reclaimed)) &&
	       (int)kvm_call_hyp_nvhe(__pkvm_vcpu_in_poison_fault) == 1;
}

/*
 * A shared page that is absent may be so no longer: another vCPU has shared it, which made it
 * present, while this one was on its way here. The guest looks again, once for as many
 * shares as there were. Those came before the invalidate_lock, which is held shared.
 */
static bool shared_meanwhile(struct kvm_vcpu *vcpu)
{
	int shares = atomic_read(&vcpu->kvm->arch.pkvm.gmem_shares);

	if (shares == vcpu->arch.pkvm_gmem_shares)
		return false;

	vcpu->arch.pkvm_gmem_shares = shares;
	return true;
}

/**
 * pkvm_gmem_abort() - a protected guest has no page at an address of a guest_memfd slot
 * @vcpu: the vCPU, loaded
 * @slot: the slot; the caller holds kvm->srcu
 * @ipa: the address
 *
 * Return: 0 to run the guest again; -EFAULT with KVM_EXIT_MEMORY_FAULT/PRIVATE if the
 * offset is shared: userspace gives it up first; -EHWPOISON with KVM_EXIT_MEMORY_FAULT
 * if the page was destroyed; -EACCES if the guest will not have memory there; -ENOMEM.
 */
int pkvm_gmem_abort(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, phys_addr_t ipa)
{
	gfn_t gfn = gpa_to_gfn(ipa);
	struct file *file;
	int ret;

	file = kvm_gmem_slot_lock(slot);
	if (!file) {
		/* The file is gone, and with it the memory. */
		ret = -EHWPOISON;
	} else if (fault_is_poisoned(vcpu)) {
		ret = -EHWPOISON;
	} else if (!kvm_gmem_is_private(file_inode(file), kvm_gmem_slot_index(slot, gfn))) {
		ret = shared_meanwhile(vcpu) ? 0 : -EFAULT;
	} else {
		ret = donate_block(vcpu, slot, file, gfn);
		/* Another vCPU was faster. */
		if (ret == -EEXIST)
			ret = 0;
		/* EL2 says that the host does not own this page: not the guest's fault. */
		if (WARN_ON_ONCE(ret == -EPERM))
			ret = -EIO;
	}
	if (file)
		kvm_gmem_slot_unlock(file);

	if (ret == -EFAULT)
		vcpu->stat.gmem.private_exits++;
	else if (ret == -EHWPOISON)
		vcpu->stat.gmem.poison_exits++;

	if (ret == -EFAULT || ret == -EHWPOISON)
		kvm_prepare_memory_fault_exit(vcpu, gfn_to_gpa(gfn), PAGE_SIZE, false, false,
					      ret == -EFAULT);
	return ret;
}

/**
 * pkvm_guest_abort() - a protected guest has no page at an address of a slot
 * @vcpu: the vCPU, loaded
 * @slot: the slot; the caller holds kvm->srcu
 * @ipa: the address
 *
 * Where the guest has said that there is a device no slot is seen, and nobody answers.
 *
 * Return: as pkvm_gmem_abort(), or 1 if the guest gets an external abort.
 */
int pkvm_guest_abort(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, phys_addr_t ipa)
{
	int ret = pkvm_map_page(vcpu, slot, ipa);

	if (ret != -EACCES)
		return ret;
	return kvm_inject_sea(vcpu, kvm_vcpu_trap_is_iabt(vcpu), kvm_vcpu_get_hfar(vcpu));
}

/* Under the file's invalidate_lock, where there is a file: nobody finds less than nothing. */
static void count_memreq(struct pkvm_gmem_vm_stat *stat, u32 op, unsigned long nr)
{
	switch (op) {
	case PKVM_MEMREQ_SHARE:
		atomic64_add(nr, &stat->pages_shared);
		atomic64_add(nr, &stat->shared);
		atomic64_sub(nr, &stat->private);
		break;
	case PKVM_MEMREQ_UNSHARE:
		atomic64_add(nr, &stat->pages_unshared);
		atomic64_add(nr, &stat->private);
		atomic64_sub(nr, &stat->shared);
		break;
	case PKVM_MEMREQ_RELINQUISH:
		atomic64_add(nr, &stat->pages_relinquished);
		atomic64_sub(nr, &stat->private);
		break;
	}
}

static int complete_memreq(void *arg, unsigned long nr_pages)
{
	int ret = kvm_call_hyp_nvhe(__pkvm_vcpu_complete_memreq, (u64)nr_pages);
	struct kvm_vcpu *vcpu = arg;

	if (ret)
		return ret;

	if (vcpu->arch.pkvm_memreq.op == PKVM_MEMREQ_SHARE && nr_pages)
		atomic_inc(&vcpu->kvm->arch.pkvm.gmem_shares);
	count_memreq(&vcpu->kvm->stat.gmem, vcpu->arch.pkvm_memreq.op, nr_pages);
	return 0;
}

/* The guest gets INVALID_PARAMETER; no abort is injected at its HVC. */
static int refuse_memreq(struct kvm_vcpu *vcpu)
{
	return complete_memreq(vcpu, 0) ? -EIO : 1;
}

/*
 * The frame behind a gfn, for those who trace: nobody else pays for the look. Pages stay
 * while the lock is held.
 */
static kvm_pfn_t traced_pfn(struct kvm_memory_slot *slot, gfn_t gfn)
{
	kvm_pfn_t pfn = PKVM_NO_PFN;
	struct folio *folio;
	struct file *file;
	pgoff_t index;

	if (!trace_pkvm_gmem_share_enabled() && !trace_pkvm_gmem_unshare_enabled() &&
	    !trace_pkvm_gmem_relinquish_enabled())
		return pfn;

	file = kvm_gmem_slot_lock(slot);
	if (!file)
		return pfn;

	index = kvm_gmem_slot_index(slot, gfn);
	folio = xa_load(&file->f_mapping->i_pages, index);
	if (folio && !xa_is_value(folio))
		pfn = folio_pfn(folio) + index - folio->index;
	kvm_gmem_slot_unlock(file);

	return pfn;
}

/* A guest's request is over; @ret is how many pages were done, or why none. */
static void trace_memreq(struct kvm *kvm, const struct pkvm_memreq *req, kvm_pfn_t pfn,
			 long ret)
{
	switch (req->op) {
	case PKVM_MEMREQ_SHARE:
		trace_pkvm_gmem_share(kvm, req->gfn, pfn, req->nr_pages, ret);
		break;
	case PKVM_MEMREQ_UNSHARE:
		trace_pkvm_gmem_unshare(kvm, req->gfn, pfn, req->nr_pages, ret);
		break;
	case PKVM_MEMREQ_RELINQUISH:
		trace_pkvm_gmem_relinquish(kvm, req->gfn, pfn, req->nr_pages, ret);
		break;
	case PKVM_MEMREQ_ABSENT:
		trace_pkvm_gmem_absent(kvm, req->gfn, pfn, req->nr_pages, ret);
		break;
	}
}

static int do_memreq(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		     const struct pkvm_memreq *req)
{
	gfn_t end = min(req->gfn + req->nr_pages, slot->base_gfn + slot->npages);
	kvm_pfn_t pfn = traced_pfn(slot, req->gfn);
	long ret;

	switch (req->op) {
	case PKVM_MEMREQ_SHARE:
		ret = kvm_gmem_guest_call(slot, KVM_GMEM_GUEST_SHARE, req->gfn,
					  end - req->gfn, complete_memreq, vcpu);
		break;
	case PKVM_MEMREQ_UNSHARE:
		ret = kvm_gmem_guest_call(slot, KVM_GMEM_GUEST_UNSHARE, req->gfn,
					  end - req->gfn, complete_memreq, vcpu);
		break;
	case PKVM_MEMREQ_RELINQUISH:
		ret = kvm_gmem_guest_call(slot, KVM_GMEM_GUEST_RELINQUISH, req->gfn,
					  end - req->gfn, complete_memreq, vcpu);
		break;
	default:
		ret = complete_memreq(vcpu, end - req->gfn) ?: end - req->gfn;
		break;
	}
	trace_memreq(vcpu->kvm, req, pfn, ret);

	switch (ret) {
	case -EAGAIN:
		/* Somebody holds the page: userspace lets go and runs the vCPU again. */
		vcpu->stat.gmem.busy_exits++;
		kvm_prepare_memory_fault_exit(vcpu, gfn_to_gpa(req->gfn), PAGE_SIZE, false,
					      false, true);
		return -EFAULT;
	case -ENOMEM:
		return ret;
	case -EFAULT:
		return refuse_memreq(vcpu);
	default:
		/* Done, or the states have changed: the guest's HVC finds out. */
		return 1;
	}
}

/* A page to be shared is mapped first; if the guest has a device there its HVC finds out. */
static int map_for_memreq(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot, gfn_t gfn)
{
	int ret = pkvm_map_page(vcpu, slot, gfn_to_gpa(gfn));

	return !ret || ret == -EACCES ? 1 : ret;
}

/* What EL2 needs for a guest's page tables; then the guest makes its call again. */
static int give_tables(struct kvm_vcpu *vcpu)
{
	unsigned long min_pages = kvm_mmu_cache_min_pages(vcpu->arch.hw_mmu);
	int ret = topup_hyp_memcache(&vcpu->arch.pkvm_memcache, min_pages);

	if (ret)
		return ret;
	return complete_memreq(vcpu, 0) ? -EIO : 1;
}

/* No slot, or none that the request could be about. */
static int refuse_stray_memreq(struct kvm_vcpu *vcpu, const struct pkvm_memreq *req)
{
	trace_memreq(vcpu->kvm, req, PKVM_NO_PFN, -EFAULT);
	return refuse_memreq(vcpu);
}

/**
 * pkvm_handle_memreq() - a guest exit with ARM_EXCEPTION_PKVM_MEMREQ
 * @vcpu: the vCPU, loaded; nothing else has run on it since the exit
 *
 * Return: as handle_exit(): 1 to run the guest again, a negative errno for userspace.
 * The call is either completed or still at the guest's HVC.
 */
int pkvm_handle_memreq(struct kvm_vcpu *vcpu)
{
	struct pkvm_memreq req = vcpu->arch.pkvm_memreq;
	struct kvm_memory_slot *slot;
	int idx, ret;

	if (req.op == PKVM_MEMREQ_TABLES)
		return give_tables(vcpu);

	idx = srcu_read_lock(&vcpu->kvm->srcu);
	slot = gfn_to_memslot(vcpu->kvm, req.gfn);
	if (!slot)
		ret = refuse_stray_memreq(vcpu, &req);
	else if (req.op == PKVM_MEMREQ_MAP)
		ret = map_for_memreq(vcpu, slot, req.gfn);
	else if (req.op != PKVM_MEMREQ_ABSENT && WARN_ON_ONCE(!kvm_slot_has_gmem(slot)))
		ret = refuse_stray_memreq(vcpu, &req);
	else
		ret = do_memreq(vcpu, slot, &req);
	srcu_read_unlock(&vcpu->kvm->srcu, idx);

	return ret;
}

/*
 * One hypercall's worth; returns how many guest frames are done with, and adds to @pages what
 * was there.
 */
static unsigned long reclaim_some(struct kvm *kvm, gfn_t gfn, unsigned long nr,
				  bool memory_error, struct pkvm_reclaimed *pages)
{
	struct arm_smccc_res res;

	arm_smccc_1_1_hvc(KVM_HOST_SMCCC_FUNC(__pkvm_host_reclaim_guest_range),
			  kvm->arch.pkvm.handle, gfn, (u64)nr, memory_error, &res);
	if (WARN_ON_ONCE(res.a0 != SMCCC_RET_SUCCESS || (long)res.a1 <= 0))
		return nr;

	pages->owned += res.a2;
	pages->shared += res.a3;
	return res.a1;
}

static void account_reclaim(struct kvm *kvm, gfn_t gfn, unsigned long nr,
			    const struct pkvm_reclaimed *pages, bool memory_error)
{
	trace_pkvm_gmem_reclaim(kvm, gfn, nr, pages, memory_error);
	atomic64_add(pages->owned + pages->shared, &kvm->stat.gmem.pages_reclaimed);
	atomic64_sub(pages->owned, &kvm->stat.gmem.private);
	atomic64_sub(pages->shared, &kvm->stat.gmem.shared);
}

/*
 * The pages of this range are about to be freed, or are bad. mmu_lock is held for write
 * and an invalidation is in progress; the invalidate_lock is held exclusively.
 */
void kvm_arch_gmem_invalidate_range(struct kvm *kvm, struct kvm_gfn_range *range)
{
	bool memory_error = range->why == KVM_GMEM_ERROR;
	struct pkvm_reclaimed pages = {};
	gfn_t gfn = range->start;

	/* A conversion takes nothing from the guest. */
	if (range->why != KVM_GMEM_FREE && !memory_error)
		return;

	if (!kvm_vm_is_protected(kvm) || !pkvm_hyp_vm_is_created(kvm))
		return;

	WRITE_ONCE(kvm->arch.pkvm.gmem_poisoned, true);

	while (gfn < range->end) {
		gfn += reclaim_some(kvm, gfn, range->end - gfn, memory_error, &pages);
		cond_resched_rwlock_write(&kvm->mmu_lock);
	}
	account_reclaim(kvm, range->start, range->end - range->start, &pages, memory_error);
}

/**
 * pkvm_gmem_teardown() - take back all guest_memfd pages of a dying protected VM
 * @kvm: the VM, which EL2 knows to be dying; no lock held
 *
 * What is not guest_memfd's has been, or will be, given back by its own bookkeeping.
 */
void pkvm_gmem_teardown(struct kvm *kvm)
{
	gfn_t gfn = 0, end = kvm_phys_size(&kvm->arch.mmu) >> PAGE_SHIFT;
	struct pkvm_reclaimed pages = {};

	while (gfn < end) {
		gfn += reclaim_some(kvm, gfn, end - gfn, false, &pages);
		cond_resched();
	}
	account_reclaim(kvm, 0, end, &pages, false);
	pkvm_forget_stray_access();
}

/* The guest has shared them already, or never had them: only EL2 can tell. */
unsigned long kvm_arch_gmem_make_shared(struct kvm *kvm, kvm_pfn_t pfn,
					unsigned long nr_pages)
{
	unsigned long nr = 0, more;

	if (!kvm_vm_is_protected(kvm))
		return nr_pages;

	while (nr < nr_pages) {
		more = kvm_call_hyp_nvhe(__pkvm_host_test_access, (u64)(pfn + nr),
					 (u64)(nr_pages - nr));
		if (!more)
			break;
		nr += more;
	}

	return nr;
}
