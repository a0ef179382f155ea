// SPDX-License-Identifier: GPL-2.0-only
/*
 * guest_memfd's arithmetic of offsets and guest frames (linux/guest_memfd_range.h), all
 * small cases and those around the limits of the types, against a statement that looks at
 * every page, or computes in 128 bits where there are too many.
 */
#include <linux/array_size.h>
#include <linux/guest_memfd_range.h>

#include "check.h"

#define SMALL		7	/* every number below it is tried, alone and beyond each base */

#define u128		unsigned __int128

/* Frames and page offsets that a 64-bit machine can have, and the first that it cannot. */
static const u64 page_bases[] = {
	0, 1UL << 20, (1UL << 32) - 4, 1UL << 51, (1UL << 52) - 4, 1UL << 52,
	(1UL << 63) - 4, 1UL << 63,
};

/*
 * A file size is below 2^63. The range must be some of the file's pages, in a row: their
 * numbers are found by division, and nothing wraps in 128 bits.
 */
static bool naive_range_valid(u64 offset, u64 size, u64 file_size)
{
	u128 first = offset / PAGE_SIZE, nr = size / PAGE_SIZE;

	if (first * PAGE_SIZE != offset || nr * PAGE_SIZE != size || !nr)
		return false;
	return (first + nr) * PAGE_SIZE <= file_size;
}

static void check_range_valid(u64 offset, u64 size, u64 file_size)
{
	bool got = kvm_gmem_range_valid(offset, size, file_size);

	CHECK(got == naive_range_valid(offset, size, file_size),
	      "range %#lx + %#lx of %#lx bytes: %d", offset, size, file_size, got);
}

static void check_ranges(void)
{
	static const u64 bases[] = {
		0, 1UL << 31, 1UL << 32, 1UL << 52, 1UL << 62, 1UL << 63, ~0UL - 4 * PAGE_SIZE + 1,
	};
	static const u64 rest[] = { 0, 1, 8, PAGE_SIZE / 2, PAGE_SIZE - 1 };
	u64 numbers[ARRAY_SIZE(bases) * 5 * ARRAY_SIZE(rest)];
	unsigned int n = 0, o, s, f;

	for (unsigned int b = 0; b < ARRAY_SIZE(bases); b++) {
		/* Behind the last base this goes around to 0: also a number. */
		for (unsigned int p = 0; p < 5; p++) {
			for (unsigned int r = 0; r < ARRAY_SIZE(rest); r++)
				numbers[n++] = bases[b] + p * PAGE_SIZE + rest[r];
		}
	}
	for (o = 0; o < n; o++) {
		for (s = 0; s < n; s++) {
			for (f = 0; f < n; f++)
				check_range_valid(numbers[o], numbers[s], numbers[f] & ~(1UL << 63));
			/* Sizes that end around the file's end, and at 2^64. */
			check_range_valid(numbers[o], numbers[s] - numbers[o], numbers[s]);
			check_range_valid(numbers[o], -numbers[o], numbers[s]);
		}
	}
}

static bool slot_exists(u64 base, u64 nr)
{
	return nr && (u128)base + nr <= (u128)1 << 64;
}

static void check_gfn_to_index(gfn_t base_gfn, pgoff_t pgoff, unsigned long npages)
{
	pgoff_t index = pgoff;

	/* Walks the slot: the file's pages come one after the other. */
	for (gfn_t gfn = base_gfn; gfn - base_gfn < npages; gfn++, index++) {
		pgoff_t got = kvm_gmem_gfn_to_index(base_gfn, pgoff, gfn);

		CHECK(got == index, "gfn %#lx of slot %#lx at offset %#lx: %#lx, not %#lx", gfn,
		      base_gfn, pgoff, got, index);
	}
}

/* Which frames of the slot show a page of [start, end)? Asks for each. */
static bool naive_gfns(gfn_t base_gfn, pgoff_t pgoff, unsigned long npages, pgoff_t start,
		       pgoff_t end, gfn_t *first, gfn_t *last)
{
	bool any = false;

	for (unsigned long i = 0; i < npages; i++) {
		if (pgoff + i < start || pgoff + i >= end)
			continue;
		if (!any)
			*first = base_gfn + i;
		*last = base_gfn + i + 1;
		any = true;
	}
	return any;
}

static void check_index_to_gfns(gfn_t base_gfn, pgoff_t pgoff, unsigned long npages,
				pgoff_t start, pgoff_t end)
{
	gfn_t first = 0x5a5a, last = 0xa5a5, want_first = first, want_last = last;
	bool want = naive_gfns(base_gfn, pgoff, npages, start, end, &want_first, &want_last);
	bool got = kvm_gmem_index_to_gfns(base_gfn, pgoff, npages, start, end, &first, &last);

	CHECK(got == want && first == want_first && last == want_last,
	      "offsets %#lx-%#lx in slot %#lx + %#lx at offset %#lx: %d %#lx-%#lx, not %d %#lx-%#lx",
	      start, end, base_gfn, npages, pgoff, got, first, last, want, want_first, want_last);
}

static void check_slot(gfn_t base_gfn, pgoff_t pgoff, unsigned long npages)
{
	/* What is looked for begins below the slot where there is something below. */
	pgoff_t low = pgoff >= 3 ? pgoff - 3 : 0;

	check_gfn_to_index(base_gfn, pgoff, npages);
	for (pgoff_t start = low; start < pgoff + npages + 2; start++) {
		for (pgoff_t end = low; end < pgoff + npages + 3; end++)
			check_index_to_gfns(base_gfn, pgoff, npages, start, end);
		/* "To the end of the file", as the file's release says it. */
		check_index_to_gfns(base_gfn, pgoff, npages, start, ~0UL);
	}
	check_index_to_gfns(base_gfn, pgoff, npages, 0, ~0UL);
	check_index_to_gfns(base_gfn, pgoff, npages, 0, 0);
	check_index_to_gfns(base_gfn, pgoff, npages, ~0UL, ~0UL);
	check_index_to_gfns(base_gfn, pgoff, npages, ~0UL, 0);
}

static void check_slots(void)
{
	for (unsigned int g = 0; g < ARRAY_SIZE(page_bases) * SMALL; g++) {
		gfn_t base_gfn = page_bases[g / SMALL] + g % SMALL;

		for (unsigned int p = 0; p < ARRAY_SIZE(page_bases) * SMALL; p++) {
			pgoff_t pgoff = page_bases[p / SMALL] + p % SMALL;

			for (unsigned long npages = 1; npages < SMALL; npages++)
				check_slot(base_gfn, pgoff, npages);
		}
	}
}

/*
 * A block is the frames with the same quotient. Goes from the frame outwards, while still
 * in the block and in the slot.
 */
static void check_block(gfn_t gfn, unsigned long nr, gfn_t base_gfn, unsigned long npages)
{
	gfn_t start, end, want_start = gfn, want_end = gfn + 1;

	while (want_start > base_gfn && (want_start - 1) / nr == gfn / nr)
		want_start--;
	while (want_end - base_gfn < npages && want_end / nr == gfn / nr)
		want_end++;

	kvm_gmem_block_around(gfn, nr, base_gfn, npages, &start, &end);
	CHECK(start == want_start && end == want_end,
	      "block of %#lx around %#lx in slot %#lx + %#lx: %#lx-%#lx, not %#lx-%#lx", nr, gfn,
	      base_gfn, npages, start, end, want_start, want_end);
}

static void check_blocks(void)
{
	static const unsigned long sizes[] = { 1, 2, 4, 8, 16, 64 };

	for (unsigned int g = 0; g < ARRAY_SIZE(page_bases) * 35; g++) {
		gfn_t base_gfn = page_bases[g / 35] + g % 35;

		for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
			for (unsigned long npages = 1; npages < 70; npages += npages < 10 ? 1 : 7) {
				for (gfn_t gfn = base_gfn; gfn < base_gfn + npages; gfn++)
					check_block(gfn, sizes[s], base_gfn, npages);
			}
		}
	}
}

/* Blocks larger than can be walked: the edges, computed in 128 bits. */
static void check_large_block(gfn_t gfn, unsigned long nr, gfn_t base_gfn, unsigned long npages)
{
	u128 first = (u128)(gfn / nr) * nr, behind = first + nr;
	u128 slot_end = (u128)base_gfn + npages;
	gfn_t start, end;

	kvm_gmem_block_around(gfn, nr, base_gfn, npages, &start, &end);
	CHECK(start == (first < base_gfn ? base_gfn : first) &&
	      end == (behind > slot_end ? slot_end : behind),
	      "block of %#lx around %#lx in slot %#lx + %#lx: %#lx-%#lx", nr, gfn, base_gfn,
	      npages, start, end);
}

static void check_large_blocks(void)
{
	static const unsigned int orders[] = { 9, 18, 27, 31, 32, 40, 51 };

	for (unsigned int b = 0; b < ARRAY_SIZE(page_bases); b++) {
		for (unsigned int o = 0; o < ARRAY_SIZE(orders); o++) {
			unsigned long nr = 1UL << orders[o];

			for (unsigned int i = 0; i < 64; i++) {
				gfn_t base_gfn = page_bases[b] + i * (nr / 16 + 1);
				unsigned long npages = 1 + i * (nr / 8 + 1);

				if (!slot_exists(base_gfn, npages + nr))
					continue;
				check_large_block(base_gfn, nr, base_gfn, npages);
				check_large_block(base_gfn + npages / 2, nr, base_gfn, npages);
				check_large_block(base_gfn + npages - 1, nr, base_gfn, npages);
			}
		}
	}
}

int main(void)
{
	check_ranges();
	check_slots();
	check_blocks();
	check_large_blocks();

	return check_end("gmem_range_test");
}
