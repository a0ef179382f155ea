// SPDX-License-Identifier: GPL-2.0-only
/*
 * What leaves with a protected guest's exit and what comes in with an entry: pvm_exit.c against
 * the specification, and pvm_context.c, which carries it, with whole vCPUs: a host that
 * compares its memory byte by byte, and one that writes every byte of it.
 */
#include <stdio.h>
#include <stdlib.h>

#include <cpu_env.h>

#include <linux/array_size.h>
#include <nvhe/pvm_spec.h>

#include "check.h"

#define STATES		1000000
#define CONTEXTS	300000

static u64 seed = 0x9e3779b97f4a7c15;

static u64 rnd(void)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed * 0x2545f4914f6cdd1d;
}

static void rnd_fill(void *to, size_t size)
{
	for (size_t i = 0; i < size; i += sizeof(u64)) {
		u64 r = rnd();

		memcpy((u8 *)to + i, &r, size - i < sizeof(r) ? size - i : sizeof(r));
	}
}

/* Calls that may leave to the host, and with how many arguments; and what is none of them. */
static const struct { u32 function; unsigned int nr_args; } calls[] = {
	{ 0x84000001, 1 }, { 0xc4000001, 1 }, { 0x84000002, 0 }, { 0x84000003, 1 },
	{ 0xc4000003, 1 }, { 0x84000008, 0 }, { 0x84000009, 0 }, { 0x84000012, 2 },
	{ 0xc4000012, 2 },
};

/* A syndrome of each class, and now and then of another. */
static u64 rnd_esr(enum pvm_exit exit)
{
	static const u8 ec[PVM_NR_EXITS] = {
		[PVM_EXIT_SERROR] = 0x2f, [PVM_EXIT_WFX] = 0x01, [PVM_EXIT_SYSREG] = 0x18,
		[PVM_EXIT_IABT] = 0x20, [PVM_EXIT_DABT] = 0x24, [PVM_EXIT_MMIO] = 0x24,
		[PVM_EXIT_PSCI] = 0x16,
	};
	u64 esr = rnd(), r = rnd();

	if (r & 0xf)
		esr = (esr & ~ESR_ELx_EC_MASK) | (u64)ec[exit] << ESR_ELx_EC_SHIFT;
	/* What makes an abort one of a device; fault status and the like are seldom by chance. */
	if (exit >= PVM_EXIT_IABT && exit <= PVM_EXIT_MMIO && (r & 0x70))
		esr = (esr & ~ESR_ELx_FSC) | (r & 0x80 ? 0x04 | (r >> 8 & 3) : 0x2b);
	if (exit == PVM_EXIT_MMIO && (r & 0x7000))
		esr = (esr | ESR_ELx_ISV) & ~(ESR_ELx_CM | ESR_ELx_S1PTW);
	return esr;
}

static void rnd_state(enum pvm_exit exit, struct pvm_exit_state *s, u64 *regs)
{
	unsigned int call = rnd() % ARRAY_SIZE(calls);

	rnd_fill(regs, 31 * sizeof(*regs));
	rnd_fill(s, sizeof(*s));
	s->esr = rnd_esr(exit);
	s->regs = regs;
	s->nr_args = calls[call].nr_args;
	if (exit == PVM_EXIT_PSCI)
		regs[0] = (regs[0] & ~(u64)U32_MAX) | calls[call].function;
}

static void print_shown(const char *who, const struct pvm_shown *s)
{
	printf("   %s: esr %lx far %lx hpfar %lx disr %lx pstate %lx sctlr %lx x0 %lx x1 %lx x2 %lx x3 %lx\n",
	       who, s->esr, s->far, s->hpfar, s->disr, s->pstate, s->sctlr,
	       s->regs[0], s->regs[1], s->regs[2], s->regs[3]);
}

static void check_shown(enum pvm_exit exit, const struct pvm_exit_state *s)
{
	struct pvm_shown shown, want;
	bool same;

	rnd_fill(&shown, sizeof(shown));
	pvm_exit_shows(exit, s, &shown);
	pvm_spec_shows(exit, s, &want);
	same = !memcmp(&shown, &want, sizeof(want));
	CHECK(same, "FAIL: %s: the host is shown something else (esr %lx)", pvm_spec_names[exit],
	      s->esr);
	if (!same && failed < 20) {
		print_shown("has to be", &want);
		print_shown("is", &shown);
	}
}

/* The specification, by hand, where a guest's value could pass. */
static void check_host_knows_no_more(void)
{
	u64 regs[31];
	struct pvm_exit_state s = { .regs = regs };
	struct pvm_shown shown, zero = { .pstate = PSR_A_BIT };

	memset(regs, 0xff, sizeof(regs));
	s.far = s.hpfar = s.disr = s.sctlr = s.esr = ~0UL;
	for (int exit = 0; exit < PVM_NR_EXITS; exit++) {
		if (exit != PVM_EXIT_NOTHING && exit != PVM_EXIT_IRQ && exit != PVM_EXIT_MEMREQ)
			continue;
		pvm_spec_shows(exit, &s, &shown);
		CHECK(!memcmp(&shown, &zero, sizeof(zero)), "FAIL: %s shows something",
		      pvm_spec_names[exit]);
	}
	/* A store of a word from x7; the same, of no device. */
	s.esr = 0x24UL << 26 | ESR_ELx_IL | ESR_ELx_ISV | 2UL << 22 | 7UL << 16 | ESR_ELx_WNR | 7;
	pvm_spec_shows(PVM_EXIT_MMIO, &s, &shown);
	CHECK(shown.regs[0] == U32_MAX && shown.far == 0xfff && shown.sctlr == 3UL << 24 &&
	      shown.esr == (s.esr & ~(0x1fUL << 16)), "FAIL: a store to a device");
	pvm_spec_shows(PVM_EXIT_DABT, &s, &shown);
	CHECK(!shown.regs[0] && !shown.sctlr && shown.far == 0xfff &&
	      shown.esr == (0x24UL << 26 | ESR_ELx_IL | ESR_ELx_WNR | 7), "FAIL: a store to memory");
	/* MSR from x30, MRS to it. */
	regs[30] = 0x1234;
	s.esr = 0x18UL << 26 | 30UL << 5;
	pvm_spec_shows(PVM_EXIT_SYSREG, &s, &shown);
	CHECK(shown.regs[0] == 0x1234 && shown.esr == 0x18UL << 26, "FAIL: MSR");
	s.esr |= 1;
	pvm_spec_shows(PVM_EXIT_SYSREG, &s, &shown);
	CHECK(!shown.regs[0], "FAIL: MRS");
}

static void check_exits(void)
{
	u64 regs[31];
	struct pvm_exit_state s;

	for (int exit = 0; exit < PVM_NR_EXITS; exit++) {
		for (unsigned int i = 0; i < STATES / PVM_NR_EXITS; i++) {
			rnd_state(exit, &s, regs);
			check_shown(exit, &s);
		}
		/* Every register, as a whole and in each width, read and written. */
		for (unsigned int i = 0; i < 32 * 32; i++) {
			rnd_state(exit, &s, regs);
			s.esr &= ~(ESR_ELx_SRT_MASK | ESR_ELx_SAS | ESR_ELx_WNR |
				   ESR_ELx_SYS64_ISS_RT_MASK);
			s.esr |= (i & 31) << ESR_ELx_SRT_SHIFT | (i >> 5 & 3) << ESR_ELx_SAS_SHIFT |
				 (i >> 7 & 1 ? ESR_ELx_WNR : 0);
			check_shown(exit, &s);
			s.esr ^= ESR_ELx_WNR;
			s.esr |= (i & 31) << 5;
			check_shown(exit, &s);
		}
	}
}

/* Entries */

static void check_effect(enum pvm_exit exit, u64 esr, const struct pvm_reply *reply)
{
	struct pvm_effect is, want;

	rnd_fill(&is, sizeof(is));
	pvm_entry_takes(exit, esr, reply, &is);
	pvm_spec_takes(exit, esr, reply, &want);
	if (is.reg == 31)
		is.set_reg = false;
	CHECK(is.advance == want.advance && is.inject == want.inject &&
	      is.set_reg == want.set_reg &&
	      (!is.set_reg || (is.reg == want.reg && is.val == want.val)),
	      "FAIL: %s: an entry does something else (esr %lx, the host says x0 %lx%s%s): advance %d %d, register %d %d, %d %d, value %lx %lx, exception %d %d",
	      pvm_spec_names[exit], esr, reply->r0, reply->advance ? ", advance" : "",
	      reply->exception ? ", exception" : "", want.advance, is.advance, want.set_reg,
	      is.set_reg, want.reg, is.reg, want.val, is.val, want.inject, is.inject);
}

static const u64 replies[] = {
	0, 1, 0x7f, 0x80, 0xff, 0x7fff, 0x8000, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff,
	0x100000000, 0x7fffffffffffffff, 0x8000000000000000, ~0UL, ~0UL - 5, ~0UL - 8, ~0UL - 9,
	0xfffffff6, 0xfffffff7, 0xdeadbeef0000ff80,
};

static void check_entries(void)
{
	struct pvm_reply reply;

	for (int exit = 0; exit < PVM_NR_EXITS; exit++) {
		for (unsigned int i = 0; i < STATES / PVM_NR_EXITS; i++) {
			u64 r = rnd();

			reply = (struct pvm_reply) { r & 8 ? rnd() : replies[rnd() % ARRAY_SIZE(replies)],
						     r & 1, r & 2 };
			check_effect(exit, rnd_esr(exit), &reply);
		}
		/* SAS, SSE, SF, WnR, CM, S1PTW: all of them, with every value of interest. */
		for (unsigned int i = 0; i < 256 * 32 * ARRAY_SIZE(replies); i++) {
			unsigned int bits = i & 0xff, reg = i >> 8 & 31;
			u64 esr = (bits & 3UL) << 22 | (bits & 4UL) << 19 | (bits & 8UL) << 12 |
				  (bits & 16UL) << 2 | (bits & 32UL) << 3 | (bits & 64UL) << 1 |
				  bits >> 7 | reg << 16 | reg << 5 | ESR_ELx_ISV | ESR_ELx_IL;

			reply = (struct pvm_reply) { replies[i >> 13], true, false };
			check_effect(exit, esr, &reply);
		}
	}
}

/* And by hand: what a few loads give. */
static void check_loads(void)
{
	static const struct { u64 sas, sse, sf, host, guest; } loads[] = {
		{ 0, 0, 0, 0xdeadbeefcafe1280, 0x80 },
		{ 0, 1, 0, 0xdeadbeefcafe1280, 0xffffff80 },
		{ 0, 1, 1, 0xdeadbeefcafe1280, 0xffffffffffffff80 },
		{ 1, 1, 1, 0x1234567812347fff, 0x7fff },
		{ 2, 0, 1, 0xffffffff80000000, 0x80000000 },
		{ 2, 1, 1, 0x80000000, 0xffffffff80000000 },
		{ 3, 1, 1, 0x8000000000000001, 0x8000000000000001 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(loads); i++) {
		u64 esr = ESR_ELx_ISV | loads[i].sas << 22 | loads[i].sse << 21 | loads[i].sf << 15 |
			  5UL << 16;
		struct pvm_reply reply = { loads[i].host, true, false };
		struct pvm_effect is;

		pvm_entry_takes(PVM_EXIT_MMIO, esr, &reply, &is);
		CHECK(is.set_reg && is.reg == 5 && is.val == loads[i].guest && is.advance,
		      "FAIL: load %u: %lx instead of %lx", i, is.val, loads[i].guest);
	}
}

/* What the syndrome must say for the host to emulate an access: all of those bits. */
static void check_mmio(void)
{
	for (u64 i = 0; i < 1UL << 15; i++) {
		u64 esr = 0x24UL << 26 | (i & 0x3f) | (i >> 6 & 1) << 7 | (i >> 7 & 1) << 8 |
			  (i >> 8 & 1) << 24 | (i >> 9 & 3) << 22;
		u64 far = (rnd() & ~0xfffUL) | ((i >> 11 & 15) + 0xff1) % 0x1000;

		CHECK(pvm_abort_may_be_mmio(esr, far) ==
		      (pvm_spec_class(ARM_EXCEPTION_TRAP, esr, far, true) == PVM_EXIT_MMIO),
		      "FAIL: esr %lx, far %lx: MMIO or not", esr, far);
	}
}

/* Whole vCPUs */

struct machine {
	struct pkvm_hyp_vm vm;
	struct pkvm_hyp_vcpu vcpu;
	struct kvm_vcpu host;
};

static void init_machine(struct machine *m)
{
	rnd_fill(&m->vcpu.vcpu.arch, sizeof(m->vcpu.vcpu.arch));
	rnd_fill(&m->host, sizeof(m->host));
	m->vcpu.vcpu.kvm = &m->vm.kvm;
	m->vcpu.vcpu.arch.cflags = 1;
	m->vcpu.vcpu.arch.ctxt.__hyp_running_vcpu = NULL;
	m->vcpu.host_vcpu = &m->host;
	m->vcpu.pvm = (struct pvm_vcpu) { .power = { PVM_ON } };
	m->vm.mmio_guard = rnd() & 1;
}

/* The guest is as it may be at such an exit; the return value is what __kvm_vcpu_run() says. */
static int rnd_exit(struct machine *m, enum pvm_exit exit)
{
	static const int codes[PVM_NR_EXITS] = {
		[PVM_EXIT_NOTHING] = 3, [PVM_EXIT_IRQ] = 0, [PVM_EXIT_SERROR] = 1,
		[PVM_EXIT_WFX ... PVM_EXIT_PSCI] = 2, [PVM_EXIT_MEMREQ] = 4,
	};
	struct kvm_vcpu_arch *arch = &m->vcpu.vcpu.arch;
	unsigned int call = rnd() % ARRAY_SIZE(calls);

	arch->fault.esr_el2 = rnd_esr(exit);
	if (exit == PVM_EXIT_PSCI) {
		arch->ctxt.regs.regs[0] = rnd() << 32 | calls[call].function;
		m->vcpu.pvm.nr_args = calls[call].nr_args;
	}
	return codes[exit] | (rnd() % 8 ? 0 : 1U << 31);
}

static enum pvm_exit spec_class(const struct machine *m, int exit_code)
{
	const struct kvm_vcpu_fault_info *f = &m->vcpu.vcpu.arch.fault;
	bool device = f->hpfar_el2 >> 63 && (!m->vm.mmio_guard || (f->hpfar_el2 >> 4 & 1));

	return pvm_spec_class(exit_code, f->esr_el2, f->far_el2, device);
}

static void spec_shows(const struct machine *m, enum pvm_exit exit, struct pvm_shown *want)
{
	const struct kvm_vcpu_arch *arch = &m->vcpu.vcpu.arch;
	struct pvm_exit_state state = {
		.esr = arch->fault.esr_el2, .far = arch->fault.far_el2,
		.hpfar = arch->fault.hpfar_el2, .disr = arch->fault.disr_el1,
		.pstate = arch->ctxt.regs.pstate, .sctlr = arch->ctxt.sys_regs[SCTLR_EL1],
		.regs = arch->ctxt.regs.regs,
	};

	pvm_spec_shows(exit, &state, want);
}

/* The host's memory after the exit: what was in it before, and what it is shown. */
static void spec_host(const struct machine *m, enum pvm_exit exit, struct kvm_vcpu *want)
{
	struct pvm_shown shown;

	spec_shows(m, exit, &shown);
	memset(&want->arch.ctxt.regs, 0, sizeof(want->arch.ctxt.regs));
	memcpy(want->arch.ctxt.regs.regs, shown.regs, sizeof(shown.regs));
	want->arch.ctxt.regs.pstate = shown.pstate;
	want->arch.ctxt.sys_regs[SCTLR_EL1] = shown.sctlr;
	want->arch.fault = (struct kvm_vcpu_fault_info) { shown.esr, shown.far, shown.hpfar, shown.disr };
	want->arch.hcr_el2 &= ~HCR_VSE;
	want->arch.hcr_el2 |= m->vcpu.vcpu.arch.hcr_el2 & HCR_VSE;
}

static void check_sync(enum pvm_exit kind)
{
	struct machine m;
	struct kvm_vcpu want;
	struct kvm_vcpu_arch guest;
	enum pvm_exit exit;
	int exit_code;

	init_machine(&m);
	exit_code = rnd_exit(&m, kind);
	exit = spec_class(&m, exit_code);
	want = m.host;
	spec_host(&m, exit, &want);
	guest = m.vcpu.vcpu.arch;
	cpu_cntv_ctl = rnd();
	cpu_cntv_cval = rnd();

	pvm_sync_vcpu(&m.vcpu, exit_code);

	CHECK(m.vcpu.pvm.exit == exit, "FAIL: an exit is of class %s and not %s (code %x, esr %lx)",
	      pvm_spec_names[m.vcpu.pvm.exit], pvm_spec_names[exit], exit_code, guest.fault.esr_el2);
	CHECK(!memcmp(&m.host, &want, sizeof(want)), "FAIL: %s: the host's memory differs (esr %lx)",
	      pvm_spec_names[exit], guest.fault.esr_el2);
	guest.ctxt.sys_regs[CNTV_CTL_EL0] = cpu_cntv_ctl & ~4UL;
	guest.ctxt.sys_regs[CNTV_CVAL_EL0] = cpu_cntv_cval;
	CHECK(!memcmp(&m.vcpu.vcpu.arch, &guest, sizeof(guest)), "FAIL: %s: an exit changes the guest",
	      pvm_spec_names[exit]);
}

/* Another guest, of which the host must not find out that it is another. */
static bool make_twin(const struct machine *a, struct machine *b, enum pvm_exit exit, int exit_code)
{
	struct kvm_vcpu_arch *arch = &b->vcpu.vcpu.arch;
	u64 esr = a->vcpu.vcpu.arch.fault.esr_el2, reg;
	struct pvm_shown sa, sb;
	bool sysreg = exit == PVM_EXIT_SYSREG;

	*b = *a;
	spec_shows(a, exit, &sa);
	rnd_fill(&arch->ctxt, sizeof(arch->ctxt));
	rnd_fill(&arch->fault, sizeof(arch->fault));
	rnd_fill(arch->debug_state, sizeof(arch->debug_state));
	arch->ctxt.regs.pstate = (rnd() & ~0xfUL) | (sa.pstate & 0xf);
	arch->ctxt.sys_regs[SCTLR_EL1] = (rnd() & ~(3UL << 24)) | (sa.sctlr & 3UL << 24);
	arch->fault.esr_el2 = esr ^ (rnd() & ~sa.esr & (sysreg ? 0x3e0 : 0x1fUL << 16 | 0x3e0));
	arch->fault.far_el2 = sa.far | (rnd() & ~0xfffUL);
	arch->fault.hpfar_el2 = a->vcpu.vcpu.arch.fault.hpfar_el2;
	if (exit == PVM_EXIT_SERROR)
		arch->fault.disr_el1 = sa.disr;
	/* The same value, in another register and under other bits. */
	reg = sysreg ? arch->fault.esr_el2 >> 5 & 31 : arch->fault.esr_el2 >> 16 & 31;
	if (exit == PVM_EXIT_PSCI) {
		for (unsigned int i = 0; i < 4; i++)
			arch->ctxt.regs.regs[i] = i <= a->vcpu.pvm.nr_args ? sa.regs[i] : rnd();
		arch->ctxt.regs.regs[0] |= rnd() << 32;
	} else if (reg < 31) {
		u64 bits = 8UL << (esr >> 22 & 3);

		arch->ctxt.regs.regs[reg] = sa.regs[0] |
			(sysreg || bits == 64 ? 0 : rnd() << bits);
	}
	spec_shows(b, exit, &sb);
	return spec_class(b, exit_code) == exit && !memcmp(&sa, &sb, sizeof(sa));
}

static unsigned long check_twins(enum pvm_exit kind)
{
	struct machine a, b;
	enum pvm_exit exit;
	int exit_code;

	init_machine(&a);
	exit_code = rnd_exit(&a, kind);
	exit = spec_class(&a, exit_code);
	if (!make_twin(&a, &b, exit, exit_code))
		return 0;
	a.vcpu.host_vcpu = &a.host;
	b.vcpu.host_vcpu = &b.host;
	a.vcpu.vcpu.kvm = &a.vm.kvm;
	b.vcpu.vcpu.kvm = &b.vm.kvm;

	pvm_sync_vcpu(&a.vcpu, exit_code);
	cpu_cntv_ctl = rnd();
	cpu_cntv_cval = rnd();
	pvm_sync_vcpu(&b.vcpu, exit_code);
	CHECK(!memcmp(&a.host, &b.host, sizeof(a.host)),
	      "FAIL: %s: the host tells two guests apart", pvm_spec_names[exit]);
	return 1;
}

/* The guest after an entry, from what it was. */
static void spec_guest(struct kvm_vcpu_arch *want, enum pvm_exit exit, const struct kvm_vcpu *host)
{
	u64 esr = want->fault.esr_el2;
	u8 said = host->arch.iflags & 0xf;
	struct pvm_reply reply = {
		.r0 = host->arch.ctxt.regs.regs[0],
		.advance = (said & 3) == 2,
		.exception = said == 1,
	};
	struct pvm_effect effect;

	pvm_spec_takes(exit, esr, &reply, &effect);
	if (effect.set_reg)
		want->ctxt.regs.regs[effect.reg] = effect.val;
	want->iflags = effect.inject ? 1 : effect.advance ? 2 : 0;
	if (effect.inject)
		want->ctxt.sys_regs[ESR_EL1] =
			pvm_spec_exception_esr(effect.inject, esr, want->ctxt.regs.pstate);
	if (effect.inject == PVM_INJECT_ABORT)
		want->ctxt.sys_regs[FAR_EL1] = want->fault.far_el2;

	want->hcr_el2 &= ~(HCR_VSE | HCR_TWI | HCR_TWE);
	want->hcr_el2 |= host->arch.hcr_el2 & (HCR_VSE | HCR_TWI | HCR_TWE);
	want->vsesr_el2 = host->arch.vsesr_el2 & ((1UL << 25) - 1);
	want->mdcr_el2 = (want->mdcr_el2 & ~0x1fUL) | nr_event_counters;
	want->pkvm_memreq.op = PKVM_MEMREQ_NONE;
	want->pid = host->arch.pid;
	want->ctxt.__hyp_running_vcpu = NULL;
}

static void check_flush(enum pvm_exit exit)
{
	struct machine m;
	struct kvm_vcpu_arch want;
	struct kvm_vcpu host;

	init_machine(&m);
	m.vcpu.vcpu.arch.fault.esr_el2 = rnd_esr(exit);
	m.vcpu.pvm.exit = exit;
	if (rnd() & 1)
		m.host.arch.ctxt.regs.regs[0] = replies[rnd() % ARRAY_SIZE(replies)];
	want = m.vcpu.vcpu.arch;
	host = m.host;
	spec_guest(&want, exit, &host);
	cpu_cntvoff = rnd();

	pvm_flush_vcpu(&m.vcpu);

	CHECK(!memcmp(&m.vcpu.vcpu.arch, &want, sizeof(want)),
	      "FAIL: %s: the guest differs (esr %lx, the host says x0 %lx, flags %x)",
	      pvm_spec_names[exit], want.fault.esr_el2, host.arch.ctxt.regs.regs[0],
	      host.arch.iflags);
	CHECK(cpu_cntvoff == 0 && cpu_cntv_ctl == want.ctxt.sys_regs[CNTV_CTL_EL0] &&
	      cpu_cntv_cval == want.ctxt.sys_regs[CNTV_CVAL_EL0], "FAIL: the guest's timer");
	host.arch.iflags &= ~0xf;
	CHECK(!memcmp(&m.host, &host, sizeof(host)), "FAIL: %s: an entry shows the host something",
	      pvm_spec_names[exit]);

	/* The answer counts once, even if the host gives it again. */
	m.host.arch.iflags = rnd();
	spec_guest(&want, PVM_EXIT_NOTHING, &m.host);
	pvm_flush_vcpu(&m.vcpu);
	CHECK(!memcmp(&m.vcpu.vcpu.arch, &want, sizeof(want)),
	      "FAIL: %s: the host's answer counts twice", pvm_spec_names[exit]);
}

static void check_contexts(void)
{
	unsigned long twins = 0;

	for (unsigned int i = 0; i < CONTEXTS; i++) {
		check_sync(i % PVM_NR_EXITS);
		check_flush(i % PVM_NR_EXITS);
		twins += check_twins(i % PVM_NR_EXITS);
	}
	CHECK(twins > CONTEXTS / 2, "FAIL: only %lu twins", twins);
}

/* A vCPU that was caught in AArch32. */
static void check_aarch32(void)
{
	struct machine m;

	init_machine(&m);
	m.vcpu.vcpu.arch.cflags = 0;
	pvm_sync_vcpu(&m.vcpu, ARM_EXCEPTION_IL);
	CHECK(atomic_read(&m.vcpu.pvm.power) == PVM_DEAD, "FAIL: it comes back from AArch32");
}

static void check_init(void)
{
	static struct pkvm_hyp_vcpu vcpu[3];
	static struct pkvm_hyp_vm vm = { .kvm.created_vcpus = 3 };

	for (unsigned int i = 0; i < 3; i++) {
		rnd_fill(&vcpu[i], sizeof(vcpu[i]));
		vcpu[i].vcpu.vcpu_id = 5 * i;
		vcpu[i].vcpu.kvm = &vm.kvm;
		CHECK(!pvm_init_vcpu(&vcpu[i]), "FAIL: vCPU %u is refused", i);
		CHECK(atomic_read(&vcpu[i].pvm.power) == PVM_OFF &&
		      vcpu[i].pvm.exit == PVM_EXIT_NOTHING && vcpu[i].vcpu.arch.cflags == 1 &&
		      vcpu[i].vcpu.arch.debug_owner == VCPU_DEBUG_FREE, "FAIL: not as it begins");
		if (i < 2)
			vm.vcpus[i] = &vcpu[i];
	}
	vcpu[2].vcpu.vcpu_id = 5;
	CHECK(pvm_init_vcpu(&vcpu[2]) == -EINVAL, "FAIL: two vCPUs with one number");
	vcpu[2].vcpu.vcpu_id = -1;
	CHECK(pvm_init_vcpu(&vcpu[2]) == -EINVAL, "FAIL: a negative number");
	vcpu[2].vcpu.vcpu_id = KVM_MAX_VCPUS;
	CHECK(pvm_init_vcpu(&vcpu[2]) == -EINVAL, "FAIL: too large a number");
}

int main(void)
{
	check_host_knows_no_more();
	check_exits();
	check_entries();
	check_loads();
	check_mmio();
	check_contexts();
	check_aarch32();
	check_init();
	return check_end("pvm_exit_test");
}
