// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls of a protected guest, by the SMC Calling Convention (ARM DEN 0028). EL2 answers them;
 * what the host must take part in leaves by pvm_psci.c and pkvm_memreq.c.
 */
#include <kvm/arm_hypercalls.h>

#include <linux/arm-smccc.h>
#include <linux/kvm_host.h>

#include <asm/kvm_emulate.h>

#include <nvhe/arm-smccc.h>
#include <nvhe/pkvm.h>
#include <nvhe/pkvm_gmem.h>
#include <nvhe/pvm_vcpu.h>

/* The host kernel's mitigations as they were when EL2 was started: R0 of ARCH_FEATURES. */
s32 pvm_arch_workaround[PVM_NR_WORKAROUNDS];

/* Firmware at EL3 has a random number generator, by the TRNG interface (ARM DEN 0098). */
bool pvm_trng_available;

static s32 arch_feature(struct kvm_vcpu *vcpu, u32 feature)
{
	switch (feature) {
	case ARM_SMCCC_VERSION_FUNC_ID:
	case ARM_SMCCC_ARCH_FEATURES_FUNC_ID:
		return SMCCC_RET_SUCCESS;
	case ARM_SMCCC_ARCH_WORKAROUND_1:
		return pvm_arch_workaround[0];
	case ARM_SMCCC_ARCH_WORKAROUND_2:
		/* The guest mitigates by itself where it has SSBS. */
		if (pvm_arch_workaround[1] == SMCCC_RET_SUCCESS)
			return kvm_has_feat(vcpu->kvm, ID_AA64PFR1_EL1, SSBS, IMP) ?
			       SMCCC_RET_NOT_SUPPORTED : SMCCC_RET_NOT_REQUIRED;
		return pvm_arch_workaround[1];
	case ARM_SMCCC_ARCH_WORKAROUND_3:
		return pvm_arch_workaround[2];
	default:
		return SMCCC_RET_NOT_SUPPORTED;
	}
}

/* Random numbers never come from the host, and nothing of them stays on EL2's stack. */
static void trng_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val)
{
	struct arm_smccc_res res;

	if (!pvm_trng_available)
		return;

	hyp_smccc_1_1_smc(func_id, smccc_get_arg1(vcpu), 0, 0, &res);
	val[0] = res.a0;
	val[1] = res.a1;
	val[2] = res.a2;
	val[3] = res.a3;
	memzero_explicit(&res, sizeof(res));
}

static void hyp_services(u64 *val)
{
	val[0] = BIT(ARM_SMCCC_KVM_FUNC_FEATURES) |
		 BIT(ARM_SMCCC_KVM_FUNC_HYP_MEMINFO) |
		 BIT(ARM_SMCCC_KVM_FUNC_MEM_SHARE) |
		 BIT(ARM_SMCCC_KVM_FUNC_MEM_UNSHARE) |
		 BIT(ARM_SMCCC_KVM_FUNC_MEM_RELINQUISH) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_INFO) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_ENROLL) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_MAP) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_UNMAP) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_RGUARD_MAP) |
		 BIT(ARM_SMCCC_KVM_FUNC_MMIO_RGUARD_UNMAP);
}

static void meminfo(struct kvm_vcpu *vcpu, u64 *val)
{
	if (smccc_get_arg1(vcpu) || smccc_get_arg2(vcpu) || smccc_get_arg3(vcpu)) {
		val[0] = SMCCC_RET_INVALID_PARAMETER;
		return;
	}

	val[0] = PAGE_SIZE;
	val[1] = ARM_SMCCC_KVM_HYP_MEMINFO_RANGES | ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES;
}

/* Who answers: the UID of KVM's vendor-specific hypervisor services, in four words. */
static void vendor_uid(u64 *val)
{
	uuid_t uuid = ARM_SMCCC_VENDOR_HYP_UID_KVM;
	unsigned int i;

	for (i = 0; i < 4; i++)
		val[i] = smccc_uuid_to_reg(&uuid, i);
}

static bool memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val, u64 *exit_code)
{
	val[0] = SMCCC_RET_INVALID_PARAMETER;
	return pkvm_memreq_call(vcpu, op, val, exit_code);
}

static bool guard_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val, u64 *exit_code)
{
	val[0] = SMCCC_RET_INVALID_PARAMETER;
	return pkvm_mmio_guard_call(vcpu, func_id, val, exit_code);
}

static bool vendor_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val, u64 *exit_code)
{
	switch (func_id) {
	case ARM_SMCCC_VENDOR_HYP_CALL_UID_FUNC_ID:
		vendor_uid(val);
		return true;
	case ARM_SMCCC_VENDOR_HYP_KVM_FEATURES_FUNC_ID:
		hyp_services(val);
		return true;
	case ARM_SMCCC_VENDOR_HYP_KVM_HYP_MEMINFO_FUNC_ID:
		meminfo(vcpu, val);
		return true;
	case ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID:
		return memreq_call(vcpu, PKVM_MEMREQ_SHARE, val, exit_code);
	case ARM_SMCCC_VENDOR_HYP_KVM_MEM_UNSHARE_FUNC_ID:
		return memreq_call(vcpu, PKVM_MEMREQ_UNSHARE, val, exit_code);
	case ARM_SMCCC_VENDOR_HYP_KVM_MEM_RELINQUISH_FUNC_ID:
		return memreq_call(vcpu, PKVM_MEMREQ_RELINQUISH, val, exit_code);
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_MAP_FUNC_ID:
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_UNMAP_FUNC_ID:
		return guard_call(vcpu, func_id, val, exit_code);
	default:
		return true;
	}
}

/**
 * kvm_handle_pvm_hvc64() - an HVC of a protected guest
 * @vcpu: the hyp vCPU
 * @exit_code: set when the host takes part in another way than by a trap
 *
 * Return: true to go on with the guest, which has its answer; false to leave to the host.
 */
bool kvm_handle_pvm_hvc64(struct kvm_vcpu *vcpu, u64 *exit_code)
{
	u64 val[4] = { SMCCC_RET_NOT_SUPPORTED };
	u32 func_id = smccc_get_function(vcpu);
	bool answered = true;

	switch (func_id) {
	case ARM_SMCCC_VERSION_FUNC_ID:
		val[0] = ARM_SMCCC_VERSION_1_1;
		break;
	case ARM_SMCCC_ARCH_FEATURES_FUNC_ID:
		val[0] = arch_feature(vcpu, smccc_get_arg1(vcpu));
		break;
	case ARM_SMCCC_TRNG_VERSION:
	case ARM_SMCCC_TRNG_FEATURES:
	case ARM_SMCCC_TRNG_GET_UUID:
	case ARM_SMCCC_TRNG_RND32:
	case ARM_SMCCC_TRNG_RND64:
		trng_call(vcpu, func_id, val);
		break;
	default:
		if (pvm_is_psci(func_id))
			answered = pvm_psci_call(vcpu, func_id, val);
		else
			answered = vendor_call(vcpu, func_id, val, exit_code);
	}

	if (answered)
		smccc_set_retval(vcpu, val[0], val[1], val[2], val[3]);
	memzero_explicit(val, sizeof(val));
	return answered;
}
