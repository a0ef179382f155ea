// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected vCPU's context at its entries and exits.
 *
 * The hyp vCPU has the guest's registers; the host's vCPU is memory that the host writes at
 * any time, so each word of it is read once. pvm_exit.h decides what passes; here it is
 * carried.
 *
 * All of this is about the vCPU that is loaded on this CPU, with the host's stage 2 in place
 * and the guest's registers saved: no lock is needed, but for the look at the guest's table.
 */
#include <hyp/adjust_pc.h>

#include <linux/kvm_host.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>

#include <nvhe/oracle.h>
#include <nvhe/pkvm.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/pvm_vcpu.h>

/* The bits of iflags in which the host says what is to happen at the next entry. */
#define HOST_IFLAGS	(unpack_vcpu_flag(PENDING_EXCEPTION) | unpack_vcpu_flag(EXCEPT_MASK))

/**
 * pvm_init_vcpu() - a protected vCPU comes into being, powered off
 * @hyp_vcpu: zeroed but for its VM, its number and the host's vCPU; not yet registered
 *
 * The vm_table_lock is held: no other vCPU of the VM is registered meanwhile.
 *
 * Return: 0, -EINVAL if the number is out of bounds or another vCPU of the VM has it: the
 * guest addresses its CPUs by it.
 */
int pvm_init_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	unsigned int i;

	hyp_assert_lock_held(&vm_table_lock);

	if (vcpu->vcpu_id < 0 || vcpu->vcpu_id >= KVM_MAX_VCPUS)
		return -EINVAL;
	for (i = 0; i < vm->kvm.created_vcpus; i++)
		if (vm->vcpus[i] && vm->vcpus[i]->vcpu.vcpu_id == vcpu->vcpu_id)
			return -EINVAL;

	/* Nothing that the host has finalised, or says it has. */
	vcpu->arch.cflags = 0;
	vcpu_set_flag(vcpu, VCPU_INITIALIZED);
	vcpu->arch.debug_owner = VCPU_DEBUG_FREE;
	hyp_vcpu->pvm.exit = PVM_EXIT_NOTHING;
	atomic_set(&hyp_vcpu->pvm.power, PVM_OFF);

	return 0;
}

/* The host's answer to the last exit. Its flags are used up, whatever they were. */
static struct pvm_reply take_reply(struct kvm_vcpu *host_vcpu)
{
	u8 iflags = READ_ONCE(host_vcpu->arch.iflags);
	struct pvm_reply reply = {
		.r0 = READ_ONCE(host_vcpu->arch.ctxt.regs.regs[0]),
	};

	/* A PC increment shares its bit with the kinds of exceptions. */
	if (iflags & unpack_vcpu_flag(PENDING_EXCEPTION))
		reply.exception = (iflags & HOST_IFLAGS) ==
				  (unpack_vcpu_flag(PENDING_EXCEPTION) |
				   unpack_vcpu_flag(EXCEPT_AA64_EL1_SYNC));
	else
		reply.advance = iflags & unpack_vcpu_flag(INCREMENT_PC);

	WRITE_ONCE(host_vcpu->arch.iflags, iflags & ~HOST_IFLAGS);
	return reply;
}

static u64 injected_esr(struct kvm_vcpu *vcpu, enum pvm_inject inject)
{
	u64 esr = ESR_ELx_IL, ec;
	bool user = (*vcpu_cpsr(vcpu) & PSR_MODE_MASK) == PSR_MODE_EL0t;

	if (inject == PVM_INJECT_UNDEF)
		return esr | ESR_ELx_EC_UNKNOWN << ESR_ELx_EC_SHIFT;

	if (kvm_vcpu_trap_is_iabt(vcpu)) {
		ec = user ? ESR_ELx_EC_IABT_LOW : ESR_ELx_EC_IABT_CUR;
	} else {
		ec = user ? ESR_ELx_EC_DABT_LOW : ESR_ELx_EC_DABT_CUR;
		esr |= kvm_vcpu_get_esr(vcpu) & ESR_ELx_WNR;
	}

	return esr | ec << ESR_ELx_EC_SHIFT | ESR_ELx_FSC_EXTABT;
}

/* The exception is entered by __kvm_vcpu_run(), before it loads the context. */
static void inject(struct kvm_vcpu *vcpu, enum pvm_inject inject)
{
	__vcpu_assign_sys_reg(vcpu, ESR_EL1, injected_esr(vcpu, inject));
	if (inject == PVM_INJECT_ABORT)
		__vcpu_assign_sys_reg(vcpu, FAR_EL1, kvm_vcpu_get_hfar(vcpu));
	kvm_pend_exception(vcpu, EXCEPT_AA64_EL1_SYNC);
}

static void apply_reply(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct pvm_reply reply = take_reply(hyp_vcpu->host_vcpu);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	struct pvm_effect effect;

	pvm_entry_takes(hyp_vcpu->pvm.exit, kvm_vcpu_get_esr(vcpu), &reply, &effect);
	if (hyp_vcpu->pvm.exit == PVM_EXIT_PSCI)
		pvm_psci_finish(hyp_vcpu, &effect);
	hyp_vcpu->pvm.exit = PVM_EXIT_NOTHING;

	if (effect.set_reg)
		vcpu_set_reg(vcpu, effect.reg, effect.val);
	if (effect.inject)
		inject(vcpu, effect.inject);
	else if (effect.advance)
		vcpu_set_flag(vcpu, INCREMENT_PC);
}

/*
 * The host's copy of the timer is what it last read from the hardware, or what it likes. It
 * stays there between an exit and an entry, so that the host's interrupt for it works.
 */
static void restore_timer(struct kvm_vcpu *vcpu)
{
	write_sysreg(0, cntvoff_el2);
	write_sysreg_el0(__vcpu_sys_reg(vcpu, CNTV_CVAL_EL0), SYS_CNTV_CVAL);
	isb();
	write_sysreg_el0(__vcpu_sys_reg(vcpu, CNTV_CTL_EL0), SYS_CNTV_CTL);
}

static void save_timer(struct kvm_vcpu *vcpu)
{
	u64 ctl = read_sysreg_el0(SYS_CNTV_CTL) & ~(u64)ARCH_TIMER_CTRL_IT_STAT;

	__vcpu_assign_sys_reg(vcpu, CNTV_CTL_EL0, ctl);
	__vcpu_assign_sys_reg(vcpu, CNTV_CVAL_EL0, read_sysreg_el0(SYS_CNTV_CVAL));
}

/* As many event counters as there are belong to EL1, which is kept from them by a trap. */
static void set_hpmn(struct kvm_vcpu *vcpu)
{
	vcpu->arch.mdcr_el2 &= ~(u64)MDCR_EL2_HPMN_MASK;
	vcpu->arch.mdcr_el2 |= FIELD_PREP(MDCR_EL2_HPMN_MASK, *host_data_ptr(nr_event_counters));
}

/**
 * pvm_flush_vcpu() - what comes in with an entry
 * @hyp_vcpu: a protected vCPU for which pvm_may_enter() was true
 */
void pvm_flush_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct kvm_vcpu *host_vcpu = hyp_vcpu->host_vcpu;
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;

	vcpu->arch.iflags = 0;
	oracle_entry_begin(hyp_vcpu);
	apply_reply(hyp_vcpu);
	oracle_entry_end(hyp_vcpu);

	/* A request that was not completed dies: the guest asks again. */
	vcpu->arch.pkvm_memreq.op = PKVM_MEMREQ_NONE;

	/* The running vCPU must be NULL in a guest's context. */
	vcpu->arch.ctxt.__hyp_running_vcpu = NULL;

	vcpu->arch.hcr_el2 &= ~PKVM_HCR_EL2_HOST_PVM;
	vcpu->arch.hcr_el2 |= READ_ONCE(host_vcpu->arch.hcr_el2) & PKVM_HCR_EL2_HOST_PVM;
	vcpu->arch.vsesr_el2 = READ_ONCE(host_vcpu->arch.vsesr_el2) & ESR_ELx_ISS_MASK;

	/* For EL2's events. */
	vcpu->arch.pid = READ_ONCE(host_vcpu->arch.pid);

	set_hpmn(vcpu);
	restore_timer(vcpu);
}

/* Is the host to emulate this access? Only the guest can say so, once it says such things. */
static bool is_mmio(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	phys_addr_t ipa = kvm_vcpu_get_fault_ipa(vcpu);

	if (ipa == INVALID_GPA ||
	    !pvm_abort_may_be_mmio(kvm_vcpu_get_esr(vcpu), kvm_vcpu_get_hfar(vcpu)))
		return false;

	return !READ_ONCE(vm->mmio_guard) || pkvm_gfn_is_guarded(vm, hyp_phys_to_pfn(ipa));
}

static enum pvm_exit trap_class(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	switch (kvm_vcpu_trap_get_class(&hyp_vcpu->vcpu)) {
	case ESR_ELx_EC_WFx:
		return PVM_EXIT_WFX;
	case ESR_ELx_EC_SYS64:
		return PVM_EXIT_SYSREG;
	case ESR_ELx_EC_HVC64:
		return PVM_EXIT_PSCI;
	case ESR_ELx_EC_IABT_LOW:
		return PVM_EXIT_IABT;
	case ESR_ELx_EC_DABT_LOW:
		return is_mmio(hyp_vcpu) ? PVM_EXIT_MMIO : PVM_EXIT_DABT;
	default:
		return PVM_EXIT_NOTHING;
	}
}

static enum pvm_exit exit_class(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code)
{
	/* The guest's instruction is replayed, whatever it was. */
	if (ARM_SERROR_PENDING(exit_code))
		return PVM_EXIT_SERROR;

	switch (ARM_EXCEPTION_CODE(exit_code)) {
	case ARM_EXCEPTION_IRQ:
		return PVM_EXIT_IRQ;
	case ARM_EXCEPTION_EL1_SERROR:
		return PVM_EXIT_SERROR;
	case ARM_EXCEPTION_PKVM_MEMREQ:
		return PVM_EXIT_MEMREQ;
	case ARM_EXCEPTION_TRAP:
		return trap_class(hyp_vcpu);
	default:
		return PVM_EXIT_NOTHING;
	}
}

static void show(struct kvm_vcpu *host_vcpu, const struct pvm_shown *shown)
{
	struct kvm_cpu_context *ctxt = &host_vcpu->arch.ctxt;

	memset(&ctxt->regs, 0, sizeof(ctxt->regs));
	memcpy(ctxt->regs.regs, shown->regs, sizeof(shown->regs));
	ctxt->regs.pstate = shown->pstate;
	ctxt_sys_reg(ctxt, SCTLR_EL1) = shown->sctlr;

	host_vcpu->arch.fault = (struct kvm_vcpu_fault_info) {
		.esr_el2	= shown->esr,
		.far_el2	= shown->far,
		.hpfar_el2	= shown->hpfar,
		.disr_el1	= shown->disr,
	};
}

/* A pended SError that the guest has taken is no longer pending. */
static void sync_vserror(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct kvm_vcpu *host_vcpu = hyp_vcpu->host_vcpu;
	u64 hcr = READ_ONCE(host_vcpu->arch.hcr_el2) & ~HCR_VSE;

	WRITE_ONCE(host_vcpu->arch.hcr_el2, hcr | (hyp_vcpu->vcpu.arch.hcr_el2 & HCR_VSE));
}

/**
 * pvm_sync_vcpu() - what leaves with an exit
 * @hyp_vcpu: the protected vCPU that has just left
 * @exit_code: what __kvm_vcpu_run() returned
 */
void pvm_sync_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code)
{
	enum pvm_exit exit = exit_class(hyp_vcpu, exit_code);
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;
	struct pvm_exit_state state = {
		.esr		= kvm_vcpu_get_esr(vcpu),
		.far		= kvm_vcpu_get_hfar(vcpu),
		.hpfar		= vcpu->arch.fault.hpfar_el2,
		.disr		= vcpu->arch.fault.disr_el1,
		.pstate		= *vcpu_cpsr(vcpu),
		.sctlr		= __vcpu_sys_reg(vcpu, SCTLR_EL1),
		.regs		= vcpu->arch.ctxt.regs.regs,
		.nr_args	= hyp_vcpu->pvm.nr_args,
	};
	struct pvm_shown shown;

	save_timer(vcpu);

	/* It was caught in AArch32: it does not come back. */
	if (!vcpu_get_flag(vcpu, VCPU_INITIALIZED))
		atomic_set(&hyp_vcpu->pvm.power, PVM_DEAD);

	pvm_exit_shows(exit, &state, &shown);
	show(hyp_vcpu->host_vcpu, &shown);
	sync_vserror(hyp_vcpu);
	hyp_vcpu->pvm.exit = exit;
	oracle_exit(hyp_vcpu, exit_code);
}
