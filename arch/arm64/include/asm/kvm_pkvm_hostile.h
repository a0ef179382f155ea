/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_PKVM_HOSTILE_H__
#define __ARM64_KVM_PKVM_HOSTILE_H__

/* A host that attacks its own guests, for tests of EL2: see arch/arm64/kvm/pkvm_hostile.c. */

#include <linux/jump_label.h>

struct kvm_vcpu;

#ifdef CONFIG_PKVM_HOSTILE_HOST
DECLARE_STATIC_KEY_FALSE(pkvm_hostile_on);

void __pkvm_hostile_before_entry(struct kvm_vcpu *vcpu);
void __pkvm_hostile_after_exit(struct kvm_vcpu *vcpu, int ret);

/* Right before the hypercall that enters a guest, interrupts off. */
static inline void pkvm_hostile_before_entry(struct kvm_vcpu *vcpu)
{
	if (static_branch_unlikely(&pkvm_hostile_on))
		__pkvm_hostile_before_entry(vcpu);
}

/* Right after it, before the host looks at anything. */
static inline void pkvm_hostile_after_exit(struct kvm_vcpu *vcpu, int ret)
{
	if (static_branch_unlikely(&pkvm_hostile_on))
		__pkvm_hostile_after_exit(vcpu, ret);
}
#else
static inline void pkvm_hostile_before_entry(struct kvm_vcpu *vcpu) { }
static inline void pkvm_hostile_after_exit(struct kvm_vcpu *vcpu, int ret) { }
#endif

#endif /* __ARM64_KVM_PKVM_HOSTILE_H__ */
