/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_PKVM_VCPU_H__
#define __ARM64_KVM_PKVM_VCPU_H__

/* vCPUs of protected VMs: what the host kernel (EL1) does of what EL2 decides. */

#include <linux/types.h>

#include <asm/hyp_image.h>

/* ARM_SMCCC_ARCH_WORKAROUND_1 to 3: what EL2 answers of the host's mitigations. */
#define PVM_NR_WORKAROUNDS	3

/**
 * struct pkvm_vcpu_power - a protected vCPU's power as the host was told
 * @on: the guest has it on, or it is the one that started the VM
 * @on_again: turned on before its CPU_OFF has come here
 *
 * Under mp_state_lock. EL2 has the truth; this says what the ioctls answer, and whom to wake.
 */
struct pkvm_vcpu_power {
	bool on;
	bool on_again;
};

#ifdef __KVM_NVHE_HYPERVISOR__
extern s32 pvm_arch_workaround[PVM_NR_WORKAROUNDS];
extern bool pvm_trng_available;
#else
struct kvm_mp_state;
struct kvm_vcpu;

extern s32 kvm_nvhe_sym(pvm_arch_workaround)[PVM_NR_WORKAROUNDS];
extern bool kvm_nvhe_sym(pvm_trng_available);

void pkvm_init_guest_services(void);

int pkvm_vcpu_ioctl_check(struct kvm_vcpu *vcpu, unsigned int ioctl);
int pkvm_vcpu_check_features(struct kvm_vcpu *vcpu, unsigned long features);
bool pkvm_vcpu_is_frozen(struct kvm_vcpu *vcpu);

int pkvm_vcpu_first_run(struct kvm_vcpu *vcpu);
int pkvm_vcpu_check_mp_state(struct kvm_vcpu *vcpu, u32 mp_state);
bool pkvm_vcpu_guest_has_off(struct kvm_vcpu *vcpu);

unsigned long pkvm_psci_vcpu_on(struct kvm_vcpu *source);
void pkvm_psci_vcpu_off(struct kvm_vcpu *vcpu);
#endif

#endif /* __ARM64_KVM_PKVM_VCPU_H__ */
