/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PAGE_RUN_H__
#define __ARM64_KVM_NVHE_PAGE_RUN_H__

/*
 * Runs of pages: what makes a call on 512 pages cheaper than 512 calls. The tables are
 * walked from the root once per run, and a rule is asked once per run.
 */

#include <nvhe/page_transition.h>
#include <nvhe/pkvm.h>

/**
 * struct pkvm_page_run - neighbours in a guest's address space that are in one state
 * @gfn: the first
 * @nr_pages: how many; they never cross a last-level table of the guest's
 * @phys: where the first one is; the others follow. 0 if the guest has no pages there
 * @ptep: the guest's entry of the first one; the others follow. NULL if there is no
 *	  last-level table
 * @states: of each of them. Where the guest has no page the host's state is OWNED, the
 *	    counterpart, for the caller to replace by that of the page to come
 * @gmem: they belong to a guest_memfd
 */
struct pkvm_page_run {
	u64 gfn;
	u64 nr_pages;
	phys_addr_t phys;
	kvm_pte_t *ptep;
	struct pkvm_page_states states;
	bool gmem;
};

int pkvm_run_find(struct pkvm_hyp_vm *vm, u64 gfn, u64 max_pages, struct pkvm_page_run *run);
void pkvm_run_set_guest_state(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			      enum pkvm_page_state state);
void pkvm_run_unmap_guest(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			  bool poison);
int pkvm_run_guard(struct pkvm_hyp_vcpu *vcpu, const struct pkvm_page_run *run);
void pkvm_run_unmap_host(struct pkvm_hyp_vm *vm, phys_addr_t phys, u64 gfn, u64 nr_pages);

#endif /* __ARM64_KVM_NVHE_PAGE_RUN_H__ */
