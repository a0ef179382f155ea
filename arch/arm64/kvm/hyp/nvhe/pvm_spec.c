// SPDX-License-Identifier: GPL-2.0-only
/* The specification of a protected vCPU's exits and entries: see pvm_spec.h. */
#include <linux/array_size.h>
#include <linux/string.h>

#include <nvhe/pvm_spec.h>

#define BITS(high, low)		(((1ULL << ((high) - (low) + 1)) - 1) << (low))

/* ESR_ELx: the class, IL, and the syndrome. Above that are bits that nobody needs. */
#define EC(esr)			((u32)(esr) >> 26)
#define EC_AND_IL		BITS(31, 25)
#define ISS			BITS(24, 0)

enum {
	EC_UNKNOWN = 0x00, EC_WFX = 0x01, EC_HVC64 = 0x16, EC_SYS64 = 0x18,
	EC_IABT_LOWER = 0x20, EC_IABT_SAME = 0x21, EC_DABT_LOWER = 0x24, EC_DABT_SAME = 0x25,
	EC_SERROR = 0x2f,
};

/* Aborts */
#define ISS_FSC			BITS(5, 0)
#define ISS_WNR			BITS(6, 6)
#define ISS_S1PTW		BITS(7, 7)
#define ISS_CM			BITS(8, 8)
#define ISS_SF			BITS(15, 15)
#define ISS_SRT			BITS(20, 16)
#define ISS_SSE			BITS(21, 21)
#define ISS_ISV			BITS(24, 24)
#define ISS_IF_VALID		BITS(24, 14)	/* no bit of it means a thing without ISV */
#define FSC_EXTERNAL		0x10

/* WFx: the register, whether there is one, and that the instruction has a timeout. */
#define ISS_WFX_TIMEOUT		(BITS(9, 5) | BITS(2, 1))

/* MSR and MRS */
#define ISS_MRS			BITS(0, 0)
#define ISS_RT			BITS(9, 5)

#define IN_PAGE			BITS(11, 0)
#define PSTATE_M		BITS(3, 0)
#define PSTATE_A		BITS(8, 8)
#define SCTLR_ENDIAN		(BITS(25, 25) | BITS(24, 24))
#define W			BITS(31, 0)

/* What is special about a class. */
enum {
	SHOWS_WRITE	= 1 << 0,	/* of an access that writes, the value */
	SHOWS_CALL	= 1 << 1,	/* a function's number, and arguments */
	ONLY_SERROR	= 1 << 2,	/* a syndrome of anything else is the guest's */
	MAY_ADVANCE	= 1 << 3,
	MAY_ADVANCE_CM	= 1 << 4,	/* past cache maintenance, of no page */
	MAY_READ	= 1 << 5,	/* of an access that reads, the value */
	MAY_UNDEF	= 1 << 6,
	MAY_ABORT	= 1 << 7,
	HAS_RESULT	= 1 << 8,
};

/**
 * struct row - a class of exits
 * @esr: bits that the host sees
 * @far: ditto, as all that follow
 * @hpfar:
 * @disr:
 * @sctlr:
 * @rt: the bits of ESR that are the number of the register that is read or written
 * @what: what else there is
 */
struct row {
	u64 esr, far, hpfar, disr, sctlr;
	u64 rt;
	unsigned int what;
};

static const struct row table[PVM_NR_EXITS] = {
	[PVM_EXIT_SERROR] = {
		.esr = EC_AND_IL | ISS, .disr = ~0ULL,
		.what = ONLY_SERROR,
	},
	[PVM_EXIT_WFX] = {
		.esr = EC_AND_IL | (ISS & ~ISS_WFX_TIMEOUT),
		.what = MAY_ADVANCE,
	},
	[PVM_EXIT_SYSREG] = {
		.esr = EC_AND_IL | (ISS & ~ISS_RT), .rt = ISS_RT,
		.what = SHOWS_WRITE | MAY_ADVANCE | MAY_READ | MAY_UNDEF,
	},
	[PVM_EXIT_IABT] = {
		.esr = EC_AND_IL | ISS, .hpfar = ~0ULL,
		.what = MAY_ABORT,
	},
	[PVM_EXIT_DABT] = {
		.esr = EC_AND_IL | (ISS & ~ISS_IF_VALID), .hpfar = ~0ULL, .far = IN_PAGE,
		.what = MAY_ABORT | MAY_ADVANCE_CM,
	},
	[PVM_EXIT_MMIO] = {
		.esr = EC_AND_IL | (ISS & ~ISS_SRT), .hpfar = ~0ULL, .far = IN_PAGE,
		.sctlr = SCTLR_ENDIAN, .rt = ISS_SRT,
		.what = SHOWS_WRITE | MAY_ADVANCE | MAY_READ | MAY_ABORT,
	},
	[PVM_EXIT_PSCI] = {
		.esr = EC_AND_IL,
		.what = SHOWS_CALL | HAS_RESULT,
	},
};

const char *const pvm_spec_names[PVM_NR_EXITS] = {
	[PVM_EXIT_NOTHING] = "nothing", [PVM_EXIT_IRQ] = "IRQ", [PVM_EXIT_SERROR] = "SError",
	[PVM_EXIT_WFX] = "WFx", [PVM_EXIT_SYSREG] = "system register",
	[PVM_EXIT_IABT] = "instruction abort", [PVM_EXIT_DABT] = "data abort",
	[PVM_EXIT_MMIO] = "MMIO", [PVM_EXIT_PSCI] = "PSCI", [PVM_EXIT_MEMREQ] = "memory request",
};

/* Classes */

static unsigned int access_bits(u64 esr)
{
	return 8U << ((esr >> 22) & 3);
}

/* A translation fault of a load or store, which its syndrome describes, within a page. */
static bool is_plain_access(u64 esr, u64 far)
{
	unsigned int fsc = esr & ISS_FSC;

	if ((esr & (ISS_ISV | ISS_S1PTW | ISS_CM)) != ISS_ISV)
		return false;
	if (fsc != 0x2b && (fsc < 0x04 || fsc > 0x07))
		return false;

	return (far & ~IN_PAGE) == ((far + access_bits(esr) / 8 - 1) & ~IN_PAGE);
}

enum pvm_exit pvm_spec_class(u32 exit_code, u64 esr, u64 far, bool device)
{
	if ((exit_code >> 31) || exit_code == 1)
		return PVM_EXIT_SERROR;
	if (exit_code == 0)
		return PVM_EXIT_IRQ;
	if (exit_code == 4)
		return PVM_EXIT_MEMREQ;
	if (exit_code != 2)
		return PVM_EXIT_NOTHING;

	switch (EC(esr)) {
	case EC_WFX:
		return PVM_EXIT_WFX;
	case EC_SYS64:
		return PVM_EXIT_SYSREG;
	case EC_HVC64:
		return PVM_EXIT_PSCI;
	case EC_IABT_LOWER:
		return PVM_EXIT_IABT;
	case EC_DABT_LOWER:
		return device && is_plain_access(esr, far) ? PVM_EXIT_MMIO : PVM_EXIT_DABT;
	default:
		return PVM_EXIT_NOTHING;
	}
}

/* Exits */

static unsigned int access_register(const struct row *row, u64 esr)
{
	return row->rt ? (esr & row->rt) / (row->rt & -row->rt) : 31;
}

static bool is_write(enum pvm_exit exit, u64 esr)
{
	return exit == PVM_EXIT_SYSREG ? !(esr & ISS_MRS) : !!(esr & ISS_WNR);
}

static u64 access_mask(enum pvm_exit exit, u64 esr)
{
	return exit == PVM_EXIT_MMIO ? ~0ULL >> (64 - access_bits(esr)) : ~0ULL;
}

static void show_call(const struct pvm_exit_state *state, struct pvm_shown *want)
{
	static const struct { u32 function, args; } calls[] = {
		{ 0x84000001, 1 }, { 0xc4000001, 1 },	/* CPU_SUSPEND: the power state */
		{ 0x84000003, 1 }, { 0xc4000003, 1 },	/* CPU_ON: the target */
		{ 0x84000012, 2 }, { 0xc4000012, 2 },	/* SYSTEM_RESET2: the type, the cookie */
	};
	u32 function = state->regs[0];
	unsigned int i, j;

	want->regs[0] = function;
	for (i = 0; i < ARRAY_SIZE(calls); i++)
		for (j = 1; calls[i].function == function && j <= calls[i].args; j++)
			want->regs[j] = state->regs[j] & (function & BITS(30, 30) ? ~0ULL : W);
}

void pvm_spec_shows(enum pvm_exit exit, const struct pvm_exit_state *state,
		    struct pvm_shown *want)
{
	const struct row *row = &table[exit];
	unsigned int reg = access_register(row, state->esr);

	memset(want, 0, sizeof(*want));
	want->pstate = (state->pstate & PSTATE_M) | PSTATE_A;
	if (!(row->what & ONLY_SERROR) || EC(state->esr) == EC_SERROR)
		want->esr = state->esr & row->esr;
	want->far = state->far & row->far;
	want->hpfar = state->hpfar & row->hpfar;
	want->disr = state->disr & row->disr;
	want->sctlr = state->sctlr & row->sctlr;

	if ((row->what & SHOWS_WRITE) && is_write(exit, state->esr) && reg < 31)
		want->regs[0] = state->regs[reg] & access_mask(exit, state->esr);
	if (row->what & SHOWS_CALL)
		show_call(state, want);
}

/* Entries */

/* As the load would have done: to the access's width, with its sign, to the register's. */
static u64 loaded(u64 esr, u64 val)
{
	u64 mask = access_mask(PVM_EXIT_MMIO, esr);

	val &= mask;
	if ((esr & ISS_SSE) && (val & (mask ^ (mask >> 1))))
		val |= ~mask;
	return esr & ISS_SF ? val : val & W;
}

/* PSCI has results from 0 to -9, in w0; what else a host says is a failure within it, -6. */
static u64 call_result(u64 r0)
{
	u32 w0 = r0;

	return w0 && w0 < 0xfffffff7 ? -6ULL : w0 ? w0 | ~W : 0;
}

static void take_access(enum pvm_exit exit, u64 esr, u64 val, struct pvm_effect *want)
{
	unsigned int reg = access_register(&table[exit], esr);

	if (is_write(exit, esr) || reg == 31)
		return;
	want->set_reg = true;
	want->reg = reg;
	want->val = exit == PVM_EXIT_MMIO ? loaded(esr, val) : val;
}

void pvm_spec_takes(enum pvm_exit exit, u64 esr, const struct pvm_reply *reply,
		    struct pvm_effect *want)
{
	unsigned int may = table[exit].what;

	memset(want, 0, sizeof(*want));
	if (reply->exception && (may & (MAY_UNDEF | MAY_ABORT))) {
		want->inject = may & MAY_UNDEF ? PVM_INJECT_UNDEF : PVM_INJECT_ABORT;
		return;
	}

	if ((may & MAY_ADVANCE_CM) && (esr & (ISS_CM | ISS_S1PTW)) == ISS_CM)
		may |= MAY_ADVANCE;
	want->advance = reply->advance && (may & MAY_ADVANCE);
	if (want->advance && (may & MAY_READ))
		take_access(exit, esr, reply->r0, want);
	if (may & HAS_RESULT) {
		want->set_reg = true;
		want->val = call_result(reply->r0);
	}
}

u64 pvm_spec_exception_esr(enum pvm_inject inject, u64 esr, u64 pstate)
{
	bool instruction = EC(esr) == EC_IABT_LOWER, from_el0 = !(pstate & PSTATE_M);
	u64 ec = EC_UNKNOWN, iss = 0;

	if (inject == PVM_INJECT_ABORT) {
		ec = instruction ? EC_IABT_LOWER : EC_DABT_LOWER;
		ec += from_el0 ? 0 : EC_DABT_SAME - EC_DABT_LOWER;
		iss = FSC_EXTERNAL | (instruction ? 0 : esr & ISS_WNR);
	}
	return ec << 26 | BITS(25, 25) | iss;
}

/* The beginning */

u64 pvm_spec_mpidr(unsigned int vcpu_id)
{
	/* U and MT are clear, the bit that is one is one; sixteen to each cluster. */
	return BITS(31, 31) | vcpu_id % 16 | (vcpu_id / 16 % 256) << 8 | (vcpu_id / 4096) << 16;
}

/* M, A, C, I and WXN are off; SPAN and EIS, of features that the guest may not have, are on. */
bool pvm_spec_reset_sctlr(u64 sctlr, bool big_endian)
{
	const u64 off = BITS(0, 0) | BITS(1, 1) | BITS(2, 2) | BITS(12, 12) | BITS(19, 19) |
			BITS(63, 32);
	const u64 on = BITS(23, 23) | BITS(22, 22);

	return !(sctlr & off) && (sctlr & on) == on && !!(sctlr & BITS(25, 25)) == big_endian;
}
