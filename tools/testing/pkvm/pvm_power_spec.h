/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_PVM_POWER_SPEC_H
#define PKVM_TEST_PVM_POWER_SPEC_H

/*
 * Power of a protected guest's CPUs, as an abstract machine: who may run, where one begins, and
 * what the guest's calls say. Written from the contract and from PSCI 1.1 (ARM DEN 0022), not
 * from pvm_psci.c.
 *
 * An operation is a few steps, each of which is done at once. One after the other they are what
 * happens when nothing else does; what else may happen is any order of the steps of several
 * CPUs' operations.
 */

#include <linux/types.h>

#define POWER_CPUS	3
#define POWER_NOBODY	POWER_CPUS	/* a target that does not exist */
#define POWER_ILLEGAL	(POWER_CPUS + 1)	/* a target that is no MPIDR */

enum power {
	POWER_OFF, POWER_CLAIMED, POWER_PENDING, POWER_ON,
	POWER_DEAD,	/* was caught in AArch32 */
};

/**
 * struct power_cpu - one CPU of the guest's
 * @power: enum power
 * @by: whose CPU_ON it is that is pending, and so where it begins
 * @waits_for: + 1: whose start this CPU has called for, and has no answer yet
 * @owed: it gets the result of a call when it is entered
 * @in_guest: it executes
 * @promised: a CPU_ON of it has succeeded, and it has not begun
 */
struct power_cpu {
	u8 power, by, waits_for;
	bool owed, in_guest, promised;
};

struct power_vm {
	bool started, ended;
	struct power_cpu cpu[POWER_CPUS];
};

enum power_kind {
	POWER_ENTER,		/* the host enters @cpu and answers its call by @says */
	POWER_EXIT,		/* an interrupt */
	POWER_CAUGHT,		/* an exit from a state that the CPU may not be in */
	POWER_CPU_ON,		/* @target */
	POWER_CPU_OFF,
	POWER_SUSPEND,
	POWER_AFFINITY_INFO,	/* @target, @level */
	POWER_SYSTEM_OFF,
	POWER_SYSTEM_RESET,
	POWER_SYSTEM_RESET2,
	POWER_NR_KINDS,
};

struct power_op {
	u8 kind, cpu, target, level;
	u64 says;
};

/* Where a CPU begins: where the CPU said that called CPU_ON, or where the host did. */
#define POWER_HOSTS_ENTRY	POWER_CPUS

enum power_what { POWER_REFUSED, POWER_BEGINS, POWER_CONTINUES, POWER_ANSWERED, POWER_LEFT };

/**
 * struct power_result - what came of it
 * @what: enum power_what
 * @entry: where it begins
 * @x0: the guest's, of a call that is answered, or was at this entry
 * @has_x0: there is one
 */
struct power_result {
	u8 what, entry;
	bool has_x0;
	s64 x0;
};

extern const char *const power_kind_names[POWER_NR_KINDS];

/* Numbers of the guest's CPUs: two are in one cluster, one is in another. */
unsigned int power_vcpu_id(unsigned int cpu);
u64 power_mpidr(unsigned int target);

/* Can this be done now? A CPU that executes makes calls, one that does not is entered. */
bool power_can(const struct power_vm *vm, const struct power_op *op);

/**
 * power_step() - one step of an operation
 * @vm: changed
 * @op: what is done
 * @step: how many of its steps were done already
 * @r: filled in by the last one
 *
 * Return: true if there are more.
 */
bool power_step(struct power_vm *vm, const struct power_op *op, unsigned int step,
		struct power_result *r);

/* Returns the name of the first invariant that does not hold, or NULL. */
const char *power_violation(const struct power_vm *vm);

#endif
