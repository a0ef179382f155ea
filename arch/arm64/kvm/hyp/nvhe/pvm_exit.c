// SPDX-License-Identifier: GPL-2.0-only
/*
 * What leaves with a protected guest's exit, and what comes in with its next entry: see
 * pvm_exit.h for the table. The default, in both directions, is nothing.
 */
#include <linux/bits.h>
#include <linux/string.h>

#include <asm/esr.h>
#include <asm/ptrace.h>
#include <asm/sysreg.h>

#include <uapi/linux/psci.h>

#include <nvhe/pvm_exit.h>

/* What a data abort's syndrome says of the register, its size and its value. */
#define ESR_DABT_VALUE	(ESR_ELx_ISV | ESR_ELx_SAS | ESR_ELx_SSE | ESR_ELx_SRT_MASK |	\
			 ESR_ELx_SF | ESR_ELx_AR)

#define REG_NONE	31

static unsigned int abort_bytes(u64 esr)
{
	return 1U << ((esr & ESR_ELx_SAS) >> ESR_ELx_SAS_SHIFT);
}

static u64 abort_value_mask(u64 esr)
{
	return GENMASK_ULL(abort_bytes(esr) * 8 - 1, 0);
}

/**
 * pvm_abort_may_be_mmio() - can the host emulate this access, if the guest lets it?
 * @esr: of a data abort
 * @far: of the same
 *
 * Only what the syndrome describes whole, and what lies in one page: the guest has spoken
 * of pages.
 */
bool pvm_abort_may_be_mmio(u64 esr, u64 far)
{
	if (!(esr & ESR_ELx_ISV) || (esr & (ESR_ELx_S1PTW | ESR_ELx_CM)))
		return false;
	if (!esr_fsc_is_translation_fault(esr))
		return false;

	return (far & (SZ_4K - 1)) + abort_bytes(esr) <= SZ_4K;
}

static u64 reg_value(const struct pvm_exit_state *state, unsigned int reg)
{
	return reg == REG_NONE ? 0 : state->regs[reg];
}

static unsigned int sysreg_rt(u64 esr)
{
	return (esr & ESR_ELx_SYS64_ISS_RT_MASK) >> ESR_ELx_SYS64_ISS_RT_SHIFT;
}

static unsigned int abort_rt(u64 esr)
{
	return (esr & ESR_ELx_SRT_MASK) >> ESR_ELx_SRT_SHIFT;
}

/* AArch64 only; A is set so that an SError of the host's is pended, and masked by the guest. */
static u64 shown_pstate(u64 pstate)
{
	return (pstate & PSR_MODE_MASK) | PSR_A_BIT;
}

static void sysreg_shows(const struct pvm_exit_state *state, struct pvm_shown *shown)
{
	shown->esr = state->esr & ~ESR_ELx_SYS64_ISS_RT_MASK;
	if (!(state->esr & ESR_ELx_SYS64_ISS_DIR_READ))
		shown->regs[0] = reg_value(state, sysreg_rt(state->esr));
}

static void abort_shows(const struct pvm_exit_state *state, struct pvm_shown *shown)
{
	shown->esr = state->esr;
	shown->hpfar = state->hpfar;
}

static void mmio_shows(const struct pvm_exit_state *state, struct pvm_shown *shown)
{
	shown->esr = state->esr & ~ESR_ELx_SRT_MASK;
	shown->hpfar = state->hpfar;
	shown->far = state->far & (SZ_4K - 1);
	shown->sctlr = state->sctlr & (SCTLR_ELx_EE | SCTLR_EL1_E0E);
	if (state->esr & ESR_ELx_WNR)
		shown->regs[0] = reg_value(state, abort_rt(state->esr)) &
				 abort_value_mask(state->esr);
}

/* Bits 63:32 of a function's number, and of a 32-bit call's arguments, are nobody's business. */
static void psci_shows(const struct pvm_exit_state *state, struct pvm_shown *shown)
{
	u64 mask = state->regs[0] & PSCI_0_2_64BIT ? ~0ULL : U32_MAX;
	unsigned int i;

	shown->esr = state->esr & ~ESR_ELx_ISS_MASK;
	shown->regs[0] = lower_32_bits(state->regs[0]);
	for (i = 1; i <= state->nr_args && i < PVM_NR_SHOWN_REGS; i++)
		shown->regs[i] = state->regs[i] & mask;
}

/**
 * pvm_exit_shows() - what the host learns of an exit
 * @exit: its class
 * @state: the guest's; only what the class needs is looked at
 * @shown: filled in whole
 */
void pvm_exit_shows(enum pvm_exit exit, const struct pvm_exit_state *state,
		    struct pvm_shown *shown)
{
	memset(shown, 0, sizeof(*shown));
	shown->pstate = shown_pstate(state->pstate);

	switch (exit) {
	case PVM_EXIT_SERROR:
		/* Of one that is pending the syndrome is in DISR, and here is the guest's trap. */
		if (ESR_ELx_EC(state->esr) == ESR_ELx_EC_SERROR)
			shown->esr = state->esr;
		shown->disr = state->disr;
		break;
	case PVM_EXIT_WFX:
		shown->esr = state->esr & ~(ESR_ELx_WFx_ISS_RN | ESR_ELx_WFx_ISS_RV |
					    ESR_ELx_WFx_ISS_WFxT);
		break;
	case PVM_EXIT_SYSREG:
		sysreg_shows(state, shown);
		break;
	case PVM_EXIT_IABT:
		abort_shows(state, shown);
		break;
	case PVM_EXIT_DABT:
		abort_shows(state, shown);
		shown->esr &= ~(u64)ESR_DABT_VALUE;
		shown->far = state->far & (SZ_4K - 1);
		break;
	case PVM_EXIT_MMIO:
		mmio_shows(state, shown);
		break;
	case PVM_EXIT_PSCI:
		psci_shows(state, shown);
		break;
	default:
		break;
	}

	/* ISS2 can have the number of a register. */
	shown->esr = lower_32_bits(shown->esr);
}

/* A load's value: as wide as the access, extended as the guest's instruction says. */
static u64 load_value(u64 esr, u64 val)
{
	unsigned int shift = 64 - abort_bytes(esr) * 8;

	val <<= shift;
	val = esr & ESR_ELx_SSE ? (u64)((s64)val >> shift) : val >> shift;

	return esr & ESR_ELx_SF ? val : lower_32_bits(val);
}

static void mmio_takes(u64 esr, const struct pvm_reply *reply, struct pvm_effect *effect)
{
	effect->advance = reply->advance;
	if (!reply->advance || (esr & ESR_ELx_WNR))
		return;

	effect->set_reg = true;
	effect->reg = abort_rt(esr);
	effect->val = load_value(esr, reply->r0);
}

static void sysreg_takes(u64 esr, const struct pvm_reply *reply, struct pvm_effect *effect)
{
	effect->advance = reply->advance;
	if (!reply->advance || !(esr & ESR_ELx_SYS64_ISS_DIR_READ))
		return;

	effect->set_reg = true;
	effect->reg = sysreg_rt(esr);
	effect->val = reply->r0;
}

/* The PC is past the call already: the guest gets a result in any case. */
static void psci_takes(const struct pvm_reply *reply, struct pvm_effect *effect)
{
	s32 ret = (s32)lower_32_bits(reply->r0);

	if (ret > PSCI_RET_SUCCESS || ret < PSCI_RET_INVALID_ADDRESS)
		ret = PSCI_RET_INTERNAL_FAILURE;

	effect->set_reg = true;
	effect->val = (u64)(s64)ret;
}

/**
 * pvm_entry_takes() - what an entry changes after an exit
 * @exit: the class of the vCPU's last exit; the caller forgets it then
 * @esr: of that exit, EL2's own
 * @reply: the host's
 * @effect: filled in whole
 */
void pvm_entry_takes(enum pvm_exit exit, u64 esr, const struct pvm_reply *reply,
		     struct pvm_effect *effect)
{
	memset(effect, 0, sizeof(*effect));

	if (reply->exception) {
		if (exit == PVM_EXIT_SYSREG)
			effect->inject = PVM_INJECT_UNDEF;
		else if (exit == PVM_EXIT_IABT || exit == PVM_EXIT_DABT || exit == PVM_EXIT_MMIO)
			effect->inject = PVM_INJECT_ABORT;
		if (effect->inject)
			return;
	}

	switch (exit) {
	case PVM_EXIT_WFX:
		effect->advance = reply->advance;
		break;
	case PVM_EXIT_DABT:
		effect->advance = reply->advance &&
				  (esr & (ESR_ELx_CM | ESR_ELx_S1PTW)) == ESR_ELx_CM;
		break;
	case PVM_EXIT_SYSREG:
		sysreg_takes(esr, reply, effect);
		break;
	case PVM_EXIT_MMIO:
		mmio_takes(esr, reply, effect);
		break;
	case PVM_EXIT_PSCI:
		psci_takes(reply, effect);
		break;
	default:
		break;
	}
}
