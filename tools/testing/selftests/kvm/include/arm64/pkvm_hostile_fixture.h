/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests with the hostile host: it attacks this process's protected VMs. What holds
 * for all of them at the end: the guest found nothing changed, and the host found nothing.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_HOSTILE_FIXTURE_H
#define SELFTEST_KVM_ARM64_PKVM_HOSTILE_FIXTURE_H

#include <unistd.h>

#include "kselftest_harness.h"
#include "pkvm_hostile_vm.h"

FIXTURE(hostile) {
	struct secrets_vm vm;
	int kmsg;
};

FIXTURE_VARIANT(hostile) {
	int nr_vcpus;
};

FIXTURE_VARIANT_ADD(hostile, one_vcpu) { .nr_vcpus = 1 };
FIXTURE_VARIANT_ADD(hostile, four_vcpus) { .nr_vcpus = 4 };

FIXTURE_SETUP(hostile)
{
	self->kmsg = gmem_kmsg_open();
	hostile_tell("target", "%d", getpid());
	hostile_tell("watch", "%#llx %#llx", SECRETS_ANTI_TAG, SECRETS_MASK);
}

FIXTURE_TEARDOWN(hostile)
{
	hostile_tell("target", "off");
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* The guest came to its end, and nobody had a hand in it. */
static inline void expect_untouched(struct __test_metadata *_metadata,
				    FIXTURE_DATA(hostile) * self)
{
	struct secrets_vm *vm = &self->vm;

	EXPECT_EQ(0, vm->reports[SECRETS_CHANGED]);
	EXPECT_EQ(0, vm->reports[SECRETS_SKIPPED]);
	EXPECT_EQ(0, vm->reports[SECRETS_EXCEPTION]);
	EXPECT_EQ(0, vm->reports[SECRETS_BAD_START]);
	EXPECT_EQ(vm->nr_used, vm->reports[SECRETS_DONE]);
	EXPECT_EQ(0, vm->other);
}

/* The host saw no secret, and nothing else but what it may see. */
static inline void expect_blind(struct __test_metadata *_metadata)
{
	EXPECT_EQ(0, hostile_ask("stats", "secret"));
	EXPECT_EQ(0, hostile_ask("stats", "written"));
	EXPECT_EQ(0, hostile_ask("stats", "memory-store"));
	if (hostile_ask("stats", "secret") || hostile_ask("stats", "written") ||
	    hostile_ask("stats", "memory-store"))
		hostile_show("stats", 40);
}

/* An errno, ARM_EXCEPTION_IL or ARM_EXCEPTION_PKVM_OFF: what no entry returns. */
static inline bool is_refusal(u64 ret)
{
	return (s64)ret < 0 || ret == 3 || ret == 5;
}

/* What a forced entry came to; @nr: how many there have been in this test. */
static inline u64 enter_by_force(int *nr, int vcpu, u64 handle_xor, int idx)
{
	char name[48];
	u64 ret;

	hostile_tell("attack", "enter %d %#llx %d", vcpu, (unsigned long long)handle_xor, idx);
	snprintf(name, sizeof(name), "enter done %d ret", ++*nr);
	ret = hostile_ask("attack", name);
	TEST_ASSERT(ret != ~0ULL, "no word of entry %d", *nr);
	return ret;
}

#endif /* SELFTEST_KVM_ARM64_PKVM_HOSTILE_FIXTURE_H */
