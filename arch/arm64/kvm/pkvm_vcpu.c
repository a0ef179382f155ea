// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs of protected VMs: the host kernel's part.
 *
 * EL2 has the registers and decides who runs. Here is what userspace is told of that, so
 * that it hears -EPERM instead of being ignored, and what the host does when EL2 says that
 * the guest turned a CPU on or off.
 *
 * Locks: a vCPU's power is under its mp_state_lock.
 */
#include <linux/arm-smccc.h>
#include <linux/kvm_host.h>

#include <kvm/arm_hypercalls.h>
#include <kvm/arm_psci.h>

#include <asm/archrandom.h>
#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>
#include <asm/kvm_pkvm.h>
#include <asm/kvm_pkvm_vcpu.h>
#include <asm/spectre.h>

static s32 workaround_answer(enum mitigation_state state, s32 unaffected)
{
	switch (state) {
	case SPECTRE_MITIGATED:
		return SMCCC_RET_SUCCESS;
	case SPECTRE_UNAFFECTED:
		return unaffected;
	default:
		return SMCCC_RET_NOT_SUPPORTED;
	}
}

/*
 * What EL2 will tell protected guests of this machine: sampled while the host is still trusted,
 * before EL2 takes its memory away.
 */
void __init pkvm_init_guest_services(void)
{
	s32 *answers = kvm_nvhe_sym(pvm_arch_workaround);

	answers[0] = workaround_answer(arm64_get_spectre_v2_state(),
				       SMCCC_ARCH_WORKAROUND_RET_UNAFFECTED);
	answers[1] = workaround_answer(arm64_get_spectre_v4_state(), SMCCC_RET_NOT_REQUIRED);
	answers[2] = workaround_answer(arm64_get_spectre_bhb_state(),
				       SMCCC_ARCH_WORKAROUND_RET_UNAFFECTED);
	kvm_nvhe_sym(pvm_trng_available) = smccc_trng_available;
}

/* Its state is EL2's from its first run on. */
bool pkvm_vcpu_is_frozen(struct kvm_vcpu *vcpu)
{
	return vcpu_is_protected(vcpu) && vcpu_has_run_once(vcpu);
}

/**
 * pkvm_vcpu_ioctl_check() - may userspace do this to a vCPU?
 * @vcpu: of any VM; its mutex is held
 * @ioctl: a vCPU ioctl
 *
 * Return: 0 or -EPERM.
 */
int pkvm_vcpu_ioctl_check(struct kvm_vcpu *vcpu, unsigned int ioctl)
{
	switch (ioctl) {
	case KVM_GET_ONE_REG:
	case KVM_SET_ONE_REG:
	case KVM_ARM_VCPU_INIT:
		return pkvm_vcpu_is_frozen(vcpu) ? -EPERM : 0;
	default:
		return 0;
	}
}

/**
 * pkvm_vcpu_check_features() - KVM_ARM_VCPU_INIT with these features?
 * @vcpu: of any VM
 * @features: bits of struct kvm_vcpu_init, without POWER_OFF
 *
 * EL2 offers PSCI itself, so a protected guest always has it.
 *
 * Return: 0 or -EINVAL.
 */
int pkvm_vcpu_check_features(struct kvm_vcpu *vcpu, unsigned long features)
{
	const unsigned long allowed = BIT(KVM_ARM_VCPU_PSCI_0_2) |
				      BIT(KVM_ARM_VCPU_PTRAUTH_ADDRESS) |
				      BIT(KVM_ARM_VCPU_PTRAUTH_GENERIC) |
				      BIT(KVM_ARM_VCPU_SVE);

	if (!vcpu_is_protected(vcpu))
		return 0;

	return !(features & ~allowed) && (features & BIT(KVM_ARM_VCPU_PSCI_0_2)) ? 0 : -EINVAL;
}

/* One vCPU starts the VM: the first that is to run. EL2 sees to it as well. */
static bool claim_start(struct kvm_vcpu *vcpu)
{
	lockdep_assert_held(&vcpu->arch.mp_state_lock);

	if (atomic_cmpxchg(&vcpu->kvm->arch.pkvm.started, 0, 1))
		return false;

	vcpu->arch.pkvm_power.on = true;
	return true;
}

static bool started(struct kvm_vcpu *vcpu)
{
	return vcpu_is_protected(vcpu) && atomic_read(&vcpu->kvm->arch.pkvm.started);
}

/**
 * pkvm_vcpu_first_run() - a protected vCPU's first KVM_RUN
 * @vcpu: the vCPU; its mutex is held
 *
 * Return: 0, or -EINVAL if it is runnable and another vCPU has started the VM.
 */
int pkvm_vcpu_first_run(struct kvm_vcpu *vcpu)
{
	int ret = 0;

	if (!vcpu_is_protected(vcpu))
		return 0;

	spin_lock(&vcpu->arch.mp_state_lock);
	if (!kvm_arm_vcpu_stopped(vcpu) && !vcpu->arch.pkvm_power.on && !claim_start(vcpu))
		ret = -EINVAL;
	spin_unlock(&vcpu->arch.mp_state_lock);

	return ret;
}

/**
 * pkvm_vcpu_check_mp_state() - may userspace set this state?
 * @vcpu: of any VM; mp_state_lock is held
 * @mp_state: KVM_MP_STATE_*
 *
 * Userspace pauses and resumes a vCPU that the guest has on; it does not turn one on.
 *
 * Return: 0 or -EPERM.
 */
int pkvm_vcpu_check_mp_state(struct kvm_vcpu *vcpu, u32 mp_state)
{
	lockdep_assert_held(&vcpu->arch.mp_state_lock);

	if (!vcpu_is_protected(vcpu) || vcpu->arch.pkvm_power.on ||
	    mp_state == KVM_MP_STATE_STOPPED)
		return 0;
	if (started(vcpu))
		return -EPERM;

	/* It waits in KVM_RUN to start the VM. */
	if (mp_state == KVM_MP_STATE_RUNNABLE && vcpu_has_run_once(vcpu))
		return claim_start(vcpu) ? 0 : -EPERM;

	return 0;
}

/* KVM_GET_MP_STATE says UNINITIALIZED of such a one. */
bool pkvm_vcpu_guest_has_off(struct kvm_vcpu *vcpu)
{
	return started(vcpu) && !READ_ONCE(vcpu->arch.pkvm_power.on);
}

/* The host's emulation of its timers begins anew with the vCPU. */
static void turn_on(struct kvm_vcpu *vcpu)
{
	kvm_make_request(KVM_REQ_VCPU_RESET, vcpu);

	/* Who sees RUNNABLE sees the request: pairs with smp_rmb() in kvm_vcpu_sleep(). */
	smp_wmb();

	WRITE_ONCE(vcpu->arch.mp_state.mp_state, KVM_MP_STATE_RUNNABLE);
	kvm_vcpu_wake_up(vcpu);
}

/**
 * pkvm_psci_vcpu_on() - a protected guest has turned a vCPU on
 * @source: the caller; x1 of the host's copy is the target's MPIDR
 *
 * EL2 knows that the target was off, and has its entry point. It may be on its way here yet
 * with its CPU_OFF.
 *
 * Return: the PSCI code for EL2: if it is not success, EL2 takes the call back.
 */
unsigned long pkvm_psci_vcpu_on(struct kvm_vcpu *source)
{
	struct kvm_vcpu *vcpu = kvm_mpidr_to_vcpu(source->kvm, smccc_get_arg1(source));

	if (!vcpu)
		return PSCI_RET_INVALID_PARAMS;

	spin_lock(&vcpu->arch.mp_state_lock);
	if (vcpu->arch.pkvm_power.on) {
		vcpu->arch.pkvm_power.on_again = true;
	} else {
		vcpu->arch.pkvm_power.on = true;
		turn_on(vcpu);
	}
	spin_unlock(&vcpu->arch.mp_state_lock);

	return PSCI_RET_SUCCESS;
}

/**
 * pkvm_psci_vcpu_off() - a protected guest has turned this vCPU off
 * @vcpu: the caller
 */
void pkvm_psci_vcpu_off(struct kvm_vcpu *vcpu)
{
	spin_lock(&vcpu->arch.mp_state_lock);
	if (vcpu->arch.pkvm_power.on_again) {
		vcpu->arch.pkvm_power.on_again = false;
		kvm_make_request(KVM_REQ_VCPU_RESET, vcpu);
	} else {
		vcpu->arch.pkvm_power.on = false;
		WRITE_ONCE(vcpu->arch.mp_state.mp_state, KVM_MP_STATE_STOPPED);
		kvm_make_request(KVM_REQ_SLEEP, vcpu);
	}
	spin_unlock(&vcpu->arch.mp_state_lock);
}
