// SPDX-License-Identifier: GPL-2.0-only
/*
 * The run-time oracle's part about a protected vCPU's context: what passes between the guest
 * and the host is what the specification says (pvm_spec.h), word by word.
 *
 * At an entry the guest's context may change by the effect of the host's reply and by nothing
 * else. Between an entry and the exit that follows, which is on the same CPU, the host's copy
 * may become what the host is shown and nothing else: all general registers, and of the
 * system registers SCTLR_EL1 alone. What the host keeps in the others for its own emulation
 * (of the physical timer, of CSSELR_EL1, what it resets a vCPU to) and its floating point
 * registers stay as they were, whatever they are.
 *
 * A host that writes to the context of a vCPU that runs, from another CPU, is no finding, but
 * stops the machine too.
 */
#include <linux/bug.h>
#include <linux/percpu.h>

#include <asm/kvm_emulate.h>

#include <uapi/linux/psci.h>

#include <nvhe/mm.h>
#include <nvhe/oracle.h>
#include <nvhe/oracle_window.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/pvm_spec.h>

#define CTXT_WORDS	(sizeof(struct kvm_cpu_context) / sizeof(u64))

static_assert(sizeof(struct kvm_cpu_context) % sizeof(u64) == 0);

/* Of the vCPU that is on this CPU; too large for EL2's stack. */
struct seen {
	enum pvm_exit exit;		/* the last one */
	bool starts_another;		/* that was a CPU_ON */
	struct pvm_reply reply;		/* the host's */
	struct kvm_cpu_context guest;	/* EL2's own */
	struct kvm_cpu_context host;	/* the host's copy */
	u64 nr_entries, nr_exits;
};

static DEFINE_PER_CPU(struct seen, seen);

static void check(struct pkvm_hyp_vcpu *hyp_vcpu, const char *what, unsigned int where, u64 want,
		  u64 got)
{
	enum pvm_exit exit = this_cpu_ptr(&seen)->exit;

	if (want != got)
		oracle_stop_vcpu(hyp_vcpu, what, pvm_spec_names[exit], where, want, got);
}

/* All of it, in words. */
static void compare(struct pkvm_hyp_vcpu *hyp_vcpu, const char *what,
		    const struct kvm_cpu_context *want, const struct kvm_cpu_context *got)
{
	const u64 *w = (const u64 *)want, *g = (const u64 *)got;
	unsigned int i;

	for (i = 0; i < CTXT_WORDS; i++)
		check(hyp_vcpu, what, i, w[i], g[i]);
}

/* Entries */

void __oracle_entry_begin(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct kvm_vcpu_arch *host = &hyp_vcpu->host_vcpu->arch;
	u8 said = READ_ONCE(host->iflags) & (BIT(0) | unpack_vcpu_flag(EXCEPT_MASK));
	struct seen *s = this_cpu_ptr(&seen);

	s->exit = hyp_vcpu->pvm.exit;
	s->starts_another = hyp_vcpu->pvm.cpu_on;
	s->reply = (struct pvm_reply) {
		.r0		= READ_ONCE(host->ctxt.regs.regs[0]),
		.exception	= said == (BIT(0) | unpack_vcpu_flag(EXCEPT_AA64_EL1_SYNC)),
		.advance	= !(said & BIT(0)) && (said & unpack_vcpu_flag(INCREMENT_PC)),
	};
	memcpy(&s->guest, &hyp_vcpu->vcpu.arch.ctxt, sizeof(s->guest));
	memcpy(&s->host, &host->ctxt, sizeof(s->host));
	s->nr_entries++;
}

static u8 wanted_iflags(const struct pvm_effect *effect)
{
	if (effect->inject)
		return unpack_vcpu_flag(PENDING_EXCEPTION) | unpack_vcpu_flag(EXCEPT_AA64_EL1_SYNC);
	return effect->advance ? unpack_vcpu_flag(INCREMENT_PC) : 0;
}

void __oracle_entry_end(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct seen *s = this_cpu_ptr(&seen);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	u64 esr = vcpu->arch.fault.esr_el2;
	struct pvm_effect want;

	pvm_spec_takes(s->exit, esr, &s->reply, &want);
	/* Whether the host failed to start another vCPU EL2 knows better. */
	if (s->starts_another && want.val)
		want.val = vcpu_get_reg(vcpu, 0) ? (u64)PSCI_RET_INTERNAL_FAILURE : 0;

	if (want.set_reg)
		s->guest.regs.regs[want.reg] = want.val;
	if (want.inject)
		ctxt_sys_reg(&s->guest, ESR_EL1) =
			pvm_spec_exception_esr(want.inject, esr, s->guest.regs.pstate);
	if (want.inject == PVM_INJECT_ABORT)
		ctxt_sys_reg(&s->guest, FAR_EL1) = vcpu->arch.fault.far_el2;

	compare(hyp_vcpu, "an entry changes the guest's context", &s->guest, &vcpu->arch.ctxt);
	check(hyp_vcpu, "an entry does something else to the guest", 0, wanted_iflags(&want),
	      vcpu->arch.iflags);
}

/* Exits */

static void check_class(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code)
{
	const struct kvm_vcpu_fault_info *fault = &hyp_vcpu->vcpu.arch.fault;
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	enum pvm_exit exit = hyp_vcpu->pvm.exit;
	phys_addr_t ipa;

	check(hyp_vcpu, "an exit's class", 0,
	      pvm_spec_class(exit_code, fault->esr_el2, fault->far_el2, exit == PVM_EXIT_MMIO),
	      exit);
	if (exit != PVM_EXIT_MMIO || !READ_ONCE(vm->mmio_guard))
		return;

	ipa = kvm_vcpu_get_fault_ipa(&hyp_vcpu->vcpu);
	check(hyp_vcpu, "the host emulates a page that is not guarded", 0, true,
	      pkvm_gfn_is_guarded(vm, hyp_phys_to_pfn(ipa)));
}

static void check_fault(struct pkvm_hyp_vcpu *hyp_vcpu, const struct pvm_shown *want)
{
	const struct kvm_vcpu_fault_info *is = &hyp_vcpu->host_vcpu->arch.fault;
	const char *what = "the host is shown something else of a fault";

	check(hyp_vcpu, what, 0, want->esr, is->esr_el2);
	check(hyp_vcpu, what, 1, want->far, is->far_el2);
	check(hyp_vcpu, what, 2, want->hpfar, is->hpfar_el2);
	check(hyp_vcpu, what, 3, want->disr, is->disr_el1);
}

void __oracle_exit(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code)
{
	struct seen *s = this_cpu_ptr(&seen);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	struct pvm_exit_state state = {
		.esr	= vcpu->arch.fault.esr_el2,
		.far	= vcpu->arch.fault.far_el2,
		.hpfar	= vcpu->arch.fault.hpfar_el2,
		.disr	= vcpu->arch.fault.disr_el1,
		.pstate	= vcpu->arch.ctxt.regs.pstate,
		.sctlr	= __vcpu_sys_reg(vcpu, SCTLR_EL1),
		.regs	= vcpu->arch.ctxt.regs.regs,
	};
	struct pvm_shown want;

	s->exit = hyp_vcpu->pvm.exit;
	check_class(hyp_vcpu, exit_code);
	pvm_spec_shows(s->exit, &state, &want);

	memset(&s->host.regs, 0, sizeof(s->host.regs));
	memcpy(s->host.regs.regs, want.regs, sizeof(want.regs));
	s->host.regs.pstate = want.pstate;
	ctxt_sys_reg(&s->host, SCTLR_EL1) = want.sctlr;
	compare(hyp_vcpu, "the host is shown something else", &s->host,
		&hyp_vcpu->host_vcpu->arch.ctxt);
	check_fault(hyp_vcpu, &want);
	s->nr_exits++;
}

/* Since boot, on all CPUs. */
void oracle_count_cpus(u64 *nr_entries, u64 *nr_exits)
{
	unsigned int i;

	*nr_entries = *nr_exits = 0;
	for (i = 0; i < hyp_nr_cpus; i++) {
		*nr_entries += per_cpu_ptr(&seen, i)->nr_entries;
		*nr_exits += per_cpu_ptr(&seen, i)->nr_exits;
	}
}
