// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO guard: where a protected guest says that it has devices.
 *
 * An access to what is not mapped looks the same whether the guest means a device or memory
 * that the host has not given it yet, and what it stores shows only in the first case. Nobody
 * but the guest can tell them apart. Once it has enrolled it says so for each page; that
 * page is a mark in its stage 2 (PKVM_GUARDED), and never memory again.
 */
#include <kvm/arm_hypercalls.h>

#include <asm/kvm_emulate.h>

#include <nvhe/mm.h>
#include <nvhe/oracle.h>
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>

/* What one call does: no more than one last-level table, which is paid for before. */
static u64 pages_per_call(u64 gfn, u64 nr_pages)
{
	u64 in_table = PTRS_PER_PTE - gfn % PTRS_PER_PTE;

	return min(min_t(u64, nr_pages, PKVM_MEMREQ_MAX_PAGES), in_table);
}

/* Neighbours in one state, both locks held. Returns how many are guarded now, or an errno. */
static s64 guard_run(struct pkvm_hyp_vcpu *vcpu, u64 gfn, u64 max_pages)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(vcpu);
	struct pkvm_page_outcome outcome;
	struct pkvm_page_run run;
	int ret;

	ret = pkvm_run_find(vm, gfn, max_pages, &run);
	if (!ret)
		ret = pkvm_transition_check(PKVM_GUEST_GUARD, &run.states, &outcome);
	if (!ret && run.states.guest != outcome.states.guest)
		ret = pkvm_run_guard(vcpu, &run);

	return ret ?: run.nr_pages;
}

/**
 * __pkvm_guest_guard_range() - a guest has devices, and no memory, in a range
 * @vcpu: a vCPU of the guest, whose memcache pays for tables
 * @gfn: first frame
 * @nr_pages: how many; of one last-level table
 *
 * Return: how many are guarded, from the first on: fewer than @nr_pages if one on the way
 * may not be. If that was the first: the errno of pkvm_transition_check(), -ERANGE beyond
 * the guest's address space, or -ENOMEM for want of tables.
 */
s64 __pkvm_guest_guard_range(struct pkvm_hyp_vcpu *vcpu, u64 gfn, u64 nr_pages)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(vcpu);
	s64 ret = 0;
	u64 done;

	host_lock_component();
	guest_lock_component(vm);

	for (done = 0; done < nr_pages; done += ret) {
		ret = guard_run(vcpu, gfn + done, nr_pages - done);
		if (ret < 0)
			break;
	}

	guest_unlock_component(vm);
	host_unlock_component();

	if (done)
		ret = done;
	trace_pkvm_transition(vm->kvm.arch.pkvm.handle, PKVM_GUEST_GUARD, gfn, nr_pages, ret);
	return ret;
}

/* R1 and R2 of a call name frames that the guest can have, and nothing else is set. */
static bool range_is_valid(struct kvm_vcpu *vcpu, const struct pkvm_hyp_vm *vm, u64 nr_pages)
{
	u64 ipa = smccc_get_arg1(vcpu), limit = hyp_phys_to_pfn(BIT(vm->pgt.ia_bits));

	return PAGE_ALIGNED(ipa) && !smccc_get_arg3(vcpu) && nr_pages <= limit &&
	       hyp_phys_to_pfn(ipa) <= limit - nr_pages;
}

static bool range_call(struct kvm_vcpu *vcpu, bool map, u64 *val, u64 *exit_code)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	u64 gfn = hyp_phys_to_pfn(smccc_get_arg1(vcpu));
	u64 nr_pages = smccc_get_arg2(vcpu) ?: 1;
	struct pkvm_memreq req = { .op = PKVM_MEMREQ_TABLES, .gfn = gfn };
	s64 done;

	if (!range_is_valid(vcpu, vm, nr_pages))
		return true;

	done = pages_per_call(gfn, nr_pages);
	if (map && !READ_ONCE(vm->mmio_guard))
		return true;
	if (map)
		done = __pkvm_guest_guard_range(hyp_vcpu, gfn, done);
	if (done == -ENOMEM) {
		pkvm_memreq_leave(vcpu, req, exit_code);
		return false;
	}

	if (done > 0) {
		val[0] = SMCCC_RET_SUCCESS;
		val[1] = done;
	}
	return true;
}

static bool guard_call(struct kvm_vcpu *vcpu, u64 *val, u64 *exit_code)
{
	bool handled;

	oracle_guard_begin(vcpu, false);
	handled = range_call(vcpu, true, val, exit_code);
	oracle_call_end(vcpu, val, handled);

	return handled;
}

static bool has_arguments(struct kvm_vcpu *vcpu)
{
	return smccc_get_arg1(vcpu) || smccc_get_arg2(vcpu) || smccc_get_arg3(vcpu);
}

static void info_call(struct kvm_vcpu *vcpu, u64 *val)
{
	if (has_arguments(vcpu))
		return;

	val[0] = PAGE_SIZE;
	val[1] = ARM_SMCCC_KVM_MMIO_GUARD_RANGES;
}

static void enroll_call(struct kvm_vcpu *vcpu, u64 *val)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);

	oracle_guard_begin(vcpu, true);
	if (!has_arguments(vcpu)) {
		WRITE_ONCE(pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu)->mmio_guard, true);
		val[0] = SMCCC_RET_SUCCESS;
	}
	oracle_call_end(vcpu, val, true);
}

/**
 * pkvm_mmio_guard_call() - a guest's call of MMIO guard
 * @vcpu: the hyp vCPU
 * @func_id: which one
 * @val: the guest's R0 to R3; R1 to R3 preset to 0
 * @exit_code: set when the host must give memory for tables
 *
 * Return: true if @val is the answer, false to leave to the host.
 */
bool pkvm_mmio_guard_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val, u64 *exit_code)
{
	val[0] = SMCCC_RET_INVALID_PARAMETER;

	switch (func_id) {
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID:
		info_call(vcpu, val);
		return true;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID:
		enroll_call(vcpu, val);
		return true;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_MAP_FUNC_ID:
		return guard_call(vcpu, val, exit_code);
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_UNMAP_FUNC_ID:
		return range_call(vcpu, false, val, exit_code);
	default:
		val[0] = SMCCC_RET_NOT_SUPPORTED;
		return true;
	}
}

/**
 * pkvm_gfn_is_guarded() - has a guest said that a frame is a device's?
 * @vm: the guest; no lock held
 * @gfn: any
 */
bool pkvm_gfn_is_guarded(struct pkvm_hyp_vm *vm, u64 gfn)
{
	u64 ipa = hyp_pfn_to_phys(gfn);
	kvm_pte_t pte;
	int ret;
	s8 level;

	/* The IPA of a larger one would lose its upper bits. */
	if (gfn >= hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)))
		return false;

	guest_lock_component(vm);
	ret = kvm_pgtable_get_leaf(&vm->pgt, ipa, &pte, &level);
	guest_unlock_component(vm);

	return !ret && guest_get_page_state(pte, ipa) == PKVM_GUARDED;
}
