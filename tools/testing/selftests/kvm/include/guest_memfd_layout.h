/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the tests of slots over a guest_memfd, and of the map of a file, have in common: pages
 * that say which of the file they are, and three slots that show parts of it.
 */
#ifndef SELFTEST_KVM_GUEST_MEMFD_LAYOUT_H
#define SELFTEST_KVM_GUEST_MEMFD_LAYOUT_H

#include <linux/sizes.h>

/* 3 GiB: no guest has anything of its own there. */
#define MEM_GPA		(3ULL * SZ_1G)

#include "gmem_test.h"
#include "gmem_guest.h"

#define TAG(n)		(0xf11e00000ULL + (n))

/* Tags pages [n, n + count) of the file. */
static inline void file_tag(const struct gmem_file *f, u64 n, u64 count)
{
	for (; count; n++, count--)
		gmem_host_set64(f->mem + OFF(n), TAG(n));
}

static inline int bind(struct gmem_guest *g, int slot, u64 gpa, u64 size,
		       const struct gmem_file *f, u64 offset)
{
	return gmem_set_slot(gmem_guest_vm(g), slot, gpa, size, NULL, f->fd, offset);
}

/* What three slots show of one file, in another order and with gaps. */
static const struct part {
	u64 first, count, gpa;
} parts[] = {
	{ .first =  2, .count =  8, .gpa = MEM_GPA + SZ_1M },
	{ .first = 20, .count =  8, .gpa = MEM_GPA },
	/* Follows the first one in the guest, and not in the file. */
	{ .first = 40, .count = 16, .gpa = MEM_GPA + SZ_1M + 8 * SZ_4K },
};

#define PARTS_ALL	64

static inline void bind_parts(struct gmem_guest *g, const struct gmem_file *f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		TEST_ASSERT(!bind(g, i, parts[i].gpa, OFF(parts[i].count), f,
				  OFF(parts[i].first)), "slot %zu", i);
}

/* The gpa of a page of the file, 0 where no slot has it. */
static inline u64 part_gpa(u64 n)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (n >= parts[i].first && n < parts[i].first + parts[i].count)
			return parts[i].gpa + OFF(n - parts[i].first);
	}
	return 0;
}

#endif /* SELFTEST_KVM_GUEST_MEMFD_LAYOUT_H */
