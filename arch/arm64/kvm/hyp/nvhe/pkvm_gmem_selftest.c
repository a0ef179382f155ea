// SPDX-License-Identifier: GPL-2.0-only
/*
 * At boot, on the real page tables: every transition on every pair of states that two
 * neighbouring pages can be in, against an independent statement of the rules. Debug builds
 * only; a mismatch is a panic.
 */
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/trap_handler.h>

/* What pkvm_ownership_selftest() lends: one CPU runs, and the VM is not a real one. */
static struct pkvm_hyp_vcpu *matrix_vcpu;
static u64 matrix_pfn, matrix_gfn;

static struct pkvm_hyp_vm *matrix_vm(void)
{
	return pkvm_hyp_vcpu_to_hyp_vm(matrix_vcpu);
}

static int matrix_apply(enum pkvm_transition t, unsigned int first, unsigned int nr)
{
	u64 gfn = matrix_gfn + first;
	struct pkvm_reclaimed pages;
	s64 ret;

	switch (t) {
	case PKVM_HOST_DONATE_GUEST:
		ret = __pkvm_host_donate_guest_range(matrix_pfn + first, gfn, nr, matrix_vcpu);
		break;
	case PKVM_GUEST_SHARE_HOST:
		ret = __pkvm_guest_share_host_range(matrix_vm(), gfn, nr);
		break;
	case PKVM_GUEST_UNSHARE_HOST:
		ret = __pkvm_guest_unshare_host_range(matrix_vm(), gfn, nr);
		break;
	case PKVM_GUEST_RELINQUISH:
		ret = __pkvm_guest_relinquish_range(matrix_vm(), gfn, nr);
		break;
	case PKVM_GUEST_GUARD:
		ret = __pkvm_guest_guard_range(matrix_vcpu, gfn, nr);
		break;
	default:
		ret = __pkvm_host_reclaim_guest_range(matrix_vm(), gfn, nr, false, &pages);
		break;
	}

	return min(ret, 0);
}

static void matrix_look(unsigned int page, struct pkvm_page_states *states)
{
	phys_addr_t phys = hyp_pfn_to_phys(matrix_pfn + page);
	struct pkvm_page_run run;

	host_lock_component();
	guest_lock_component(matrix_vm());
	WARN_ON(pkvm_run_find(matrix_vm(), matrix_gfn + page, 1, &run));
	WARN_ON(run.phys && run.phys != phys);
	states->guest = run.states.guest;
	states->host = get_host_state(hyp_phys_to_page(phys));
	guest_unlock_component(matrix_vm());
	host_unlock_component();
}

/* A reclaim leaves its mark, and so does a guard: they go as well. */
static void matrix_reset(void)
{
	u64 ipa = hyp_pfn_to_phys(matrix_gfn);

	matrix_apply(PKVM_HOST_RECLAIM_GUEST, 0, 2);
	guest_lock_component(matrix_vm());
	WARN_ON(kvm_pgtable_stage2_unmap(&matrix_vm()->pgt, ipa, 2 * PAGE_SIZE));
	guest_unlock_component(matrix_vm());
}

#define MATRIX_CHECK(condition)	WARN_ON(!(condition))
#include <nvhe/page_matrix.h>

/**
 * pkvm_gmem_selftest() - EL2's transitions against the rules, in every pair of states
 * @vcpu: of the self-test's VM, which has nothing at @gfn and @gfn + 1
 * @virt: two pages in a row that are the hypervisor's, and nobody's in it
 * @gfn: where the VM gets them for a while
 */
void pkvm_gmem_selftest(struct pkvm_hyp_vcpu *vcpu, void *virt, u64 gfn)
{
	matrix_vcpu = vcpu;
	matrix_pfn = hyp_virt_to_pfn(virt);
	matrix_gfn = gfn;

	WARN_ON(__pkvm_hyp_donate_host(matrix_pfn, 2));
	/* So many, or the table has shrunk and nobody has noticed. */
	WARN_ON(pkvm_page_matrix(PKVM_HOST_DONATE_GUEST, PKVM_HOST_RECLAIM_GUEST) < 500);
	WARN_ON(__pkvm_host_donate_hyp(matrix_pfn, 2));
}
