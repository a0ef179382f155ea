/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_ORACLE_H__
#define __ARM64_KVM_NVHE_ORACLE_H__

/*
 * The run-time oracle: EL2 beside its specification. See oracle.c.
 *
 * These are the places where it looks. When it is off each costs one load and one branch.
 */

#include <linux/kvm_host.h>

#include <asm/kvm_pkvm_gmem.h>

#include <nvhe/pkvm.h>

struct kvm_cpu_context;

#ifdef CONFIG_PKVM_ORACLE
extern phys_addr_t pkvm_oracle_page_phys;

void __oracle_hcall_begin(unsigned long id, struct kvm_cpu_context *host_ctxt);
void __oracle_hcall_end(struct kvm_cpu_context *host_ctxt);
void __oracle_call_begin(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op);
void __oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled);
void __oracle_locked(struct pkvm_hyp_vm *vm);
void __oracle_unlocking(struct pkvm_hyp_vm *vm);

void handle___pkvm_oracle_count(struct kvm_cpu_context *host_ctxt);

static inline bool oracle_is_on(void)
{
	return unlikely(pkvm_oracle_page_phys);
}
#else
static inline bool oracle_is_on(void) { return false; }

static inline void __oracle_hcall_begin(unsigned long id, struct kvm_cpu_context *host_ctxt) { }
static inline void __oracle_hcall_end(struct kvm_cpu_context *host_ctxt) { }
static inline void __oracle_call_begin(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op) { }
static inline void __oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled) { }
static inline void __oracle_locked(struct pkvm_hyp_vm *vm) { }
static inline void __oracle_unlocking(struct pkvm_hyp_vm *vm) { }
#endif

/* A hypercall of the host's, before and after it is carried out. */
static inline void oracle_hcall_begin(unsigned long id, struct kvm_cpu_context *host_ctxt)
{
	if (oracle_is_on())
		__oracle_hcall_begin(id, host_ctxt);
}

static inline void oracle_hcall_end(struct kvm_cpu_context *host_ctxt)
{
	if (oracle_is_on())
		__oracle_hcall_end(host_ctxt);
}

/* A guest's MEM_SHARE and the like. */
static inline void oracle_call_begin(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op)
{
	if (oracle_is_on())
		__oracle_call_begin(vcpu, op);
}

static inline void oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled)
{
	if (oracle_is_on())
		__oracle_call_end(vcpu, val, handled);
}

/* A component's lock has just been taken, or is just being dropped; the host's without @vm. */
static inline void oracle_locked(struct pkvm_hyp_vm *vm)
{
	if (oracle_is_on())
		__oracle_locked(vm);
}

static inline void oracle_unlocking(struct pkvm_hyp_vm *vm)
{
	if (oracle_is_on())
		__oracle_unlocking(vm);
}

#endif /* __ARM64_KVM_NVHE_ORACLE_H__ */
