// SPDX-License-Identifier: GPL-2.0-only
/* The specification's operations, done by the real logic of EL2: see el2.h. */
#include <stdio.h>
#include <string.h>

#include <nvhe/component_lock.h>
#include <nvhe/pkvm_gmem.h>

#include "el2.h"
#include "el2_internal.h"

#define HVC_PC	0x1000UL

static char message[512];

static u64 phys_of(u16 pfn)
{
	return (EL2_FIRST_PFN + pfn) << PAGE_SHIFT;
}

/* What a host, or a guest, may write into a register. */
static u64 pfn_arg(u16 pfn)
{
	return pfn == SPEC_PFN_LIMIT ? EL2_PA_LIMIT : EL2_FIRST_PFN + pfn;
}

static u64 gfn_arg(u16 gfn)
{
	return gfn == SPEC_GFN_LIMIT ? ~0UL >> PAGE_SHIFT : gfn;
}

static u64 nr_arg(u16 nr)
{
	return nr == SPEC_NR_HUGE ? ~0UL : nr;
}

/* Making the tables */

static void init_pgtable(struct kvm_pgtable *pgt, struct kvm_pgtable_mm_ops *mm_ops,
			 struct kvm_s2_mmu *mmu, u32 ia_bits, u64 base)
{
	memset(pgt, 0, sizeof(*pgt));
	mm_ops->get_page = el2_get_page;
	mm_ops->put_page = el2_put_page;
	pgt->ia_bits = ia_bits;
	pgt->mm_ops = mm_ops;
	pgt->mmu = mmu;
	pgt->base = base;
	mmu->pgt = pgt;
}

static void load_host(const struct spec *s, unsigned int shape)
{
	memset(&host_mmu, 0, sizeof(host_mmu));
	memset(el2_vmemmap, 0, sizeof(el2_vmemmap));
	init_pgtable(&host_mmu.pgt, &host_mmu.mm_ops, &host_mmu.arch.mmu, 40, phys_of(0));
	for (u16 i = 0; !(shape & 1) && i < EL2_MAX_TABLES; i++)
		host_mmu.pgt.table[i].block = phys_of(i * SPEC_TABLE) | KVM_PGTABLE_PROT_RWX | 1;

	for (u16 i = 0; i <= SPEC_FRAMES; i++) {
		struct hyp_page *page = hyp_phys_to_page(phys_of(i));

		page->__host_state = i < SPEC_FRAMES ? s->frame[i].host : PKVM_NOPAGE;
		page->__hyp_state = i < SPEC_FRAMES ? s->frame[i].hyp : PKVM_PAGE_OWNED;
		el2_memory[i] = (struct el2_memory) { .data = i < SPEC_FRAMES ? s->frame[i].data : 0 };
		if (page->__host_state == PKVM_NOPAGE)
			el2_set_leaf(&host_mmu.pgt, phys_of(i), el2_host_annotation(PKVM_ID_HYP, 0));
	}
	/* Where a block had to give way the host's pages have entries of their own. */
	for (u16 i = 0; i < SPEC_FRAMES; i++) {
		if (s->frame[i].host != PKVM_NOPAGE && !(shape & 2))
			host_stage2_idmap_locked(phys_of(i), PAGE_SIZE, PKVM_HOST_MEM_PROT);
	}
}

static void load_entry(struct pkvm_hyp_vm *vm, u64 gfn, const struct spec_entry *e)
{
	enum kvm_pgtable_prot prot = KVM_PGTABLE_PROT_RWX | (e->gmem ? PKVM_PROT_GMEM : 0);
	u64 ipa = gfn << PAGE_SHIFT;

	if (e->state == PKVM_POISON) {
		el2_set_leaf(&vm->pgt, ipa, FIELD_PREP(KVM_INVALID_PTE_TYPE_MASK,
						       KVM_GUEST_INVALID_PTE_TYPE_POISONED));
	} else if (e->state == PKVM_GUARDED) {
		el2_set_leaf(&vm->pgt, ipa, FIELD_PREP(KVM_INVALID_PTE_TYPE_MASK,
						       KVM_GUEST_INVALID_PTE_TYPE_GUARDED));
	} else if (e->state != PKVM_NOPAGE) {
		el2_set_leaf(&vm->pgt, ipa, phys_of(e->pfn) | pkvm_mkstate(prot, e->state) | 1);
		el2_memory[e->pfn].dirty = true;
		if (e->state == PKVM_PAGE_OWNED)
			el2_set_leaf(&host_mmu.pgt, phys_of(e->pfn),
				     host_stage2_guest_annotation(vm, gfn));
	}
}

static void load_guest(const struct spec *s, unsigned int g, unsigned int shape)
{
	const struct spec_guest *guest = &s->guest[g];
	struct pkvm_hyp_vm *vm = &el2_vm[g];

	memset(vm, 0, sizeof(*vm));
	memset(el2_vcpu[g], 0, sizeof(el2_vcpu[g]));
	memset(el2_host_vcpu[g], 0, sizeof(el2_host_vcpu[g]));
	init_pgtable(&vm->pgt, &vm->mm_ops, &vm->kvm.arch.mmu,
		     PAGE_SHIFT + __builtin_ctz(SPEC_GFNS), 0);
	vm->kvm.arch.pkvm.handle = g + 1;
	vm->exists = guest->life != SPEC_NO_VM;
	vm->kvm.arch.pkvm.is_dying = guest->life == SPEC_VM_DIES;
	vm->mmio_guard = guest->enrolled;
	for (unsigned int i = 0; i < SPEC_GFNS; i++) {
		load_entry(vm, i, &guest->entry[i]);
		if (shape & 4)
			el2_set_leaf(&vm->pgt, (u64)i << PAGE_SHIFT,
				     el2_translate(&vm->pgt, (u64)i << PAGE_SHIFT));
	}
	for (unsigned int v = 0; v < SPEC_VCPUS; v++) {
		el2_vcpu[g][v].vm = vm;
		el2_vcpu[g][v].host_vcpu = &el2_host_vcpu[g][v];
		el2_vcpu[g][v].vcpu.arch.pkvm_memreq = (struct pkvm_memreq) {
			.op = guest->record[v].op, .gfn = guest->record[v].gfn,
			.nr_pages = guest->record[v].nr,
		};
	}
}

void el2_load(const struct spec *s, unsigned int shape)
{
	static const enum pkvm_memreq_op same[] = {
		[SPEC_REQ_NONE] = PKVM_MEMREQ_NONE, [SPEC_REQ_MAP] = PKVM_MEMREQ_MAP,
		[SPEC_REQ_SHARE] = PKVM_MEMREQ_SHARE, [SPEC_REQ_UNSHARE] = PKVM_MEMREQ_UNSHARE,
		[SPEC_REQ_RELINQUISH] = PKVM_MEMREQ_RELINQUISH,
		[SPEC_REQ_ABSENT] = PKVM_MEMREQ_ABSENT,
		[SPEC_REQ_TABLES] = PKVM_MEMREQ_TABLES,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(same); i++)
		WARN_ON(same[i] != i);
	el2_complaint[0] = '\0';
	el2_loaded = NULL;
	el2_loading = true;
	load_host(s, shape);
	for (unsigned int g = 0; g < SPEC_GUESTS; g++)
		load_guest(s, g, shape);
	el2_loading = false;
}

/* Doing things */

static s64 hypercall(void (*handler)(struct kvm_cpu_context *ctxt), u64 a, u64 b, u64 c, u64 d)
{
	struct kvm_cpu_context ctxt = { .regs.regs = { 0, a, b, c, d } };

	handler(&ctxt);
	return ctxt.regs.regs[1];
}

static void load_vcpu(const struct spec_op *op)
{
	struct pkvm_hyp_vm *vm = &el2_vm[op->guest];

	el2_loaded = NULL;
	if (!(op->flags & SPEC_NOT_LOADED) && vm->exists && !vm->kvm.arch.pkvm.is_dying)
		el2_loaded = &el2_vcpu[op->guest][op->vcpu];
}

/* The result of the base's EL2 is an int, in a 64-bit register. */
static s64 do_donate(const struct spec_op *op)
{
	struct kvm_vcpu *host_vcpu = &el2_host_vcpu[op->guest][op->vcpu];

	load_vcpu(op);
	host_vcpu->arch.pkvm_memcache.nr_pages = op->flags & SPEC_NO_TABLES ? 0 : 4;
	return hypercall(handle___pkvm_host_donate_guest_range, pfn_arg(op->pfn),
			 op->gfn == SPEC_GFN_LIMIT ? ~0UL : op->gfn, nr_arg(op->nr), 0);
}

static void do_complete(const struct spec_op *op, struct spec_result *r)
{
	static const struct kvm_cpu_context none;
	struct kvm_cpu_context *host_ctxt = &el2_host_vcpu[op->guest][op->vcpu].arch.ctxt;
	struct kvm_vcpu *vcpu = &el2_vcpu[op->guest][op->vcpu].vcpu;
	struct user_pt_regs *regs = &vcpu->arch.ctxt.regs;
	bool tables = vcpu->arch.pkvm_memreq.op == PKVM_MEMREQ_TABLES;

	load_vcpu(op);
	vcpu->arch.pkvm_memcache.nr_pages = 0;
	el2_host_vcpu[op->guest][op->vcpu].arch.pkvm_memcache.nr_pages = 4;
	/* A host that lies about what was asked for. */
	el2_host_vcpu[op->guest][op->vcpu].arch.pkvm_memreq = (struct pkvm_memreq) {
		.op = PKVM_MEMREQ_RELINQUISH, .nr_pages = SPEC_GFNS,
	};
	regs->pc = HVC_PC;
	regs->regs[0] = regs->regs[1] = regs->regs[2] = regs->regs[3] = 0x5a5a;
	*host_ctxt = none;
	r->ret = hypercall(handle___pkvm_vcpu_complete_memreq, nr_arg(op->nr), 0, 0, 0);
	/* The answer is the guest's, and nothing that the host sees. */
	WARN_ON(memcmp(host_ctxt, &none, sizeof(none)));
	r->answered = regs->pc == HVC_PC + 4;
	/* The same call would be made for ever. */
	WARN_ON(tables && !r->ret && !vcpu->arch.pkvm_memcache.nr_pages);
	if (!r->answered) {
		WARN_ON(regs->pc != HVC_PC || regs->regs[0] != 0x5a5a || regs->regs[1] != 0x5a5a);
		return;
	}
	r->r0 = regs->regs[0];
	r->r1 = regs->regs[1];
	WARN_ON(regs->regs[2] || regs->regs[3]);
}

/* The vCPU is at its HVC; NULL if there is none that could be. */
static struct pkvm_hyp_vcpu *begin_call(const struct spec_op *op, struct spec_result *r)
{
	struct pkvm_hyp_vcpu *vcpu = &el2_vcpu[op->guest][op->vcpu];

	if (!el2_vm[op->guest].exists || el2_vm[op->guest].kvm.arch.pkvm.is_dying) {
		r->ret = -ENODEV;
		return NULL;
	}
	vcpu->vcpu.arch.pkvm_memreq.op = PKVM_MEMREQ_NONE;
	vcpu->vcpu.arch.ctxt.regs.regs[1] = gfn_arg(op->gfn) << PAGE_SHIFT |
					    (op->flags & SPEC_MISALIGNED ? 8 : 0);
	vcpu->vcpu.arch.ctxt.regs.regs[2] = nr_arg(op->nr);
	vcpu->vcpu.arch.ctxt.regs.regs[3] = op->flags & SPEC_RESERVED ? 1UL << 40 : 0;
	el2_elr = HVC_PC + 4;
	return vcpu;
}

static void end_call(const struct pkvm_hyp_vcpu *vcpu, const u64 *val, u64 exit_code, bool answered,
		     struct spec_result *r)
{
	r->answered = answered;
	r->left = !answered;
	if (r->answered) {
		r->r0 = val[0];
		r->r1 = val[1];
		WARN_ON(el2_elr != HVC_PC + 4 || exit_code || val[2] || val[3]);
	} else {
		WARN_ON(el2_elr != HVC_PC || exit_code != ARM_EXCEPTION_PKVM_MEMREQ);
		WARN_ON(memcmp(&vcpu->vcpu.arch.pkvm_memreq, &vcpu->host_vcpu->arch.pkvm_memreq,
			       sizeof(struct pkvm_memreq)));
	}
}

static void do_call(const struct spec_op *op, enum pkvm_memreq_op req, struct spec_result *r)
{
	u64 exit_code = 0, val[4] = { SMCCC_RET_INVALID_PARAMETER };
	struct pkvm_hyp_vcpu *vcpu = begin_call(op, r);
	bool answered;

	if (!vcpu)
		return;
	answered = pkvm_memreq_call(&vcpu->vcpu, req, val, &exit_code);
	end_call(vcpu, val, exit_code, answered, r);
}

/* Each of the range calls has two numbers. */
static u32 guard_func(const struct spec_op *op, bool map)
{
	if (op->val & 1)
		return map ? ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_MAP_FUNC_ID :
			     ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_UNMAP_FUNC_ID;
	return map ? ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID :
		     ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID;
}

/* Looks at its arguments and does nothing, enrolled or not. */
static void check_unmap(const struct spec_op *op, struct pkvm_hyp_vcpu *vcpu)
{
	u64 exit_code = 0, val[4] = {}, nr = op->nr ? op->nr : 1;
	u64 want = min_t(u64, nr, PKVM_MEMREQ_MAX_PAGES);
	bool ok = !(op->flags & (SPEC_MISALIGNED | SPEC_RESERVED)) && nr <= SPEC_GFNS &&
		  op->gfn <= SPEC_GFNS - nr;

	WARN_ON(!pkvm_mmio_guard_call(&vcpu->vcpu, guard_func(op, false), val, &exit_code));
	WARN_ON(exit_code || val[2] || val[3]);
	WARN_ON(val[0] != (u64)(ok ? SMCCC_RET_SUCCESS : SMCCC_RET_INVALID_PARAMETER));
	WARN_ON(val[1] != (ok ? min_t(u64, want, SPEC_TABLE - op->gfn % SPEC_TABLE) : 0));
}

static void do_guard(const struct spec_op *op, struct spec_result *r)
{
	struct pkvm_hyp_vcpu *vcpu = begin_call(op, r);
	u64 exit_code = 0, val[4] = {};
	bool answered;

	if (!vcpu)
		return;
	check_unmap(op, vcpu);
	/* For one table, which is what one call may need. */
	vcpu->vcpu.arch.pkvm_memcache.nr_pages = !(op->flags & SPEC_NO_TABLES);
	answered = pkvm_mmio_guard_call(&vcpu->vcpu, guard_func(op, true), val, &exit_code);
	end_call(vcpu, val, exit_code, answered, r);
}

/* Whether there is such a thing, and how large its granule is, is said in every state. */
static void check_info(const struct spec_op *op, struct pkvm_hyp_vcpu *vcpu)
{
	u64 exit_code = 0, val[4] = {};
	bool ok = !op->gfn && !op->nr && !(op->flags & (SPEC_MISALIGNED | SPEC_RESERVED));

	WARN_ON(!pkvm_mmio_guard_call(&vcpu->vcpu, ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID,
				      val, &exit_code));
	WARN_ON(exit_code || val[0] != (ok ? PAGE_SIZE : (u64)SMCCC_RET_INVALID_PARAMETER) ||
		val[1] != ok || val[2] || val[3]);
	WARN_ON(!pkvm_mmio_guard_call(&vcpu->vcpu, ~0U, val, &exit_code));
	WARN_ON(exit_code || val[0] != (u64)SMCCC_RET_NOT_SUPPORTED);
}

static void do_enroll(const struct spec_op *op, struct spec_result *r)
{
	struct pkvm_hyp_vcpu *vcpu = begin_call(op, r);
	u64 exit_code = 0, val[4] = {};
	bool answered;

	if (!vcpu)
		return;
	check_info(op, vcpu);
	answered = pkvm_mmio_guard_call(&vcpu->vcpu, ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID,
					val, &exit_code);
	end_call(vcpu, val, exit_code, answered, r);
}

/* What the base's EL2 does is done here in one way only: to get at other states. */

static s64 do_enter(const struct spec_op *op)
{
	struct pkvm_hyp_vm *vm = &el2_vm[op->guest];

	if (!vm->exists || vm->kvm.arch.pkvm.is_dying)
		return -EINVAL;
	el2_vcpu[op->guest][op->vcpu].vcpu.arch.pkvm_memreq.op = PKVM_MEMREQ_NONE;
	return 0;
}

static void end_vm(unsigned int g)
{
	struct pkvm_hyp_vm *vm = &el2_vm[g];

	for (u64 gfn = 0; gfn < SPEC_GFNS; gfn++) {
		kvm_pte_t pte = el2_translate(&vm->pgt, gfn << PAGE_SHIFT);
		u64 phys = kvm_pte_to_phys(pte);

		if (!kvm_pte_valid(pte))
			continue;
		el2_set_leaf(&vm->pgt, gfn << PAGE_SHIFT, 0);
		el2_memory_of(phys)->dirty = false;
		if (pte & PKVM_PROT_GMEM)
			continue;
		el2_budget = ~0U;
		if (pkvm_getstate(kvm_pgtable_stage2_pte_prot(pte)) == PKVM_PAGE_OWNED)
			hyp_poison_page(phys);
		host_mmu.locked = true;
		host_stage2_set_owner_locked(phys, PAGE_SIZE, PKVM_ID_HOST);
		host_mmu.locked = false;
	}
}

static s64 do_vm(const struct spec_op *op)
{
	static const struct spec none;
	struct pkvm_hyp_vm *vm = &el2_vm[op->guest];
	bool dying = vm->kvm.arch.pkvm.is_dying;
	struct spec empty = none;

	if (op->kind == SPEC_HOST_START_TEARDOWN_VM) {
		if (!vm->exists || dying)
			return -EINVAL;
		vm->kvm.arch.pkvm.is_dying = true;
		/* No vCPU of it can be loaded any more. */
		for (unsigned int v = 0; v < SPEC_VCPUS; v++)
			el2_vcpu[op->guest][v].vcpu.arch.pkvm_memreq.op = PKVM_MEMREQ_NONE;
		return 0;
	}
	if (op->kind == SPEC_HOST_INIT_VM ? vm->exists : !dying)
		return -EINVAL;
	if (dying)
		end_vm(op->guest);
	spec_init(&empty);
	empty.guest[op->guest].life = op->kind == SPEC_HOST_INIT_VM ? SPEC_VM_LIVES : SPEC_NO_VM;
	load_guest(&empty, op->guest, 0);
	return 0;
}

static s64 do_donate_pinned(const struct spec_op *op)
{
	struct pkvm_hyp_vm *vm = &el2_vm[op->guest];
	struct spec_entry e = { .state = PKVM_PAGE_OWNED, .pfn = op->pfn };
	u64 ipa = (u64)op->gfn << PAGE_SHIFT;

	if (!vm->exists || vm->kvm.arch.pkvm.is_dying || op->gfn >= SPEC_GFNS ||
	    op->pfn >= SPEC_FRAMES)
		return -EINVAL;
	if (guest_get_page_state(el2_translate(&vm->pgt, ipa), ipa) != PKVM_NOPAGE ||
	    get_host_state(hyp_phys_to_page(phys_of(op->pfn))) != PKVM_PAGE_OWNED)
		return -EPERM;
	__host_update_page_state(phys_of(op->pfn), PAGE_SIZE, PKVM_NOPAGE);
	/* The host's entry first. */
	el2_set_leaf(&host_mmu.pgt, phys_of(op->pfn), host_stage2_guest_annotation(vm, op->gfn));
	load_entry(vm, op->gfn, &e);
	return 0;
}

static s64 do_host_and_hyp(const struct spec_op *op)
{
	static const struct { u8 host, hyp, host_to, hyp_to; } how[] = {
		[SPEC_HOST_SHARE_HYP] = { PKVM_PAGE_OWNED, PKVM_NOPAGE,
					  PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_SHARED_BORROWED },
		[SPEC_HOST_UNSHARE_HYP] = { PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_SHARED_BORROWED,
					    PKVM_PAGE_OWNED, PKVM_NOPAGE },
		[SPEC_HOST_DONATE_HYP] = { PKVM_PAGE_OWNED, PKVM_NOPAGE,
					   PKVM_NOPAGE, PKVM_PAGE_OWNED },
		[SPEC_HYP_DONATE_HOST] = { PKVM_NOPAGE, PKVM_PAGE_OWNED,
					   PKVM_PAGE_OWNED, PKVM_NOPAGE },
	};
	u64 phys = phys_of(op->pfn);
	struct hyp_page *page;

	if (op->pfn >= SPEC_FRAMES)
		return -EINVAL;
	page = hyp_phys_to_page(phys);
	if (page->__host_state != how[op->kind].host || page->__hyp_state != how[op->kind].hyp)
		return -EPERM;
	if (how[op->kind].host_to == PKVM_NOPAGE)
		el2_set_leaf(&host_mmu.pgt, phys, el2_host_annotation(PKVM_ID_HYP, 0));
	else
		host_stage2_idmap_locked(phys, PAGE_SIZE, PKVM_HOST_MEM_PROT);
	page->__host_state = how[op->kind].host_to;
	page->__hyp_state = how[op->kind].hyp_to;
	return 0;
}

/* A host access that faults is mapped if EL2 has no reason against it. */
static s64 do_host_write(const struct spec_op *op)
{
	u64 phys = phys_of(op->pfn);

	if (op->pfn >= SPEC_FRAMES)
		return -EFAULT;
	if (!el2_translate(&host_mmu.pgt, phys))
		host_stage2_idmap_locked(phys, PAGE_SIZE, PKVM_HOST_MEM_PROT);
	if (!kvm_pte_valid(el2_translate(&host_mmu.pgt, phys)))
		return -EFAULT;
	el2_memory_of(phys)->data = op->val;
	return 0;
}

static s64 do_guest_write(const struct spec_op *op)
{
	struct pkvm_hyp_vm *vm = &el2_vm[op->guest];
	u64 ipa = (u64)op->gfn << PAGE_SHIFT;
	kvm_pte_t pte;

	if (!vm->exists || vm->kvm.arch.pkvm.is_dying || op->gfn >= SPEC_GFNS)
		return -EFAULT;
	pte = el2_translate(&vm->pgt, ipa);
	if (!kvm_pte_valid(pte))
		return -EFAULT;
	el2_memory_of(kvm_pte_to_phys(pte))->data = op->val;
	el2_memory_of(kvm_pte_to_phys(pte))->dirty = true;
	return 0;
}

static void step(const struct spec_op *op, struct spec_result *r)
{
	switch (op->kind) {
	case SPEC_HOST_DONATE_GUEST:
		r->ret = do_donate(op);
		break;
	case SPEC_HOST_RECLAIM_GUEST:
		r->ret = hypercall(handle___pkvm_host_reclaim_guest_range, op->guest + 1,
				   op->gfn == SPEC_GFN_LIMIT ? ~0UL : op->gfn, nr_arg(op->nr),
				   op->flags & SPEC_MEMORY_ERROR);
		break;
	case SPEC_HOST_TEST_ACCESS:
		r->ret = hypercall(handle___pkvm_host_test_access, pfn_arg(op->pfn),
				   nr_arg(op->nr), 0, 0);
		break;
	case SPEC_HOST_PAGE_OWNER:
		r->ret = hypercall(handle___pkvm_host_page_owner, (pfn_arg(op->pfn) << PAGE_SHIFT) + 8,
				   0, 0, 0);
		break;
	case SPEC_HOST_COMPLETE:
		do_complete(op, r);
		break;
	case SPEC_HOST_ENTER_GUEST:
		r->ret = do_enter(op);
		break;
	case SPEC_HOST_INIT_VM:
	case SPEC_HOST_START_TEARDOWN_VM:
	case SPEC_HOST_FINALIZE_TEARDOWN_VM:
		r->ret = do_vm(op);
		break;
	case SPEC_HOST_DONATE_PINNED:
		r->ret = do_donate_pinned(op);
		break;
	case SPEC_HOST_SHARE_HYP:
	case SPEC_HOST_UNSHARE_HYP:
	case SPEC_HOST_DONATE_HYP:
	case SPEC_HYP_DONATE_HOST:
		r->ret = do_host_and_hyp(op);
		break;
	case SPEC_HOST_WRITE:
		r->ret = do_host_write(op);
		break;
	case SPEC_GUEST_SHARE:
		do_call(op, PKVM_MEMREQ_SHARE, r);
		break;
	case SPEC_GUEST_UNSHARE:
		do_call(op, PKVM_MEMREQ_UNSHARE, r);
		break;
	case SPEC_GUEST_RELINQUISH:
		do_call(op, PKVM_MEMREQ_RELINQUISH, r);
		break;
	case SPEC_GUEST_GUARD:
		do_guard(op, r);
		break;
	case SPEC_GUEST_ENROLL:
		do_enroll(op, r);
		break;
	default:
		r->ret = do_guest_write(op);
		break;
	}
}

void el2_step(const struct spec_op *op, struct spec_result *r)
{
	memset(r, 0, sizeof(*r));
	el2_budget = 2 * (op->kind == SPEC_HOST_RECLAIM_GUEST ? PKVM_RECLAIM_MAX_PAGES :
								PKVM_MEMREQ_MAX_PAGES);
	for (unsigned int i = 0; i <= SPEC_FRAMES; i++)
		el2_memory[i].touched = false;
	if (!setjmp(el2_escape))
		step(op, r);
	el2_loaded = NULL;
}

/* Looking */

static const char *wrong(const char *what, unsigned int who, u64 where)
{
	snprintf(message, sizeof(message), "%s (%u, %#lx)", what, who, where);
	return message;
}

static const char *compare_frame(const struct spec *s, u16 i)
{
	struct hyp_page *page = hyp_phys_to_page(phys_of(i));
	kvm_pte_t pte = el2_translate(&host_mmu.pgt, phys_of(i));
	const struct spec_frame *f = &s->frame[i];

	if (page->__host_state != f->host)
		return wrong("the host's state of a frame differs", i, page->__host_state);
	if (page->__hyp_state != f->hyp)
		return wrong("the hypervisor's state of a frame differs", i, page->__hyp_state);
	if (f->host == PKVM_NOPAGE ? !pte || kvm_pte_valid(pte) : pte && !kvm_pte_valid(pte))
		return wrong("the host's entry does not say what its state says", i, pte);
	if (kvm_pte_valid(pte) && pte != (phys_of(i) | PKVM_HOST_MEM_PROT | 1))
		return wrong("a wrong entry of the host", i, pte);
	if (f->host == PKVM_NOPAGE && el2_stale(&host_mmu.pgt, phys_of(i)))
		return wrong("a TLB of the host remembers a frame", i, pte);
	if (f->bad && pte != el2_host_annotation(PKVM_ID_HYP, 0))
		return wrong("a frame that EL2 keeps is not its own", i, pte);
	if (f->bad && el2_memory[i].touched)
		return wrong("bad memory was touched", i, 0);
	if (el2_memory[i].data != f->data)
		return wrong("the content of a frame differs", i, el2_memory[i].data);
	if (f->host == PKVM_PAGE_OWNED && el2_memory[i].dirty)
		return wrong("the host gets a frame that is not clean to the PoC", i, 0);
	return NULL;
}

static const char *compare_entry(const struct spec *s, unsigned int g, u64 gfn)
{
	const struct spec_entry *e = &s->guest[g].entry[gfn];
	struct pkvm_hyp_vm *vm = &el2_vm[g];
	u64 ipa = gfn << PAGE_SHIFT;
	kvm_pte_t pte = el2_translate(&vm->pgt, ipa);

	if (guest_get_page_state(pte, ipa) != e->state)
		return wrong("a guest's state differs", g, gfn);
	if (pkvm_gfn_is_guarded(vm, gfn) != (e->state == PKVM_GUARDED) ||
	    pkvm_gfn_is_guarded(vm, gfn | BIT(64 - PAGE_SHIFT)))
		return wrong("a device is seen, or none", g, gfn);
	if (!kvm_pte_valid(pte))
		return el2_stale(&vm->pgt, ipa) ?
		       wrong("a TLB of a guest remembers a frame", g, gfn) : NULL;
	if (kvm_pte_to_phys(pte) != phys_of(e->pfn) || !!(pte & PKVM_PROT_GMEM) != e->gmem ||
	    (pte & KVM_PGTABLE_PROT_RWX) != KVM_PGTABLE_PROT_RWX)
		return wrong("a wrong entry of a guest", g, gfn);
	if (e->state == PKVM_PAGE_OWNED && el2_translate(&host_mmu.pgt, phys_of(e->pfn)) !=
					   host_stage2_guest_annotation(vm, gfn))
		return wrong("the host's entry does not name the guest", g, gfn);
	return NULL;
}

static const char *compare_guest(const struct spec *s, unsigned int g)
{
	const struct spec_guest *guest = &s->guest[g];
	const char *ret = NULL;

	if (el2_vm[g].exists != (guest->life != SPEC_NO_VM))
		return wrong("a VM is there or not", g, 0);
	if (el2_vm[g].mmio_guard != guest->enrolled)
		return wrong("a guest is enrolled or not", g, 0);
	if (pkvm_gfn_is_guarded(&el2_vm[g], SPEC_GFNS) || pkvm_gfn_is_guarded(&el2_vm[g], ~0UL))
		return wrong("a device beyond the address space", g, 0);
	for (u64 gfn = 0; !ret && gfn < SPEC_GFNS; gfn++)
		ret = compare_entry(s, g, gfn);
	for (unsigned int v = 0; !ret && v < SPEC_VCPUS; v++) {
		const struct pkvm_memreq *req = &el2_vcpu[g][v].vcpu.arch.pkvm_memreq;

		if (req->op != guest->record[v].op ||
		    (req->op && (req->gfn != guest->record[v].gfn ||
				 req->nr_pages != guest->record[v].nr)))
			ret = wrong("what a guest waits for differs", g, v);
	}
	return ret;
}

static const char *compare_tables(const struct kvm_pgtable *pgt, unsigned int who)
{
	for (unsigned int t = 0; t < EL2_MAX_TABLES; t++) {
		unsigned int nr = 0;

		for (unsigned int i = 0; i < SPEC_TABLE; i++)
			nr += !!pgt->table[t].leaf[i];
		if (nr != pgt->table[t].refs)
			return wrong("a table's references are not its entries", who, t);
	}
	return NULL;
}

const char *el2_compare(const struct spec *s)
{
	const char *ret = el2_complaint[0] ? el2_complaint : compare_tables(&host_mmu.pgt, 99);

	/* First: to look takes locks. */
	if (!ret && host_mmu.locked)
		ret = "the host's lock is held";
	for (unsigned int g = 0; !ret && g < SPEC_GUESTS; g++) {
		if (el2_vm[g].locked)
			ret = wrong("a guest's lock is held", g, 0);
	}
	for (unsigned int g = 0; !ret && g < SPEC_GUESTS; g++) {
		ret = compare_tables(&el2_vm[g].pgt, g);
		if (!ret)
			ret = compare_guest(s, g);
	}
	for (u16 i = 0; !ret && i < SPEC_FRAMES; i++)
		ret = compare_frame(s, i);
	return ret;
}
