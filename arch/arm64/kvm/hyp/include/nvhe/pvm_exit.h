/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PVM_EXIT_H__
#define __ARM64_KVM_NVHE_PVM_EXIT_H__

/*
 * What the host is shown of a protected guest's exit, and what it may cause in return, as
 * pure functions: no locks, no page tables, no registers. EL2 has no other way between the
 * two contexts, and the host-side tests compile the same file.
 *
 *  exit        the host is shown                        the host may cause
 *  IRQ         that it happened                         -
 *  SERROR      its syndrome (the host's RAS code acts)  -
 *  WFX         syndrome without register; mode          PC past it
 *  SYSREG      syndrome without register; mode;         PC past it, for a read with a value;
 *              of a write the value                     or UNDEF
 *  IABT        syndrome, HPFAR                          an external abort
 *  DABT        syndrome without register, size and      an external abort; past cache
 *              value; HPFAR, FAR's low 12 bits          maintenance (nothing is cached there)
 *  MMIO        syndrome without register; HPFAR,        PC past it, for a load with a value;
 *              FAR's low 12 bits; endianness; mode;     or an external abort
 *              of a store the value
 *  PSCI        function, and the arguments that the     a result, of those that PSCI has
 *              host needs
 *  MEMREQ      operation, gfn, count (not here)         nothing here: pkvm_memreq.c
 *  NOTHING     -                                        -
 */

#include <linux/types.h>

enum pvm_exit {
	PVM_EXIT_NOTHING,
	PVM_EXIT_IRQ,
	PVM_EXIT_SERROR,
	PVM_EXIT_WFX,
	PVM_EXIT_SYSREG,
	PVM_EXIT_IABT,
	PVM_EXIT_DABT,
	PVM_EXIT_MMIO,
	PVM_EXIT_PSCI,
	PVM_EXIT_MEMREQ,
	PVM_NR_EXITS,
};

/* As many registers as any call shows: a function and three arguments. */
#define PVM_NR_SHOWN_REGS	4

/**
 * struct pvm_exit_state - a protected vCPU as it is at an exit; not the host's to see
 * @esr: ESR_EL2
 * @far: FAR_EL2, of aborts
 * @hpfar: HPFAR_EL2 in the form of struct kvm_vcpu_fault_info, of aborts
 * @disr: DISR_EL1, of a deferred SError
 * @pstate: the guest's
 * @sctlr: SCTLR_EL1
 * @regs: x0 to x30
 * @nr_args: of PSCI: how many registers after x0 the host is shown
 */
struct pvm_exit_state {
	u64 esr;
	u64 far;
	u64 hpfar;
	u64 disr;
	u64 pstate;
	u64 sctlr;
	const u64 *regs;
	unsigned int nr_args;
};

/**
 * struct pvm_shown - all that the host gets
 *
 * Everything else in the host's copy of the context is zero. Fields are as in
 * struct pvm_exit_state.
 */
struct pvm_shown {
	u64 esr;
	u64 far;
	u64 hpfar;
	u64 disr;
	u64 pstate;
	u64 sctlr;
	u64 regs[PVM_NR_SHOWN_REGS];
};

/**
 * struct pvm_reply - what the host left for the next entry, read once
 * @r0: x0 of its copy
 * @advance: it says that the instruction is done
 * @exception: it wants a synchronous exception
 */
struct pvm_reply {
	u64 r0;
	bool advance;
	bool exception;
};

enum pvm_inject { PVM_INJECT_NONE, PVM_INJECT_UNDEF, PVM_INJECT_ABORT };

/**
 * struct pvm_effect - what the guest notices of it
 * @advance: the PC moves past the instruction
 * @set_reg: a register gets @val
 * @reg: which; 31 is none
 * @inject: an exception that EL2 makes from its own syndrome; nothing else happens then
 */
struct pvm_effect {
	bool advance;
	bool set_reg;
	u8 reg;
	u64 val;
	enum pvm_inject inject;
};

bool pvm_abort_may_be_mmio(u64 esr, u64 far);
void pvm_exit_shows(enum pvm_exit exit, const struct pvm_exit_state *state,
		    struct pvm_shown *shown);
void pvm_entry_takes(enum pvm_exit exit, u64 esr, const struct pvm_reply *reply,
		     struct pvm_effect *effect);

#endif /* __ARM64_KVM_NVHE_PVM_EXIT_H__ */
