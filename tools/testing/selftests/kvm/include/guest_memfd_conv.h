/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The fixture of tests that convert pages of a guest_memfd without a guest: a file of a few
 * pages and its mapping, once for each way in which a file can begin. And what is to be seen of
 * all of its pages afterwards.
 */
#ifndef SELFTEST_KVM_GUEST_MEMFD_CONV_H
#define SELFTEST_KVM_GUEST_MEMFD_CONV_H

#include <signal.h>
#include <unistd.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "guest_memfd_util.h"

#define NR_PAGES	16
#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED

FIXTURE(conv) {
	int vm;
	int fd;
	char *mem;
	int kmsg;
};

FIXTURE_VARIANT(conv) {
	u64 flags;
};

FIXTURE_VARIANT_ADD(conv, init_shared) {
	.flags = OWNS | INIT_SHARED,
};

FIXTURE_VARIANT_ADD(conv, init_private) {
	.flags = OWNS,
};

FIXTURE_SETUP(conv)
{
	self->kmsg = gmem_kmsg_open();
	self->vm = gmem_vm_open(gmem_private_vm_type());
	ASSERT_LE(0, self->vm);
	self->fd = gmem_create(self->vm, OFF(NR_PAGES), variant->flags);
	ASSERT_LE(0, self->fd);
	self->mem = gmem_map(self->fd, OFF(NR_PAGES));
}

FIXTURE_TEARDOWN(conv)
{
	munmap(self->mem, OFF(NR_PAGES));
	close(self->fd);
	close(self->vm);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static inline int set_attr(FIXTURE_DATA(conv) * self, u64 n, u64 count, u64 attr)
{
	return gmem_set_attr(self->fd, OFF(n), OFF(count), attr);
}

static inline void share_and_fill(FIXTURE_DATA(conv) * self)
{
	int i;

	TEST_ASSERT(!set_attr(self, 0, NR_PAGES, GMEM_SHARED), "all to shared");
	for (i = 0; i < NR_PAGES; i++)
		gmem_host_set64(HVA(i), 0x100 + i);
}

/*
 * Every page of the file is as @private says (bit per page), content included; nothing is
 * said of those in @but.
 */
static inline void expect_map_but(struct __test_metadata *_metadata,
				  FIXTURE_DATA(conv) * self, u32 private, u32 but)
{
	u64 val;
	int i;

	for (i = 0; i < NR_PAGES; i++) {
		bool p = private & (1U << i);

		if (but & (1U << i))
			continue;
		val = 0;
		EXPECT_EQ(p ? GMEM_PRIVATE : GMEM_SHARED, gmem_attr_of(self->fd, OFF(i)))
			TH_LOG("page %d", i);
		EXPECT_EQ(p ? SIGBUS : 0, gmem_host_read64(HVA(i), &val))
			TH_LOG("page %d", i);
		if (!p)
			EXPECT_EQ(0x100 + i, val)
				TH_LOG("page %d", i);
	}
}

static inline void expect_map(struct __test_metadata *_metadata,
			      FIXTURE_DATA(conv) * self, u32 private)
{
	expect_map_but(_metadata, self, private, 0);
}

#endif /* SELFTEST_KVM_GUEST_MEMFD_CONV_H */
