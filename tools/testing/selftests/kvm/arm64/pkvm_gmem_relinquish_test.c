// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected guest gives pages up: they leave the file and are the host's, the guest gets
 * fresh ones at its next access, and nobody fills the holes before.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <linux/compiler.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "pkvm_gmem_fixture.h"

/* One fault donates an aligned block of this many pages, as the kernel comes. */
#define BLOCK		64

/* The guest gives up @count pages in one call, of which @want are done. */
#define EXPECT_RELINQUISHED(n, count, want) do {			\
	u64 __done = 0;							\
									\
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, \
					  GPA(n), count, 0, &__done));	\
	EXPECT_EQ((u64)(want), __done);					\
} while (0)

#define EXPECT_REFUSED(n, count)					\
	EXPECT_EQ(PKVM_INVALID_PARAMETER,				\
		  guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GPA(n), count, 0, NULL))

TEST_F(gmem, page_leaves_the_file)
{
	u64 val;

	fill_and_hide(self, BLOCK);
	guest_write64(self->vcpu, GPA(5), 0x5ec7e7);
	EXPECT_TRUE(gmem_populated(self->fd, OFF(5)));

	EXPECT_RELINQUISHED(5, 0, 1);
	EXPECT_FALSE(gmem_populated(self->fd, OFF(5)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(5)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(5), &val));

	/* The neighbours are where they were. */
	EXPECT_TRUE(gmem_populated(self->fd, OFF(4)));
	EXPECT_EQ(0x1004, guest_read64(self->vcpu, GPA(4)));
	EXPECT_EQ(0x1006, guest_read64(self->vcpu, GPA(6)));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(5)));

	/* A fresh page, no poison; and it is the guest's as the first one was. */
	EXPECT_EQ(0, guest_read64(self->vcpu, GPA(5)));
	guest_write64(self->vcpu, GPA(5), 0x5555);
	EXPECT_EQ(-EPERM, gmem_set_attr(self->fd, OFF(5), page, GMEM_SHARED));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(5), 1, NULL));
	EXPECT_EQ(0x5555, gmem_host_get64(HVA(5)));
}

TEST_F(gmem, host_may_use_the_offset)
{
	u64 val;

	fill_and_hide(self, BLOCK);
	guest_write64(self->vcpu, GPA(5), 0x5ec7e7);
	EXPECT_RELINQUISHED(5, 1, 1);

	/* It is the host's now: empty, and what the host writes the guest finds. */
	EXPECT_EQ(0, gmem_set_attr(self->fd, OFF(5), page, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(HVA(5)));
	EXPECT_EQ(0, gmem_host_get64(HVA(6) - 8));
	gmem_host_set64(HVA(5), 0xbeef);

	EXPECT_EQ(-EFAULT, __guest_read64(self->vcpu, GPA(5), &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(5), page));
	EXPECT_EQ(0, gmem_set_attr(self->fd, OFF(5), page, GMEM_PRIVATE));
	EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));
	EXPECT_EQ(0xbeef, guest_read64(self->vcpu, GPA(5)));
}

TEST_F(gmem, holes_are_not_filled_by_their_neighbours)
{
	u64 i;

	fill_and_hide(self, BLOCK);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), BLOCK, 0x1000, 1, page));
	EXPECT_RELINQUISHED(0, BLOCK, BLOCK);
	for (i = 0; i < BLOCK; i++)
		EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP, gmem_presence(self->fd, OFF(i)));
	EXPECT_EQ(0, gmem_presence(self->fd, OFF(3 * BLOCK)));

	guest_write64(self->vcpu, GPA(7), 7);
	for (i = 0; i < BLOCK; i++)
		EXPECT_EQ(i == 7, gmem_populated(self->fd, OFF(i)));

	/* Elsewhere they are, as before. */
	guest_write64(self->vcpu, GPA(3 * BLOCK + 1), 1);
	for (i = 0; i < BLOCK; i++)
		EXPECT_TRUE(gmem_populated(self->fd, OFF(3 * BLOCK + i)));

	/* The guest finds nothing in what it has given up. */
	EXPECT_EQ(7, guest_read64(self->vcpu, GPA(7)));
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(8), BLOCK - 8, 0, 0, page));
}

TEST_F(gmem, page_that_is_not_mapped)
{
	fill_and_hide(self, BLOCK);
	/* Nothing is done, so what the host has put there stays. */
	EXPECT_RELINQUISHED(3, 1, 1);
	EXPECT_TRUE(gmem_populated(self->fd, OFF(3)));
	EXPECT_RELINQUISHED(0, BLOCK, BLOCK);
	EXPECT_RELINQUISHED(NR_PAGES - 2, 8, 2);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), BLOCK, 0x1000, 1, page));

	/* From there to a page that is: the call ends where that changes. */
	EXPECT_RELINQUISHED(0, 2, 2);
	EXPECT_RELINQUISHED(0, BLOCK, 2);
	EXPECT_RELINQUISHED(2, BLOCK, BLOCK - 2);
	EXPECT_FALSE(gmem_populated(self->fd, OFF(2)));
}

TEST_F(gmem, what_is_shared_is_not_taken)
{
	fill_and_hide(self, BLOCK);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), BLOCK, 0x1000, 1, page));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(10), 2, NULL));

	EXPECT_REFUSED(10, 1);
	EXPECT_REFUSED(11, 4);
	EXPECT_EQ(0x100a, gmem_host_get64(HVA(10)));

	EXPECT_RELINQUISHED(6, 8, 4);
	EXPECT_FALSE(gmem_populated(self->fd, OFF(9)));
	EXPECT_EQ(0x100a, gmem_host_get64(HVA(10)));
	EXPECT_EQ(0x100c, guest_read64(self->vcpu, GPA(12)));

	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(10), 1, NULL));
	EXPECT_RELINQUISHED(10, 1, 1);
	EXPECT_EQ(0, guest_read64(self->vcpu, GPA(10)));
}

TEST_F(gmem, what_was_destroyed_stays_so)
{
	u64 val;

	fill_and_hide(self, BLOCK);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), BLOCK, 0x1000, 1, page));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(8), page));
	EXPECT_REFUSED(8, 1);
	EXPECT_RELINQUISHED(6, 4, 2);
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, GPA(8), &val));
}

TEST_F_TIMEOUT(gmem, memory_comes_back, 500)
{
	const u64 count = NR_PAGES - BLOCK, kb = count * page / 1024;
	u64 before, after;
	int calls;

	fill_and_hide(self, BLOCK);
	guest_fill(self->vcpu, GPA(BLOCK), count, 0x9000, 1, page);
	before = gmem_free_kb();
	calls = guest_hvc_all(self->vcpu, PKVM_HVC_RELINQUISH, GPA(BLOCK), count);
	EXPECT_EQ((int)((count + PKVM_RANGE_MAX - 1) / PKVM_RANGE_MAX), calls);
	after = gmem_settled_free_kb(before + kb - kb / 8);
	EXPECT_LE(before + kb - kb / 8 - gmem_free_slack_kb(), after)
		TH_LOG("%ju kB given up, %ju kB free before, %ju after", (uintmax_t)kb,
		       (uintmax_t)before, (uintmax_t)after);

	/* All of it can be had again. */
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(BLOCK), count, 0, 0, page));
	guest_fill(self->vcpu, GPA(BLOCK), count, 0xa000, 1, page);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(BLOCK), count, 0xa000, 1, page));
}

struct writer {
	struct pkvm_vcpu *vcpu;
	bool stop;
	u64 kept, lost, wrong, failed;
};

/* What was written is found again, or the other vCPU has given the page up. */
static void *write_and_read(void *arg)
{
	struct writer *w = arg;
	u64 round, val;

	for (round = 1; !READ_ONCE(w->stop); round++) {
		u64 gpa = GPA(round % 8);

		if (__guest_write64(w->vcpu, gpa, round) || __guest_read64(w->vcpu, gpa, &val))
			w->failed++;
		else if (val == round)
			w->kept++;
		else if (!val)
			w->lost++;
		else
			w->wrong++;
	}
	return NULL;
}

TEST_F_TIMEOUT(gmem, under_another_vcpu, 500)
{
	struct writer w = { .vcpu = self->other };
	pthread_t thread;
	int i;

	fill_and_hide(self, BLOCK);
	guest_fill(self->vcpu, GPA(0), 8, 0, 0, page);
	ASSERT_EQ(0, pthread_create(&thread, NULL, write_and_read, &w));
	for (i = 0; i < 2000; i++) {
		u64 func = i % 4 ? PKVM_HVC_RELINQUISH : PKVM_HVC_SHARE;
		u64 count = i % 4 ? 1 + i % 3 : 1;
		s64 ret = guest_hvc(self->vcpu, func, GPA(i % 8), count, 0, NULL);

		/* Shared for a moment, and then not: the other one's calls fit in between. */
		if (func == PKVM_HVC_SHARE)
			ret = guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(i % 8), 1);
		if (ret < 0)
			break;
	}
	EXPECT_EQ(2000, i);
	WRITE_ONCE(w.stop, true);
	pthread_join(thread, NULL);

	TH_LOG("%ju kept, %ju given up meanwhile", (uintmax_t)w.kept, (uintmax_t)w.lost);
	EXPECT_EQ(0, w.failed);
	EXPECT_EQ(0, w.wrong);
	EXPECT_LT(0, w.kept);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
