// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run-time oracle: whatever EL2 does with a guest's pages is what the specification says
 * (pkvm_spec.h), in a running system, or the machine stops and says what differs.
 *
 * An operation is a hypercall of the host's, or a guest's call. When it has taken the locks
 * that it needs its arguments, and the state of what they name and of their neighbours, are
 * translated into the abstract machine; when it drops them the tables are read again. When
 * it is over spec_el2_step() has the word: about the tables, the result and the guest's
 * registers. What a page was when its lock was dropped last it must be when the lock is taken
 * again.
 *
 * Compared operations exclude each other, from before they take a component's lock until
 * they are over: what one finds when it takes its locks a second time is what it left. Other
 * CPUs' guests and hosts run meanwhile, and so do operations that are not about guests' pages.
 *
 * kvm-arm.oracle=1 switches it on, for good: pkvm_oracle_page_phys is written before the host
 * loses its access to EL2's memory.
 */
#include <linux/arm-smccc.h>
#include <linux/bug.h>
#include <linux/percpu.h>

#include <asm/kvm_asm.h>
#include <asm/kvm_pkvm_oracle.h>
#include <asm/kvm_emulate.h>
#include <kvm/arm_hypercalls.h>

#include <nvhe/mem_protect.h>
#include <nvhe/mm.h>
#include <nvhe/oracle.h>
#include <nvhe/oracle_window.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/trap_handler.h>

phys_addr_t pkvm_oracle_page_phys;

/* Taken before all component's locks, and before the table of VMs'. */
static DEFINE_HYP_SPINLOCK(oracle_lock);
static DEFINE_PER_CPU(bool, oracle_lock_is_mine);

/*
 * What is being done, as it was asked for. Guarded by the oracle's lock, as is all that
 * follows.
 */
static struct {
	bool compared;			/* else it only keeps the others out */
	bool host_locked, in_section;
	unsigned int sections;		/* how often the locks were taken */
	struct pkvm_hyp_vm *vm;		/* whose lock that was */
	struct pkvm_hyp_vcpu *vcpu;
	pkvm_handle_t handle;
	u64 pfn, gfn, nr, flags;
	struct pkvm_memreq req;		/* what the vCPU waited for */
	u64 pc;
	struct spec_op op;		/* the same, abstract */
} operation;

static u64 nr_operations[SPEC_NR_EL2_KINDS], nr_states;

/* And entries and exits. */
static_assert(SPEC_NR_EL2_KINDS + 2 <= PKVM_ORACLE_MAX_KINDS);

static void copy_string(char *to, const char *from, size_t size)
{
	size_t i;

	for (i = 0; i < size - 1 && from[i]; i++)
		to[i] = from[i];
	to[i] = 0;
}

static void __noreturn stop(const char *what, u64 gfn, u64 pfn, u64 want, u64 got,
			    const char *want_name, const char *got_name)
{
	struct pkvm_oracle_page *page = hyp_fixmap_map(pkvm_oracle_page_phys);

	copy_string(page->operation, spec_kind_names[operation.op.kind], sizeof(page->operation));
	page->vm = operation.vm ? operation.vm->kvm.arch.pkvm.handle : operation.handle;
	page->pfn = operation.pfn;
	page->gfn = operation.gfn;
	page->nr = operation.nr;
	page->at_gfn = gfn;
	page->at_pfn = pfn;
	page->want = want;
	page->got = got;
	copy_string(page->want_name, want_name, sizeof(page->want_name));
	copy_string(page->got_name, got_name, sizeof(page->got_name));
	copy_string(page->what, what, sizeof(page->what));
	hyp_fixmap_unmap();

	/* The host still faults while it reports this. */
	if (operation.host_locked)
		hyp_spin_unlock(&host_mmu.lock);
	BUG();
}

void __noreturn oracle_stop(const char *what, u64 gfn, u64 pfn, u64 want, u64 got)
{
	stop(what, gfn, pfn, want, got, "", "");
}

void __noreturn oracle_stop_state(const char *what, u64 gfn, u64 pfn, u8 want, u8 got)
{
	stop(what, gfn, pfn, want, got, spec_state_names[want], spec_state_names[got]);
}

/* Of a vCPU's context: @where is the word of it. No lock is held, this one neither. */
void __noreturn oracle_stop_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, const char *what,
				 const char *exit, unsigned int where, u64 want, u64 got)
{
	struct pkvm_oracle_page *page = hyp_fixmap_map(pkvm_oracle_page_phys);

	copy_string(page->operation, exit, sizeof(page->operation));
	page->vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu)->kvm.arch.pkvm.handle;
	page->pfn = 0;
	page->gfn = hyp_vcpu->vcpu.vcpu_id;
	page->nr = where;
	page->at_gfn = page->at_pfn = ORACLE_NOWHERE;
	page->want = want;
	page->got = got;
	copy_string(page->want_name, "", sizeof(page->want_name));
	copy_string(page->got_name, "", sizeof(page->got_name));
	copy_string(page->what, what, sizeof(page->what));
	hyp_fixmap_unmap();

	BUG();
}

/* The beginning */

static void begin(u8 kind, struct pkvm_hyp_vcpu *vcpu)
{
	hyp_spin_lock(&oracle_lock);
	*this_cpu_ptr(&oracle_lock_is_mine) = true;

	memset(&operation, 0, sizeof(operation));
	operation.compared = kind < SPEC_NR_EL2_KINDS;
	operation.op.kind = kind;
	operation.vcpu = vcpu;
	oracle_window_init();
	if (vcpu) {
		struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(vcpu);

		operation.handle = vm->kvm.arch.pkvm.handle;
		oracle_window.before.guest[0].enrolled = READ_ONCE(vm->mmio_guard);
	}
}

static void end(void)
{
	*this_cpu_ptr(&oracle_lock_is_mine) = false;
	hyp_spin_unlock(&oracle_lock);
}

static struct pkvm_hyp_vcpu *loaded_protected_vcpu(void)
{
	struct pkvm_hyp_vcpu *vcpu = pkvm_get_loaded_hyp_vcpu();

	return vcpu && pkvm_hyp_vcpu_is_protected(vcpu) ? vcpu : NULL;
}

/* Which operation a hypercall is; SPEC_NR_EL2_KINDS for what changes pages otherwise. */
static int kind_of(unsigned long id)
{
	switch (id) {
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_donate_guest_range:
		return SPEC_HOST_DONATE_GUEST;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_reclaim_guest_range:
		return SPEC_HOST_RECLAIM_GUEST;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_test_access:
		return SPEC_HOST_TEST_ACCESS;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_page_owner:
		return SPEC_HOST_PAGE_OWNER;
	case __KVM_HOST_SMCCC_FUNC___pkvm_vcpu_complete_memreq:
		return SPEC_HOST_COMPLETE;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_donate_guest:
		return SPEC_HOST_DONATE_PINNED;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_share_hyp:
		return SPEC_HOST_SHARE_HYP;
	case __KVM_HOST_SMCCC_FUNC___pkvm_host_unshare_hyp:
		return SPEC_HOST_UNSHARE_HYP;
	case __KVM_HOST_SMCCC_FUNC___pkvm_init_vm:
	case __KVM_HOST_SMCCC_FUNC___pkvm_force_reclaim_guest_page:
	case __KVM_HOST_SMCCC_FUNC___pkvm_reclaim_dying_guest_page:
	case __KVM_HOST_SMCCC_FUNC___pkvm_start_teardown_vm:
	case __KVM_HOST_SMCCC_FUNC___pkvm_finalize_teardown_vm:
		return SPEC_NR_EL2_KINDS;
	default:
		return -1;
	}
}

static void take_arguments(struct kvm_cpu_context *ctxt)
{
	u64 a = cpu_reg(ctxt, 1), b = cpu_reg(ctxt, 2), c = cpu_reg(ctxt, 3);

	operation.nr = 1;
	switch (operation.op.kind) {
	case SPEC_HOST_DONATE_GUEST:
		operation.nr = c;
		fallthrough;
	case SPEC_HOST_DONATE_PINNED:
		operation.pfn = a;
		operation.gfn = b;
		break;
	case SPEC_HOST_RECLAIM_GUEST:
		operation.handle = a;
		operation.gfn = b;
		operation.nr = c;
		operation.op.flags = (bool)cpu_reg(ctxt, 4) ? SPEC_MEMORY_ERROR : 0;
		break;
	case SPEC_HOST_TEST_ACCESS:
		operation.pfn = a;
		operation.nr = b;
		break;
	case SPEC_HOST_PAGE_OWNER:
		operation.pfn = hyp_phys_to_pfn(a);
		break;
	case SPEC_HOST_COMPLETE:
		operation.nr = a;
		if (operation.vcpu) {
			operation.req = operation.vcpu->vcpu.arch.pkvm_memreq;
			operation.gfn = operation.req.gfn;
			operation.pc = *vcpu_pc(&operation.vcpu->vcpu);
		}
		break;
	default:
		operation.pfn = a;
	}
}

/* The same, abstract, but for the numbers of frames and pages. */
static void translate_donate(void)
{
	u64 pfn = operation.pfn, gfn = operation.gfn, nr = operation.nr;
	struct spec_op *op = &operation.op;
	int ret;

	op->nr = min_t(u64, nr, PKVM_DONATE_MAX_PAGES + 1);
	if (!nr || nr > PKVM_DONATE_MAX_PAGES)
		return;
	if (!pfn_range_is_valid(pfn, nr) ||
	    gfn / PTRS_PER_PTE != (gfn + nr - 1) / PTRS_PER_PTE) {
		op->pfn = SPEC_PFN_LIMIT;
		return;
	}
	ret = check_range_allowed_memory(hyp_pfn_to_phys(pfn), hyp_pfn_to_phys(pfn + nr));
	if (ret)
		op->pfn = ret == -EPERM ? SPEC_PFN_NONE : SPEC_PFN_LIMIT;
}

static void translate(void)
{
	struct spec_guest *g = &oracle_window.before.guest[0];
	struct spec_op *op = &operation.op;

	g->life = operation.vcpu ? SPEC_VM_LIVES : SPEC_NO_VM;
	op->nr = min_t(u64, operation.nr, SPEC_NR_HUGE - 1);
	if (op->kind == SPEC_HOST_DONATE_GUEST) {
		translate_donate();
	} else if (op->kind == SPEC_HOST_COMPLETE) {
		/* Behind the left neighbour, if the frames are looked at. */
		g->record[0] = (struct spec_record) {
			.op = operation.req.op,
			.gfn = operation.gfn ? 1 : 0,
			.nr = operation.req.nr_pages,
		};
	} else if (op->kind == SPEC_HOST_TEST_ACCESS) {
		op->nr = min_t(u64, operation.nr, PTRS_PER_PTE);
	}
}

void __oracle_hcall_begin(unsigned long id, struct kvm_cpu_context *host_ctxt)
{
	int kind = kind_of(id);

	if (kind < 0)
		return;

	begin(kind, loaded_protected_vcpu());
	if (!operation.compared) {
		oracle_forget();
		return;
	}
	take_arguments(host_ctxt);
	translate();
}

static void call_begin(struct kvm_vcpu *vcpu, u8 kind)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);
	u64 limit = hyp_phys_to_pfn(BIT(pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu)->pgt.ia_bits));
	u64 ipa = smccc_get_arg1(vcpu), nr = smccc_get_arg2(vcpu);
	struct spec_op *op = &operation.op;

	begin(kind, hyp_vcpu);
	operation.gfn = hyp_phys_to_pfn(ipa);
	operation.nr = nr ?: 1;
	operation.pc = read_sysreg_el2(SYS_ELR);
	operation.req = vcpu->arch.pkvm_memreq;
	oracle_window.before.guest[0].life = SPEC_VM_LIVES;

	op->flags = (PAGE_ALIGNED(ipa) ? 0 : SPEC_MISALIGNED) |
		    (smccc_get_arg3(vcpu) ? SPEC_RESERVED : 0);
	op->nr = min_t(u64, nr, PKVM_MEMREQ_MAX_PAGES + 1);
	/* Beyond the address space in whole or in part. */
	if (operation.nr > limit || operation.gfn > limit - operation.nr)
		op->gfn = SPEC_GFN_LIMIT;
	if (operation.req.op != PKVM_MEMREQ_NONE)
		oracle_stop("the guest runs while its call is pending", operation.gfn,
			    ORACLE_NOWHERE, PKVM_MEMREQ_NONE, operation.req.op);
}

void __oracle_call_begin(struct kvm_vcpu *vcpu, enum pkvm_memreq_op req)
{
	u8 kind = SPEC_GUEST_RELINQUISH;

	if (req == PKVM_MEMREQ_SHARE)
		kind = SPEC_GUEST_SHARE;
	else if (req == PKVM_MEMREQ_UNSHARE)
		kind = SPEC_GUEST_UNSHARE;
	call_begin(vcpu, kind);
}

/* No more than one table at a time, which the abstract machine here does not know. */
void __oracle_guard_begin(struct kvm_vcpu *vcpu, bool enroll)
{
	struct spec_op *op = &operation.op;
	u64 in_table;

	call_begin(vcpu, enroll ? SPEC_GUEST_ENROLL : SPEC_GUEST_GUARD);
	in_table = PTRS_PER_PTE - operation.gfn % PTRS_PER_PTE;
	if (enroll)
		op->gfn = operation.gfn ? SPEC_GFN_LIMIT : 0;
	else if (op->gfn != SPEC_GFN_LIMIT)
		op->nr = min_t(u64, op->nr, in_table);
	if (__guest_check_pgtable_memcache(operation.vcpu))
		op->flags |= SPEC_NO_TABLES;
}

/* The locks */

static bool needs_guest_lock(void)
{
	switch (operation.op.kind) {
	case SPEC_HOST_TEST_ACCESS:
	case SPEC_HOST_PAGE_OWNER:
	case SPEC_HOST_SHARE_HYP:
	case SPEC_HOST_UNSHARE_HYP:
		return false;
	default:
		return true;
	}
}

static void window_pages(u64 pfn, u64 nr)
{
	u64 i;

	for (i = 0; i < nr; i++) {
		if (oracle_add_frame(pfn + i) < 0 && !i)
			operation.op.pfn = SPEC_PFN_NONE;
	}
	if (pfn)
		oracle_add_frame(pfn - 1);
	oracle_add_frame(pfn + nr);
}

static void window_frames(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr)
{
	int first;
	u64 i;

	if (gfn)
		oracle_add_gfn(vm, gfn - 1);
	first = oracle_add_gfn(vm, gfn);
	if (operation.op.gfn != SPEC_GFN_LIMIT)
		operation.op.gfn = first < 0 ? SPEC_GFN_LIMIT : first;
	for (i = 1; i <= nr && first >= 0; i++) {
		if (oracle_add_gfn(vm, gfn + i) < 0)
			break;
	}
}

/* Any size: what the guest has in the beginning of it. Holes are nothing to the abstract one. */
static void window_reclaimed(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr)
{
	u64 end, limit = hyp_phys_to_pfn(BIT(vm->pgt.ia_bits));
	const struct spec *s = &oracle_window.before;

	if (check_add_overflow(gfn, nr, &end) || (nr && gfn >= limit)) {
		operation.op.gfn = SPEC_GFN_LIMIT;
		return;
	}
	if (!nr)
		return;
	window_frames(vm, gfn, 0);
	oracle_add_present(vm, gfn + 1, min(end, limit));
	operation.op.nr = s->nr_gfns - operation.op.gfn;
	oracle_add_gfn(vm, end);
}

/* The one page's owner is who its entry says; the guest's own tables are not locked. */
static void window_owner(void)
{
	struct oracle_window *w = &oracle_window;
	kvm_pte_t pte = w->pte_before[0];
	struct spec_frame *f = &w->before.frame[0];

	if (!w->before.nr_frames || operation.op.pfn == SPEC_PFN_NONE ||
	    f->host != PKVM_NOPAGE || f->hyp != PKVM_NOPAGE || f->bad)
		return;
	operation.handle = pte >> 4;
	w->gfn[0] = (pte >> 20) & GENMASK(39, 0);
	w->before.nr_gfns = 1;
	w->before.guest[0].life = SPEC_VM_LIVES;
	w->before.guest[0].entry[0] = (struct spec_entry) { .state = PKVM_PAGE_OWNED, .gmem = true };
}

static void fill_window(struct pkvm_hyp_vm *vm)
{
	struct oracle_window *w = &oracle_window;

	if (vm) {
		w->before.guest[0].life = vm->kvm.arch.pkvm.is_dying ? SPEC_VM_DIES : SPEC_VM_LIVES;
		w->before.guest[0].enrolled = READ_ONCE(vm->mmio_guard);
	}

	switch (operation.op.kind) {
	case SPEC_HOST_DONATE_GUEST:
	case SPEC_HOST_DONATE_PINNED:
		if (operation.nr > PKVM_DONATE_MAX_PAGES)
			oracle_stop("more pages than one call may have", operation.gfn, operation.pfn,
				    PKVM_DONATE_MAX_PAGES, operation.nr);
		window_pages(operation.pfn, operation.nr);
		window_frames(vm, operation.gfn, operation.nr);
		break;
	case SPEC_HOST_RECLAIM_GUEST:
		window_reclaimed(vm, operation.gfn, operation.nr);
		break;
	case SPEC_HOST_COMPLETE:
		window_frames(vm, operation.gfn, min_t(u64, operation.req.nr_pages, PKVM_MEMREQ_MAX_PAGES));
		w->before.guest[0].record[0].gfn = operation.op.gfn;
		break;
	case SPEC_GUEST_SHARE:
	case SPEC_GUEST_UNSHARE:
	case SPEC_GUEST_RELINQUISH:
	case SPEC_GUEST_GUARD:
		window_frames(vm, operation.gfn, min_t(u64, operation.nr, PKVM_MEMREQ_MAX_PAGES));
		break;
	default:
		window_pages(operation.pfn, min_t(u64, operation.nr, PTRS_PER_PTE));
		if (operation.op.kind == SPEC_HOST_PAGE_OWNER)
			window_owner();
	}
}

static void section_begin(struct pkvm_hyp_vm *vm)
{
	operation.in_section = true;
	if (operation.sections++) {
		if (operation.vm != vm)
			oracle_stop("one operation takes the locks of two guests", operation.gfn,
				    ORACLE_NOWHERE, 0, 0);
		oracle_check_unchanged(vm);
		return;
	}
	operation.vm = vm;
	fill_window(vm);
	oracle_check_remembered(vm);
}

static void section_end(struct pkvm_hyp_vm *vm)
{
	operation.in_section = false;
	oracle_read_now(vm);
	oracle_remember(vm);
	if (operation.op.kind == SPEC_HOST_DONATE_GUEST && oracle_window.before.nr_frames)
		oracle_check_host_block(oracle_window.pfn[0]);
}

static bool is_compared(void)
{
	return *this_cpu_ptr(&oracle_lock_is_mine) && operation.compared;
}

void __oracle_locked(struct pkvm_hyp_vm *vm)
{
	if (!is_compared())
		return;

	if (!vm)
		operation.host_locked = true;
	else if (!operation.host_locked)
		oracle_stop("a guest's lock is taken without the host's", operation.gfn,
			    ORACLE_NOWHERE, 1, 0);
	if (needs_guest_lock() == !!vm)
		section_begin(vm);
}

void __oracle_unlocking(struct pkvm_hyp_vm *vm)
{
	if (!is_compared())
		return;

	if (needs_guest_lock() == !!vm)
		section_end(vm);
	else if (operation.in_section)
		oracle_stop("the host's lock is dropped before the guest's", operation.gfn,
			    ORACLE_NOWHERE, 1, 0);
	if (!vm)
		operation.host_locked = false;
}

/* The end */

/* A guest's frames that a reclaim is done with, as frames of the abstract machine. */
static s64 abstract_frames(s64 done)
{
	const struct oracle_window *w = &oracle_window;
	unsigned int i;

	for (i = operation.op.gfn; i < operation.op.gfn + operation.op.nr; i++) {
		if (w->gfn[i] >= operation.gfn + done)
			break;
	}
	return i - operation.op.gfn;
}

/* Does EL2 have to look at pages, and so to take locks, in order to succeed? */
static bool needs_section(void)
{
	switch (operation.op.kind) {
	case SPEC_HOST_COMPLETE:
	case SPEC_GUEST_SHARE:
	case SPEC_GUEST_UNSHARE:
	case SPEC_GUEST_RELINQUISH:
	case SPEC_GUEST_GUARD:
	case SPEC_GUEST_ENROLL:
		/* Not to refuse; and the abstract one finds no pages. */
		return false;
	default:
		return true;
	}
}

/* Why EL2 may do nothing, which the abstract machine cannot know. */
static bool may_refuse(s64 ret)
{
	switch (operation.op.kind) {
	case SPEC_HOST_DONATE_GUEST:
		/* The host gave no memory for tables; before the locks, if not what was asked. */
		if (ret == -ENOMEM && operation.sections)
			operation.op.flags |= SPEC_NO_TABLES;
		return ret < 0 && !operation.sections;
	case SPEC_HOST_DONATE_PINNED:
		return ret == -ENOMEM || (ret < 0 && !operation.sections);
	case SPEC_HOST_UNSHARE_HYP:
		return ret == -EBUSY;
	case SPEC_HOST_COMPLETE:
		/* The host gave no memory for tables. */
		return ret < 0 && operation.req.op == PKVM_MEMREQ_TABLES;
	case SPEC_HOST_RECLAIM_GUEST:
		return ret < 0 && !operation.sections;
	case SPEC_HOST_TEST_ACCESS:
		return ret == 0 && !operation.sections;
	default:
		return false;
	}
}

static void check_result(const char *what, u64 want, u64 got)
{
	if (want != got)
		oracle_stop(what, operation.gfn, ORACLE_NOWHERE, want, got);
}

static s64 result_as_asked(s64 ret)
{
	if (operation.op.kind == SPEC_HOST_RECLAIM_GUEST && ret > 0)
		return abstract_frames(ret);
	/* The guest's tables are not locked: it may be just going. */
	if (operation.op.kind == SPEC_HOST_PAGE_OWNER && oracle_window.before.nr_gfns &&
	    (ret == -EAGAIN || ret == (s64)(operation.handle | oracle_window.gfn[0] << 16)))
		return 1;	/* frame 0 of guest 0 */
	return ret;
}

static void check_enrolled(void)
{
	const struct pkvm_hyp_vm *vm = operation.vm;

	if (!vm && operation.vcpu)
		vm = pkvm_hyp_vcpu_to_hyp_vm(operation.vcpu);
	if (vm)
		check_result("the guest is enrolled in MMIO guard or not",
			     oracle_window.want.guest[0].enrolled, READ_ONCE(vm->mmio_guard));
}

/* No page was looked at: the specification must not find any either. */
static void no_pages(void)
{
	struct spec_guest *g = &oracle_window.want.guest[0];
	unsigned int i;

	for (i = 0; i < SPEC_GFNS; i++)
		g->entry[i] = (struct spec_entry) { .state = PKVM_NOPAGE };
}

/* The tables and the result. @r: what EL2 returned; becomes what it should have. */
static void compare(struct spec_result *r)
{
	struct oracle_window *w = &oracle_window;
	struct spec_result want = {};
	bool refused = may_refuse(r->ret);

	if (operation.in_section || operation.host_locked)
		oracle_stop("a lock is still held", operation.gfn, ORACLE_NOWHERE, 0, 1);
	if (!operation.sections) {
		if (needs_section() && !refused)
			oracle_stop("done without the locks", operation.gfn, operation.pfn, 1, 0);
		no_pages();
		oracle_copy_state(&w->now, &w->before);
	}
	oracle_copy_state(&w->want, &w->before);
	want.ret = result_as_asked(r->ret);
	if (!refused) {
		s64 ret = want.ret;

		spec_el2_step(&w->want, &operation.op, &want);
		/* Pages of the base's: one error is as good as another. */
		if (operation.op.kind < SPEC_HOST_DONATE_PINNED || want.ret >= 0 || ret >= 0)
			check_result("a wrong result", want.ret, ret);
	}

	oracle_compare(operation.vm);
	check_enrolled();
	nr_operations[operation.op.kind]++;
	nr_states += w->now.nr_frames + w->now.nr_gfns;
	*r = want;
}

/* How many pages were taken back, and what they were to the guest. */
static void check_reclaimed(u64 owned, u64 shared)
{
	const struct oracle_window *w = &oracle_window;
	u64 want_owned = 0, want_shared = 0;
	unsigned int i;

	for (i = 0; i < w->before.nr_gfns; i++) {
		const struct spec_entry *from = &w->before.guest[0].entry[i];

		if (from->state == w->want.guest[0].entry[i].state)
			continue;
		want_owned += from->state == PKVM_PAGE_OWNED;
		want_shared += from->state == PKVM_PAGE_SHARED_OWNED;
	}
	check_result("a wrong number of pages that the guest owned", want_owned, owned);
	check_result("a wrong number of pages that the guest shared", want_shared, shared);
	if (owned + shared > PKVM_RECLAIM_MAX_PAGES)
		oracle_stop("more pages than one call may have", operation.gfn, ORACLE_NOWHERE,
			    PKVM_RECLAIM_MAX_PAGES, owned + shared);
}

/* What the vCPU waits for now. */
static void check_record(void)
{
	const struct spec_record *want = &oracle_window.want.guest[0].record[0];
	const struct pkvm_memreq *req = &operation.vcpu->vcpu.arch.pkvm_memreq;

	check_result("the guest waits for something else", want->op, req->op);
	if (want->op == SPEC_REQ_NONE)
		return;
	check_result("the guest waits for another number of pages", want->nr, req->nr_pages);
	check_result("the guest waits for other pages", operation.gfn, req->gfn);
}

static void check_completed(const struct spec_result *want)
{
	const struct user_pt_regs *regs = &operation.vcpu->vcpu.arch.ctxt.regs;

	check_record();
	check_result("the guest's PC", operation.pc + (want->answered ? 4 : 0), regs->pc);
	if (!want->answered)
		return;
	check_result("the guest's R0", want->r0, regs->regs[0]);
	check_result("the guest's R1", want->r1, regs->regs[1]);
}

void __oracle_hcall_end(struct kvm_cpu_context *host_ctxt)
{
	struct spec_result r = { .ret = cpu_reg(host_ctxt, 1) };

	if (!*this_cpu_ptr(&oracle_lock_is_mine))
		return;

	if (operation.compared) {
		compare(&r);
		if (operation.op.kind == SPEC_HOST_RECLAIM_GUEST)
			check_reclaimed(cpu_reg(host_ctxt, 2), cpu_reg(host_ctxt, 3));
		if (operation.op.kind == SPEC_HOST_COMPLETE && operation.vcpu)
			check_completed(&r);
	}
	end();
}

void __oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled)
{
	struct spec_result r = {};

	compare(&r);
	check_result("the guest's call is answered or not", r.answered, handled);
	check_record();
	check_result("the guest's PC", operation.pc - (handled ? 0 : 4), read_sysreg_el2(SYS_ELR));
	if (handled) {
		check_result("the guest's R0", r.r0, val[0]);
		check_result("the guest's R1", r.r1, val[1]);
	}
	end();
}

static void count_cpus(struct pkvm_oracle_page *page, unsigned int kind)
{
	oracle_count_cpus(&page->kind[kind].count, &page->kind[kind + 1].count);
	copy_string(page->kind[kind].name, "guest_entry", sizeof(page->kind[kind].name));
	copy_string(page->kind[kind + 1].name, "guest_exit", sizeof(page->kind[kind + 1].name));
}

/* How many operations were compared, for the host to read in its page. */
void handle___pkvm_oracle_count(struct kvm_cpu_context *host_ctxt)
{
	struct pkvm_oracle_page *page;
	unsigned int i;

	cpu_reg(host_ctxt, 1) = -EINVAL;
	if (!oracle_is_on())
		return;

	hyp_spin_lock(&oracle_lock);
	page = hyp_fixmap_map(pkvm_oracle_page_phys);
	page->pages = nr_states;
	for (i = 0; i < SPEC_NR_EL2_KINDS; i++) {
		copy_string(page->kind[i].name, spec_kind_names[i], sizeof(page->kind[i].name));
		page->kind[i].count = nr_operations[i];
	}
	count_cpus(page, i);
	hyp_fixmap_unmap();
	hyp_spin_unlock(&oracle_lock);

	cpu_reg(host_ctxt, 1) = 0;
}
