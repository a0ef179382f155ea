// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest's SHARE, UNSHARE and RELINQUISH calls on guest_memfd pages, and what it
 * waits for at other calls.
 *
 * EL2 cannot finish them alone: the host must first take its user mappings and
 * references away (UNSHARE), record the new attributes, or free the pages (RELINQUISH),
 * under its own locks. So the call is done in two steps:
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

#include <nvhe/oracle.h>
#include <nvhe/page_run.h>
#include <nvhe/pkvm_gmem.h>

/* The guest will be found at its HVC again, until the call is completed. */
void pkvm_memreq_leave(struct kvm_vcpu *vcpu, struct pkvm_memreq req, u64 *exit_code)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);

	vcpu->arch.pkvm_memreq = req;
	hyp_vcpu->host_vcpu->arch.pkvm_memreq = req;

	write_sysreg_el2(read_sysreg_el2(SYS_ELR) - 4, SYS_ELR);
	*exit_code = ARM_EXCEPTION_PKVM_MEMREQ;
}

/* How many guest_memfd pages, from gfn on, are in the right state: see pkvm_pages_ready(). */
static u64 count_ready(struct pkvm_hyp_vm *vm, enum pkvm_transition transition, u64 gfn,
		       u64 nr_pages, int *stopped)
{
	u64 nr;

	host_lock_component();
	guest_lock_component(vm);
	nr = pkvm_pages_ready(vm, transition, gfn, nr_pages, stopped);
	guest_unlock_component(vm);
	host_unlock_component();

	return nr;
}

/* How many pages, from gfn on, a guest has not mapped and has not lost either. */
static u64 count_absent(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages)
{
	struct pkvm_page_run run;
	u64 done = 0;

	host_lock_component();
	guest_lock_component(vm);

	while (done < nr_pages && !pkvm_run_find(vm, gfn + done, nr_pages - done, &run) &&
	       run.states.guest == PKVM_NOPAGE)
		done += run.nr_pages;

	guest_unlock_component(vm);
	host_unlock_component();

	/* It was absent a moment ago: the call came before the other vCPU's access. */
	return done ?: 1;
}

static enum pkvm_transition op_transition(enum pkvm_memreq_op op)
{
	switch (op) {
	case PKVM_MEMREQ_SHARE:
		return PKVM_GUEST_SHARE_HOST;
	case PKVM_MEMREQ_UNSHARE:
		return PKVM_GUEST_UNSHARE_HOST;
	default:
		return PKVM_GUEST_RELINQUISH;
	}
}

/* Where the guest has no page yet: what is the host to do first? nr_pages may stay 0. */
static struct pkvm_memreq absent_memreq(struct pkvm_hyp_vm *vm, enum pkvm_memreq_op op,
					u64 gfn, u64 nr_pages)
{
	struct pkvm_memreq req = { .gfn = gfn };

	if (op == PKVM_MEMREQ_SHARE) {
		req.op = PKVM_MEMREQ_MAP;
	} else if (op == PKVM_MEMREQ_RELINQUISH) {
		req.op = PKVM_MEMREQ_ABSENT;
		req.nr_pages = count_absent(vm, gfn, nr_pages);
	}

	return req;
}

/* Memory that is not guest_memfd's is done here and now, one page at a time. */
static int do_pinned_page(struct pkvm_hyp_vcpu *hyp_vcpu, enum pkvm_memreq_op op, u64 gfn)
{
	switch (op) {
	case PKVM_MEMREQ_SHARE:
		return __pkvm_guest_share_host(hyp_vcpu, gfn);
	case PKVM_MEMREQ_UNSHARE:
		return __pkvm_guest_unshare_host(hyp_vcpu, gfn);
	default:
		return -EPERM;
	}
}

static bool memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val, u64 *exit_code)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	u64 ipa = smccc_get_arg1(vcpu);
	u64 nr_pages = smccc_get_arg2(vcpu) ?: 1;
	u64 gfn = hyp_phys_to_pfn(ipa);
	struct pkvm_memreq req = { .op = op, .gfn = gfn };
	int ret;

	if (!PAGE_ALIGNED(ipa) || smccc_get_arg3(vcpu) ||
	    nr_pages > hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)) ||
	    gfn > hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)) - nr_pages)
		return true;

	nr_pages = min_t(u64, nr_pages, PKVM_MEMREQ_MAX_PAGES);
	req.nr_pages = count_ready(vm, op_transition(op), gfn, nr_pages, &ret);
	if (!req.nr_pages && ret == -ENOENT)
		req = absent_memreq(vm, op, gfn, nr_pages);
	if (req.nr_pages || req.op == PKVM_MEMREQ_MAP) {
		pkvm_memreq_leave(vcpu, req, exit_code);
		return false;
	}

	if (!ret)
		ret = do_pinned_page(hyp_vcpu, op, gfn);
	if (!ret) {
		val[0] = SMCCC_RET_SUCCESS;
		val[1] = 1;
	}
	return true;
}

/**
 * pkvm_memreq_call() - a guest's MEM_SHARE, MEM_UNSHARE or MEM_RELINQUISH
 * @vcpu: the hyp vCPU: R1 is the first IPA, R2 the number of granules (0 means 1), R3
 *	  must be 0
 * @op: PKVM_MEMREQ_SHARE, PKVM_MEMREQ_UNSHARE or PKVM_MEMREQ_RELINQUISH
 * @val: the guest's R0 to R3, preset to INVALID_PARAMETER
 * @exit_code: set when the host must take part
 *
 * Return: true if @val is the answer, false to leave to the host.
 */
bool pkvm_memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val,
		      u64 *exit_code)
{
	bool handled;

	oracle_call_begin(vcpu, op);
	handled = memreq_call(vcpu, op, val, exit_code);
	oracle_call_end(vcpu, val, handled);

	return handled;
}

/* In EL2's own context, past the HVC that the guest was left at. */
static void set_guest_result(struct pkvm_hyp_vcpu *hyp_vcpu, long status, u64 done)
{
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;

	smccc_set_retval(vcpu, status, done, 0, 0);
	*vcpu_pc(vcpu) += 4;
}

static int commit_memreq(struct pkvm_hyp_vm *vm, const struct pkvm_memreq *req, u64 done)
{
	switch (req->op) {
	case PKVM_MEMREQ_SHARE:
		return __pkvm_guest_share_host_range(vm, req->gfn, done);
	case PKVM_MEMREQ_UNSHARE:
		return __pkvm_guest_unshare_host_range(vm, req->gfn, done);
	case PKVM_MEMREQ_RELINQUISH:
		return __pkvm_guest_relinquish_range(vm, req->gfn, done);
	case PKVM_MEMREQ_ABSENT:
		return 0;
	default:
		return -EINVAL;
	}
}

/* What the host offers, for the tables that the guest's call needs: it is made again. */
static int complete_tables(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct kvm_hyp_memcache *host_mc = &hyp_vcpu->host_vcpu->arch.pkvm_memcache;
	int ret;

	ret = refill_memcache(&hyp_vcpu->vcpu.arch.pkvm_memcache, host_mc->nr_pages, host_mc);
	if (!ret)
		hyp_vcpu->vcpu.arch.pkvm_memreq.op = PKVM_MEMREQ_NONE;
	return ret;
}

/**
 * pkvm_memreq_complete() - finish the loaded vCPU's pending call
 * @hyp_vcpu: the loaded vCPU
 * @done: for how many pages the host is ready; 0 refuses the guest's call, but for
 *	  PKVM_MEMREQ_TABLES, which knows of no pages
 *
 * Return: 0, and the guest has its result, or makes its call again; -EINVAL if nothing is
 * pending or @done is more than was asked for; else why the pages may not change hands any
 * more, and the call is still pending.
 */
int pkvm_memreq_complete(struct pkvm_hyp_vcpu *hyp_vcpu, u64 done)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	struct pkvm_memreq *req = &hyp_vcpu->vcpu.arch.pkvm_memreq;
	int ret = 0;

	if (req->op == PKVM_MEMREQ_NONE || done > req->nr_pages)
		return -EINVAL;

	if (req->op == PKVM_MEMREQ_TABLES)
		return complete_tables(hyp_vcpu);

	if (done)
		ret = commit_memreq(vm, req, done);
	if (ret)
		return ret;

	req->op = PKVM_MEMREQ_NONE;
	set_guest_result(hyp_vcpu, done ? SMCCC_RET_SUCCESS : SMCCC_RET_INVALID_PARAMETER,
			 done);
	return 0;
}
