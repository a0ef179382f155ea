// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected VM on anonymous memory, run by the command interpreter of
 * pkvm_guest.h. Needs no guest_memfd: shows that payload and host understand each
 * other, and that this backing goes on as it was.
 */
#include <sys/mman.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define ANON_GPA	0x90000000ULL

static void on_anonymous_memory(struct __test_metadata *_metadata, u32 flags)
{
	struct pkvm_vm vm;
	char *mem;
	u64 val, done;

	mem = mmap(NULL, OFF(16), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	pkvm_vm_create(&vm, 2, PKVM_VM_PROTECTED | PKVM_VM_ANON_CODE | flags);
	ASSERT_EQ(0, pkvm_slot_anon(&vm, 0, ANON_GPA, OFF(16), mem));

	gmem_host_set64(mem, 0x1234);
	EXPECT_EQ(0x1234, guest_read64(&vm.vcpu[0], ANON_GPA));
	guest_write64(&vm.vcpu[1], ANON_GPA + 8, 0x5678);
	EXPECT_EQ(0x5678, guest_read64(&vm.vcpu[0], ANON_GPA + 8));
	EXPECT_EQ(SIGSEGV, gmem_host_read64(mem, &val));

	guest_fill(&vm.vcpu[0], ANON_GPA + page, 64, 7, 3, 8);
	EXPECT_EQ(0, guest_check(&vm.vcpu[1], ANON_GPA + page, 64, 7, 3, 8));

	EXPECT_EQ(page, guest_hvc(&vm.vcpu[0], PKVM_HVC_MEMINFO, 0, 0, 0, NULL));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(&vm.vcpu[0], ANON_GPA, 0, &done));
	EXPECT_EQ(0x5678, gmem_host_get64(mem + 8));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(&vm.vcpu[0], ANON_GPA, 0, &done));
	EXPECT_EQ(PKVM_INVALID_PARAMETER,
		  guest_unshare(&vm.vcpu[0], ANON_GPA, 0, &done));

	/* An address that nothing answers: the payload's vectors tell. */
	EXPECT_EQ(PKVM_STOP_OTHER, __guest_read64(&vm.vcpu[1], 0x20000000, &val));
	EXPECT_EQ(KVM_EXIT_MMIO, vm.vcpu[1].run->exit_reason);
	EXPECT_EQ(PKVM_STOP_OFF, guest_off(&vm.vcpu[0]));

	pkvm_vm_destroy(&vm);
	munmap(mem, OFF(16));
}

TEST(anonymous_memory)
{
	on_anonymous_memory(_metadata, 0);
}

TEST(anonymous_memory_with_gic)
{
	on_anonymous_memory(_metadata, PKVM_VM_VGIC);
}

TEST(guest_takes_exceptions)
{
	struct pkvm_vm vm;
	char *mem;
	u64 arg;

	mem = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
		   -1, 0);
	ASSERT_NE(MAP_FAILED, mem);
	pkvm_vm_create(&vm, 1, PKVM_VM_PROTECTED | PKVM_VM_ANON_CODE);
	ASSERT_EQ(0, pkvm_slot_anon(&vm, 0, ANON_GPA, page, mem));

	/* A word of zeroes is an undefined instruction; then it goes on. */
	arg = ANON_GPA;
	EXPECT_EQ(PKVM_STOP_EXCEPTION,
		  pkvm_vcpu_call(&vm.vcpu[0], PKVM_OP_EXEC, &arg, 1, 1));
	EXPECT_EQ(ANON_GPA, vm.vcpu[0].elr);
	EXPECT_EQ(0, vm.vcpu[0].esr >> 26);
	EXPECT_EQ(0, guest_read64(&vm.vcpu[0], ANON_GPA));

	pkvm_vm_destroy(&vm);
	munmap(mem, page);
}

#define PSCI_ALREADY_ON	(-4)

static s64 cpu_on(struct pkvm_vcpu *vcpu, u64 mpidr, u64 context)
{
	return guest_hvc(vcpu, PKVM_HVC_CPU_ON, mpidr, PKVM_CODE_GPA, context, NULL);
}

static void *turn_off(void *arg)
{
	struct pkvm_vcpu *vcpu = arg;

	TEST_ASSERT(!pkvm_vcpu_call(vcpu, PKVM_OP_CPU_OFF, NULL, 0, 1), "off, and on again");
	return NULL;
}

/* The guest turns its second vCPU on, lets it turn itself off, and on again. */
TEST(guest_turns_vcpus_on_and_off)
{
	struct pkvm_vm vm;
	pthread_t thread;
	u64 i;
	s64 ret;

	pkvm_vm_create(&vm, 2, PKVM_VM_PROTECTED | PKVM_VM_ANON_CODE | PKVM_VM_MANUAL_START);
	EXPECT_EQ(0, cpu_on(&vm.vcpu[0], 1, 0x1234));
	EXPECT_EQ(0, pkvm_vcpu_call(&vm.vcpu[1], PKVM_OP_NOP, NULL, 0, 1));
	EXPECT_EQ(0x1234, vm.vcpu[1].res[0]);
	EXPECT_EQ(PSCI_ALREADY_ON, cpu_on(&vm.vcpu[0], 1, 0));

	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, pthread_create(&thread, NULL, turn_off, &vm.vcpu[1]));
		do {
			ret = cpu_on(&vm.vcpu[0], 1, i);
		} while (ret == PSCI_ALREADY_ON);
		EXPECT_EQ(0, ret);
		pthread_join(thread, NULL);
		EXPECT_EQ(i, vm.vcpu[1].res[0]);
	}
	EXPECT_EQ(0, pkvm_vcpu_call(&vm.vcpu[1], PKVM_OP_ID, NULL, 0, 3));
	EXPECT_EQ(1, vm.vcpu[1].res[0] & 0xff);
	pkvm_vm_destroy(&vm);
}

int main(int argc, char **argv)
{
	page = getpagesize();
	__TEST_REQUIRE(pkvm_supported(), "no protected VMs here: not a pKVM host");
	return test_harness_run(argc, argv);
}
