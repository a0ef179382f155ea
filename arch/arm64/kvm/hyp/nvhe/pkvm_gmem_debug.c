// SPDX-License-Identifier: GPL-2.0-only
/* What only a debug kernel may ask EL2: who owns a guest's pages. */
#include <linux/guest_memfd_owner.h>

#include <nvhe/mem_protect.h>
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/trap_handler.h>

/*
 * Pages and the frames that show them, as one word. The two must be each other's counterpart:
 * if they are not, no word is right.
 */
static enum kvm_gmem_owner run_owner(const struct pkvm_page_run *run)
{
	switch (run->states.guest) {
	case PKVM_PAGE_OWNED:
		return run->states.host == PKVM_NOPAGE ? KVM_GMEM_OWNER_GUEST :
							 KVM_GMEM_OWNER_BROKEN;
	case PKVM_PAGE_SHARED_OWNED:
		return run->states.host == PKVM_PAGE_SHARED_BORROWED ?
		       KVM_GMEM_OWNER_SHARED : KVM_GMEM_OWNER_BROKEN;
	case PKVM_NOPAGE:
	case PKVM_GUARDED:
		return KVM_GMEM_OWNER_ABSENT;
	case PKVM_POISON:
		return KVM_GMEM_OWNER_POISONED;
	default:
		return KVM_GMEM_OWNER_BROKEN;
	}
}

/**
 * __pkvm_host_guest_owner() - who owns what a guest has in a run of frames
 * @vm: the guest
 * @gfn: the first frame
 * @nr_pages: look no further; any size but 0
 * @owner: what holds for the run
 *
 * Return: how long the run is: at most @nr_pages, and where it ends something else need not
 * begin. -ERANGE beyond the guest's address space.
 */
static s64 __pkvm_host_guest_owner(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages,
				   enum kvm_gmem_owner *owner)
{
	struct pkvm_page_run run;
	s64 ret;

	host_lock_component();
	guest_lock_component(vm);

	ret = pkvm_run_find(vm, gfn, nr_pages, &run);
	if (!ret) {
		*owner = run_owner(&run);
		ret = run.nr_pages;
	}

	guest_unlock_component(vm);
	host_unlock_component();

	return ret;
}

void handle___pkvm_host_guest_owner(struct kvm_cpu_context *host_ctxt)
{
	DECLARE_REG(pkvm_handle_t, handle, host_ctxt, 1);
	DECLARE_REG(u64, gfn, host_ctxt, 2);
	DECLARE_REG(u64, nr_pages, host_ctxt, 3);
	struct pkvm_hyp_vm *vm = get_pkvm_hyp_vm(handle);
	enum kvm_gmem_owner owner = KVM_GMEM_OWNER_BROKEN;
	s64 ret = -EINVAL;

	if (vm) {
		if (pkvm_hyp_vm_is_protected(vm) && nr_pages)
			ret = __pkvm_host_guest_owner(vm, gfn, nr_pages, &owner);
		put_pkvm_hyp_vm(vm);
	}

	cpu_reg(host_ctxt, 1) = ret;
	cpu_reg(host_ctxt, 2) = owner;
}
