// SPDX-License-Identifier: GPL-2.0-only
/*
 * Power of a protected guest's CPUs: pvm_psci.c, pvm_reset.c and pvm_context.c against the
 * abstract machine of pvm_power_spec.h, with three vCPUs.
 *
 * First every state that operations one after the other lead to, with every operation in it.
 * Then, from each of those states, two operations at once, in every order of their accesses to
 * what the vCPUs share, and three in every order with few interruptions: what comes of it must be what some order of the
 * specification's steps gives.
 */
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <ucontext.h>

#include <cpu_env.h>

#include <linux/array_size.h>
#include <uapi/linux/psci.h>

#include <nvhe/pvm_spec.h>

#include "check.h"
#include "pvm_power_spec.h"

#define GUEST_PC	0xffff800080001000UL
#define GUEST_X0	0x5a5a5a5a5a5aUL
#define VECTOR_BYTES	32
#define HVC_ESR		(ESR_ELx_EC_HVC64 << ESR_ELx_EC_SHIFT | ESR_ELx_IL)

static struct {
	struct pkvm_hyp_vm vm;
	struct pkvm_hyp_vcpu vcpu[POWER_CPUS];
	struct kvm_vcpu host[POWER_CPUS];
	u8 vectors[POWER_CPUS][SVE_SIZE(2 * VECTOR_BYTES)];
} m;

/* What is not a vCPU's registers: those are made anew for each operation. */
struct state {
	struct power_vm spec;
	struct pvm_vm vm;
	struct pvm_vcpu vcpu[POWER_CPUS];
};

/* Operations on EL2's own code */

static u64 pc_of(unsigned int entry)
{
	return 0x40000000UL + (entry << 20) + 0x1230;
}

static u64 context_of(unsigned int entry)
{
	return 0xc0de00000000UL + entry;
}

/* CPUs with an odd number are big-endian. */
static u64 sctlr_of(unsigned int cpu)
{
	return cpu & 1 ? SCTLR_ELx_EE : 0;
}

static void init_machine(void)
{
	memset(&m, 0, sizeof(m));
	m.vm.kvm.created_vcpus = POWER_CPUS;
	m.vm.kvm.has_sve = true;
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		m.vcpu[i].host_vcpu = &m.host[i];
		m.vcpu[i].vcpu.kvm = &m.vm.kvm;
		m.vcpu[i].vcpu.vcpu_id = power_vcpu_id(i);
		m.vcpu[i].vcpu.arch.sve_state = m.vectors[i];
		m.vcpu[i].vcpu.arch.sve_max_vl = VECTOR_BYTES;
		CHECK(!pvm_init_vcpu(&m.vcpu[i]), "FAIL: vCPU %u is refused", i);
		m.vm.vcpus[i] = &m.vcpu[i];
	}
}

/* A guest in the middle of its work, and a host that has written everything that it can. */
static void load(const struct state *s)
{
	m.vm.pvm = s->vm;
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		struct kvm_vcpu_arch *arch = &m.vcpu[i].vcpu.arch;

		m.vcpu[i].pvm = s->vcpu[i];
		memset(&arch->ctxt, 0x11 * (i + 1), sizeof(arch->ctxt));
		arch->ctxt.regs.pc = GUEST_PC;
		arch->ctxt.regs.regs[0] = GUEST_X0;
		arch->fault.esr_el2 = HVC_ESR;
		arch->cflags = 1;
		memset(m.vectors[i], 0x11 * (i + 1), sizeof(m.vectors[i]));
		memset(&m.host[i].arch, 0xee, sizeof(m.host[i].arch));
	}
}

static void save(struct state *s)
{
	s->vm = m.vm.pvm;
	for (unsigned int i = 0; i < POWER_CPUS; i++)
		s->vcpu[i] = m.vcpu[i].pvm;
}

/* Its own vectors are zero, and nothing behind them. */
static bool vectors_are_reset(unsigned int cpu)
{
	size_t i;

	for (i = 0; i < sizeof(m.vectors[cpu]); i++) {
		if (m.vectors[cpu][i] != (i < SVE_SIZE(VECTOR_BYTES) ? 0 : 0x11 * (cpu + 1)))
			return false;
	}
	return true;
}

/* All of the context is as a reset has it; else an entry that is none. */
static u8 check_reset(unsigned int cpu, u64 hosts_x0)
{
	const struct kvm_vcpu *vcpu = &m.vcpu[cpu].vcpu;
	struct kvm_cpu_context want = {}, *ctxt = &m.vcpu[cpu].vcpu.arch.ctxt;
	u64 sctlr = ctxt->sys_regs[SCTLR_EL1];
	bool big_endian = false;
	u8 entry;

	for (entry = 0; entry <= POWER_HOSTS_ENTRY; entry++) {
		if (ctxt->regs.pc == pc_of(entry))
			break;
	}
	if (entry < POWER_HOSTS_ENTRY)
		big_endian = sctlr_of(entry);
	want.regs.pc = pc_of(entry);
	want.regs.regs[0] = entry == POWER_HOSTS_ENTRY ? hosts_x0 : context_of(entry);
	want.regs.pstate = PVM_SPEC_RESET_PSTATE;
	want.sys_regs[SCTLR_EL1] = sctlr;
	want.sys_regs[MPIDR_EL1] = pvm_spec_mpidr(vcpu->vcpu_id);
	if (memcmp(&want, ctxt, sizeof(want)) || !pvm_spec_reset_sctlr(sctlr, big_endian) ||
	    vcpu->arch.iflags || !vectors_are_reset(cpu))
		return 0xff;
	return entry;
}

static void do_enter(const struct power_op *op, struct power_result *r)
{
	struct kvm_cpu_context before, *ctxt = &m.vcpu[op->cpu].vcpu.arch.ctxt;
	struct kvm_vcpu *host = &m.host[op->cpu];

	before = *ctxt;
	before.__hyp_running_vcpu = NULL;
	host->arch.ctxt.regs.pc = pc_of(POWER_HOSTS_ENTRY);
	host->arch.ctxt.regs.regs[0] = op->says;
	if (!pvm_may_enter(&m.vcpu[op->cpu])) {
		r->what = POWER_REFUSED;
		return;
	}
	pvm_flush_vcpu(&m.vcpu[op->cpu]);
	if (ctxt->regs.pc != GUEST_PC) {
		r->what = POWER_BEGINS;
		r->entry = check_reset(op->cpu, op->says);
		return;
	}
	r->what = POWER_CONTINUES;
	r->has_x0 = ctxt->regs.regs[0] != GUEST_X0;
	r->x0 = r->has_x0 ? ctxt->regs.regs[0] : 0;
	before.regs.regs[0] = ctxt->regs.regs[0];
	if (memcmp(&before, ctxt, sizeof(before)) || m.vcpu[op->cpu].vcpu.arch.iflags)
		r->entry = 0xff;
}

/* What of it the host sees is what the specification of exits says. */
static void leave(unsigned int cpu, struct power_result *r)
{
	struct kvm_vcpu_arch *arch = &m.vcpu[cpu].vcpu.arch;
	struct pvm_exit_state state = {
		.esr = HVC_ESR, .regs = arch->ctxt.regs.regs, .pstate = arch->ctxt.regs.pstate,
	};
	struct pvm_shown want;

	pvm_spec_shows(PVM_EXIT_PSCI, &state, &want);
	pvm_sync_vcpu(&m.vcpu[cpu], ARM_EXCEPTION_TRAP);
	r->what = POWER_LEFT;
	for (unsigned int i = 0; i < 31; i++) {
		u64 shown = i < PVM_NR_SHOWN_REGS ? want.regs[i] : 0;

		if (m.host[cpu].arch.ctxt.regs.regs[i] != shown)
			r->entry = 0xff;
	}
}

static void do_call(unsigned int cpu, u32 function, u64 a, u64 b, u64 c, struct power_result *r)
{
	u64 *regs = m.vcpu[cpu].vcpu.arch.ctxt.regs.regs, val = GUEST_X0;

	regs[0] = 0xabcd00000000 | function;
	regs[1] = a;
	regs[2] = b;
	regs[3] = c;
	if (!pvm_psci_call(&m.vcpu[cpu].vcpu, function, &val)) {
		leave(cpu, r);
		return;
	}
	*r = (struct power_result) { .what = POWER_ANSWERED, .has_x0 = true, .x0 = val };
}

static void do_op(const struct power_op *op, struct power_result *r)
{
	unsigned int cpu = op->cpu;
	u64 target = power_mpidr(op->target);

	memset(r, 0, sizeof(*r));
	cpu_sctlr = sctlr_of(cpu);
	switch (op->kind) {
	case POWER_ENTER:
		do_enter(op, r);
		break;
	case POWER_EXIT:
		pvm_sync_vcpu(&m.vcpu[cpu], ARM_EXCEPTION_IRQ);
		r->what = POWER_LEFT;
		break;
	case POWER_CAUGHT:
		m.vcpu[cpu].vcpu.arch.cflags = 0;
		pvm_sync_vcpu(&m.vcpu[cpu], ARM_EXCEPTION_IL);
		r->what = POWER_LEFT;
		break;
	case POWER_CPU_ON:
		do_call(cpu, PSCI_0_2_FN64_CPU_ON, target, pc_of(cpu), context_of(cpu), r);
		break;
	case POWER_CPU_OFF:
		do_call(cpu, PSCI_0_2_FN_CPU_OFF, ~0UL, ~0UL, ~0UL, r);
		break;
	case POWER_SUSPEND:
		do_call(cpu, PSCI_0_2_FN64_CPU_SUSPEND, 0x10000, pc_of(cpu), ~0UL, r);
		break;
	case POWER_AFFINITY_INFO:
		do_call(cpu, PSCI_0_2_FN64_AFFINITY_INFO, target, op->level, ~0UL, r);
		break;
	case POWER_SYSTEM_OFF:
		do_call(cpu, PSCI_0_2_FN_SYSTEM_OFF, ~0UL, ~0UL, ~0UL, r);
		break;
	case POWER_SYSTEM_RESET:
		do_call(cpu, PSCI_0_2_FN_SYSTEM_RESET, ~0UL, ~0UL, ~0UL, r);
		break;
	case POWER_SYSTEM_RESET2:
		do_call(cpu, PSCI_1_1_FN64_SYSTEM_RESET2, 0x80000001, 0xfeedUL << 32, ~0UL, r);
		break;
	}
}

static bool same_result(const struct power_result *a, const struct power_result *b)
{
	return a->what == b->what && a->entry == b->entry && a->has_x0 == b->has_x0 &&
	       a->x0 == b->x0;
}

static void print_op(const struct power_op *op)
{
	printf("   CPU %u: %s", op->cpu, power_kind_names[op->kind]);
	if (op->kind == POWER_ENTER)
		printf(", the host says %ld", (long)op->says);
	else if (op->kind == POWER_CPU_ON || op->kind == POWER_AFFINITY_INFO)
		printf(" of %u, level %u", op->target, op->level);
	printf("\n");
}

static void print_result(const char *who, const struct power_result *r)
{
	static const char *const what[] = { "refused", "begins", "continues", "answered", "left" };

	printf("   %s: %s, entry %u, x0 %s%ld\n", who, what[r->what], r->entry,
	       r->has_x0 ? "" : "none ", (long)r->x0);
}

static void print_state(const struct power_vm *vm)
{
	static const char *const power[] = { "off", "claimed", "pending", "on", "dead" };

	printf("   %s%s", vm->started ? "started" : "new", vm->ended ? ", ended" : "");
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		const struct power_cpu *c = &vm->cpu[i];

		printf("; %u: %s", i, power[c->power]);
		if (c->power == POWER_PENDING)
			printf(" by %u", c->by);
		if (c->waits_for)
			printf(", waits for %u", c->waits_for - 1);
		printf("%s", c->in_guest ? ", executes" : "");
	}
	printf("\n");
}

/* What a guest sees of its CPUs' power is the same on both sides. */
static bool observed_same(const struct power_vm *spec)
{
	for (u8 i = 0; i < POWER_CPUS; i++) {
		struct power_op op = { .kind = POWER_AFFINITY_INFO, .target = i };
		struct power_vm copy = *spec;
		struct power_result want;
		u64 val;

		power_step(&copy, &op, 0, &want);
		m.vcpu[0].vcpu.arch.ctxt.regs.regs[1] = power_mpidr(i);
		m.vcpu[0].vcpu.arch.ctxt.regs.regs[2] = 0;
		if (!pvm_psci_call(&m.vcpu[0].vcpu, PSCI_0_2_FN64_AFFINITY_INFO, &val) ||
		    (s64)val != want.x0)
			return false;
	}
	return true;
}

/* One after the other */

static struct state *states;
static unsigned long nr_states, max_states, *slots, nr_slots;

static u64 hash(const struct state *s)
{
	u64 h = 0xcbf29ce484222325, words[2 + 6 * POWER_CPUS];
	unsigned int n = 0;

	memset(words, 0, sizeof(words));
	words[n++] = s->vm.started.counter;
	words[n++] = s->vm.off;
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		words[n++] = s->vcpu[i].power.counter;
		words[n++] = s->vcpu[i].exit;
		words[n++] = s->vcpu[i].nr_args;
		words[n++] = (u64)s->vcpu[i].cpu_on;
		words[n++] = s->vcpu[i].entry.pc;
		words[n++] = s->vcpu[i].entry.r0 << 1 | s->vcpu[i].entry.big_endian;
	}
	for (unsigned int i = 0; i < sizeof(words); i++)
		h = (h ^ ((u8 *)words)[i]) * 0x100000001b3;
	for (unsigned int i = 0; i < sizeof(s->spec); i++)
		h = (h ^ ((const u8 *)&s->spec)[i]) * 0x100000001b3;
	return h ?: 1;
}

static void add_state(const struct state *s)
{
	u64 h = hash(s), i;

	/* Two states of one hash of 64 bits are taken for one. */
	for (i = h % nr_slots; slots[i]; i = (i + 1) % nr_slots) {
		if (slots[i] == h)
			return;
	}
	if (nr_states == max_states) {
		printf("FAIL: more than %lu states\n", max_states);
		exit(1);
	}
	slots[i] = h;
	states[nr_states++] = *s;
}

static void run_spec(struct power_vm *vm, const struct power_op *op, struct power_result *r)
{
	unsigned int step = 0;

	memset(r, 0, sizeof(*r));
	while (power_step(vm, op, step, r))
		step++;
}

static void try(const struct state *from, const struct power_op *op)
{
	struct power_result is, want;
	struct state to = *from;
	const char *broken;
	bool ok;

	if (!power_can(&from->spec, op))
		return;
	run_spec(&to.spec, op, &want);
	broken = power_violation(&to.spec);
	CHECK(!broken, "FAIL: the specification: %s", broken);

	load(from);
	do_op(op, &is);
	save(&to);
	ok = same_result(&is, &want) && observed_same(&to.spec);
	CHECK(ok, "FAIL: %s: not as specified", power_kind_names[op->kind]);
	if (!ok && failed < 20) {
		print_state(&from->spec);
		print_op(op);
		print_result("has to be", &want);
		print_result("is", &is);
	}
	if (ok)
		add_state(&to);
}

static void try_all(const struct state *from, u8 cpu)
{
	static const u64 says[] = { 0, (u64)-3, 7 };
	struct power_op op = { .cpu = cpu };

	for (op.kind = 0; op.kind < POWER_NR_KINDS; op.kind++) {
		op.level = op.target = 0;
		switch (op.kind) {
		case POWER_ENTER:
			for (unsigned int i = 0; i < ARRAY_SIZE(says); i++) {
				op.says = says[i];
				try(from, &op);
			}
			break;
		case POWER_CPU_ON:
			for (op.target = 0; op.target <= POWER_ILLEGAL; op.target++)
				try(from, &op);
			break;
		case POWER_AFFINITY_INFO:
			for (op.target = 0; op.target <= POWER_ILLEGAL; op.target++)
				for (op.level = 0; op.level <= 4; op.level++)
					try(from, &op);
			break;
		default:
			try(from, &op);
		}
	}
}

static void check_states(void)
{
	struct state first = {};

	max_states = 1UL << 21;
	nr_slots = max_states * 2;
	states = calloc(max_states, sizeof(*states));
	slots = calloc(nr_slots, sizeof(*slots));
	if (!states || !slots)
		exit(1);
	save(&first);
	add_state(&first);
	for (unsigned long i = 0; i < nr_states && failed < 20; i++) {
		for (u8 cpu = 0; cpu < POWER_CPUS; cpu++)
			try_all(&states[i], cpu);
	}
	printf("   %lu states\n", nr_states);
}

/* At once */

#define MAX_OPS		3
#define MAX_STEPS	64
#define MAX_OUTCOMES	512
#define INTERRUPTIONS	2	/* of three at once; each adds a factor of ten */

/*
 * Each operation on a stack of its own; the scheduler lets one of them go to its next access.
 * A context brings it there, and jumps do the rest, which need no system call.
 */
static struct task {
	ucontext_t context;
	jmp_buf at;
	bool begun;
	char stack[32768];
	struct power_op op;
	struct power_result result;
	bool done;
} tasks[MAX_OPS];

static ucontext_t unused;
static jmp_buf scheduler;
static struct task *current;

static void to_scheduler(void)
{
	if (!_setjmp(current->at))
		_longjmp(scheduler, 1);
}

static void task_step(const volatile void *where)
{
	const char *p = (const char *)where;
	bool shared = p >= (char *)&m.vm.pvm && p < (char *)(&m.vm.pvm + 1);

	for (unsigned int i = 0; i < POWER_CPUS; i++)
		shared |= p == (char *)&m.vcpu[i].pvm.power;
	if (current && shared)
		to_scheduler();
}

static void task_run(void)
{
	do_op(&current->op, &current->result);
	current->done = true;
	to_scheduler();
}

static void task_init(struct task *t, const struct power_op *op)
{
	t->op = *op;
	t->done = t->begun = false;
}

static void task_begin(struct task *t)
{
	t->begun = true;
	getcontext(&t->context);
	t->context.uc_stack.ss_sp = t->stack;
	t->context.uc_stack.ss_size = sizeof(t->stack);
	t->context.uc_link = NULL;
	makecontext(&t->context, task_run, 0);
	swapcontext(&unused, &t->context);
}

static void task_continue(struct task *t)
{
	current = t;
	cpu_sctlr = sctlr_of(t->op.cpu);
	if (!_setjmp(scheduler)) {
		if (t->begun)
			_longjmp(t->at, 1);
		task_begin(t);
	}
	current = NULL;
}

/* What the specification lets come of some operations at once. */
struct outcome {
	struct power_result r[MAX_OPS];
	struct power_vm vm;
};

static struct outcome outcomes[MAX_OUTCOMES];
static unsigned int nr_outcomes;

static void add_outcome(const struct outcome *o)
{
	for (unsigned int i = 0; i < nr_outcomes; i++) {
		if (!memcmp(&outcomes[i], o, sizeof(*o)))
			return;
	}
	if (nr_outcomes == MAX_OUTCOMES) {
		printf("FAIL: more than %u outcomes\n", MAX_OUTCOMES);
		exit(1);
	}
	outcomes[nr_outcomes++] = *o;
}

/* @steps: how far each is; MAX_STEPS is over. */
static void spec_orders(const struct outcome *o, const struct power_op *ops, unsigned int n,
			const unsigned int *steps)
{
	bool over = true;

	for (unsigned int i = 0; i < n; i++) {
		struct outcome next = *o;
		unsigned int now[MAX_OPS];

		if (steps[i] == MAX_STEPS)
			continue;
		over = false;
		memcpy(now, steps, sizeof(now));
		now[i] = power_step(&next.vm, &ops[i], steps[i], &next.r[i]) ? steps[i] + 1 : MAX_STEPS;
		spec_orders(&next, ops, n, now);
	}
	if (over)
		add_outcome(o);
}

/* The host enters each that can be, and says that it failed: that must give the same, too. */
static bool follow_up_same(struct power_vm spec)
{
	for (u8 i = 0; i < POWER_CPUS; i++) {
		struct power_op op = { .kind = POWER_ENTER, .cpu = i, .says = (u64)-3 };
		struct kvm_vcpu_arch *arch = &m.vcpu[i].vcpu.arch;
		struct power_result is, want;

		if (!power_can(&spec, &op))
			continue;
		run_spec(&spec, &op, &want);
		arch->ctxt.regs.regs[0] = GUEST_X0;
		arch->ctxt.regs.pc = GUEST_PC;
		do_op(&op, &is);
		if (!same_result(&is, &want))
			return false;
	}
	return observed_same(&spec);
}

static u64 hash_results(const struct state *after, unsigned int n)
{
	u64 h = hash(after);

	for (unsigned int i = 0; i < n; i++) {
		const struct power_result *r = &tasks[i].result;

		h = (h ^ r->what ^ r->entry << 8 ^ r->has_x0 << 16) * 0x100000001b3;
		h = (h ^ r->x0) * 0x100000001b3;
	}
	return h;
}

/* @known: hashes of what was seen to be allowed already. */
static bool is_allowed(const struct state *from, unsigned int n, u64 *known, unsigned int *nr_known)
{
	struct state after = { .spec = from->spec };
	u64 h;

	save(&after);
	h = hash_results(&after, n);
	for (unsigned int i = 0; i < *nr_known; i++) {
		if (known[i] == h)
			return true;
	}
	for (unsigned int i = 0; i < nr_outcomes; i++) {
		bool same = true;

		for (unsigned int j = 0; j < n; j++)
			same &= same_result(&tasks[j].result, &outcomes[i].r[j]);
		if (!same)
			continue;
		load(&after);
		if (!observed_same(&outcomes[i].vm))
			continue;
		load(&after);
		if (!follow_up_same(outcomes[i].vm))
			continue;
		if (*nr_known < MAX_OUTCOMES)
			known[(*nr_known)++] = h;
		return true;
	}
	return false;
}

static void complain(const struct state *from, const struct power_op *ops, unsigned int n,
		     const u8 *schedule, unsigned int len)
{
	if (failed > 4)
		return;
	print_state(&from->spec);
	for (unsigned int i = 0; i < n; i++) {
		print_op(&ops[i]);
		print_result("  gave", &tasks[i].result);
	}
	printf("   in this order:");
	for (unsigned int i = 0; i < len; i++)
		printf(" %u", ops[schedule[i]].cpu);
	printf("\n");
}

static unsigned long nr_orders;

/* The tasks that may go on, the last one first. With no interruptions left it alone may. */
static unsigned int choices(unsigned int n, int last, unsigned int interruptions, u8 *tasks_to)
{
	unsigned int nr = 0;

	if (last >= 0 && !tasks[last].done) {
		tasks_to[nr++] = last;
		if (!interruptions)
			return nr;
	}
	for (unsigned int i = 0; i < n; i++) {
		if (!tasks[i].done && i != last)
			tasks_to[nr++] = i;
	}
	return nr;
}

/* @choice: which of the choices to take, as far as it goes. Returns how many steps there were. */
static unsigned int run_order(const struct state *from, const struct power_op *ops, unsigned int n,
			      unsigned int interruptions, u8 *choice, unsigned int fixed, u8 *nr,
			      u8 *order)
{
	unsigned int len;
	u8 to[MAX_OPS];
	int last = -1;

	load(from);
	for (unsigned int i = 0; i < n; i++)
		task_init(&tasks[i], &ops[i]);
	for (len = 0; (nr[len] = choices(n, last, interruptions, to)); len++) {
		if (len >= fixed)
			choice[len] = 0;
		if (choice[len] && last >= 0 && !tasks[last].done)
			interruptions--;
		last = order[len] = to[choice[len]];
		task_continue(&tasks[last]);
	}
	nr_orders++;
	return len;
}

/* Every order, by going again from the start with the last choice that can be another. */
static void check_at_once(const struct state *from, const struct power_op *ops, unsigned int n,
			  unsigned int interruptions)
{
	static const unsigned int begin[MAX_OPS];
	u8 choice[MAX_STEPS], nr[MAX_STEPS], order[MAX_STEPS];
	struct outcome o = { .vm = from->spec };
	static u64 known[MAX_OUTCOMES];
	unsigned int fixed = 0, nr_known = 0, len;

	nr_outcomes = 0;
	spec_orders(&o, ops, n, begin);
	do {
		len = run_order(from, ops, n, interruptions, choice, fixed, nr, order);
		if (!is_allowed(from, n, known, &nr_known)) {
			CHECK(false, "FAIL: several at once: no order gives this");
			complain(from, ops, n, order, len);
			return;
		}
		checks++;
		for (fixed = len; fixed && choice[fixed - 1] + 1 == nr[fixed - 1]; fixed--)
			;
		if (fixed)
			choice[fixed - 1]++;
	} while (fixed);
}

/* Operations that change what others see. */
static unsigned int ops_of(const struct power_vm *vm, u8 cpu, struct power_op *ops)
{
	unsigned int n = 0;

	if (!vm->cpu[cpu].in_guest) {
		ops[n++] = (struct power_op) { .kind = POWER_ENTER, .cpu = cpu, .says = (u64)-6 };
		if (vm->cpu[cpu].waits_for)
			ops[n++] = (struct power_op) { .kind = POWER_ENTER, .cpu = cpu };
		return n;
	}
	for (u8 target = 0; target < POWER_CPUS; target++) {
		if (target != cpu)
			ops[n++] = (struct power_op) { .kind = POWER_CPU_ON, .cpu = cpu, .target = target };
	}
	ops[n++] = (struct power_op) { .kind = POWER_CPU_OFF, .cpu = cpu };
	ops[n++] = (struct power_op) { .kind = POWER_SYSTEM_OFF, .cpu = cpu };
	return n;
}

static void check_state_at_once(const struct state *from)
{
	struct power_op ops[POWER_CPUS][8];
	unsigned int n[POWER_CPUS];

	for (u8 i = 0; i < POWER_CPUS; i++)
		n[i] = ops_of(&from->spec, i, ops[i]);
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		unsigned int j = (i + 1) % POWER_CPUS;

		for (unsigned int k = 0; k < n[i] * n[j]; k++)
			check_at_once(from, (struct power_op[]) { ops[i][k / n[j]], ops[j][k % n[j]] }, 2,
				      MAX_STEPS);
	}
	for (unsigned int k = 0; k < n[0] * n[1] * n[2]; k++)
		check_at_once(from, (struct power_op[]) { ops[0][k / n[1] / n[2]],
							   ops[1][k / n[2] % n[1]], ops[2][k % n[2]] }, 3,
			      INTERRUPTIONS);
}

/* With the CPUs' names changed: @to is what CPU 0 is now, and so on. */
static void rename_cpus(const struct power_vm *from, const u8 *to, struct power_vm *vm)
{
	*vm = *from;
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		const struct power_cpu *cpu = &from->cpu[i];

		vm->cpu[to[i]] = *cpu;
		vm->cpu[to[i]].by = cpu->power == POWER_PENDING ? to[cpu->by] : 0;
		vm->cpu[to[i]].waits_for = cpu->waits_for ? to[cpu->waits_for - 1] + 1 : 0;
	}
}

/* Of states that are the same but for the CPUs' names one is enough. */
static bool is_first_of_its_kind(const struct power_vm *vm)
{
	static const u8 names[][POWER_CPUS] = {
		{ 0, 1, 2 }, { 0, 2, 1 }, { 1, 0, 2 }, { 1, 2, 0 }, { 2, 0, 1 }, { 2, 1, 0 },
	};
	struct power_vm plain, renamed;

	rename_cpus(vm, names[0], &plain);
	for (unsigned int i = 1; i < ARRAY_SIZE(names); i++) {
		rename_cpus(vm, names[i], &renamed);
		if (memcmp(&renamed, &plain, sizeof(plain)) < 0)
			return false;
	}
	return true;
}

/* One for each state of the abstract machine. What EL2 has beside it was tried by check_states(). */
static void check_all_at_once(void)
{
	unsigned long i, kept = 0;

	memset(slots, 0, nr_slots * sizeof(*slots));
	for (i = 0; i < nr_states && failed < 20; i++) {
		struct state only = { .spec = states[i].spec };
		u64 h = hash(&only), j;

		if (only.spec.ended || !is_first_of_its_kind(&only.spec))
			continue;
		for (j = h % nr_slots; slots[j] && slots[j] != h; j = (j + 1) % nr_slots)
			;
		if (slots[j])
			continue;
		slots[j] = h;
		kept++;
		cpu_step = task_step;
		check_state_at_once(&states[i]);
		cpu_step = NULL;
	}
	printf("   %lu orders, from %lu states\n", nr_orders, kept);
}

/* What needs no other CPU */

static void check_answer(u32 function, u64 a, u64 b, s64 want)
{
	struct power_result r = {};

	do_call(0, function, a, b, 0, &r);
	CHECK(r.what == POWER_ANSWERED && r.x0 == want, "FAIL: call %x of %lx is answered by %ld",
	      function, a, (long)r.x0);
}

/* The functions of PSCI 1.1 that there are: of 32 bits, of 64. */
static bool is_offered(u32 function)
{
	const u32 both = 1 << 1 | 1 << 3 | 1 << 4 | 1 << 0x12;
	const u32 narrow = both | 1 << 0 | 1 << 2 | 1 << 6 | 1 << 8 | 1 << 9 | 1 << 10;

	if (function == 0x80000000)
		return true;
	if ((function & 0xbfffffe0) != 0x84000000)
		return false;
	return (function & 0x40000000 ? both : narrow) >> (function & 0x1f) & 1;
}

static void check_calls(const struct state *s)
{
	static const u32 bases[] = { 0x80000000, 0x84000000, 0xc4000000, 0x84000020, 0xc6000000 };

	load(s);
	check_answer(0x84000000, 1, 2, 0x10001);
	check_answer(0x84000006, 1, 2, 2);
	for (unsigned int i = 0; i < ARRAY_SIZE(bases) * 32; i++) {
		u32 function = bases[i / 32] + i % 32;
		bool psci = (function & 0xbfffffe0) == 0x84000000;

		check_answer(0x8400000a, 0xffffffff00000000 | function, 0, is_offered(function) ? 0 : -1);
		CHECK(pvm_is_psci(function) == psci, "FAIL: is %x PSCI?", function);
		if (psci && !is_offered(function))
			check_answer(function, 0, 0, -1);
	}
	/* No vendor's, and no architecture's but a warm reset. */
	check_answer(0x84000012, 1, 0, -2);
	check_answer(0xc4000012, 0x7fffffff, 0, -2);
	check_answer(0xc4000003, 1UL << 24, 0, -2);
	check_answer(0xc4000004, 1UL << 31, 0, -2);
	check_answer(0xc4000004, 0, 4, -2);
	check_answer(0x84000004, 0xdead00000000, 0xdead00000000, 0);
}

/* A 32-bit call has arguments of 32 bits, whatever is above them. */
static void check_narrow_cpu_on(const struct state *s)
{
	struct power_op op = { .kind = POWER_ENTER, .cpu = 1 };
	struct power_result r = {};
	u64 *regs = m.vcpu[1].vcpu.arch.ctxt.regs.regs;

	load(s);
	cpu_sctlr = 0;
	m.vcpu[0].vcpu.arch.ctxt.regs.regs[3] = 0;
	do_call(0, PSCI_0_2_FN_CPU_ON, 0xbad00000001, 0xbad40001000, 0xbad00000055, &r);
	CHECK(r.what == POWER_LEFT && !r.entry, "FAIL: a 32-bit CPU_ON");
	do_enter(&op, &r);
	CHECK(r.what == POWER_BEGINS && m.vcpu[1].vcpu.arch.ctxt.regs.pc == 0x40001000 &&
	      regs[0] == 0x55, "FAIL: a 32-bit CPU_ON has wide arguments");
}

static void check_one_cpu(void)
{
	struct power_op op = { .kind = POWER_ENTER };
	struct power_result r;
	struct state s = {};

	load(&s);
	do_op(&op, &r);
	save(&s);
	check_calls(&s);
	check_narrow_cpu_on(&s);
}

/* What comes of the vectors that the host asks for, on a machine whose own are 64 bytes long. */
static void check_vector_lengths(void)
{
	static const struct {
		unsigned int asked, given;
	} rows[] = {
		{ 0, 0 }, { 1, 0 }, { 15, 0 }, { 16, 16 }, { 17, 0 }, { 32, 32 }, { 48, 48 },
		{ 63, 0 }, { 64, 64 }, { 65, 64 }, { 80, 64 }, { 256, 64 }, { 8208, 64 }, { ~0U, 64 },
	};
	struct pkvm_hyp_vcpu *hyp_vcpu = &m.vcpu[0];
	struct kvm_vcpu_arch *arch = &hyp_vcpu->vcpu.arch;
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int want = rows[i].given ? 0 : -EINVAL;

		memset(arch, 0, sizeof(*arch));
		CHECK(pvm_init_sve(hyp_vcpu, rows[i].asked) == want,
		      "FAIL: vectors of %u bytes", rows[i].asked);
		CHECK(arch->sve_max_vl == rows[i].given, "FAIL: %u bytes for %u",
		      arch->sve_max_vl, rows[i].asked);
		CHECK(arch->sve_state == (want ? NULL : (void *)(hyp_vcpu + 1)),
		      "FAIL: vectors of %u bytes are elsewhere", rows[i].asked);
	}
}

/* The host gives room for the longest vectors of the machine, to protected guests with SVE. */
static void check_vcpu_size(void)
{
	struct pkvm_hyp_vm vm = { .kvm.is_protected = true };
	size_t without = pvm_hyp_vcpu_size(&vm), with;
	unsigned int max_vl = kvm_host_sve_max_vl;

	/* More than what is left of a page. */
	kvm_host_sve_max_vl = 256;
	CHECK(without == PAGE_ALIGN(sizeof(struct pkvm_hyp_vcpu)), "FAIL: a vCPU of %zu", without);
	vm.kvm.has_sve = true;
	with = pvm_hyp_vcpu_size(&vm);
	CHECK(with == PAGE_ALIGN(sizeof(struct pkvm_hyp_vcpu) + SVE_SIZE(kvm_host_sve_max_vl)),
	      "FAIL: a vCPU with vectors of %zu", with);
	vm.kvm.is_protected = false;
	CHECK(pvm_hyp_vcpu_size(&vm) == without, "FAIL: an ordinary guest's vectors");
	kvm_host_sve_max_vl = max_vl;
}

int main(void)
{
	check_vector_lengths();
	check_vcpu_size();
	init_machine();
	check_one_cpu();
	init_machine();
	check_states();
	check_all_at_once();
	return check_end("pvm_power_test");
}
