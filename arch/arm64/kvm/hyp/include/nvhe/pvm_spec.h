/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PVM_SPEC_H__
#define __ARM64_KVM_NVHE_PVM_SPEC_H__

/*
 * What leaves with a protected guest's exit and what comes in with its next entry, said once
 * more: as a table of masks, written from the contract and from the architecture's manual
 * (ARM DDI 0487) and not from pvm_exit.c, whose types it shares and nothing else.
 *
 * Ordinary programs (tools/testing/pkvm) hold EL2's own files against it, and EL2 does for its
 * run-time oracle (oracle_cpu.c). Numbers are the architecture's: no header of the kernel's is
 * needed, and one that is wrong is noticed.
 */

#include <linux/types.h>

#include <nvhe/pvm_exit.h>

/**
 * struct pvm_spec_start - what a vCPU begins with; all other registers are zero
 * @pc: where
 * @r0: x0
 * @pstate: EL1 with its own stack pointer, everything masked
 * @mpidr: who it is
 * @big_endian: SCTLR_EL1.EE
 */
struct pvm_spec_start {
	u64 pc;
	u64 r0;
	u64 pstate;
	u64 mpidr;
	bool big_endian;
};

extern const char *const pvm_spec_names[PVM_NR_EXITS];

/**
 * pvm_spec_class() - which class an exit is of
 * @exit_code: as __kvm_vcpu_run() returns it
 * @esr: ESR_EL2
 * @far: FAR_EL2
 * @device: the page is one that the host may emulate: the guest has guarded it, or guards nothing
 */
enum pvm_exit pvm_spec_class(u32 exit_code, u64 esr, u64 far, bool device);

/**
 * pvm_spec_shows() - all that the host may learn
 * @exit: the exit's class
 * @state: the guest's; nr_args is not looked at
 * @want: filled in whole
 */
void pvm_spec_shows(enum pvm_exit exit, const struct pvm_exit_state *state,
		    struct pvm_shown *want);

/**
 * pvm_spec_takes() - all that an entry may change
 * @exit: class of the exit before
 * @esr: of that exit
 * @reply: the host's
 * @want: filled in whole; register 31 is never named
 */
void pvm_spec_takes(enum pvm_exit exit, u64 esr, const struct pvm_reply *reply,
		    struct pvm_effect *want);

/**
 * pvm_spec_exception_esr() - ESR_EL1 of an exception that an entry injects
 * @inject: which
 * @esr: of the exit before
 * @pstate: the guest's at that exit
 */
u64 pvm_spec_exception_esr(enum pvm_inject inject, u64 esr, u64 pstate);

/* May SCTLR_EL1 be this after a reset? */
bool pvm_spec_reset_sctlr(u64 sctlr, bool big_endian);

/* MPIDR_EL1 of a vCPU by its number, and PSTATE of one that begins. */
u64 pvm_spec_mpidr(unsigned int vcpu_id);
#define PVM_SPEC_RESET_PSTATE	0x3c5

#endif /* __ARM64_KVM_NVHE_PVM_SPEC_H__ */
