// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile host's kernel at the beginning of a protected VM: it changes what the VMM has set
 * after KVM_ARM_VCPU_INIT, while EL2 makes its VM and vCPUs, and it decides what enters first
 * (CONFIG_PKVM_HOSTILE_HOST). The guest is that of pkvm_hostile_test.
 */
#include <errno.h>
#include <pthread.h>
#include <unistd.h>
#include <sys/ioctl.h>

#include "pkvm_hostile_fixture.h"

#define ITERATIONS	4

static void start(FIXTURE_DATA(hostile) * self, int nr_vcpus, int nr_used)
{
	secrets_vm_create(&self->vm, PKVM_VM_PROTECTED, nr_vcpus, nr_used,
			  ITERATIONS | 1ULL << SECRETS_GUARD);
}

static void live(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self)
{
	secrets_vm_live(&self->vm);
	expect_untouched(_metadata, self);
	expect_blind(_metadata);
}

/* EL2 makes a vCPU while the host lies to it; @nr: how many there have been in this test. */
static s64 create_under_lies(int *nr, int vcpu, const char *lies)
{
	char name[48];

	hostile_tell("attack", "create %d %s", vcpu, lies);
	snprintf(name, sizeof(name), "create done %d ret", ++*nr);
	return hostile_ask("attack", name);
}

/* ---- Features ---- */

/* What EL2 has no use for, or does not let a protected guest have. No SVE: that is memory, too. */
static const char *const lies_about_features[] = {
	/* EL1_32BIT, PMU_V3, HAS_EL2, HAS_EL2_E2H0 */
	"kvm.arch.vcpu_features 0 0x18a",
	/* MTE_ENABLED */
	"kvm.arch.flags 0 0x2",
	/* WRITABLE_IMP_ID_REGS, and other ones */
	"kvm.arch.flags 0 0x400 kvm.arch.midr_el1 0 0xfff0",
	/* VM_COUNTER_OFFSET, and one */
	"kvm.arch.flags 0 0x20 kvm.arch.timer_data 0 0x123456789abcdef",
	/* ID_AA64PFR0, PFR1, DFR0, ISAR0: the host's idea of them */
	"kvm.arch.id_regs 24 -1 kvm.arch.id_regs 25 -1 kvm.arch.id_regs 32 -1 kvm.arch.id_regs 40 -1",
	/* VCPU_SVE_FINALIZED, and how long */
	"arch.cflags 0 0x2 arch.sve_max_vl 0 0x100",
	"arch.hcrx_el2 0 -1 arch.mdcr_el2 0 -1 arch.hcr_el2 0 -1",
};

static u32 ids_of_an_honest_vm(struct __test_metadata *_metadata, FIXTURE_DATA(hostile) * self)
{
	u32 ids;

	start(self, 1, 1);
	live(_metadata, self);
	ids = self->vm.ids;
	secrets_vm_destroy(&self->vm);
	return ids;
}

/* The guest reads the same in its ID registers, at the beginning and ever after. */
TEST_F_TIMEOUT(hostile, features_changed_between_init_and_run, 3000)
{
	u32 ids = ids_of_an_honest_vm(_metadata, self);
	int nr = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lies_about_features); i++) {
		start(self, variant->nr_vcpus, variant->nr_vcpus);
		EXPECT_EQ(0, create_under_lies(&nr, 0, lies_about_features[i]));
		live(_metadata, self);
		EXPECT_EQ(ids, self->vm.ids) TH_LOG("after %s", lies_about_features[i]);
		secrets_vm_destroy(&self->vm);
	}
	EXPECT_NE(0, ids);
}

/*
 * EL2 has its VM and the first vCPU, and now the host has another opinion of the VM, those
 * features included that it may choose before. Each vCPU compares with the first.
 */
TEST_F_TIMEOUT(hostile, features_changed_between_two_vcpus, 3000)
{
	u32 ids = ids_of_an_honest_vm(_metadata, self);
	int nr = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	secrets_vm_prepare(&self->vm, PKVM_VM_PROTECTED, 4, 4);
	secrets_init_vcpu(&self->vm.vcpu[0]);
	secrets_vm_arguments(&self->vm, ITERATIONS | 1ULL << SECRETS_GUARD);
	EXPECT_EQ(0, create_under_lies(&nr, 0, ""));
	secrets_init_vcpu(&self->vm.vcpu[1]);
	/* PTRAUTH_ADDRESS and PTRAUTH_GENERIC, either way */
	EXPECT_EQ(0, create_under_lies(&nr, 1, "kvm.arch.vcpu_features 0 0x1ea"));
	secrets_init_vcpu(&self->vm.vcpu[2]);
	EXPECT_EQ(0, create_under_lies(&nr, 2, "kvm.arch.flags 0 0x402 kvm.arch.midr_el1 0 -1"));
	secrets_init_vcpu(&self->vm.vcpu[3]);
	EXPECT_EQ(0, create_under_lies(&nr, 3, "kvm.arch.pkvm.is_protected 0 1"));
	live(_metadata, self);
	EXPECT_EQ(ids, self->vm.ids);
	secrets_vm_destroy(&self->vm);
}

/* ---- Numbers ---- */

/* A handle that is no VM's. EL2 refuses, and KVM's own attempt finds all in order. */
TEST_F_TIMEOUT(hostile, a_handle_of_no_vm, 3000)
{
	int nr = 0;

	start(self, variant->nr_vcpus, variant->nr_vcpus);
	EXPECT_EQ(-EINVAL, create_under_lies(&nr, 0, "kvm.arch.pkvm.handle 0 0x7000"));
	EXPECT_EQ(-EINVAL, create_under_lies(&nr, 0, "kvm.arch.pkvm.handle 0 0x1000"));
	live(_metadata, self);
	secrets_vm_destroy(&self->vm);
}

/* Of vCPU 1, when vCPU 0 is there: another one's number, place, or none that can be. */
static const char *const lies_about_numbers[] = {
	"vcpu_id 0 1", "vcpu_id 0 -1", "vcpu_id 0 0x7fffffff", "vcpu_id 0 0x10000",
	"vcpu_idx 0 1", "vcpu_idx 0 -1", "vcpu_idx 0 4",
};

/* The guest addresses its CPUs by their numbers, and finds in MPIDR what it expects. */
TEST_F_TIMEOUT(hostile, another_vcpus_number, 3000)
{
	int i, nr = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	secrets_vm_prepare(&self->vm, PKVM_VM_PROTECTED, 4, 4);
	secrets_init_vcpu(&self->vm.vcpu[0]);
	secrets_vm_arguments(&self->vm, ITERATIONS | 1ULL << SECRETS_GUARD);
	EXPECT_EQ(0, create_under_lies(&nr, 0, ""));
	secrets_init_vcpu(&self->vm.vcpu[1]);
	for (i = 0; i < (int)ARRAY_SIZE(lies_about_numbers); i++) {
		EXPECT_EQ(-EINVAL, create_under_lies(&nr, 1, lies_about_numbers[i]))
			TH_LOG("with %s", lies_about_numbers[i]);
	}
	/* The host's copy of MPIDR is nobody's business. */
	EXPECT_EQ(0, create_under_lies(&nr, 1, "arch.ctxt.sys_regs[MPIDR_EL1] 0 1"));
	secrets_init_vcpu(&self->vm.vcpu[2]);
	secrets_init_vcpu(&self->vm.vcpu[3]);
	live(_metadata, self);
	secrets_vm_destroy(&self->vm);
}

/* ---- Who is first ---- */

/* A first KVM_RUN: true if the guest ran, false if EL2 did not let the vCPU in. */
static bool runs(struct secrets_vcpu *vcpu)
{
	int ret;

	do {
		ret = ioctl(vcpu->fd, KVM_RUN, 0);
	} while (ret < 0 && (errno == EINTR || errno == EAGAIN));
	return ret == 0 || errno != EINVAL;
}

/* vCPU 0 runs, and starts no other: none is entered meanwhile, wherever the host says it begins. */
static void *force_others(void *arg)
{
	struct secrets_vm *vm = arg;
	long accepted = 0;
	int nr = 0;

	while (!__atomic_load_n(&vm->reports[SECRETS_READY], __ATOMIC_ACQUIRE) &&
	       !__atomic_load_n(&vm->over, __ATOMIC_ACQUIRE))
		usleep(500);
	while (!__atomic_load_n(&vm->over, __ATOMIC_ACQUIRE)) {
		int id = 1 + nr % 3;

		accepted += !is_refusal(enter_by_force(&nr, id, 0, id));
		usleep(500);
	}
	return (void *)(nr ? accepted : -1);
}

TEST_F_TIMEOUT(hostile, two_primaries, 3000)
{
	pthread_t thread;
	void *accepted;
	int i;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	secrets_vm_create(&self->vm, PKVM_VM_PROTECTED, 4, 1, 20 | 1ULL << SECRETS_GUARD);
	for (i = 1; i < 4; i++)
		secrets_set_core(&self->vm.vcpu[i], KVM_REG_ARM_CORE_REG(regs.pc),
				 SECRETS_GPA + pkvm_secrets_gadget);
	pthread_create(&thread, NULL, force_others, &self->vm);
	live(_metadata, self);
	pthread_join(thread, &accepted);
	EXPECT_EQ(NULL, accepted);
	secrets_vm_destroy(&self->vm);
}

/* By force vCPU 1 is the first, as the host may choose. Then no other one is, by any way. */
TEST_F_TIMEOUT(hostile, two_primaries_the_other_way_round, 3000)
{
	int i, nr = 0, nr_created = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	start(self, 4, 4);
	EXPECT_EQ(0, create_under_lies(&nr_created, 0, ""));
	EXPECT_FALSE(is_refusal(enter_by_force(&nr, 1, 0, 1)));
	for (i = 0; i < 4; i++) {
		if (i != 1)
			EXPECT_TRUE(is_refusal(enter_by_force(&nr, i, 0, i)));
	}
	EXPECT_FALSE(runs(&self->vm.vcpu[0]));
	EXPECT_TRUE(is_refusal(enter_by_force(&nr, 0, 0, 0)));
	EXPECT_FALSE(is_refusal(enter_by_force(&nr, 1, 0, 1)));
	secrets_vm_destroy(&self->vm);
}

struct first_run {
	pthread_t thread;
	struct secrets_vcpu *vcpu;
	bool ran;
};

static void *run_first(void *arg)
{
	struct first_run *first = arg;

	first->ran = runs(first->vcpu);
	return NULL;
}

/* Both at the same time, on two CPUs: one of them is. */
TEST_F_TIMEOUT(hostile, two_primaries_at_once, 3000)
{
	int i, nr = 0, nr_created = 0, forced = 0;

	if (variant->nr_vcpus == 1)
		SKIP(return, "one vCPU");
	for (i = 0; i < 20; i++) {
		struct first_run first = { .vcpu = &self->vm.vcpu[0] };
		bool by_force;

		start(self, 4, 4);
		EXPECT_EQ(0, create_under_lies(&nr_created, 0, ""));
		pthread_create(&first.thread, NULL, run_first, &first);
		/* From long before to long after. */
		usleep(i * 50);
		by_force = !is_refusal(enter_by_force(&nr, 1, 0, 1));
		pthread_join(first.thread, NULL);
		EXPECT_NE(first.ran, by_force);
		forced += by_force;
		secrets_vm_destroy(&self->vm);
	}
	TH_LOG("the forced entry was the first %d times of 20", forced);
}

int main(int argc, char **argv)
{
	pkvm_require_gmem();
	if (access(HOSTILE "/target", W_OK))
		ksft_exit_skip("the kernel has no CONFIG_PKVM_HOSTILE_HOST\n");
	return test_harness_run(argc, argv);
}
