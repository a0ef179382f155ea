/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PVM_VCPU_H__
#define __ARM64_KVM_NVHE_PVM_VCPU_H__

/*
 * The CPU of a protected guest, which is EL2's: its context, its power, its calls.
 *
 * The hyp vCPU's context is the guest's from its first entry to the VM's end. The host has a
 * copy that holds what pvm_exit.h lists, and is looked at for what that lists.
 */

#include <linux/atomic.h>
#include <linux/types.h>

#include <nvhe/pvm_exit.h>

struct kvm_vcpu;
struct pkvm_hyp_vcpu;
struct pkvm_hyp_vm;

/*
 * A vCPU runs in state ON only. OFF -> CLAIMED -> ON_PENDING is done by the vCPU that calls
 * CPU_ON, ON_PENDING -> ON by the target at its entry, ON_PENDING -> OFF by the caller when the
 * host could not wake the target: each by compare and exchange, so that one of them wins.
 * ON -> OFF and ON -> DEAD by the vCPU itself.
 */
enum pvm_power {
	PVM_OFF,
	PVM_CLAIMED,		/* somebody writes its entry */
	PVM_ON_PENDING,		/* its entry is there */
	PVM_ON,
	PVM_DEAD,		/* was found in a state that it may not be in */
};

/* Where a vCPU begins: whoever claimed it writes, and it reads when it is ON_PENDING. */
struct pvm_entry_point {
	u64 pc;
	u64 r0;
	bool big_endian;
};

/**
 * struct pvm_vcpu - what EL2 knows of a protected vCPU beside its context
 * @exit: class of the last exit until the next entry; the loaded CPU's only
 * @nr_args: of a PSCI call that left: arguments that the host is shown
 * @cpu_on: of a CPU_ON that left: the target, to take it back if the host fails
 * @power: enum pvm_power; of ON_PENDING also whose CPU_ON it is, see pvm_psci.c
 * @entry: see above
 */
struct pvm_vcpu {
	enum pvm_exit exit;
	unsigned int nr_args;
	struct pkvm_hyp_vcpu *cpu_on;
	atomic_t power;
	struct pvm_entry_point entry;
};

/**
 * struct pvm_vm - and of its VM
 * @started: the primary vCPU has been entered; others start by the guest's CPU_ON only
 * @off: SYSTEM_OFF or SYSTEM_RESET was called: no vCPU enters again
 */
struct pvm_vm {
	atomic_t started;
	bool off;
};

/* pvm_context.c */
int pvm_init_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu);
void pvm_flush_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu);
void pvm_sync_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code);

/* pvm_reset.c */
u64 pvm_mpidr(const struct kvm_vcpu *vcpu);
void pvm_reset_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, const struct pvm_entry_point *entry);

/* pvm_sve.c */
size_t pvm_hyp_vcpu_size(struct pkvm_hyp_vm *vm);
int pvm_init_sve(struct pkvm_hyp_vcpu *hyp_vcpu, unsigned int max_vl);
void pvm_reset_sve(struct kvm_vcpu *vcpu);

/* pvm_psci.c */
bool pvm_may_enter(struct pkvm_hyp_vcpu *hyp_vcpu);
int pvm_refusal(struct pkvm_hyp_vcpu *hyp_vcpu);
bool pvm_is_psci(u32 func_id);
bool pvm_psci_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val);
void pvm_psci_finish(struct pkvm_hyp_vcpu *hyp_vcpu, struct pvm_effect *effect);

#endif /* __ARM64_KVM_NVHE_PVM_VCPU_H__ */
