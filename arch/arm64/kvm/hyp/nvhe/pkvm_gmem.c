// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a guest_memfd that a protected guest owns: donation, sharing, taking back.
 *
 * Every transition has two halves. The check looks at all pages of the range, a run of
 * equal ones at a time, and asks pkvm_transition_check() for each run; nothing has changed
 * when it fails. The commit cannot fail.
 *
 * Both the host's lock and the guest's are held over check and commit: see
 * component_lock.h.
 */
#include <asm/kvm_pgtable.h>

#include <nvhe/mm.h>
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/trap_handler.h>

/* How many pages, from the first on, may be donated; an errno if not even that one. */
static s64 donate_check(struct pkvm_hyp_vm *vm, u64 pfn, u64 gfn, u64 nr_pages)
{
	struct hyp_page *page = hyp_phys_to_page(hyp_pfn_to_phys(pfn));
	struct pkvm_page_outcome outcome;
	struct pkvm_page_run run;
	u64 i, done = 0;
	int ret;

	while (done < nr_pages) {
		ret = pkvm_run_find(vm, gfn + done, nr_pages - done, &run);
		if (ret)
			return done ?: ret;

		for (i = 0; i < run.nr_pages; i++, done++) {
			run.states.host = get_host_state(page + done);
			ret = pkvm_transition_check(PKVM_HOST_DONATE_GUEST, &run.states,
						    &outcome);
			if (ret)
				return done ?: ret;
		}
	}

	return done;
}

/**
 * __pkvm_host_donate_guest_range() - give pages of a guest_memfd to a guest
 * @pfn: first physical page of a contiguous run that the host owns
 * @gfn: where the guest gets it; the run may not cross a last-level table
 * @nr_pages: 1 to PKVM_DONATE_MAX_PAGES
 * @vcpu: a loaded vCPU of the guest, whose memcache pays for tables
 *
 * Return: how many pages were donated, from the first on: fewer than @nr_pages if one
 * on the way was not the host's or the guest had something there. If that was the first:
 * -EPERM, -EEXIST, -EHWPOISON, -EACCES; -ERANGE beyond the guest's address space; -EINVAL for other
 * bad arguments, -ENOMEM for want of tables.
 */
int __pkvm_host_donate_guest_range(u64 pfn, u64 gfn, u64 nr_pages,
				   struct pkvm_hyp_vcpu *vcpu)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(vcpu);
	u64 phys = hyp_pfn_to_phys(pfn);
	enum kvm_pgtable_prot prot;
	s64 nr;
	int ret;

	if (!nr_pages || nr_pages > PKVM_DONATE_MAX_PAGES ||
	    !pfn_range_is_valid(pfn, nr_pages) ||
	    gfn / PTRS_PER_PTE != (gfn + nr_pages - 1) / PTRS_PER_PTE)
		return -EINVAL;

	ret = check_range_allowed_memory(phys, phys + nr_pages * PAGE_SIZE);
	if (ret)
		return ret;

	host_lock_component();
	guest_lock_component(vm);

	nr = donate_check(vm, pfn, gfn, nr_pages);
	if (nr < 0)
		goto unlock;

	ret = __guest_check_pgtable_memcache(vcpu);
	if (ret) {
		nr = ret;
		goto unlock;
	}

	pkvm_run_unmap_host(vm, phys, gfn, nr);
	prot = pkvm_mkstate(KVM_PGTABLE_PROT_RWX | PKVM_PROT_GMEM, PKVM_PAGE_OWNED);
	WARN_ON(kvm_pgtable_stage2_map(&vm->pgt, hyp_pfn_to_phys(gfn), nr * PAGE_SIZE, phys,
				       prot, &vcpu->vcpu.arch.pkvm_memcache, 0));
unlock:
	guest_unlock_component(vm);
	host_unlock_component();

	trace_pkvm_transition(vm->kvm.arch.pkvm.handle, PKVM_HOST_DONATE_GUEST, gfn, nr_pages, nr);
	return nr;
}

/* What a transition does to a run of pages; both locks held, and the check has passed. */
typedef void (*commit_fn)(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			  const struct pkvm_page_outcome *outcome);

static void share_commit(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			 const struct pkvm_page_outcome *outcome)
{
	pkvm_run_set_guest_state(vm, run, outcome->states.guest);
	WARN_ON(__host_set_page_state_range(run->phys, run->nr_pages * PAGE_SIZE,
					    outcome->states.host));
}

/* The host loses the pages before the guest may believe them private. */
static void unshare_commit(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			   const struct pkvm_page_outcome *outcome)
{
	pkvm_run_unmap_host(vm, run->phys, run->gfn, run->nr_pages);
	pkvm_run_set_guest_state(vm, run, outcome->states.guest);
}

/* The content stays, but the guest may have written it past the caches. */
static void clean_page(phys_addr_t phys)
{
	void *addr = hyp_fixmap_map(phys);

	kvm_flush_dcache_to_poc(addr, PAGE_SIZE);
	hyp_fixmap_unmap();
}

/*
 * The guest's entries go first, so that the guest never sees a scrubbed page; the
 * host gets the pages last. Both locks held.
 */
static void reclaim_commit(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			   const struct pkvm_page_outcome *outcome)
{
	phys_addr_t phys, end = run->phys + run->nr_pages * PAGE_SIZE;

	pkvm_run_unmap_guest(vm, run, outcome->states.guest == PKVM_POISON);

	/* Bad memory is not touched: not to scrub it, and so not to give it back. */
	if (outcome->keep) {
		WARN_ON(host_stage2_set_owner_locked(run->phys, end - run->phys, PKVM_ID_HYP));
		return;
	}

	for (phys = run->phys; phys < end; phys += PAGE_SIZE) {
		if (outcome->scrub)
			hyp_poison_page(phys);
		else
			clean_page(phys);
	}
	WARN_ON(host_stage2_set_owner_locked(run->phys, end - run->phys, PKVM_ID_HOST));
}

/**
 * pkvm_pages_ready() - how many pages of a guest's may make a transition
 * @vm: the guest; both locks held
 * @transition: what is to be done
 * @gfn: first page
 * @nr_pages: look no further
 * @stopped: why it stopped: the errno of pkvm_transition_check() for the first page that
 *	     may not, else 0: at the end, or at memory that is not guest_memfd's
 *
 * Return: how many, from the first on.
 */
u64 pkvm_pages_ready(struct pkvm_hyp_vm *vm, enum pkvm_transition transition, u64 gfn,
		     u64 nr_pages, int *stopped)
{
	struct pkvm_page_outcome outcome;
	struct pkvm_page_run run;
	u64 done = 0;

	*stopped = 0;
	while (done < nr_pages) {
		*stopped = pkvm_run_find(vm, gfn + done, nr_pages - done, &run);
		if (!*stopped)
			*stopped = pkvm_transition_check(transition, &run.states, &outcome);
		if (*stopped || !run.gmem)
			break;
		done += run.nr_pages;
	}

	return done;
}

/* The check has passed, so that all of the range is guest_memfd's, and in the right state. */
static void commit_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages,
			 enum pkvm_transition transition, commit_fn commit)
{
	struct pkvm_page_outcome outcome;
	struct pkvm_page_run run;
	u64 done;

	for (done = 0; done < nr_pages; done += run.nr_pages) {
		BUG_ON(pkvm_run_find(vm, gfn + done, nr_pages - done, &run));
		BUG_ON(pkvm_transition_check(transition, &run.states, &outcome));
		commit(vm, &run, &outcome);
	}
}

/* What a guest asked for: all of the range or nothing. */
static int change_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages,
			enum pkvm_transition transition, commit_fn commit)
{
	int ret;

	host_lock_component();
	guest_lock_component(vm);

	if (pkvm_pages_ready(vm, transition, gfn, nr_pages, &ret) == nr_pages)
		commit_range(vm, gfn, nr_pages, transition, commit);
	else if (!ret)
		ret = -EPERM;

	guest_unlock_component(vm);
	host_unlock_component();

	trace_pkvm_transition(vm->kvm.arch.pkvm.handle, transition, gfn, nr_pages, ret ?: nr_pages);
	return ret;
}

/**
 * __pkvm_guest_share_host_range() - let the host use pages of a guest, in place
 * @vm: the guest
 * @gfn: first page
 * @nr_pages: all of these or none
 *
 * Return: 0, or the errno of pkvm_transition_check() for the first page that may not.
 */
int __pkvm_guest_share_host_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages)
{
	return change_range(vm, gfn, nr_pages, PKVM_GUEST_SHARE_HOST, share_commit);
}

/**
 * __pkvm_guest_unshare_host_range() - take back from the host what a guest had shared
 * @vm: the guest
 * @gfn: first page
 * @nr_pages: all of these or none
 *
 * The host has no user mapping of, and no reference to, these pages: it said so by
 * completing the guest's call. If it lied, its next access faults.
 *
 * Return: 0, or the errno of pkvm_transition_check() for the first page that may not.
 */
int __pkvm_guest_unshare_host_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages)
{
	return change_range(vm, gfn, nr_pages, PKVM_GUEST_UNSHARE_HOST, unshare_commit);
}

/**
 * __pkvm_guest_relinquish_range() - a guest gives pages up
 * @vm: the guest
 * @gfn: first page
 * @nr_pages: all of these or none
 *
 * The host gets them scrubbed. Nothing is left in the guest's entries: its next access faults
 * like the first one did.
 *
 * Return: 0, or the errno of pkvm_transition_check() for the first page that may not.
 */
int __pkvm_guest_relinquish_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages)
{
	return change_range(vm, gfn, nr_pages, PKVM_GUEST_RELINQUISH, reclaim_commit);
}

/**
 * __pkvm_host_reclaim_guest_range() - take back what a guest has of its guest_memfd
 * @vm: the guest, which cannot begin to die while the caller holds it
 * @gfn: where to begin
 * @nr_pages: where to end; any size
 * @memory_error: the pages are bad: EL2 keeps them
 * @pages: set to how many there were
 *
 * Pages that the guest owned alone are scrubbed. A living guest's entries are poisoned,
 * so that it notices. Holes, poisoned and guarded entries and other memory are passed over.
 *
 * Return: how many guest frames are done with, from @gfn on: it stops after
 * PKVM_RECLAIM_MAX_PAGES pages, to bound the time at EL2. -ERANGE beyond the guest's
 * address space.
 */
s64 __pkvm_host_reclaim_guest_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages,
				    bool memory_error, struct pkvm_reclaimed *pages)
{
	enum pkvm_transition transition = PKVM_HOST_RECLAIM_GUEST;
	struct pkvm_page_outcome outcome;
	unsigned int steps = PTRS_PER_PTE;
	u64 done = 0, reclaimed = 0, shared = 0;
	struct pkvm_page_run run;
	int ret = 0;
	u64 end;

	if (memory_error)
		transition = PKVM_HOST_FAIL_GUEST;
	else if (vm->kvm.arch.pkvm.is_dying)
		transition = PKVM_HOST_RECLAIM_DYING_GUEST;

	if (check_add_overflow(gfn, nr_pages, &end))
		return -ERANGE;

	host_lock_component();
	guest_lock_component(vm);

	while (done < nr_pages && reclaimed < PKVM_RECLAIM_MAX_PAGES && steps--) {
		ret = pkvm_run_find(vm, gfn + done, nr_pages - done, &run);
		if (ret)
			break;

		if (run.gmem && !pkvm_transition_check(transition, &run.states, &outcome)) {
			run.nr_pages = min(run.nr_pages, PKVM_RECLAIM_MAX_PAGES - reclaimed);
			reclaim_commit(vm, &run, &outcome);
			reclaimed += run.nr_pages;
			if (run.states.guest == PKVM_PAGE_SHARED_OWNED)
				shared += run.nr_pages;
		}
		done += run.nr_pages;
	}

	guest_unlock_component(vm);
	host_unlock_component();

	*pages = (struct pkvm_reclaimed) { reclaimed - shared, shared };
	trace_pkvm_transition(vm->kvm.arch.pkvm.handle, transition, gfn, nr_pages, reclaimed);
	return done ?: ret;
}

/**
 * __pkvm_host_page_owner() - whose is a page that the host may not touch?
 * @phys: where it is
 *
 * Return: the handle and the gfn of the guest that has it, as PKVM_PAGE_OWNER_VM() and
 * PKVM_PAGE_OWNER_GFN() know them; -EAGAIN if the host may touch it, or the guest is
 * just going; -EPERM if it is the hypervisor's; -EFAULT if it is no memory.
 */
s64 __pkvm_host_page_owner(phys_addr_t phys)
{
	struct pkvm_hyp_vm *vm;
	s64 ret;
	u64 gfn;

	/* The VM must not go while its handle is looked at. */
	hyp_spin_lock(&vm_table_lock);
	host_lock_component();

	ret = host_stage2_get_guest_info(PAGE_ALIGN_DOWN(phys), &vm, &gfn);
	if (!ret)
		ret = host_stage2_encode_gfn_meta(vm, gfn);

	host_unlock_component();
	hyp_spin_unlock(&vm_table_lock);

	return ret;
}

void handle___pkvm_host_page_owner(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(phys_addr_t, phys, host_ctxt, 1);

	cpu_reg(host_ctxt, 1) = __pkvm_host_page_owner(phys);
}

void handle___pkvm_host_donate_guest_range(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(u64, pfn, host_ctxt, 1);
	DECLARE_REG(u64, gfn, host_ctxt, 2);
	DECLARE_REG(u64, nr_pages, host_ctxt, 3);
	struct pkvm_hyp_vcpu *hyp_vcpu = pkvm_get_loaded_hyp_vcpu();
	struct kvm_hyp_memcache *host_mc;
	int ret = -EINVAL;

	if (!hyp_vcpu || !pkvm_hyp_vcpu_is_protected(hyp_vcpu))
		goto out;

	host_mc = &hyp_vcpu->host_vcpu->arch.pkvm_memcache;
	ret = refill_memcache(&hyp_vcpu->vcpu.arch.pkvm_memcache, host_mc->nr_pages, host_mc);
	if (!ret)
		ret = __pkvm_host_donate_guest_range(pfn, gfn, nr_pages, hyp_vcpu);
out:
	cpu_reg(host_ctxt, 1) = ret;
}

void handle___pkvm_host_reclaim_guest_range(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(pkvm_handle_t, handle, host_ctxt, 1);
	DECLARE_REG(u64, gfn, host_ctxt, 2);
	DECLARE_REG(u64, nr_pages, host_ctxt, 3);
	DECLARE_REG(bool, memory_error, host_ctxt, 4);
	struct pkvm_hyp_vm *vm = get_pkvm_hyp_vm(handle);
	struct pkvm_reclaimed pages = {};
	s64 ret = -EINVAL;

	if (vm) {
		if (pkvm_hyp_vm_is_protected(vm))
			ret = __pkvm_host_reclaim_guest_range(vm, gfn, nr_pages,
							      memory_error, &pages);
		put_pkvm_hyp_vm(vm);
	}

	cpu_reg(host_ctxt, 1) = ret;
	cpu_reg(host_ctxt, 2) = pages.owned;
	cpu_reg(host_ctxt, 3) = pages.shared;
}

/* How many pages of a physical range, from the first on, EL2 lets the host use. */
void handle___pkvm_host_test_access(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(u64, pfn, host_ctxt, 1);
	DECLARE_REG(u64, nr_pages, host_ctxt, 2);
	u64 i = 0;

	nr_pages = min_t(u64, nr_pages, PTRS_PER_PTE);
	if (!pfn_range_is_valid(pfn, nr_pages) || !nr_pages ||
	    check_range_allowed_memory(hyp_pfn_to_phys(pfn), hyp_pfn_to_phys(pfn + nr_pages)))
		goto out;

	host_lock_component();
	while (i < nr_pages &&
	       get_host_state(hyp_phys_to_page(hyp_pfn_to_phys(pfn + i))) != PKVM_NOPAGE)
		i++;
	host_unlock_component();
out:
	cpu_reg(host_ctxt, 1) = i;
}

void handle___pkvm_vcpu_complete_memreq(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(u64, done, host_ctxt, 1);
	struct pkvm_hyp_vcpu *hyp_vcpu = pkvm_get_loaded_hyp_vcpu();
	int ret = -EINVAL;

	if (hyp_vcpu && pkvm_hyp_vcpu_is_protected(hyp_vcpu))
		ret = pkvm_memreq_complete(hyp_vcpu, done);

	cpu_reg(host_ctxt, 1) = ret;
}
