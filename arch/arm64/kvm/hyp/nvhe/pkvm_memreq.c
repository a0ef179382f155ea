// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest's SHARE and UNSHARE calls on guest_memfd pages.
 *
 * EL2 cannot finish them alone: the host must first take its user mappings and
 * references away (UNSHARE) and record the new attributes, under its own locks. So the
 * call is done in two steps:
 *
 *  1. pkvm_memreq_call(), on the guest's HVC: check, record {operation, gfn, count} in
 *     the hyp vCPU, rewind the PC and leave to the host with an exit code that no guest
 *     can produce;
 *  2. pkvm_memreq_complete(), on the host's hypercall: check again, commit what the
 *     record says, for as many pages as the host is ready for, write the guest's result
 *     and advance the PC.
 *
 * The host can refuse or do less, which denies service to its guest; it cannot make EL2
 * do anything that the guest did not ask for. A record that is not completed dies at the
 * next guest entry, and the guest executes its HVC again.
 */
#include <kvm/arm_hypercalls.h>

#include <asm/kvm_emulate.h>

#include <nvhe/pkvm_gmem.h>

/* The guest will be found at its HVC again, until the call is completed. */
static void leave_with_memreq(struct kvm_vcpu *vcpu, struct pkvm_memreq req, u64 *exit_code)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);

	vcpu->arch.pkvm_memreq = req;
	hyp_vcpu->host_vcpu->arch.pkvm_memreq = req;

	write_sysreg_el2(read_sysreg_el2(SYS_ELR) - 4, SYS_ELR);
	*exit_code = ARM_EXCEPTION_PKVM_MEMREQ;
}

/*
 * How many guest_memfd pages, from gfn on, are in the right state. *ret is why it
 * stopped: 0 for "not guest_memfd" or the end.
 */
static u64 count_ready(struct pkvm_hyp_vm *vm, enum pkvm_transition transition, u64 gfn,
		       u64 nr_pages, int *ret)
{
	struct pkvm_page_outcome outcome;
	struct pkvm_guest_page page;
	u64 i;

	host_lock_component();
	guest_lock_component(vm);

	for (i = 0; i < nr_pages; i++) {
		*ret = pkvm_guest_page_lookup(vm, gfn + i, &page);
		if (!*ret)
			*ret = pkvm_transition_check(transition, &page.states, &outcome);
		if (*ret || !page.gmem)
			break;
	}

	guest_unlock_component(vm);
	host_unlock_component();

	return i;
}

/**
 * pkvm_memreq_call() - a guest's MEM_SHARE or MEM_UNSHARE
 * @vcpu: the hyp vCPU: R1 is the first IPA, R2 the number of granules (0 means 1), R3
 *	  must be 0
 * @op: PKVM_MEMREQ_SHARE or PKVM_MEMREQ_UNSHARE
 * @val: the guest's R0 to R3, preset to INVALID_PARAMETER
 * @exit_code: set when the host must take part
 *
 * Memory that is not guest_memfd's is done here and now, one page at a time.
 *
 * Return: true if @val is the answer, false to leave to the host.
 */
bool pkvm_memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val,
		      u64 *exit_code)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	u64 ipa = smccc_get_arg1(vcpu);
	u64 nr_pages = smccc_get_arg2(vcpu) ?: 1;
	u64 gfn = hyp_phys_to_pfn(ipa), ready;
	bool share = op == PKVM_MEMREQ_SHARE;
	int ret;

	if (!PAGE_ALIGNED(ipa) || smccc_get_arg3(vcpu) ||
	    nr_pages > hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)) ||
	    gfn > hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)) - nr_pages)
		return true;

	nr_pages = min_t(u64, nr_pages, PKVM_MEMREQ_MAX_PAGES);
	ready = count_ready(vm, share ? PKVM_GUEST_SHARE_HOST : PKVM_GUEST_UNSHARE_HOST,
			    gfn, nr_pages, &ret);
	if (ready) {
		leave_with_memreq(vcpu, (struct pkvm_memreq) { op, ready, gfn }, exit_code);
		return false;
	}

	if (share && ret == -ENOENT) {
		leave_with_memreq(vcpu, (struct pkvm_memreq) { PKVM_MEMREQ_MAP, 0, gfn },
				  exit_code);
		return false;
	}

	if (!ret)
		ret = share ? __pkvm_guest_share_host(hyp_vcpu, gfn) :
			      __pkvm_guest_unshare_host(hyp_vcpu, gfn);
	if (!ret) {
		val[0] = SMCCC_RET_SUCCESS;
		val[1] = 1;
	}
	return true;
}

/*
 * The host's copy of the registers is what the guest gets at its next entry: in this
 * base a protected vCPU's context passes through the host.
 */
static void set_guest_result(struct pkvm_hyp_vcpu *hyp_vcpu, long status, u64 done)
{
	struct user_pt_regs *regs = &hyp_vcpu->host_vcpu->arch.ctxt.regs;

	regs->regs[0] = status;
	regs->regs[1] = done;
	regs->regs[2] = 0;
	regs->regs[3] = 0;
	regs->pc += 4;
}

/**
 * pkvm_memreq_complete() - finish the loaded vCPU's pending call
 * @hyp_vcpu: the loaded vCPU
 * @done: for how many pages the host is ready; 0 refuses the guest's call
 *
 * Return: 0, and the guest has its result; -EINVAL if nothing is pending or @done is
 * more than was asked for; else why the pages may not change hands any more, and the
 * call is still pending.
 */
int pkvm_memreq_complete(struct pkvm_hyp_vcpu *hyp_vcpu, u64 done)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	struct pkvm_memreq *req = &hyp_vcpu->vcpu.arch.pkvm_memreq;
	int ret = 0;

	if (req->op == PKVM_MEMREQ_NONE || done > req->nr_pages)
		return -EINVAL;

	if (done && req->op == PKVM_MEMREQ_SHARE)
		ret = __pkvm_guest_share_host_range(vm, req->gfn, done);
	else if (done)
		ret = __pkvm_guest_unshare_host_range(vm, req->gfn, done);
	if (ret)
		return ret;

	req->op = PKVM_MEMREQ_NONE;
	set_guest_result(hyp_vcpu, done ? SMCCC_RET_SUCCESS : SMCCC_RET_INVALID_PARAMETER,
			 done);
	return 0;
}
