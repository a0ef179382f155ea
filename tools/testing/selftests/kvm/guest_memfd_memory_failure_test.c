// SPDX-License-Identifier: GPL-2.0-only
/*
 * Memory of a guest_memfd that fails, without a guest: what is told of it, by which use, and
 * that conversions leave such a page where it is until it is punched.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "guest_memfd_conv.h"

/* Reports a page frame as bad memory; a reason not to, or NULL. */
static const char *make_bad(struct __test_metadata *_metadata, u64 pfn)
{
	int ret;

	if (!pfn)
		return "no /proc/self/pagemap in this kernel";
	ret = gmem_report_bad_memory(pfn);
	if (ret == -ENOENT)
		return "no hard_offline_page in this kernel";
	EXPECT_EQ(0, ret);
	return NULL;
}

/* Every use of it says what it is, by the errno or signal that the use has for that. */
static void expect_bad(struct __test_metadata *_metadata, char *addr)
{
	u64 val = 0;

	EXPECT_EQ(SIGBUS, gmem_host_read64(addr, &val));
	EXPECT_EQ(BUS_MCEERR_AR, gmem_signal_code());
	EXPECT_EQ(SIGBUS, gmem_host_write64(addr, val));
	EXPECT_EQ(BUS_MCEERR_AR, gmem_signal_code());
	EXPECT_EQ(-EFAULT, gmem_kernel_read(addr));
	EXPECT_EQ(-EFAULT, gmem_kernel_write(addr));
	EXPECT_EQ(-1, madvise(addr, page, MADV_POPULATE_READ));
	EXPECT_EQ(EHWPOISON, errno);
}

/*
 * The page stays in the file, and referenced by those who keep bad memory from being used
 * again: it can be shared, and then has nothing to give, but not become private, not even
 * when it is so already. Punched, the file gets another one.
 */
static void expect_bad_5(struct __test_metadata *_metadata, FIXTURE_DATA(conv) * self,
			 u64 pfn)
{
	char *fresh;
	u64 err;

	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_POPULATED, gmem_presence(self->fd, OFF(4)));
	EXPECT_EQ(GMEM_BAD, gmem_presence(self->fd, OFF(5)));
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_POPULATED, gmem_presence(self->fd, OFF(6)));
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(0, set_attr(self, 6, 4, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, 5, GMEM_PRIVATE));
	expect_map_but(_metadata, self, 0x03df, 1 << 5);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map_but(_metadata, self, 0, 1 << 5);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(5)));
	expect_bad(_metadata, HVA(5));
	fresh = gmem_map(self->fd, OFF(NR_PAGES));
	expect_bad(_metadata, fresh + OFF(5));

	EXPECT_EQ(0, gmem_punch(self->fd, OFF(5), page));
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP, gmem_presence(self->fd, OFF(5)));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	/* Page tables remember bad memory until they are told to forget it. */
	EXPECT_EQ(0, madvise(HVA(5), page, MADV_DONTNEED));
	EXPECT_EQ(0, gmem_host_get64(HVA(5)));
	EXPECT_NE(pfn, gmem_pfn(HVA(5)));
	gmem_host_set64(HVA(5), 0x105);
	expect_map(_metadata, self, 0);
	munmap(fresh, OFF(NR_PAGES));
}

TEST_F(conv, bad_memory_that_is_shared)
{
	const char *why;
	u64 pfn;

	share_and_fill(self);
	pfn = gmem_pfn(HVA(5));
	why = make_bad(_metadata, pfn);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(5)));
	expect_bad(_metadata, HVA(5));
	expect_map_but(_metadata, self, 0, 1 << 5);
	expect_bad_5(_metadata, self, pfn);
}

TEST_F(conv, bad_memory_that_is_private)
{
	const char *why;
	u64 pfn, val;

	share_and_fill(self);
	pfn = gmem_pfn(HVA(5));
	EXPECT_EQ(0, set_attr(self, 4, 3, GMEM_PRIVATE));
	why = make_bad(_metadata, pfn);
	if (why)
		SKIP(return, "%s", why);
	/* The attribute comes first. */
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(5), &val));
	EXPECT_EQ(BUS_ADRERR, gmem_signal_code());
	expect_map(_metadata, self, 0x0070);
	expect_bad_5(_metadata, self, pfn);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_private);
}
