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
void __oracle_guard_begin(struct kvm_vcpu *vcpu, bool enroll);
void __oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled);
void __oracle_locked(struct pkvm_hyp_vm *vm);
void __oracle_unlocking(struct pkvm_hyp_vm *vm);
void __oracle_entry_begin(struct pkvm_hyp_vcpu *hyp_vcpu);
void __oracle_entry_end(struct pkvm_hyp_vcpu *hyp_vcpu);
void __oracle_exit(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code);

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
static inline void __oracle_guard_begin(struct kvm_vcpu *vcpu, bool enroll) { }
static inline void __oracle_call_end(struct kvm_vcpu *vcpu, const u64 *val, bool handled) { }
static inline void __oracle_locked(struct pkvm_hyp_vm *vm) { }
static inline void __oracle_unlocking(struct pkvm_hyp_vm *vm) { }
static inline void __oracle_entry_begin(struct pkvm_hyp_vcpu *hyp_vcpu) { }
static inline void __oracle_entry_end(struct pkvm_hyp_vcpu *hyp_vcpu) { }
static inline void __oracle_exit(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code) { }
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

/* A guest's call of MMIO guard; the same end. */
static inline void oracle_guard_begin(struct kvm_vcpu *vcpu, bool enroll)
{
	if (oracle_is_on())
		__oracle_guard_begin(vcpu, enroll);
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

/* A protected vCPU's context, before and after the host's reply has its effect. */
static inline void oracle_entry_begin(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	if (oracle_is_on())
		__oracle_entry_begin(hyp_vcpu);
}

static inline void oracle_entry_end(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	if (oracle_is_on())
		__oracle_entry_end(hyp_vcpu);
}

/* And when the host has been shown an exit, whose class the vCPU remembers. */
static inline void oracle_exit(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code)
{
	if (oracle_is_on())
		__oracle_exit(hyp_vcpu, exit_code);
}

#endif /* __ARM64_KVM_NVHE_ORACLE_H__ */
