// SPDX-License-Identifier: GPL-2.0-only
/*
 * Is EL2's run-time oracle at work? Skipped where the kernel was not booted with it
 * (kvm-arm.oracle=1): what it finds it says itself, by stopping the machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define ORACLE		"/sys/kernel/debug/kvm/pkvm_oracle"
#define NR_PAGES	16

/* How often the oracle has compared that, since boot. */
static unsigned long count_of(const char *what)
{
	char line[64], *value;
	unsigned long nr = 0;
	bool found = false;
	FILE *f = fopen(ORACLE, "r");

	TEST_ASSERT(f, ORACLE ": %m");
	while (fgets(line, sizeof(line), f)) {
		value = strchr(line, ' ');
		TEST_ASSERT(value, "a line without a value: %s", line);
		*value++ = '\0';
		if (strcmp(line, what))
			continue;
		found = true;
		nr = strtoul(value, NULL, 10);
	}
	fclose(f);
	TEST_ASSERT(found, "no %s in " ORACLE, what);
	return nr;
}

/* Every operation on a guest_memfd's pages that a guest's life is made of, and its vCPU's entries. */
static const char *const kinds[] = {
	"states", "host_donate_guest", "host_reclaim_guest", "host_complete", "guest_share",
	"guest_unshare", "guest_relinquish", "guest_entry", "guest_exit",
};

static void live(void)
{
	struct pkvm_vcpu *vcpu;
	struct pkvm_vm vm;
	int fd;

	pkvm_vm_create(&vm, 1, PKVM_VM_PROTECTED);
	vcpu = &vm.vcpu[0];
	fd = gmem_create(vm.fd, NR_PAGES * page, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(fd >= 0, "guest_memfd: %d", fd);
	TEST_ASSERT(!gmem_set_attr(fd, 0, NR_PAGES * page, GMEM_PRIVATE), "to private");
	TEST_ASSERT(!pkvm_slot_gmem(&vm, 0, MEM_GPA, NR_PAGES * page, fd, 0), "slot");

	guest_fill(vcpu, GPA(0), NR_PAGES, 1, 0, page);
	TEST_ASSERT(guest_hvc_all(vcpu, PKVM_HVC_SHARE, GPA(2), 4) > 0, "share");
	TEST_ASSERT(guest_hvc_all(vcpu, PKVM_HVC_UNSHARE, GPA(2), 2) > 0, "unshare");
	TEST_ASSERT(guest_hvc_all(vcpu, PKVM_HVC_RELINQUISH, GPA(8), 3) > 0, "relinquish");
	TEST_ASSERT(!gmem_punch(fd, 4 * page, 8 * page), "punch");
	pkvm_vm_destroy(&vm);
	close(fd);
}

TEST(each_operation_is_compared)
{
	unsigned long before[ARRAY_SIZE(kinds)];
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		before[i] = count_of(kinds[i]);
	live();
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		EXPECT_GT(count_of(kinds[i]), before[i])
			TH_LOG("nothing of the kind: %s", kinds[i]);
	}
}

int main(int argc, char **argv)
{
	pkvm_require_gmem();
	page = getpagesize();
	if (access(ORACLE, R_OK))
		ksft_exit_skip("the kernel was not booted with kvm-arm.oracle=1\n");
	return test_harness_run(argc, argv);
}
