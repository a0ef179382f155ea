/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests that ask a protected guest and its host by turns what they may do with a
 * page: a guest with two vCPUs whose memory is a guest_memfd, all of it shared to begin with.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_GMEM_FIXTURE_H
#define SELFTEST_KVM_ARM64_PKVM_GMEM_FIXTURE_H

#include <unistd.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_PAGES	2048

FIXTURE(gmem) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;		/* the first of two */
	struct pkvm_vcpu *other;
	int fd;
	char *mem;			/* all of the file */
	int kmsg;
};

FIXTURE_SETUP(gmem)
{
	self->kmsg = gmem_kmsg_open();
	self->fd = pkvm_vm_create_gmem(&self->vm, 2, MEM_GPA, OFF(NR_PAGES),
				       GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
				       &self->mem);
	self->vcpu = &self->vm.vcpu[0];
	self->other = &self->vm.vcpu[1];
}

FIXTURE_TEARDOWN(gmem)
{
	pkvm_vm_destroy_gmem(&self->vm, self->fd, self->mem, OFF(NR_PAGES));
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static inline int set_attr(FIXTURE_DATA(gmem) * self, u64 n, u64 count, u64 attr)
{
	return gmem_set_attr(self->fd, OFF(n), OFF(count), attr);
}

/* What most tests begin with: content from the host, then all of it private. */
static inline void fill_and_hide(FIXTURE_DATA(gmem) * self, u64 count)
{
	u64 i;

	for (i = 0; i < count; i++)
		gmem_host_set64(HVA(i), 0x1000 + i);
	TEST_ASSERT(!set_attr(self, 0, NR_PAGES, GMEM_PRIVATE),
		    "conversion of the whole file failed");
}

#endif /* SELFTEST_KVM_ARM64_PKVM_GMEM_FIXTURE_H */
