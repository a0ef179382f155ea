// SPDX-License-Identifier: GPL-2.0-only
/* The specification of a protected guest's CPUs' power: see pvm_power_spec.h. */
#include <string.h>

#include <nvhe/pvm_spec.h>

#include "pvm_power_spec.h"

enum {
	SUCCESS = 0, INVALID_PARAMETERS = -2, DENIED = -3, ALREADY_ON = -4, ON_PENDING = -5,
	INTERNAL_FAILURE = -6,
};

const char *const power_kind_names[POWER_NR_KINDS] = {
	"enter", "exit", "caught", "CPU_ON", "CPU_OFF", "CPU_SUSPEND", "AFFINITY_INFO",
	"SYSTEM_OFF", "SYSTEM_RESET", "SYSTEM_RESET2",
};

unsigned int power_vcpu_id(unsigned int cpu)
{
	static const unsigned int ids[] = { 0, 1, 17, 2 };

	return ids[cpu];
}

/* As in an argument: without the bits of MPIDR_EL1 that are no affinity. */
u64 power_mpidr(unsigned int target)
{
	if (target == POWER_ILLEGAL)
		return pvm_spec_mpidr(power_vcpu_id(0));
	return pvm_spec_mpidr(power_vcpu_id(target)) & 0xff00ffffff;
}

bool power_can(const struct power_vm *vm, const struct power_op *op)
{
	return vm->cpu[op->cpu].in_guest == (op->kind != POWER_ENTER);
}

static void answer(struct power_result *r, s64 x0)
{
	*r = (struct power_result) { .what = POWER_ANSWERED, .x0 = x0, .has_x0 = true };
}

static void leave(struct power_cpu *cpu, bool owed, struct power_result *r)
{
	cpu->in_guest = false;
	cpu->owed = owed;
	*r = (struct power_result) { .what = POWER_LEFT };
}

/* Entries */

static bool begin(struct power_cpu *cpu, u8 entry, struct power_result *r)
{
	*cpu = (struct power_cpu) { .power = POWER_ON, .in_guest = true };
	*r = (struct power_result) { .what = POWER_BEGINS, .entry = entry };
	return false;
}

static bool go(struct power_vm *vm, struct power_cpu *cpu, struct power_result *r)
{
	*r = (struct power_result) { .what = POWER_REFUSED };
	switch (cpu->power) {
	case POWER_ON:
		cpu->in_guest = true;
		r->what = POWER_CONTINUES;
		return cpu->owed;
	case POWER_PENDING:
		return begin(cpu, cpu->by, r);
	case POWER_OFF:
		if (vm->started)
			return false;
		vm->started = true;
		return begin(cpu, POWER_HOSTS_ENTRY, r);
	default:
		return false;
	}
}

/* PSCI's results are 0 to -9, in 32 bits. */
static s64 clamp_result(u64 says)
{
	s64 val = (int32_t)says;

	return val <= 0 && val >= -9 ? val : INTERNAL_FAILURE;
}

/* The host can fail to start a CPU, which is true as long as it has not begun. */
static void give_result(struct power_vm *vm, const struct power_op *op, struct power_result *r)
{
	struct power_cpu *cpu = &vm->cpu[op->cpu], *target;

	r->has_x0 = true;
	r->x0 = clamp_result(op->says);
	cpu->owed = false;
	if (!cpu->waits_for)
		return;

	target = &vm->cpu[cpu->waits_for - 1];
	cpu->waits_for = 0;
	if (target->power != POWER_PENDING || target->by != op->cpu) {
		r->x0 = SUCCESS;
	} else if (r->x0) {
		target->power = POWER_OFF;
		r->x0 = INTERNAL_FAILURE;
	} else {
		target->promised = true;
	}
}

static bool enter(struct power_vm *vm, const struct power_op *op, unsigned int step,
		  struct power_result *r)
{
	switch (step) {
	case 0:
		*r = (struct power_result) { .what = POWER_REFUSED };
		return !vm->ended;
	case 1:
		return go(vm, &vm->cpu[op->cpu], r);
	default:
		give_result(vm, op, r);
		return false;
	}
}

/* Calls */

static bool cpu_on(struct power_vm *vm, const struct power_op *op, unsigned int step,
		   struct power_result *r)
{
	static const s64 refusals[] = {
		[POWER_CLAIMED] = ON_PENDING, [POWER_PENDING] = ON_PENDING, [POWER_ON] = ALREADY_ON,
		[POWER_DEAD] = DENIED,
	};
	struct power_cpu *target = &vm->cpu[op->target];

	if (op->target >= POWER_CPUS) {
		answer(r, INVALID_PARAMETERS);
		return false;
	}
	if (!step) {
		if (target->power != POWER_OFF) {
			answer(r, refusals[target->power]);
			return false;
		}
		target->power = POWER_CLAIMED;
		target->by = op->cpu;
		return true;
	}
	target->power = POWER_PENDING;
	vm->cpu[op->cpu].waits_for = op->target + 1;
	leave(&vm->cpu[op->cpu], true, r);
	return false;
}

/* 0 is on, 1 is off, 2 is being started: of all CPUs whose affinity is the same from a level up. */
static s64 affinity_info(const struct power_vm *vm, const struct power_op *op)
{
	static const unsigned int shifts[] = { 0, 8, 16, 32 };
	bool any = false, pending = false;

	if (op->target == POWER_ILLEGAL || op->level > 3)
		return INVALID_PARAMETERS;
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		if ((power_mpidr(i) ^ power_mpidr(op->target)) >> shifts[op->level])
			continue;
		any = true;
		if (vm->cpu[i].power == POWER_ON)
			return 0;
		pending |= vm->cpu[i].power == POWER_CLAIMED || vm->cpu[i].power == POWER_PENDING;
	}
	return !any ? INVALID_PARAMETERS : pending ? 2 : 1;
}

bool power_step(struct power_vm *vm, const struct power_op *op, unsigned int step,
		struct power_result *r)
{
	struct power_cpu *cpu = &vm->cpu[op->cpu];

	switch (op->kind) {
	case POWER_ENTER:
		return enter(vm, op, step, r);
	case POWER_CPU_ON:
		return cpu_on(vm, op, step, r);
	case POWER_AFFINITY_INFO:
		answer(r, affinity_info(vm, op));
		return false;
	case POWER_EXIT:
		leave(cpu, false, r);
		return false;
	case POWER_CAUGHT:
		cpu->power = POWER_DEAD;
		leave(cpu, false, r);
		return false;
	case POWER_CPU_OFF:
		/* It is off when others can see that; it leaves a little later. */
		cpu->power = POWER_OFF;
		leave(cpu, true, r);
		return false;
	case POWER_SUSPEND:
		leave(cpu, true, r);
		return false;
	default:
		vm->ended = true;
		leave(cpu, true, r);
		return false;
	}
}

const char *power_violation(const struct power_vm *vm)
{
	for (unsigned int i = 0; i < POWER_CPUS; i++) {
		const struct power_cpu *cpu = &vm->cpu[i];

		if (cpu->power != POWER_OFF && !vm->started)
			return "a CPU is on before the first one";
		if (cpu->in_guest && cpu->power != POWER_ON)
			return "a CPU executes that is not on";
		if (cpu->promised && cpu->power != POWER_PENDING)
			return "a CPU_ON that succeeded is lost";
		if (cpu->power == POWER_PENDING && cpu->by == i)
			return "a CPU starts itself";
		if (cpu->waits_for && (cpu->in_guest || !cpu->owed))
			return "a CPU goes on while its call is not answered";
		if (cpu->waits_for == i + 1)
			return "a CPU waits for itself";
	}
	return NULL;
}
