// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots over a guest_memfd: which offset a guest address comes to, where that ends, and which
 * bindings are refused.
 */
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/sizes.h>

#include "guest_memfd_layout.h"

/* No fault brings more pages than this with it, on any architecture. */
#define MAX_AROUND	256

static int file_hide(const struct gmem_file *f)
{
	return gmem_set_attr(f->fd, 0, f->size, GMEM_PRIVATE);
}

#define EXPECT_GUEST(g, gpa, val) do {					\
	u64 __v = 0;							\
									\
	EXPECT_EQ(0, gmem_guest_load(g, gpa, &__v));			\
	EXPECT_EQ((u64)(val), __v)					\
		TH_LOG("at gpa %#lx", (unsigned long)(gpa));		\
} while (0)

/* No memory there: the access becomes the VMM's business, and gets the VMM's answer. */
#define EXPECT_NO_MEMORY(g, where) do {					\
	struct kvm_run *__r = gmem_guest_run(g);			\
	u64 __gpa = (where), __v = 0, __answer = 0x5a5a0000 ^ __gpa;	\
									\
	EXPECT_EQ(GMEM_OTHER_EXIT, gmem_guest_load(g, __gpa, &__v));	\
	EXPECT_EQ(KVM_EXIT_MMIO, __r->exit_reason);			\
	EXPECT_EQ(__gpa, __r->mmio.phys_addr);				\
	EXPECT_EQ(0, __r->mmio.is_write);				\
	memcpy(__r->mmio.data, &__answer, sizeof(__answer));		\
	EXPECT_EQ(0, gmem_guest_go_on(g, &__v));			\
	EXPECT_EQ(__answer, __v);					\
} while (0)

FIXTURE(layout) {
	struct gmem_guest g;
	int kmsg;
};

FIXTURE_SETUP(layout)
{
	self->kmsg = gmem_kmsg_open();
	gmem_guest_create(&self->g);
}

FIXTURE_TEARDOWN(layout)
{
	gmem_guest_close(&self->g);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* How many pages of the file are in memory, and how many of them far from all of @near. */
static u64 populated(const struct gmem_file *f, const u64 *near, int nr_near, u64 *far)
{
	struct kvm_memory_attributes2 attr;
	u64 off, n, count = 0;
	int i;

	*far = 0;
	for (off = 0; off < f->size; off += attr.size) {
		TEST_ASSERT(!gmem_get_attr(f->fd, off, f->size - off, &attr) && attr.size,
			    "GET_MEMORY_ATTRIBUTES2 of %#lx", (unsigned long)off);
		if (!(attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED))
			continue;
		for (n = off / page; n < (off + attr.size) / page; n++) {
			for (i = 0; i < nr_near; i++) {
				if (n < near[i] + MAX_AROUND && near[i] < n + MAX_AROUND)
					break;
			}
			count++;
			*far += i == nr_near;
		}
	}
	return count;
}

TEST_F_TIMEOUT(layout, ram_in_two_parts_over_one_file, 120)
{
	const u64 low = 2ULL * SZ_1G / page, high = SZ_1G / page;
	/* At both sides of both seams, and of the file's ends. */
	const u64 touch[] = { 0, 1, low - 2, low - 1, low, low + 1, low + high - 1 };
	const u64 write[] = { 2, low - 3, low + 2, low + high - 2 };
	u64 before, after, far, near[ARRAY_SIZE(touch)];
	struct gmem_file f;
	size_t i;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(low + high));
	ASSERT_EQ(0, bind(&self->g, 0, GMEM_LOW_GPA, OFF(low), &f, 0));
	ASSERT_EQ(0, bind(&self->g, 1, GMEM_HIGH_GPA, OFF(high), &f, OFF(low)));

#define RAM_GPA(n) ((n) < low ? GMEM_LOW_GPA + OFF(n) : GMEM_HIGH_GPA + OFF((n) - low))
	for (i = 0; i < ARRAY_SIZE(touch); i++) {
		file_tag(&f, touch[i], 1);
		near[i] = touch[i];
	}
	before = populated(&f, near, ARRAY_SIZE(near), &far);
	EXPECT_EQ(ARRAY_SIZE(touch), before);
	ASSERT_EQ(0, file_hide(&f));

	for (i = 0; i < ARRAY_SIZE(touch); i++)
		EXPECT_GUEST(&self->g, RAM_GPA(touch[i]), TAG(touch[i]));
	for (i = 0; i < ARRAY_SIZE(write); i++)
		EXPECT_EQ(0, gmem_guest_store(&self->g, RAM_GPA(write[i]) + 8, TAG(write[i])));

	/* Each end is an end, whatever the file has next. */
	EXPECT_NO_MEMORY(&self->g, GMEM_LOW_GPA + OFF(low));
	EXPECT_NO_MEMORY(&self->g, GMEM_HIGH_GPA - page);
	EXPECT_NO_MEMORY(&self->g, GMEM_HIGH_GPA - 8);
	EXPECT_NO_MEMORY(&self->g, GMEM_HIGH_GPA + OFF(high));

	for (i = 0; i < ARRAY_SIZE(touch); i++) {
		ASSERT_TRUE(gmem_guest_gives(&self->g, RAM_GPA(touch[i]), 1, f.fd, OFF(touch[i])));
		EXPECT_EQ(TAG(touch[i]), gmem_host_get64(f.mem + OFF(touch[i])));
		EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(touch[i]) + 8));
	}
	for (i = 0; i < ARRAY_SIZE(write); i++) {
		ASSERT_TRUE(gmem_guest_gives(&self->g, RAM_GPA(write[i]), 1, f.fd, OFF(write[i])));
		EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(write[i])));
		EXPECT_EQ(TAG(write[i]), gmem_host_get64(f.mem + OFF(write[i]) + 8));
	}

	/* Sparse it was, and sparse it is. */
	after = populated(&f, near, ARRAY_SIZE(near), &far);
	EXPECT_EQ(0, far);
#if defined(__x86_64__)
	EXPECT_EQ(before + ARRAY_SIZE(write), after);
#else
	EXPECT_LE(before + ARRAY_SIZE(write), after);
#endif
#undef RAM_GPA
	gmem_file_close(&f);
}

/*
 * The gpa as aligned as can be, the offset not at all, more than a block of 2 MiB; what lies
 * before and behind in the file is hidden and resident, so that nothing but the slot's
 * bounds keeps a fault away from it.
 */
TEST_F_TIMEOUT(layout, gpa_and_offset_not_congruent, 120)
{
	const u64 first = 0x4000 / page, count = 2 * SZ_2M / page + 3, all = first + count + 70;
	struct gmem_file f;
	u64 n;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(all));
	file_tag(&f, 0, all);
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(count), &f, OFF(first)));
	ASSERT_EQ(0, file_hide(&f));

	/* Around block borders of gpa and of offset, then all the rest. */
	for (n = SZ_2M / page - 1; n < count; n += SZ_2M / page - 1)
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(first + n));
	for (n = 0; n < count; n += 5)
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(first + n));
	EXPECT_GUEST(&self->g, MEM_GPA + OFF(count - 1), TAG(first + count - 1));
	EXPECT_NO_MEMORY(&self->g, MEM_GPA - 8);
	EXPECT_NO_MEMORY(&self->g, MEM_GPA + OFF(count));

	/* The rest of the file is the host's, with what it held. */
	ASSERT_EQ(0, gmem_set_attr(f.fd, 0, OFF(first), GMEM_SHARED));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(first + count), OFF(all - first - count),
				   GMEM_SHARED));
	for (n = 0; n < all; n++) {
		if (n < first || n >= first + count)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
	}
	gmem_file_close(&f);
}

/* From the middle of a 2 MiB block into the middle of the next, over holes. */
TEST_F(layout, slot_in_the_middle_of_blocks)
{
	const u64 block = SZ_2M / page, skip = 37, count = block, first = block + 5;
	const u64 gpa = MEM_GPA + OFF(skip), all = 4 * block;
	struct kvm_memory_attributes2 attr;
	struct gmem_file f;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(all));
	ASSERT_EQ(0, bind(&self->g, 0, gpa, OFF(count), &f, OFF(first)));
	ASSERT_EQ(0, file_hide(&f));

	EXPECT_GUEST(&self->g, gpa, 0);
	EXPECT_GUEST(&self->g, gpa + OFF(count - 1), 0);
	EXPECT_NO_MEMORY(&self->g, gpa - 8);
	EXPECT_NO_MEMORY(&self->g, MEM_GPA);
	EXPECT_NO_MEMORY(&self->g, gpa + OFF(count));
	EXPECT_EQ(0, gmem_guest_store(&self->g, gpa + OFF(block - skip), TAG(1)));
	EXPECT_EQ(0, gmem_guest_store(&self->g, gpa + OFF(block - skip - 1), TAG(2)));

	EXPECT_TRUE(gmem_populated(f.fd, OFF(first)));
	EXPECT_TRUE(gmem_populated(f.fd, OFF(first + count - 1)));
	EXPECT_EQ(0, gmem_get_attr(f.fd, 0, OFF(first), &attr));
	EXPECT_EQ(OFF(first), attr.size);
	EXPECT_EQ(0, attr.flags);
	EXPECT_EQ(0, gmem_get_attr(f.fd, OFF(first + count), OFF(all - first - count), &attr));
	EXPECT_EQ(OFF(all - first - count), attr.size);
	EXPECT_EQ(0, attr.flags);

	ASSERT_TRUE(gmem_guest_gives(&self->g, gpa + OFF(block - skip - 1), 2, f.fd,
				     OFF(first + block - skip - 1)));
	EXPECT_EQ(TAG(2), gmem_host_get64(f.mem + OFF(first + block - skip - 1)));
	EXPECT_EQ(TAG(1), gmem_host_get64(f.mem + OFF(first + block - skip)));
	gmem_file_close(&f);
}

TEST_F(layout, several_slots_over_one_file)
{
	struct gmem_file f;
	u64 n, val;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(PARTS_ALL));
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, file_hide(&f));

	for (n = 0; n < PARTS_ALL; n++) {
		if (part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}
	EXPECT_NO_MEMORY(&self->g, part_gpa(27) + page);
	EXPECT_NO_MEMORY(&self->g, part_gpa(2) - page);
	EXPECT_NO_MEMORY(&self->g, part_gpa(55) + page);

	/* A range of the guest's over two of them. */
	ASSERT_TRUE(gmem_guest_gives(&self->g, part_gpa(8), 2, f.fd, OFF(8)));
	ASSERT_TRUE(gmem_guest_gives(&self->g, part_gpa(40), 2, f.fd, OFF(40)));
	for (n = 0; n < PARTS_ALL; n++) {
		bool given = n == 8 || n == 9 || n == 40 || n == 41;

		EXPECT_EQ(given ? 0 : SIGBUS, gmem_host_read64(f.mem + OFF(n), &val))
			TH_LOG("page %lu", (unsigned long)n);
		EXPECT_EQ(given ? GMEM_SHARED : GMEM_PRIVATE, gmem_attr_of(f.fd, OFF(n)));
	}

	/* The gaps are the host's alone. */
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(10), OFF(10), GMEM_SHARED));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(28), OFF(12), GMEM_SHARED));
	for (n = 0; n < PARTS_ALL; n++) {
		if (gmem_attr_of(f.fd, OFF(n)) == GMEM_SHARED)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
		if (gmem_attr_of(f.fd, OFF(n)) == GMEM_PRIVATE && part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}
	gmem_file_close(&f);
}

/* A hole goes through every slot that shows a part of it, and through nothing else. */
TEST_F(layout, hole_through_several_slots)
{
	const u64 start = 6, end = 23;
	struct gmem_file f;
	u64 n;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(PARTS_ALL));
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, file_hide(&f));
	for (n = 0; n < PARTS_ALL; n++) {
		if (part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}

	ASSERT_EQ(0, gmem_punch(f.fd, OFF(start), OFF(end - start)));
	for (n = 0; n < PARTS_ALL; n++)
		EXPECT_EQ(n < start || n >= end, gmem_populated(f.fd, OFF(n)));
	for (n = 0; n < PARTS_ALL; n++) {
		if (!part_gpa(n))
			continue;
		if (n < start || n >= end)
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
		if (n >= start && n < end)
			EXPECT_TRUE(gmem_guest_lost(&self->g, part_gpa(n)));
	}
	gmem_file_close(&f);
}

TEST_F(layout, files_of_two_vms)
{
	struct gmem_guest other;
	struct gmem_file f, o;
	u64 n;

	gmem_guest_create(&other);
	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(8));
	gmem_file_create(&o, gmem_guest_vm(&other), OFF(8));
	file_tag(&f, 0, 8);
	for (n = 0; n < 8; n++)
		gmem_host_set64(o.mem + OFF(n), ~TAG(n));

	/* A file is its VM's. */
	EXPECT_EQ(-EINVAL, bind(&self->g, 0, MEM_GPA, OFF(8), &o, 0));
	EXPECT_EQ(-EINVAL, bind(&other, 0, MEM_GPA, OFF(8), &f, 0));
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(4), &f, OFF(2)));
	ASSERT_EQ(0, bind(&other, 0, MEM_GPA, OFF(4), &o, OFF(2)));
	ASSERT_EQ(0, file_hide(&f));
	ASSERT_EQ(0, file_hide(&o));

	for (n = 0; n < 4; n++) {
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(n + 2));
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));
	}

	/* What happens to the one does not happen to the other. */
	EXPECT_EQ(0, gmem_guest_store(&self->g, MEM_GPA, 1));
	ASSERT_TRUE(gmem_guest_gives(&self->g, MEM_GPA + page, 1, f.fd, OFF(3)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(o.fd, OFF(3)));
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(4), page));
	for (n = 0; n < 4; n++)
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));

	gmem_file_close(&f);
	gmem_guest_close(&self->g);
	for (n = 0; n < 4; n++)
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));
	EXPECT_EQ(0, gmem_guest_store(&other, MEM_GPA, 2));
	gmem_file_close(&o);
	gmem_guest_close(&other);
	gmem_guest_create(&self->g);
}

TEST_F(layout, refused_bindings)
{
	const u64 gpa = MEM_GPA + SZ_16M, size = OFF(PARTS_ALL), top = gmem_guest_top(&self->g);
	const struct {
		const char *what;
		int err;
		u64 gpa, size, offset;
	} bad[] = {
		/* Of the file: part 0 has 2 to 9, part 1 has 20 to 27, part 2 has 40 to 55. */
		{ "the same",		-EEXIST, gpa, OFF(8), OFF(2) },
		{ "its first page",	-EEXIST, gpa, OFF(3), OFF(0) },
		{ "its last page",	-EEXIST, gpa, OFF(3), OFF(9) },
		{ "one in the middle",	-EEXIST, gpa, OFF(1), OFF(24) },
		{ "all and more",	-EEXIST, gpa, OFF(20), OFF(18) },
		{ "two of them",	-EEXIST, gpa, OFF(12), OFF(9) },
		{ "the whole file",	-EEXIST, gpa, size, 0 },
		/* Of the guest. */
		{ "the same gpa",	-EEXIST, MEM_GPA, OFF(4), OFF(10) },
		{ "the first gpa",	-EEXIST, MEM_GPA - OFF(3), OFF(4), OFF(10) },
		{ "the last gpa",	-EEXIST, MEM_GPA + OFF(7), OFF(4), OFF(10) },
		{ "both",		-EEXIST, MEM_GPA, OFF(8), OFF(20) },
		/* Of nothing. */
		{ "at the end",		-EINVAL, gpa, OFF(1), size },
		{ "over the end",	-EINVAL, gpa, OFF(5), size - OFF(4) },
		{ "beyond the end",	-EINVAL, gpa, OFF(1), size + OFF(1) },
		{ "far away",		-EINVAL, gpa, OFF(1), 1ULL << 62 },
		{ "negative",		-EINVAL, gpa, OFF(1), 1ULL << 63 },
		{ "wraps to 0",		-EINVAL, gpa, OFF(1), -OFF(1) },
		{ "wraps",		-EINVAL, gpa, OFF(2), -OFF(1) },
		{ "wraps to a gap",	-EINVAL, gpa, OFF(14), -OFF(2) },
		{ "wraps by its size",	-EINVAL, gpa, -OFF(1), OFF(10) },
		{ "offset in a page",	-EINVAL, gpa, OFF(1), OFF(10) + 8 },
		{ "offset in a page",	-EINVAL, gpa, OFF(1), OFF(10) - 1 },
		{ "size in a page",	-EINVAL, gpa, OFF(1) + 8, OFF(10) },
		{ "gpa in a page",	-EINVAL, gpa + 8, OFF(1), OFF(10) },
		{ "gpa at the top",	GMEM_BEYOND_TOP, top, OFF(1), OFF(10) },
		{ "gpa over the top",	GMEM_BEYOND_TOP, top - OFF(1), OFF(2), OFF(10) },
		{ "gpa wraps",		-EINVAL, -OFF(1), OFF(2), OFF(10) },
	};
	struct gmem_file f;
	size_t i;
	u64 n;

	gmem_file_create(&f, gmem_guest_vm(&self->g), size);
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, gmem_set_attr(f.fd, 0, OFF(30), GMEM_PRIVATE));
	EXPECT_GUEST(&self->g, part_gpa(4), TAG(4));

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].err, bind(&self->g, 7, bad[i].gpa, bad[i].size, &f,
					   bad[i].offset))
			TH_LOG("%s", bad[i].what);
	}

	/* Not files, or not such. */
	EXPECT_EQ(-EINVAL, gmem_set_slot(gmem_guest_vm(&self->g), 7, gpa, page, NULL,
					 self->kmsg, 0));
	EXPECT_EQ(-EINVAL, gmem_set_slot(gmem_guest_vm(&self->g), 7, gpa, page, NULL,
					 gmem_guest_vm(&self->g), 0));
	EXPECT_EQ(-EBADF, gmem_set_slot(gmem_guest_vm(&self->g), 7, gpa, page, NULL, INT_MAX, 0));
	/* A slot that is there cannot be made another. */
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, MEM_GPA, OFF(8), &f, OFF(20)));
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, MEM_GPA, OFF(8), &f, OFF(10)));
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, gpa, OFF(8), &f, OFF(10)));

	/* Nothing has changed: the guest's memory, the host's, and what is free. */
	for (n = 0; n < PARTS_ALL; n++) {
		if (n >= 30)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
		if (n < 30 && part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
		EXPECT_EQ(n < 30 ? GMEM_PRIVATE : GMEM_SHARED, gmem_attr_of(f.fd, OFF(n)));
	}
	EXPECT_NO_MEMORY(&self->g, gpa);
	EXPECT_EQ(0, bind(&self->g, 7, gpa, OFF(10), &f, OFF(10)));
	EXPECT_EQ(0, bind(&self->g, 8, gpa + SZ_1M, OFF(2), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 9, gpa + SZ_2M, OFF(12), &f, OFF(28)));
	EXPECT_EQ(0, bind(&self->g, 10, gpa + SZ_4M, OFF(8), &f, OFF(56)));
	EXPECT_GUEST(&self->g, gpa + OFF(9), TAG(19));
	EXPECT_GUEST(&self->g, gpa + SZ_1M, TAG(0));
	EXPECT_GUEST(&self->g, gpa + SZ_2M + OFF(1), TAG(29));
	gmem_file_close(&f);
}

/* Whether the guest gets there is the architectures' business; that it fits is not. */
TEST_F(layout, slot_at_the_top)
{
	const u64 top = gmem_guest_top(&self->g);
	struct gmem_file f;

	gmem_file_create(&f, gmem_guest_vm(&self->g), OFF(16));
	EXPECT_EQ(GMEM_BEYOND_TOP, bind(&self->g, 0, top - OFF(4), OFF(5), &f, 0));
	EXPECT_EQ(GMEM_BEYOND_TOP, bind(&self->g, 0, top, OFF(1), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 0, top - OFF(4), OFF(4), &f, OFF(12)));
	EXPECT_EQ(-EEXIST, bind(&self->g, 1, top - OFF(1), OFF(1), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 1, top - OFF(5), OFF(1), &f, 0));

	/* Conversions and holes go through it as through any other. */
	EXPECT_EQ(0, file_hide(&f));
	EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(15), page, GMEM_SHARED));
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(14), OFF(2)));
	EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(15)));
	gmem_file_close(&f);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_guest);
}
