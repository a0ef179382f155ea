// SPDX-License-Identifier: GPL-2.0-only
/*
 * PSCI and the other SMCCC services as a protected guest finds them, and the instructions that
 * it was not given.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "kselftest_harness.h"
#include "pkvm_attack.h"

#define AFFINITY_ON		0
#define AFFINITY_OFF		1
#define AFFINITY_ON_PENDING	2

#define SMCCC_VERSION		0x80000000
#define SMCCC_ARCH_FEATURES	0x80000001
#define SMCCC_WORKAROUND_1	0x80008000
#define SMCCC_WORKAROUND_2	0x80007fff
#define SMCCC_WORKAROUND_3	0x80003fff
#define SMCCC_VENDOR_UID	0x8600ff01
#define SMCCC_TRNG_VERSION	0x84000050
#define SMCCC_TRNG_FEATURES	0x84000051
#define SMCCC_TRNG_RND		0xc4000053

#define RESET2_VENDOR		0x80000000

FIXTURE(power) {
	struct attack a;
	struct pkvm_vcpu *vcpu;		/* of three: the one that is on */
	struct pkvm_vcpu *other;
	struct pkvm_vcpu *third;
};

FIXTURE_SETUP(power)
{
	attack_vm_create(&self->a, 3, PKVM_VM_PROTECTED | PKVM_VM_MANUAL_START);
	self->vcpu = self->a.vcpu;
	self->other = self->a.other;
	self->third = &self->a.vm.vcpu[2];
}

FIXTURE_TEARDOWN(power)
{
	attack_vm_destroy(&self->a);
	EXPECT_EQ(0, attack_kmsg_bad());
}

static s64 call(struct pkvm_vcpu *vcpu, u64 func, u64 a1, u64 a2, u64 a3)
{
	return guest_hvc(vcpu, func, a1, a2, a3, NULL);
}

static s64 affinity(struct pkvm_vcpu *vcpu, u64 mpidr, u64 level)
{
	return call(vcpu, PSCI_AFFINITY_INFO, mpidr, level, 0);
}

static s64 turn_on(FIXTURE_DATA(power) * self, int id)
{
	return guest_cpu_on(self->vcpu, attack_mpidr(id), PKVM_CODE_GPA, 0);
}

/* It runs, and waits for commands. */
static bool is_up(struct pkvm_vcpu *vcpu)
{
	return !attack_call(vcpu, 5000, PKVM_OP_NOP, NULL, 0, 1);
}

/*
 * PSCI.
 */

TEST_F(power, version)
{
	EXPECT_EQ(0x10001, call(self->vcpu, PSCI_VERSION_FN, 0, 0, 0));
}

TEST_F(power, features)
{
	static const struct {
		u64 func;
		s64 answer;
	} rows[] = {
		{ PSCI_VERSION_FN, 0 }, { PSCI_CPU_SUSPEND, 0 }, { PSCI_CPU_SUSPEND32, 0 },
		{ PSCI_CPU_OFF, 0 }, { PSCI_CPU_ON, 0 }, { PSCI_CPU_ON32, 0 },
		{ PSCI_AFFINITY_INFO, 0 }, { PSCI_AFFINITY_INFO32, 0 },
		{ PSCI_MIGRATE_INFO_TYPE, 0 }, { PSCI_SYSTEM_OFF, 0 }, { PSCI_SYSTEM_RESET, 0 },
		{ PSCI_FEATURES, 0 }, { PSCI_SYSTEM_RESET2, 0 }, { PSCI_SYSTEM_RESET2_32, 0 },
		{ SMCCC_VERSION, 0 },
		{ PSCI_MIGRATE, PKVM_NOT_SUPPORTED },
		{ PSCI_SYSTEM_SUSPEND, PKVM_NOT_SUPPORTED },
		{ PSCI_SYSTEM_OFF2, PKVM_NOT_SUPPORTED },
		{ 0x8400001f, PKVM_NOT_SUPPORTED }, { 0xc400001f, PKVM_NOT_SUPPORTED },
		{ 0, PKVM_NOT_SUPPORTED },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		EXPECT_EQ(rows[i].answer, call(self->vcpu, PSCI_FEATURES, rows[i].func, 0, 0))
			TH_LOG("function %#lx", (unsigned long)rows[i].func);
	}
}

TEST_F(power, migrate_info_type)
{
	EXPECT_EQ(2, call(self->vcpu, PSCI_MIGRATE_INFO_TYPE, 0, 0, 0));
}

TEST_F(power, affinity_info)
{
	EXPECT_EQ(AFFINITY_ON, affinity(self->vcpu, attack_mpidr(0), 0));
	EXPECT_EQ(AFFINITY_OFF, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_EQ(AFFINITY_OFF, call(self->vcpu, PSCI_AFFINITY_INFO32, attack_mpidr(1), 0, 0));
	EXPECT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	EXPECT_EQ(AFFINITY_ON_PENDING, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_TRUE(is_up(self->other));
	EXPECT_EQ(AFFINITY_ON, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_EQ(AFFINITY_ON, affinity(self->other, attack_mpidr(1), 0));
	EXPECT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
	EXPECT_EQ(AFFINITY_OFF, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_EQ(AFFINITY_OFF, affinity(self->vcpu, attack_mpidr(2), 0));
}

TEST_F(power, affinity_info_with_bad_arguments)
{
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(3), 0));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(1), 4));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(1), ~0ULL));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(1) | 1 << 24, 0));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(1) | 1ULL << 31, 0));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, attack_mpidr(1) | 1ULL << 40, 0));
	EXPECT_EQ(PSCI_INVALID_PARAMS, affinity(self->vcpu, ~0ULL, 0));
}

TEST_F(power, cpu_on)
{
	EXPECT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	EXPECT_EQ(PSCI_ON_PENDING, turn_on(self, 1));
	EXPECT_TRUE(is_up(self->other));
	EXPECT_EQ(PSCI_ALREADY_ON, turn_on(self, 1));
	EXPECT_EQ(PSCI_ALREADY_ON, turn_on(self, 0));
	EXPECT_EQ(attack_mpidr(1), guest_mpidr(self->other) & 0xff00ffffff);

	/* By one that was itself turned on, and by the 32-bit call. */
	EXPECT_EQ(PKVM_SUCCESS, call(self->other, PSCI_CPU_ON32, attack_mpidr(2), PKVM_CODE_GPA,
				     0));
	EXPECT_TRUE(is_up(self->third));
	EXPECT_EQ(attack_mpidr(2), guest_mpidr(self->third) & 0xff00ffffff);
}

TEST_F(power, cpu_on_with_bad_arguments)
{
	static const u64 mpidr[] = {
		3, 0x100, 1 << 24 | 1, 1ULL << 31 | 1, 1ULL << 32 | 1, 1ULL << 40 | 1, ~0ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mpidr); i++) {
		EXPECT_EQ(PSCI_INVALID_PARAMS,
			  guest_cpu_on(self->vcpu, mpidr[i], PKVM_CODE_GPA, 0))
			TH_LOG("MPIDR %#lx", (unsigned long)mpidr[i]);
	}
	EXPECT_EQ(AFFINITY_OFF, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	EXPECT_TRUE(is_up(self->other));
}

/* What attack_boot() has found at the start of a vCPU is the reset state, x0 apart. */
static void expect_reset(struct __test_metadata *_metadata, FIXTURE_DATA(power) * self, int id)
{
	u64 gpa = attack_gpa(&self->a, ATTACK_PAGE_RECORD), word[ATTACK_BOOT_WORDS];
	int i;

	for (i = 0; i < ATTACK_BOOT_WORDS; i++)
		word[i] = guest_read64(self->vcpu, gpa + 8 * i);
	EXPECT_EQ(1, word[ATTACK_BOOT_MARK]);
	EXPECT_EQ(gpa, word[ATTACK_BOOT_X(0)]);
	for (i = 1; i <= 30; i++) {
		EXPECT_EQ(0, word[ATTACK_BOOT_X(i)])
			TH_LOG("x%d", i);
	}
	EXPECT_EQ(0, word[ATTACK_BOOT_SP]);
	/* MMU, caches and alignment check off, little endian: M, C, I, A, E0E, EE. */
	EXPECT_EQ(0, word[ATTACK_BOOT_SCTLR] & (0x1007 | 3 << 24));
	EXPECT_EQ(0x3c0, word[ATTACK_BOOT_DAIF]);
	EXPECT_EQ(0x4, word[ATTACK_BOOT_EL]);
	EXPECT_EQ(1, word[ATTACK_BOOT_SPSEL]);
	EXPECT_EQ(attack_mpidr(id), word[ATTACK_BOOT_MPIDR] & 0xff00ffffff);
	for (i = ATTACK_BOOT_TTBR0; i <= ATTACK_BOOT_V0; i++) {
		EXPECT_EQ(0, word[i])
			TH_LOG("word %d", i);
	}
	guest_write64(self->vcpu, gpa + 8 * ATTACK_BOOT_MARK, 0);
}

TEST_F(power, cpu_on_resets_the_vcpu)
{
	u64 record = attack_gpa(&self->a, ATTACK_PAGE_RECORD);
	u64 scratch = attack_gpa(&self->a, ATTACK_PAGE_FREE);

	guest_write64(self->vcpu, record, 0);
	EXPECT_EQ(PKVM_SUCCESS, guest_cpu_on(self->vcpu, attack_mpidr(1),
					     attack_code(attack_boot), record));
	ASSERT_TRUE(is_up(self->other));
	expect_reset(_metadata, self, 1);

	/* Full of something else, off, and on again. */
	EXPECT_EQ(PKVM_STOP_OTHER, attack_exec(self->other, attack_secrets, 0x123456789abcdef0,
					       ATTACK_PROBE_GPA, scratch));
	EXPECT_EQ(0, attack_resume(self->other, 1000));
	EXPECT_EQ(0, self->other->res[0]);
	ASSERT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
	EXPECT_EQ(PKVM_SUCCESS, guest_cpu_on(self->vcpu, attack_mpidr(1),
					     attack_code(attack_boot), record));
	ASSERT_TRUE(is_up(self->other));
	expect_reset(_metadata, self, 1);
}

/* A vCPU's thread, as a VMM has one for each. */
struct runner {
	pthread_t thread;
	struct pkvm_vcpu *vcpu;
	u64 op, args[2];
	int nr_args, ret;
};

static void *run_one(void *arg)
{
	struct runner *r = arg;

	r->ret = pkvm_vcpu_call(r->vcpu, r->op, r->args, r->nr_args, 1);
	return NULL;
}

static void run_in_thread(struct runner *r)
{
	TEST_ASSERT(!pthread_create(&r->thread, NULL, run_one, r), "thread");
}

/* A VMM's threads are in KVM_RUN before the guest turns its CPUs on. */
TEST_F(power, cpu_on_wakes_a_vcpu)
{
	struct runner r = { .vcpu = self->other, .op = PKVM_OP_NOP };

	call(self->vcpu, PSCI_VERSION_FN, 0, 0, 0);
	run_in_thread(&r);
	usleep(50000);
	EXPECT_EQ(AFFINITY_OFF, affinity(self->vcpu, attack_mpidr(1), 0));
	EXPECT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	pthread_join(r.thread, NULL);
	EXPECT_EQ(0, r.ret);
	EXPECT_EQ(attack_mpidr(1), guest_mpidr(self->other) & 0xff00ffffff);
}

struct caller {
	pthread_t thread;
	pthread_barrier_t *start;
	struct pkvm_vcpu *vcpu;
	u64 context;
	s64 answer;
};

static void *call_cpu_on(void *arg)
{
	struct caller *c = arg;
	int ret;

	pthread_barrier_wait(c->start);
	ret = __guest_hvc(c->vcpu, PSCI_CPU_ON, attack_mpidr(2), attack_code(attack_boot),
			  c->context);
	TEST_ASSERT(!ret, "CPU_ON: KVM_RUN %d", ret);
	c->answer = c->vcpu->res[0];
	return NULL;
}

/* Two vCPUs turn on a third at the same time: which of them did it, -1 if not just one. */
static int race(FIXTURE_DATA(power) * self, const u64 *context)
{
	pthread_barrier_t start;
	struct caller c[2];
	int i, won = -1, nr = 0;

	pthread_barrier_init(&start, NULL, 2);
	for (i = 0; i < 2; i++) {
		c[i] = (struct caller){ .start = &start, .vcpu = &self->a.vm.vcpu[i],
					.context = context[i] };
		TEST_ASSERT(!pthread_create(&c[i].thread, NULL, call_cpu_on, &c[i]), "thread");
	}
	for (i = 0; i < 2; i++) {
		pthread_join(c[i].thread, NULL);
		if (!c[i].answer) {
			won = i;
			nr++;
		} else if (c[i].answer != PSCI_ON_PENDING) {
			fprintf(stderr, "# CPU_ON: %ld\n", (long)c[i].answer);
			return -1;
		}
	}
	pthread_barrier_destroy(&start);
	return nr == 1 ? won : -1;
}

TEST_F_TIMEOUT(power, cpu_on_by_two_at_once, 120)
{
	u64 context[] = { attack_gpa(&self->a, ATTACK_PAGE_FREE),
			  attack_gpa(&self->a, ATTACK_PAGE_FREE + 1) };
	int i, won;

	ASSERT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	ASSERT_TRUE(is_up(self->other));
	for (i = 0; i < 50; i++) {
		won = race(self, context);
		ASSERT_LE(0, won);
		ASSERT_TRUE(is_up(self->third));
		EXPECT_EQ(context[won], guest_read64(self->vcpu, context[won]));
		EXPECT_EQ(0, guest_read64(self->vcpu, context[!won]));
		guest_write64(self->vcpu, context[won], 0);
		ASSERT_TRUE(guest_cpu_off(self->third, attack_mpidr(2), self->vcpu));
	}
}

TEST_F_TIMEOUT(power, cpu_off_and_on_100_times, 120)
{
	int i;

	ASSERT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	ASSERT_TRUE(is_up(self->other));
	for (i = 0; i < 100; i++) {
		ASSERT_TRUE(guest_cpu_off(self->other, attack_mpidr(1), self->vcpu));
		ASSERT_EQ(PKVM_SUCCESS, turn_on(self, 1));
		ASSERT_TRUE(is_up(self->other));
	}
}

/* It goes on where it was, with its registers: that is a WFI. */
TEST_F(power, cpu_suspend)
{
	u64 args[] = { PSCI_CPU_SUSPEND, 0, PKVM_CODE_GPA, 0 };
	int i, ret;

	ret = attack_call(self->vcpu, 50, PKVM_OP_HVC, args, 4, 4);
	for (i = 0; ret == -EINTR && i < 10; i++)
		ret = attack_resume(self->vcpu, 50);
	EXPECT_EQ(0, ret);
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_EQ(AFFINITY_ON, affinity(self->vcpu, attack_mpidr(0), 0));
}

static bool ends_with(struct pkvm_vcpu *vcpu, u32 type, u64 flags)
{
	struct kvm_run *run = vcpu->run;

	if (run->exit_reason == KVM_EXIT_SYSTEM_EVENT && run->system_event.type == type &&
	    run->system_event.ndata == 1 && run->system_event.data[0] == flags)
		return attack_never_runs(vcpu);
	fprintf(stderr, "# exit %u, system event %u, %#llx\n", run->exit_reason,
		run->system_event.type, run->system_event.data[0]);
	return false;
}

TEST_F(power, system_off)
{
	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_OFF, 0, 0, 0));
	EXPECT_TRUE(ends_with(self->vcpu, KVM_SYSTEM_EVENT_SHUTDOWN, 0));
}

static void on_signal(int sig)
{
}

/* One vCPU ends the VM while another one runs: that is not asked, and runs no more. */
TEST_F(power, system_off_stops_the_others)
{
	u64 gpa = attack_gpa(&self->a, ATTACK_PAGE_FREE), seen;
	char *count = attack_hva(&self->a, ATTACK_PAGE_FREE);
	struct sigaction sa = { .sa_handler = on_signal };
	struct runner r = {
		.vcpu = self->other, .op = PKVM_OP_EXEC, .nr_args = 2,
		.args = { attack_code(attack_spin), gpa },
	};

	ASSERT_EQ(0, sigaction(SIGUSR1, &sa, NULL));
	guest_write64(self->vcpu, gpa, 0);
	guest_write64(self->vcpu, gpa + 8, 0);
	ASSERT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, gpa, 1, NULL));
	ASSERT_EQ(PKVM_SUCCESS, turn_on(self, 1));
	run_in_thread(&r);
	while (!gmem_host_get64(count))
		usleep(1000);

	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_OFF, 0, 0, 0));
	usleep(50000);
	seen = gmem_host_get64(count);
	usleep(50000);
	EXPECT_EQ(seen, gmem_host_get64(count));

	self->other->run->immediate_exit = 1;
	pthread_kill(r.thread, SIGUSR1);
	pthread_join(r.thread, NULL);
	EXPECT_GT(0, r.ret);
	self->other->run->immediate_exit = 0;
	EXPECT_TRUE(attack_never_runs(self->other));
	EXPECT_TRUE(attack_never_runs(self->vcpu));
}

TEST_F(power, system_reset)
{
	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_RESET, 0, 0, 0));
	EXPECT_TRUE(ends_with(self->vcpu, KVM_SYSTEM_EVENT_RESET, 0));
}

TEST_F(power, system_reset2)
{
	EXPECT_EQ(PSCI_INVALID_PARAMS, call(self->vcpu, PSCI_SYSTEM_RESET2, 1, 0, 0));
	EXPECT_EQ(PSCI_INVALID_PARAMS, call(self->vcpu, PSCI_SYSTEM_RESET2, 0x7fffffff, 0, 0));
	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_RESET2, 0, 0, 0));
	EXPECT_TRUE(ends_with(self->vcpu, KVM_SYSTEM_EVENT_RESET,
			      KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2));
}

TEST_F(power, system_reset2_of_the_vendors)
{
	EXPECT_EQ(PKVM_STOP_OFF, __guest_hvc(self->vcpu, PSCI_SYSTEM_RESET2, RESET2_VENDOR, 0, 0));
	EXPECT_TRUE(ends_with(self->vcpu, KVM_SYSTEM_EVENT_RESET,
			      KVM_SYSTEM_EVENT_RESET_FLAG_PSCI_RESET2));
}

/*
 * Other services.
 */

TEST_F(power, unknown_functions)
{
	static const u64 funcs[] = {
		PSCI_MIGRATE, PSCI_SYSTEM_SUSPEND, PSCI_SYSTEM_OFF2,
		0x8400001f, 0xc400001f,			/* PSCI that there is not */
		0x86000001, 0xc6000001,			/* PTP: the host's clock */
		0x8600007f, 0xc600007f, 0xc6000040,	/* this vendor's */
		0xc5000020, 0xc5000021,			/* stolen time */
		0x84000060, 0x81000000, 0x82000000, 0x83000000, 0xb2000000,
		0x95c1ba5e,				/* PSCI 0.1 as KVM had it */
		0, 1, 0x7fffffff, ~0ULL,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(funcs); i++)
		EXPECT_EQ(PKVM_NOT_SUPPORTED, call(self->vcpu, funcs[i], 0, 0, 0))
			TH_LOG("function %#lx", (unsigned long)funcs[i]);
}

TEST_F(power, smccc_version)
{
	EXPECT_EQ(0x10001, call(self->vcpu, SMCCC_VERSION, 0, 0, 0));
}

/* The mitigations of this host: what a guest that is not protected is told as well. */
TEST_F(power, arch_features)
{
	static const u64 funcs[] = { SMCCC_WORKAROUND_1, SMCCC_WORKAROUND_2, SMCCC_WORKAROUND_3 };
	struct attack a;
	s64 answer;
	size_t i;

	attack_vm_create(&a, 1, 0);
	for (i = 0; i < ARRAY_SIZE(funcs); i++) {
		answer = call(self->vcpu, SMCCC_ARCH_FEATURES, funcs[i], 0, 0);
		EXPECT_EQ(call(a.vcpu, SMCCC_ARCH_FEATURES, funcs[i], 0, 0), answer)
			TH_LOG("function %#lx", (unsigned long)funcs[i]);
		EXPECT_TRUE(answer >= PKVM_NOT_SUPPORTED - 1 && answer <= 1);
	}
	attack_vm_destroy(&a);

	/* Itself it may name or not. */
	answer = call(self->vcpu, SMCCC_ARCH_FEATURES, SMCCC_ARCH_FEATURES, 0, 0);
	EXPECT_TRUE(answer == PKVM_SUCCESS || answer == PKVM_NOT_SUPPORTED);
	EXPECT_EQ(PKVM_NOT_SUPPORTED, call(self->vcpu, SMCCC_ARCH_FEATURES, 0x80001234, 0, 0));
}

TEST_F(power, vendor_uid)
{
	EXPECT_EQ(0xb66fb428, call(self->vcpu, SMCCC_VENDOR_UID, 0, 0, 0));
	EXPECT_EQ(0xe911c52e, self->vcpu->res[1]);
	EXPECT_EQ(0x564bcaa9, self->vcpu->res[2]);
	EXPECT_EQ(0x743a004d, self->vcpu->res[3]);
}

TEST_F(power, vendor_features)
{
	u64 bits = call(self->vcpu, PKVM_HVC_FEATURES, 0, 0, 0);
	u64 want = 1 << 0 | 1 << 2 | 1 << 3 | 1 << 4 | 1 << 9;
	u64 guard = 1 << 5 | 1 << 6 | 1 << 7 | 1 << 8 | 1 << 10 | 1 << 11;

	EXPECT_EQ(want, bits & want);
	EXPECT_EQ(guard, bits & guard);
	/* The host's clock is not among them. */
	EXPECT_EQ(0, bits & 1 << 1);
	EXPECT_EQ(0, bits & ~(want | guard));
}

/* From the firmware, or not at all. */
TEST_F(power, trng)
{
	s64 version = call(self->vcpu, SMCCC_TRNG_VERSION, 0, 0, 0);

	if (version != PKVM_NOT_SUPPORTED) {
		EXPECT_LE(0x10000, version);
		EXPECT_EQ(PKVM_SUCCESS, call(self->vcpu, SMCCC_TRNG_RND, 64, 0, 0));
		return;
	}
	EXPECT_EQ(PKVM_NOT_SUPPORTED, call(self->vcpu, SMCCC_TRNG_FEATURES, SMCCC_TRNG_RND, 0, 0));
	EXPECT_EQ(PKVM_NOT_SUPPORTED, call(self->vcpu, SMCCC_TRNG_RND, 64, 0, 0));
}

/*
 * Instructions.
 */

static bool is_undefined(struct pkvm_vcpu *vcpu, const char *at, u64 offset, u64 a1)
{
	int ret = attack_exec(vcpu, at, a1, 0, 0);

	/* An exception class of zero: unknown reason. */
	if (ret == PKVM_STOP_EXCEPTION && !(vcpu->esr >> 26) &&
	    vcpu->elr == attack_code(at) + offset)
		return true;
	fprintf(stderr, "# KVM_RUN %d, exit %u, esr %#lx, elr %#lx (%#lx), x0 %#lx\n", ret,
		vcpu->run->exit_reason, (unsigned long)vcpu->esr, (unsigned long)vcpu->elr,
		(unsigned long)(attack_code(at) + offset), (unsigned long)vcpu->res[0]);
	return false;
}

TEST_F(power, smc_is_undefined)
{
	EXPECT_TRUE(is_undefined(self->vcpu, attack_smc, 4, PSCI_VERSION_FN));
	EXPECT_TRUE(is_undefined(self->vcpu, attack_smc, 4, PSCI_SYSTEM_OFF));
	EXPECT_TRUE(is_undefined(self->vcpu, attack_smc, 4, SMCCC_VERSION));
	EXPECT_EQ(0x10001, call(self->vcpu, PSCI_VERSION_FN, 0, 0, 0));
}

TEST_F(power, registers_that_it_was_not_given_are_undefined)
{
	EXPECT_TRUE(is_undefined(self->vcpu, attack_pmcr, 0, 0));
	EXPECT_TRUE(is_undefined(self->vcpu, attack_set_pmcr, 0, 1));
	EXPECT_TRUE(is_undefined(self->vcpu, attack_impdef, 0, 0));
}

TEST_F(power, debug_registers_are_zero)
{
	EXPECT_EQ(0, attack_exec(self->vcpu, attack_mdscr, 1 << 15 | 1 << 13, 0, 0));
	EXPECT_EQ(0, self->vcpu->res[0]);
}

int main(int argc, char **argv)
{
	attack_drop_privileges();
	return test_harness_run(argc, argv);
}
