// SPDX-License-Identifier: GPL-2.0-only
/*
 * Runs of pages in the stage-2 tables of a guest and of the host: see page_run.h.
 *
 * All of this needs the host's and the guest's locks held, from looking to changing.
 */
#include <asm/kvm_pgtable.h>

#include <nvhe/component_lock.h>
#include <nvhe/mm.h>
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>

/* Neighbouring entries of one last-level table, or pages that have none. */
struct leaves {
	kvm_pte_t *ptep;	/* NULL without a last-level table */
	kvm_pte_t first;
	u64 nr;
};

static int leaf_visitor(const struct kvm_pgtable_visit_ctx *ctx,
			enum kvm_pgtable_walk_flags visit)
{
	struct leaves *leaves = ctx->arg;
	u64 per_table = PTRS_PER_PTE;

	leaves->ptep = NULL;
	leaves->first = ctx->old;
	if (ctx->level == KVM_PGTABLE_LAST_LEVEL)
		leaves->ptep = ctx->ptep;
	else
		per_table = kvm_granule_size(ctx->level) >> PAGE_SHIFT;
	leaves->nr = per_table - (ctx->addr >> PAGE_SHIFT) % per_table;

	return 0;
}

static int find_leaves(struct kvm_pgtable *pgt, u64 addr, u64 max_pages, struct leaves *leaves)
{
	struct kvm_pgtable_walker walker = {
		.cb	= leaf_visitor,
		.flags	= KVM_PGTABLE_WALK_LEAF,
		.arg	= leaves,
	};
	int ret = kvm_pgtable_walk(pgt, addr, PAGE_SIZE, &walker);

	if (!ret)
		leaves->nr = min(leaves->nr, max_pages);
	return ret;
}

/* How many entries continue the first one: the same, or the same for the next page. */
static u64 count_like_first(const struct leaves *leaves, const struct hyp_page *page)
{
	u64 nr, step = page ? PAGE_SIZE : 0;

	if (!leaves->ptep)
		return leaves->nr;

	for (nr = 1; nr < leaves->nr; nr++) {
		if (READ_ONCE(leaves->ptep[nr]) != leaves->first + nr * step)
			break;
		if (page && page[nr].__host_state != page->__host_state)
			break;
	}

	return nr;
}

/**
 * pkvm_run_find() - what a guest has at a gfn, and for how many pages it is the same
 * @vm: the guest
 * @gfn: guest frame
 * @max_pages: look no further; at least 1
 * @run: filled in
 *
 * Return: 0, or -ERANGE beyond the guest's address space, -E2BIG for a block, which a
 * protected guest never has.
 */
int pkvm_run_find(struct pkvm_hyp_vm *vm, u64 gfn, u64 max_pages, struct pkvm_page_run *run)
{
	const struct hyp_page *page = NULL;
	u64 ipa = hyp_pfn_to_phys(gfn);
	struct leaves leaves;
	int ret;

	pkvm_assert_locks_held(vm);

	/* The IPA of a larger one would lose its upper bits. */
	if (gfn >= hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)))
		return -ERANGE;

	ret = find_leaves(&vm->pgt, ipa, max_pages, &leaves);
	if (ret)
		return ret;

	*run = (struct pkvm_page_run) {
		.gfn		= gfn,
		.ptep		= leaves.ptep,
		.states.guest	= guest_get_page_state(leaves.first, ipa),
		.states.host	= PKVM_PAGE_OWNED,
	};

	if (kvm_pte_valid(leaves.first)) {
		if (WARN_ON(!leaves.ptep))
			return -E2BIG;

		run->phys = kvm_pte_to_phys(leaves.first);
		run->gmem = kvm_pgtable_stage2_pte_prot(leaves.first) & PKVM_PROT_GMEM;
		page = hyp_phys_to_page(run->phys);
		run->states.host = get_host_state((struct hyp_page *)page);
	}

	run->nr_pages = count_like_first(&leaves, page);
	return 0;
}

/**
 * pkvm_run_set_guest_state() - valid entries of a guest's get another state
 * @vm: the guest
 * @run: pages that it has
 * @state: a state of pages that it has
 *
 * The hardware ignores these bits: no TLB holds them.
 */
void pkvm_run_set_guest_state(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			      enum pkvm_page_state state)
{
	kvm_pte_t bits = pkvm_mkstate(0, state);
	u64 i;

	pkvm_assert_locks_held(vm);

	for (i = 0; i < run->nr_pages; i++)
		WRITE_ONCE(run->ptep[i],
			   (run->ptep[i] & ~(kvm_pte_t)PKVM_PAGE_STATE_PROT_MASK) | bits);
}

/**
 * pkvm_run_unmap_guest() - a guest loses pages
 * @vm: the guest
 * @run: pages that it has
 * @poison: leave a mark that they were taken
 *
 * When this returns no vCPU reaches them any more. An empty table stays, for the next
 * fault or until the VM's end.
 */
void pkvm_run_unmap_guest(struct pkvm_hyp_vm *vm, const struct pkvm_page_run *run,
			  bool poison)
{
	kvm_pte_t mark = 0;
	u64 i;

	pkvm_assert_locks_held(vm);

	if (poison)
		mark = FIELD_PREP(KVM_INVALID_PTE_TYPE_MASK,
				  KVM_GUEST_INVALID_PTE_TYPE_POISONED);

	for (i = 0; i < run->nr_pages; i++) {
		WRITE_ONCE(run->ptep[i], mark);
		/* A table has a reference for each entry that is not zero. */
		if (!mark)
			vm->mm_ops.put_page(&run->ptep[i]);
	}

	kvm_tlb_flush_vmid_range(vm->pgt.mmu, hyp_pfn_to_phys(run->gfn),
				 run->nr_pages * PAGE_SIZE);
}

/**
 * pkvm_run_guard() - a guest never gets pages where it has none
 * @vcpu: of the guest; its memcache pays for tables
 * @run: frames where the guest has nothing, of one last-level table
 *
 * Nothing was valid there: no TLB knows of it.
 *
 * Return: 0, or -ENOMEM for want of tables.
 */
int pkvm_run_guard(struct pkvm_hyp_vcpu *vcpu, const struct pkvm_page_run *run)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(vcpu);
	int ret;

	pkvm_assert_locks_held(vm);

	ret = __guest_check_pgtable_memcache(vcpu);
	if (ret)
		return ret;

	WARN_ON(kvm_pgtable_stage2_annotate(&vm->pgt, hyp_pfn_to_phys(run->gfn),
					    run->nr_pages * PAGE_SIZE,
					    &vcpu->vcpu.arch.pkvm_memcache,
					    KVM_GUEST_INVALID_PTE_TYPE_GUARDED, 0));
	return 0;
}

/*
 * A block of the host's has just given way to a table with one entry. Write the others,
 * as far as the pages are the host's: else it would fault for each of them.
 */
static void refill_broken_block(phys_addr_t phys)
{
	phys_addr_t block = ALIGN_DOWN(phys, PMD_SIZE);
	struct hyp_page *page = hyp_phys_to_page(block);
	struct leaves leaves;
	kvm_pte_t like = 0;
	u64 i;

	if (check_range_allowed_memory(block, block + PMD_SIZE) ||
	    WARN_ON(find_leaves(&host_mmu.pgt, block, PTRS_PER_PTE, &leaves)) ||
	    WARN_ON(!leaves.ptep))
		return;

	for (i = 0; i < leaves.nr; i++) {
		if (leaves.ptep[i] || get_host_state(page + i) == PKVM_NOPAGE)
			continue;

		if (!like) {
			/* The first one the long way: it shows how they look. */
			phys = block + i * PAGE_SIZE;
			if (host_stage2_idmap_locked(phys, PAGE_SIZE, PKVM_HOST_MEM_PROT))
				return;
			like = leaves.ptep[i] ^ kvm_phys_to_pte(phys);
			continue;
		}

		WRITE_ONCE(leaves.ptep[i], like | kvm_phys_to_pte(block + i * PAGE_SIZE));
		host_mmu.mm_ops.get_page(&leaves.ptep[i]);
	}
	dsb(ishst);
}

/* Returns true if the host may have had one of them in a TLB. */
static bool annotate_leaves(struct pkvm_hyp_vm *vm, const struct leaves *leaves, u64 gfn)
{
	bool was_valid = false;
	u64 i;

	for (i = 0; i < leaves->nr; i++) {
		kvm_pte_t old = leaves->ptep[i];

		was_valid |= kvm_pte_valid(old);
		WRITE_ONCE(leaves->ptep[i], host_stage2_guest_annotation(vm, gfn + i));
		if (!old)
			host_mmu.mm_ops.get_page(&leaves->ptep[i]);
	}

	return was_valid;
}

/**
 * pkvm_run_unmap_host() - the host loses pages to a guest
 * @vm: the guest
 * @phys: the first of them; the host has, or had, them
 * @gfn: where the guest has, or gets, them; noted in the host's entries
 * @nr_pages: how many
 *
 * When this returns no CPU of the host reaches them any more.
 */
void pkvm_run_unmap_host(struct pkvm_hyp_vm *vm, phys_addr_t phys, u64 gfn, u64 nr_pages)
{
	phys_addr_t cur = phys, end = phys + nr_pages * PAGE_SIZE;
	bool flush = false;
	struct leaves leaves;

	pkvm_assert_locks_held(vm);

	while (cur < end) {
		u64 cur_gfn = gfn + ((cur - phys) >> PAGE_SHIFT);

		WARN_ON(find_leaves(&host_mmu.pgt, cur, (end - cur) >> PAGE_SHIFT, &leaves));
		if (leaves.ptep) {
			flush |= annotate_leaves(vm, &leaves, cur_gfn);
			cur += leaves.nr * PAGE_SIZE;
			continue;
		}

		/* This makes the table, for which memory was set aside at boot. */
		WARN_ON(host_stage2_set_owner_metadata_locked(cur, PAGE_SIZE, PKVM_ID_GUEST,
							      host_stage2_encode_gfn_meta(vm, cur_gfn)));
		refill_broken_block(cur);
	}

	if (flush)
		kvm_tlb_flush_vmid_range(&host_mmu.arch.mmu, phys, nr_pages * PAGE_SIZE);
	pkvm_sme_dvmsync_fw_call();
	__host_update_page_state(phys, nr_pages * PAGE_SIZE, PKVM_NOPAGE);
}
