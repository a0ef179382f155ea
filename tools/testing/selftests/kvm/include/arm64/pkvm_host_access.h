/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests in which the host reaches for pages that a protected guest owns: a guest
 * with pages full of words that no host memory holds, others that it shares, and what has to be
 * so after every attempt.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_HOST_ACCESS_H
#define SELFTEST_KVM_ARM64_PKVM_HOST_ACCESS_H

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_PAGES	64
#define NR_SECRET	32		/* 0-31: the guest's own */
#define PAGE		7		/* the one of them that is reached for */
#define FIRST_SHARED	32		/* 32-39: shared by it */
#define NR_SHARED	8

/* Word i of the guest's own pages. No host memory holds one that is not a page's first. */
#define SECRET		0x5ec4e70000000000ULL
#define STEP		0x9e3779b1ULL
#define PUBLIC		0x7070000000000000ULL

#define WORDS(n)	((n) * page / 8)

FIXTURE(host_access) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	char *mem;
	u64 pfn[NR_SECRET];
	int kmsg;
	int log;
};

/* What one word has to be like to have come from the guest's own memory. */
static inline bool is_secret(u64 val)
{
	u64 i = (val - SECRET) / STEP;

	return val >= SECRET && (val - SECRET) % STEP == 0 && i < WORDS(NR_SECRET) &&
	       i % WORDS(1);
}

static inline u64 count_secrets(const u64 *buf, size_t len)
{
	u64 nr = 0;
	size_t i;

	for (i = 0; i < len / 8; i++)
		nr += is_secret(buf[i]);
	return nr;
}

/* Lines of the kernel log since the last call that have all of these strings. */
static inline int log_lines(int fd, const char *first, const char *second)
{
	char line[4096];
	int nr = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return nr;
		line[n] = '\0';
		nr += strstr(line, first) && strstr(line, second);
	}
}

FIXTURE_SETUP(host_access)
{
	u64 val;
	int i;

	self->kmsg = gmem_kmsg_open();
	self->log = gmem_kmsg_open();
	self->fd = pkvm_vm_create_gmem(&self->vm, 1, MEM_GPA, OFF(NR_PAGES),
				       GUEST_MEMFD_FLAG_MMAP, &self->mem);
	self->vcpu = self->vm.vcpu;

	/* Page frame numbers are to be had while the host may map the pages. */
	guest_fill(self->vcpu, GPA(0), NR_PAGES, 0, 0, page);
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0),
				   FIRST_SHARED + NR_SHARED));
	for (i = 0; i < NR_SECRET; i++) {
		ASSERT_EQ(0, gmem_host_read64(HVA(i), &val));
		self->pfn[i] = gmem_pfn(HVA(i));
	}
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), NR_SECRET));
	guest_fill(self->vcpu, GPA(0), WORDS(NR_SECRET), SECRET, STEP, 8);
	guest_fill(self->vcpu, GPA(FIRST_SHARED), NR_SHARED, PUBLIC, 1, page);
	for (i = 0; i < NR_SHARED; i++)
		ASSERT_EQ(PUBLIC + i, gmem_host_get64(HVA(FIRST_SHARED + i)));
}

FIXTURE_TEARDOWN(host_access)
{
	pkvm_vm_destroy_gmem(&self->vm, self->fd, self->mem, OFF(NR_PAGES));
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
	close(self->log);
}

/* After every attempt: host and guest are where they were, and can go on. */
static inline void expect_well(struct __test_metadata *_metadata, FIXTURE_DATA(host_access) * self)
{
	u64 val;

	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(PAGE), &val));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(PAGE)));
	EXPECT_TRUE(gmem_populated(self->fd, OFF(PAGE)));
	ASSERT_EQ(0, guest_check(self->vcpu, GPA(0), WORDS(NR_SECRET), SECRET, STEP, 8));

	/* In place, as ever: the same page comes and goes. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(PAGE), 1, NULL));
	EXPECT_EQ(0, gmem_host_read64(HVA(PAGE), &val));
	EXPECT_EQ(SECRET + WORDS(PAGE) * STEP, val);
	if (self->pfn[PAGE])
		EXPECT_EQ(self->pfn[PAGE], gmem_pfn(HVA(PAGE)));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(PAGE), 1, NULL));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(PAGE), &val));

	EXPECT_EQ(0, gmem_host_read64(HVA(FIRST_SHARED), &val));
	EXPECT_EQ(PUBLIC, val);
	EXPECT_EQ(0, log_lines(self->log, "stage-2", ""));
}

#endif /* SELFTEST_KVM_ARM64_PKVM_HOST_ACCESS_H */
