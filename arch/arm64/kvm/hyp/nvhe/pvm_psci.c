// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power of a protected guest's CPUs: PSCI 1.1 (ARM DEN 0022), and who may run.
 *
 * EL2 has the power states and decides; the host schedules, so it is told of what it must do:
 * wake a vCPU, let one sleep, end the VM. It can refuse to, which denies the guest a CPU; it
 * cannot start one that the guest has off, nor choose where one starts.
 */
#include <kvm/arm_hypercalls.h>

#include <linux/array_size.h>
#include <linux/kvm_host.h>

#include <uapi/linux/psci.h>

#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>

#include <nvhe/pkvm.h>
#include <nvhe/pvm_vcpu.h>

/* Affinity levels 0 to 3 of an MPIDR; the rest of the argument must be zero. */
#define MPIDR_AFFINITY	MPIDR_HWID_BITMASK

/* Whose CPU_ON it is that is pending: only that vCPU may take it back. */
#define POWER_CALLER_SHIFT	8

static int pending_by(const struct pkvm_hyp_vcpu *caller)
{
	return PVM_ON_PENDING | caller->vcpu.vcpu_id << POWER_CALLER_SHIFT;
}

static enum pvm_power power_state(int power)
{
	return power & (BIT(POWER_CALLER_SHIFT) - 1);
}

static bool power_becomes(struct pkvm_hyp_vcpu *hyp_vcpu, int from, enum pvm_power to)
{
	return atomic_cmpxchg(&hyp_vcpu->pvm.power, from, to) == from;
}

/* The host chooses which vCPU is the first, and where it starts: once for each VM. */
static bool start_primary(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	const struct user_pt_regs *regs = &hyp_vcpu->host_vcpu->arch.ctxt.regs;
	struct pvm_entry_point entry = {};

	if (atomic_cmpxchg(&vm->pvm.started, 0, 1))
		return false;

	entry.pc = READ_ONCE(regs->pc);
	entry.r0 = READ_ONCE(regs->regs[0]);
	pvm_reset_vcpu(hyp_vcpu, &entry);
	atomic_set(&hyp_vcpu->pvm.power, PVM_ON);

	return true;
}

/**
 * pvm_may_enter() - does a protected vCPU run?
 * @hyp_vcpu: the vCPU that the host has loaded and wants to enter
 *
 * One that was turned on is reset here, on the CPU that runs it.
 *
 * Return: false if it is off, or the guest has ended itself.
 */
bool pvm_may_enter(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	int power;

	if (READ_ONCE(vm->pvm.off))
		return false;

	power = atomic_read(&hyp_vcpu->pvm.power);
	switch (power_state(power)) {
	case PVM_ON:
		return true;
	case PVM_ON_PENDING:
		/* Pairs with the release in cpu_on(): the entry point is whole. */
		if (!power_becomes(hyp_vcpu, power, PVM_ON))
			return false;
		pvm_reset_vcpu(hyp_vcpu, &hyp_vcpu->pvm.entry);
		return true;
	case PVM_OFF:
		return start_primary(hyp_vcpu);
	default:
		return false;
	}
}

/**
 * pvm_refusal() - what the host hears when a protected vCPU does not enter
 * @hyp_vcpu: one for which pvm_may_enter() was false
 *
 * One that is off is as good as one in an illegal state. That the guest has ended itself the host
 * may not have heard yet: it goes on until it has, and stops the vCPU then.
 *
 * Return: an exception code.
 */
int pvm_refusal(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	if (READ_ONCE(pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu)->pvm.off))
		return ARM_EXCEPTION_PKVM_OFF;

	return ARM_EXCEPTION_IL;
}

/* vCPUs that the host has not given to EL2 do not exist for the guest. */
static struct pkvm_hyp_vcpu *next_vcpu(struct pkvm_hyp_vm *vm, unsigned int *idx, u64 mpidr,
				       u64 mask)
{
	struct pkvm_hyp_vcpu *hyp_vcpu;

	while (*idx < vm->kvm.created_vcpus) {
		/* Pairs with the release in register_hyp_vcpu(). */
		hyp_vcpu = smp_load_acquire(&vm->vcpus[(*idx)++]);
		if (hyp_vcpu &&
		    (pvm_mpidr(&hyp_vcpu->vcpu) & MPIDR_AFFINITY & mask) == (mpidr & mask))
			return hyp_vcpu;
	}

	return NULL;
}

static s64 claim_errno(enum pvm_power power)
{
	switch (power) {
	case PVM_ON:
		return PSCI_RET_ALREADY_ON;
	case PVM_DEAD:
		return PSCI_RET_DENIED;
	default:
		return PSCI_RET_ON_PENDING;
	}
}

/* 1: the host must wake the target, and may fail to. */
static s64 cpu_on(struct pkvm_hyp_vcpu *hyp_vcpu, u64 mpidr, u64 pc, u64 context)
{
	struct pkvm_hyp_vm *vm = pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu);
	struct pkvm_hyp_vcpu *target;
	unsigned int idx = 0;
	int was;

	if (mpidr & ~MPIDR_AFFINITY)
		return PSCI_RET_INVALID_PARAMS;
	target = next_vcpu(vm, &idx, mpidr, MPIDR_AFFINITY);
	if (!target)
		return PSCI_RET_INVALID_PARAMS;

	was = atomic_cmpxchg(&target->pvm.power, PVM_OFF, PVM_CLAIMED);
	if (was != PVM_OFF)
		return claim_errno(power_state(was));

	/* A call comes from EL1, whose registers are still in the hardware. */
	target->pvm.entry = (struct pvm_entry_point) {
		.pc		= pc,
		.r0		= context,
		.big_endian	= read_sysreg_el1(SYS_SCTLR) & SCTLR_ELx_EE,
	};
	/* Pairs with pvm_may_enter(). */
	atomic_set_release(&target->pvm.power, pending_by(hyp_vcpu));
	hyp_vcpu->pvm.cpu_on = target;

	return 1;
}

/**
 * pvm_psci_finish() - the guest gets the result of a call that left to the host
 * @hyp_vcpu: the caller, at its next entry
 * @effect: x0 is what the host says; what it may not decide is put right
 */
void pvm_psci_finish(struct pkvm_hyp_vcpu *hyp_vcpu, struct pvm_effect *effect)
{
	struct pkvm_hyp_vcpu *target = hyp_vcpu->pvm.cpu_on;

	hyp_vcpu->pvm.cpu_on = NULL;
	if (!target)
		return;

	/* The host failed, and that is true only if the target has not begun to run. */
	if (effect->val && power_becomes(target, pending_by(hyp_vcpu), PVM_OFF))
		effect->val = (u64)(s64)PSCI_RET_INTERNAL_FAILURE;
	else
		effect->val = PSCI_RET_SUCCESS;
}

static s64 affinity_info(struct pkvm_hyp_vm *vm, u64 mpidr, u64 level)
{
	s64 ret = PSCI_RET_INVALID_PARAMS;
	struct pkvm_hyp_vcpu *hyp_vcpu;
	unsigned int idx = 0;
	u64 mask;

	if ((mpidr & ~MPIDR_AFFINITY) || level > 3)
		return ret;

	mask = MPIDR_AFFINITY & ~(BIT_ULL(MPIDR_LEVEL_SHIFT(level)) - 1);
	while ((hyp_vcpu = next_vcpu(vm, &idx, mpidr, mask))) {
		switch (power_state(atomic_read(&hyp_vcpu->pvm.power))) {
		case PVM_ON:
			return PSCI_0_2_AFFINITY_LEVEL_ON;
		case PVM_CLAIMED:
		case PVM_ON_PENDING:
			ret = PSCI_0_2_AFFINITY_LEVEL_ON_PENDING;
			break;
		default:
			if (ret == PSCI_RET_INVALID_PARAMS)
				ret = PSCI_0_2_AFFINITY_LEVEL_OFF;
		}
	}

	return ret;
}

/* What there is, 32-bit and 64-bit forms side by side. */
static const u32 psci_functions[] = {
	PSCI_0_2_FN_PSCI_VERSION, PSCI_1_0_FN_PSCI_FEATURES, PSCI_0_2_FN_MIGRATE_INFO_TYPE,
	PSCI_0_2_FN_CPU_ON, PSCI_0_2_FN64_CPU_ON, PSCI_0_2_FN_CPU_OFF,
	PSCI_0_2_FN_CPU_SUSPEND, PSCI_0_2_FN64_CPU_SUSPEND,
	PSCI_0_2_FN_AFFINITY_INFO, PSCI_0_2_FN64_AFFINITY_INFO,
	PSCI_0_2_FN_SYSTEM_OFF, PSCI_0_2_FN_SYSTEM_RESET,
	PSCI_1_1_FN_SYSTEM_RESET2, PSCI_1_1_FN64_SYSTEM_RESET2,
	ARM_SMCCC_VERSION_FUNC_ID,
};

static s64 psci_features(u32 func_id)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(psci_functions); i++)
		if (psci_functions[i] == func_id)
			return PSCI_RET_SUCCESS;

	return PSCI_RET_NOT_SUPPORTED;
}

/* Leave to the host, which is shown @nr_args registers after x0. */
static bool leave_with_args(struct pkvm_hyp_vcpu *hyp_vcpu, unsigned int nr_args)
{
	hyp_vcpu->pvm.nr_args = nr_args;
	return false;
}

static bool system_ends(struct pkvm_hyp_vcpu *hyp_vcpu, unsigned int nr_args)
{
	WRITE_ONCE(pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu)->pvm.off, true);
	return leave_with_args(hyp_vcpu, nr_args);
}

static bool system_reset2(struct pkvm_hyp_vcpu *hyp_vcpu, u32 type, s64 *ret)
{
	if (type > PSCI_1_1_RESET_TYPE_SYSTEM_WARM_RESET &&
	    type < PSCI_1_1_RESET_TYPE_VENDOR_START) {
		*ret = PSCI_RET_INVALID_PARAMS;
		return true;
	}

	return system_ends(hyp_vcpu, 2);
}

/**
 * pvm_is_psci() - is this function one of PSCI's?
 * @func_id: x0 of a guest's call
 */
bool pvm_is_psci(u32 func_id)
{
	return (func_id & ~0x1fU) == PSCI_0_2_FN_BASE || (func_id & ~0x1fU) == PSCI_0_2_FN64_BASE;
}

/**
 * pvm_psci_call() - a guest's PSCI call
 * @vcpu: the hyp vCPU; its context's general registers are those of the call
 * @func_id: the function
 * @val: set to the answer, x0
 *
 * Return: true if @val is the answer, false to leave to the host.
 */
bool pvm_psci_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val)
{
	struct pkvm_hyp_vcpu *hyp_vcpu = container_of(vcpu, struct pkvm_hyp_vcpu, vcpu);
	u64 mask = func_id & PSCI_0_2_64BIT ? ~0ULL : U32_MAX;
	u64 arg1 = smccc_get_arg1(vcpu) & mask;
	u64 arg2 = smccc_get_arg2(vcpu) & mask;
	s64 ret = PSCI_RET_NOT_SUPPORTED;
	bool answered = true;

	switch (func_id) {
	case PSCI_0_2_FN_PSCI_VERSION:
		ret = PSCI_VERSION(1, 1);
		break;
	case PSCI_1_0_FN_PSCI_FEATURES:
		ret = psci_features(arg1);
		break;
	case PSCI_0_2_FN_MIGRATE_INFO_TYPE:
		ret = PSCI_0_2_TOS_MP;
		break;
	case PSCI_0_2_FN_AFFINITY_INFO:
	case PSCI_0_2_FN64_AFFINITY_INFO:
		ret = affinity_info(pkvm_hyp_vcpu_to_hyp_vm(hyp_vcpu), arg1, arg2);
		break;
	case PSCI_0_2_FN_CPU_ON:
	case PSCI_0_2_FN64_CPU_ON:
		ret = cpu_on(hyp_vcpu, arg1, arg2, smccc_get_arg3(vcpu) & mask);
		if (ret > 0)
			answered = leave_with_args(hyp_vcpu, 1);
		break;
	case PSCI_0_2_FN_CPU_OFF:
		atomic_set_release(&hyp_vcpu->pvm.power, PVM_OFF);
		answered = leave_with_args(hyp_vcpu, 0);
		break;
	case PSCI_0_2_FN_CPU_SUSPEND:
	case PSCI_0_2_FN64_CPU_SUSPEND:
		answered = leave_with_args(hyp_vcpu, 1);
		break;
	case PSCI_0_2_FN_SYSTEM_OFF:
	case PSCI_0_2_FN_SYSTEM_RESET:
		answered = system_ends(hyp_vcpu, 0);
		break;
	case PSCI_1_1_FN_SYSTEM_RESET2:
	case PSCI_1_1_FN64_SYSTEM_RESET2:
		answered = system_reset2(hyp_vcpu, arg1, &ret);
		break;
	}

	*val = ret;
	return answered;
}
