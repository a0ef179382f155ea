// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest that keeps secrets in all its registers, on a host whose kernel looks for
 * them after every exit and overwrites all it can before every entry (CONFIG_PKVM_HOSTILE_HOST).
 *
 * What happens before the guest's first entry is in pkvm_hostile_begin_test.
 *
 * The host must find none, and must change nothing but what a host may: the value of a load
 * from a device, an external abort of an access to one, UNDEF for a trapped register.
 *
 * usage: pkvm_hostile_test [--exits N] [harness options]
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pkvm_hostile_fixture.h"

/* The modes of arch/arm64/kvm/pkvm_hostile.h. */
#define REGS		(1 << 0)
#define PC		(1 << 1)
#define PSTATE		(1 << 2)
#define SYSREGS		(1 << 3)
#define FP		(1 << 4)
#define INCREMENT	(1 << 5)
#define EXCEPT		(1 << 6)
#define MDCR		(1 << 7)
#define HCR		(1 << 8)
#define DEBUG		(1 << 9)
#define TIMER		(1 << 10)
#define IDS		(1 << 11)
#define KVM		(1 << 12)
#define MEMREQS		(1 << 13)
#define FAULT		(1 << 14)
#define FLAGS		(1 << 15)
#define VGIC		(1 << 16)
#define SERRORS		(1 << 17)
#define ALL		((1 << 18) - 1)
#define WILD		(1 << 18)
#define VM		(1 << 19)

#define ANY_EXCEPT	-1

static unsigned long exits_wanted = 800;

static u64 iterations(int nr_vcpus)
{
	return exits_wanted / EXITS_PER_ITERATION / nr_vcpus + 1;
}

static void create(FIXTURE_DATA(hostile) * self, int nr_vcpus, int nr_used)
{
	secrets_vm_create(&self->vm, PKVM_VM_PROTECTED, nr_vcpus, nr_used,
			  iterations(nr_vcpus) | 1ULL << SECRETS_GUARD);
	/* A hundred exits in a second, with a host that denies half of them. */
	self->vm.seconds += exits_wanted / 100;
}

static void start(FIXTURE_DATA(hostile) * self, int nr_vcpus)
{
	create(self, nr_vcpus, nr_vcpus);
}

static void live_under(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
		       int nr_vcpus, unsigned int modes, int except, u64 gadget)
{
	u64 seed = gmem_now_us() & 0xffffff;

	start(self, nr_vcpus);
	TH_LOG("%u vCPUs, smash %#x, seed %#llx", nr_vcpus, modes, (unsigned long long)seed);
	snprintf(self->vm.smash, sizeof(self->vm.smash), "%#x %#llx %#llx %d", modes,
		 (unsigned long long)seed, (unsigned long long)gadget, except);
	secrets_vm_live(&self->vm);
	expect_untouched(_metadata, self);
	expect_blind(_metadata);
	TH_LOG("%llu exits, %llu exceptions that a host may cause",
	       (unsigned long long)hostile_all_exits(),
	       (unsigned long long)self->vm.reports[SECRETS_ALLOWED]);
	secrets_vm_destroy(&self->vm);
}

#define HOSTILE_TEST(name, modes, except)						\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		live_under(_metadata, self, variant->nr_vcpus, modes, except,		\
			   SECRETS_GPA + pkvm_secrets_gadget);				\
	}

/* ---- All that a host can write, kind by kind ---- */

HOSTILE_TEST(looks, 0, ANY_EXCEPT)
HOSTILE_TEST(general_registers, REGS, ANY_EXCEPT)
HOSTILE_TEST(pc_to_a_gadget, PC, ANY_EXCEPT)
HOSTILE_TEST(pstate, PSTATE, ANY_EXCEPT)
HOSTILE_TEST(system_registers, SYSREGS, ANY_EXCEPT)
HOSTILE_TEST(fp_registers, FP, ANY_EXCEPT)
HOSTILE_TEST(increment_pc_always, INCREMENT, ANY_EXCEPT)
HOSTILE_TEST(sync_exception_always, EXCEPT, 0)
HOSTILE_TEST(irq_exception_always, EXCEPT, 1)
HOSTILE_TEST(fiq_exception_always, EXCEPT, 2)
HOSTILE_TEST(serror_exception_always, EXCEPT, 3)
HOSTILE_TEST(sync_exception_to_el2, EXCEPT, 4)
HOSTILE_TEST(irq_exception_to_el2, EXCEPT, 5)
HOSTILE_TEST(fiq_exception_to_el2, EXCEPT, 6)
HOSTILE_TEST(serror_exception_to_el2, EXCEPT, 7)
HOSTILE_TEST(mdcr, MDCR, ANY_EXCEPT)
HOSTILE_TEST(hcr, HCR, ANY_EXCEPT)
HOSTILE_TEST(single_step, DEBUG | MDCR | PSTATE, ANY_EXCEPT)
HOSTILE_TEST(timer_and_cntvoff, TIMER, ANY_EXCEPT)
HOSTILE_TEST(vcpu_id_and_mpidr, IDS | SYSREGS, ANY_EXCEPT)
HOSTILE_TEST(kvm_pointer, KVM | (variant->nr_vcpus == 1 ? WILD : 0), ANY_EXCEPT)
HOSTILE_TEST(memory_request, MEMREQS, ANY_EXCEPT)
HOSTILE_TEST(fault_information, FAULT, ANY_EXCEPT)
HOSTILE_TEST(flags, FLAGS, ANY_EXCEPT)
HOSTILE_TEST(list_registers, VGIC, ANY_EXCEPT)
HOSTILE_TEST(virtual_serrors, SERRORS, ANY_EXCEPT)
HOSTILE_TEST(all_but_flags, ALL & ~(INCREMENT | EXCEPT), ANY_EXCEPT)
HOSTILE_TEST(all_at_once, ALL, ANY_EXCEPT)

/* What EL2 could take for features, for the VM's identity and for its time, after the init. */
TEST_F_TIMEOUT(hostile, features_changed_while_it_runs, 3000)
{
	if (variant->nr_vcpus > 1)
		SKIP(return, "the host's other threads would believe it");
	live_under(_metadata, self, 1, VM, ANY_EXCEPT, SECRETS_GPA + pkvm_secrets_gadget);
}

/* One that EL2 has pinned, like the right one, and that is the host's. */
TEST_F_TIMEOUT(hostile, kvm_pointer_to_another_vm, 3000)
{
	int fd;

	if (variant->nr_vcpus > 1)
		SKIP(return, "the host's other threads would follow it");
	fd = pkvm_vm_open(0);
	ASSERT_LE(0, fd);
	live_under(_metadata, self, 1, KVM | WILD, ANY_EXCEPT, SECRETS_GPA + pkvm_secrets_gadget);
	close(fd);
}

/* An instruction that the guest does execute. */
TEST_F_TIMEOUT(hostile, breakpoint, 3000)
{
	live_under(_metadata, self, variant->nr_vcpus, DEBUG | MDCR, ANY_EXCEPT,
		   SECRETS_GPA + pkvm_secrets_hvc);
}

/* ---- Single attacks ---- */

static void live_with_orders(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
			     int nr_vcpus, const char *order, const char *second)
{
	if (strstr(order, " hvc ") && nr_vcpus == 1)
		SKIP(return, "one vCPU makes no call that leaves to the host");
	start(self, nr_vcpus);
	hostile_tell("attack", "order %s", order);
	if (second)
		hostile_tell("attack", "order %s", second);
	secrets_vm_live(&self->vm);
	expect_untouched(_metadata, self);
	expect_blind(_metadata);
	EXPECT_LT(0, hostile_ask("attack", "order 0 done"));
	if (second)
		EXPECT_LT(0, hostile_ask("attack", "order 1 done"));
	secrets_vm_destroy(&self->vm);
}

#define ORDERS_TEST(name, order, second)						\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		live_with_orders(_metadata, self, variant->nr_vcpus, order, second);	\
	}

#define ORDER_TEST(name, order)		ORDERS_TEST(name, order, NULL)

/* All that completes an MMIO load, after an exit that was none. */
#define FORGED_COMPLETION_TEST(name, class)						\
	ORDERS_TEST(name, "-1 " class " 0 arch.iflags 0 2 1000",			\
		    "-1 " class " 0 arch.ctxt.regs.regs 0 0xf0f0f0f0f0f0f0f0 1000")

/* The instruction that faulted must be executed, not skipped. */
ORDER_TEST(skip_at_a_data_abort_on_memory, "-1 dabt 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_an_interrupt, "-1 irq 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_a_memory_request, "-1 memreq 0 arch.iflags 0 2 1000")
ORDER_TEST(skip_at_a_hypercall, "-1 hvc 0 arch.iflags 0 2 1000")
ORDER_TEST(wide_data_for_a_load, "-1 load 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(data_for_a_store, "-1 store 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(data_for_a_load_of_memory, "-1 dabt 0 arch.ctxt.regs.regs 0 0xffffffffffffffff 1000")
ORDER_TEST(result_of_a_memory_request, "-1 memreq 0 arch.ctxt.regs.regs 0 0 1000")
FORGED_COMPLETION_TEST(forged_load_at_a_data_abort_on_memory, "dabt")
FORGED_COMPLETION_TEST(forged_load_at_an_interrupt, "irq")
FORGED_COMPLETION_TEST(forged_load_at_a_memory_request, "memreq")

/* Page tables of the host's choice; and the MMU on, so that they would count. */
ORDER_TEST(ttbr0_swapped, "-1 any 0 arch.ctxt.sys_regs[TTBR0_EL1] 0 0x80000000 100000")
ORDERS_TEST(ttbr0_swapped_and_the_mmu_on,
	    "-1 any 0 arch.ctxt.sys_regs[TTBR0_EL1] 0 0x80000000 100000",
	    "-1 any 0 arch.ctxt.sys_regs[SCTLR_EL1] 0 0x30d00801 100000")
ORDER_TEST(vectors_swapped, "-1 any 0 arch.ctxt.sys_regs[VBAR_EL1] 0 0x80000000 100000")

/* Whatever the host says of a CPU_ON: the vCPU has started, or it has not. */
ORDER_TEST(cpu_on_is_said_to_succeed, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 0 1000")
ORDER_TEST(cpu_on_is_said_to_fail, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 -6 20")
ORDER_TEST(cpu_on_is_said_to_be_odd, "-1 hvc 0xc4000003 arch.ctxt.regs.regs 0 0x7fffffff1234 20")

/* @completion: a line of the file "attack". Every time EL2 must say that nothing is pending. */
static void live_with_completion(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self,
				 const char *completion)
{
	hostile_tell("attack", "%s", completion);
	secrets_vm_live(&self->vm);
	expect_untouched(_metadata, self);
	EXPECT_LT(0, hostile_ask("attack", "complete 0 done"));
	/* The first answer that is no error stays. */
	EXPECT_EQ((u64)-EINVAL, hostile_ask("attack", "complete 0 ret"));
	secrets_vm_destroy(&self->vm);
}

#define COMPLETION_TEST(name, completion)						\
	TEST_F_TIMEOUT(hostile, name, 3000)						\
	{										\
		start(self, variant->nr_vcpus);						\
		live_with_completion(_metadata, self, completion);			\
	}

COMPLETION_TEST(completion_at_an_interrupt, "complete -1 irq -1 1 1000")
COMPLETION_TEST(completion_at_a_store, "complete -1 store -1 1 1000")
COMPLETION_TEST(completion_at_a_data_abort, "complete -1 dabt -1 1 1000")
COMPLETION_TEST(completion_of_more_than_was_asked_for, "complete -1 memreq -1 513 1000")
/* With no vCPU loaded there is nothing to complete; the request waits for its vCPU. */
COMPLETION_TEST(completion_after_the_put, "complete -1 memreq -2 1 1000")
/* The request has died with the entry, and the guest calls again. */
COMPLETION_TEST(completion_after_a_signal, "late -1 1 1000")

/* The host's own completion was the first. */
TEST_F_TIMEOUT(hostile, completion_twice, 3000)
{
	if (variant->nr_vcpus > 1)
		SKIP(return, "the attacker cannot tell whose request was completed");
	start(self, 1);
	live_with_completion(_metadata, self, "again -1 1 1000");
}

TEST_F_TIMEOUT(hostile, completion_on_the_wrong_vcpu, 3000)
{
	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	/* The last one is off: it never asked for anything. */
	create(self, variant->nr_vcpus, variant->nr_vcpus - 1);
	live_with_completion(_metadata, self, "complete -1 memreq 3 1 1000");
}

/* ---- Entries that must be refused ---- */

TEST_F_TIMEOUT(hostile, enter_after_system_off, 3000)
{
	int i, nr = 0;

	start(self, variant->nr_vcpus);
	secrets_vm_live(&self->vm);
	expect_untouched(_metadata, self);

	/* After SYSTEM_OFF: nobody, by any way. */
	for (i = 0; i < 4 * variant->nr_vcpus; i++) {
		int id = i % variant->nr_vcpus;

		EXPECT_TRUE(is_refusal(enter_by_force(&nr, id, 0, id)))
			TH_LOG("vCPU %d entered after SYSTEM_OFF", id);
	}
	EXPECT_TRUE(is_refusal(enter_by_force(&nr, 0, 1, 0)));
	EXPECT_TRUE(is_refusal(enter_by_force(&nr, 0, 0xffff, 0)));
	EXPECT_TRUE(is_refusal(enter_by_force(&nr, 0, 0, 77)));
	if (variant->nr_vcpus > 1)
		EXPECT_TRUE(is_refusal(enter_by_force(&nr, 0, 0, 1)));
	EXPECT_EQ(0, self->vm.reports[SECRETS_BAD_START]);
	secrets_vm_destroy(&self->vm);
}

static void *live_thread(void *vm)
{
	secrets_vm_live(vm);
	return NULL;
}

/* Secondaries go off all the time: entering one meanwhile does not start it. */
TEST_F_TIMEOUT(hostile, enter_a_vcpu_that_is_off, 3000)
{
	pthread_t thread;
	u64 nr = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	start(self, variant->nr_vcpus);
	pthread_create(&thread, NULL, live_thread, &self->vm);
	/* The first that is entered starts the VM, whichever it is. */
	while (!__atomic_load_n(&self->vm.reports[SECRETS_READY], __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&self->vm.over, __ATOMIC_ACQUIRE))
		usleep(500);
	while (!__atomic_load_n(&self->vm.over, __ATOMIC_ACQUIRE)) {
		hostile_tell("attack", "enter %d 0 %d", 1 + (int)(nr % 3), 1 + (int)(nr % 3));
		nr++;
		usleep(500);
	}
	pthread_join(thread, NULL);
	TH_LOG("%llu times", (unsigned long long)nr);
	expect_untouched(_metadata, self);
	secrets_vm_destroy(&self->vm);
}

/* ---- The attacker's eyes ---- */

static void watch_for_control(void)
{
	hostile_tell("watch", "%#llx %#llx", SECRETS_ANTI_TAG ^ (1ULL << SECRETS_CONTROL_BIT),
		     SECRETS_MASK);
}

/*
 * A guest that shows a device one secret in each iteration, and keeps its other registers. What
 * is found lies about in freed memory, so that other tests must not take it for theirs.
 */
static void live_and_leak(FIXTURE_DATA(hostile) * self, u32 flags)
{
	u64 context = 100 | 1ULL << SECRETS_CONTROL |
		      (u64)(pkvm_secrets_leak + 1) << SECRETS_SITE_SHIFT;

	if (flags & PKVM_VM_PROTECTED)
		context |= 1ULL << SECRETS_GUARD;
	secrets_vm_create(&self->vm, flags, 1, 1, context);
	secrets_vm_live(&self->vm);
}

/* How many different places have secrets whose names begin with that. */
static int places(const char *name)
{
	static char text[1 << 16];
	const char *p = text;
	int nr = 0;

	gmem_read_file(HOSTILE "/stats", text, sizeof(text));
	while ((p = strstr(p, name))) {
		p++;
		nr++;
	}
	return nr;
}

/* The guest shows it, in x0 of the host's copy: it is found there, and only there. */
TEST_F_TIMEOUT(hostile, sees_what_it_is_shown, 3000)
{
	if (variant->nr_vcpus > 1)
		SKIP(return, "one vCPU is enough");
	watch_for_control();
	live_and_leak(self, PKVM_VM_PROTECTED);
	expect_untouched(_metadata, self);
	EXPECT_LE(100, hostile_ask("stats", "secret"));
	EXPECT_LE(100, hostile_ask("stats", "secret arch.ctxt.regs.regs[0] times"));
	EXPECT_EQ(1, places("secret arch.ctxt."));
	secrets_vm_destroy(&self->vm);
}

/*
 * The control: the same guest, this kernel, no protection. Its registers lie open, and the
 * host that finds nothing elsewhere finds them here.
 */
TEST_F_TIMEOUT(hostile, sees_an_unprotected_guest, 3000)
{
	if (variant->nr_vcpus > 1)
		SKIP(return, "one vCPU is enough");
	hostile_tell("target", "control %d", getpid());
	watch_for_control();
	live_and_leak(self, 0);
	expect_untouched(_metadata, self);
	EXPECT_LT(100, hostile_ask("stats", "secret"));
	/* All but x1, which is the device's address. */
	EXPECT_LE(30, places("secret arch.ctxt.regs.regs["));
	EXPECT_LE(4, places("secret arch.ctxt.sys_regs["));
	EXPECT_LE(64, places("secret arch.ctxt.fp_regs["));
	secrets_vm_destroy(&self->vm);
}

/*
 * What the VMM itself has put there: in its page of the vCPU, and in memory of its own. A word
 * that was in no memory before, of which only the complement is in this program's.
 */
TEST_F_TIMEOUT(hostile, sees_what_lies_about, 3000)
{
	u64 anti = gmem_now_us() * 0x9e3779b97f4a7c15ULL ^ (u64)getpid() << 32;
	static volatile u64 seen;
	volatile u64 *run;

	if (variant->nr_vcpus > 1)
		SKIP(return, "one vCPU is enough");
	hostile_tell("watch", "%#llx %#llx", (unsigned long long)anti, ~0ULL);
	EXPECT_EQ(0, hostile_ask("scan", "secret"));
	start(self, 1);
	run = (void *)self->vm.vcpu[0].run;
	run[256] = ~anti;
	secrets_vm_live(&self->vm);
	run[256] = 0;
	expect_untouched(_metadata, self);
	EXPECT_LT(0, hostile_all_exits());
	EXPECT_LE(hostile_all_exits(), hostile_ask("stats", "secret run+0x800 times"));
	EXPECT_EQ(hostile_ask("stats", "secret"), hostile_ask("stats", "secret run+0x800 times"));
	secrets_vm_destroy(&self->vm);

	hostile_tell("stats", "0");
	seen = ~anti;
	EXPECT_LT(0, hostile_ask("scan", "secret"));
	EXPECT_NE(0, seen);
	seen = 0;
}

/* ---- All memory ---- */

TEST_F_TIMEOUT(hostile, all_memory, 3000)
{
	pthread_t thread;

	start(self, variant->nr_vcpus);
	pthread_create(&thread, NULL, live_thread, &self->vm);
	usleep(200000);
	EXPECT_EQ(0, hostile_ask("scan", "secret"));
	pthread_join(thread, NULL);
	EXPECT_EQ(0, hostile_ask("scan", "secret"));
	expect_untouched(_metadata, self);
	secrets_vm_destroy(&self->vm);
	/* What it owned is zero when it comes back. */
	EXPECT_EQ(0, hostile_ask("scan", "secret"));
	if (hostile_ask("stats", "secret"))
		hostile_show("stats", 40);
}

int main(int argc, char **argv)
{
	if (argc > 2 && !strcmp(argv[1], "--exits")) {
		exits_wanted = strtoul(argv[2], NULL, 0);
		argv[2] = argv[0];
		argv += 2;
		argc -= 2;
	}
	pkvm_require_gmem();
	if (access(HOSTILE "/target", W_OK))
		ksft_exit_skip("the kernel has no CONFIG_PKVM_HOSTILE_HOST\n");
	return test_harness_run(argc, argv);
}
