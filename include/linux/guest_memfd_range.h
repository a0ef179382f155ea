/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_GUEST_MEMFD_RANGE_H
#define _LINUX_GUEST_MEMFD_RANGE_H

/*
 * Arithmetic between offsets of a guest_memfd and guest frames. Pure, so that the
 * host-side tests compile it too; a slot is [base_gfn, base_gfn + npages), which shows
 * the file from page offset pgoff on. gfn and offset need not be congruent.
 */

#include <linux/align.h>
#include <linux/kvm_types.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/types.h>

/* A range of bytes that a file of this size has: page aligned, not empty, not wrapping. */
static inline bool kvm_gmem_range_valid(u64 offset, u64 size, u64 file_size)
{
	return size && PAGE_ALIGNED(offset) && PAGE_ALIGNED(size) &&
	       offset <= file_size && size <= file_size - offset;
}

static inline pgoff_t kvm_gmem_gfn_to_index(gfn_t base_gfn, pgoff_t pgoff, gfn_t gfn)
{
	return gfn - base_gfn + pgoff;
}

/**
 * kvm_gmem_index_to_gfns() - what a slot shows of a range of the file
 * @base_gfn: the slot's first frame
 * @pgoff: the page offset that is there
 * @npages: the slot's size
 * @start: the range's first page offset
 * @end: the first one after it
 * @first: set to the first frame that shows a page of the range
 * @last: set to the first frame behind them
 *
 * Return: false if the slot shows nothing of it; @first and @last are untouched then.
 */
static inline bool kvm_gmem_index_to_gfns(gfn_t base_gfn, pgoff_t pgoff,
					  unsigned long npages, pgoff_t start,
					  pgoff_t end, gfn_t *first, gfn_t *last)
{
	pgoff_t from = max(pgoff, start), to = min(pgoff + npages, end);

	if (from >= to)
		return false;

	*first = base_gfn + (from - pgoff);
	*last = base_gfn + (to - pgoff);
	return true;
}

/**
 * kvm_gmem_block_around() - the aligned block that holds a frame, cut to the slot
 * @gfn: a frame of the slot
 * @nr: the block's size, a power of two
 * @base_gfn: the slot's first frame
 * @npages: the slot's size
 * @start: set to the first frame
 * @end: set to the first frame behind the block
 */
static inline void kvm_gmem_block_around(gfn_t gfn, unsigned long nr, gfn_t base_gfn,
					 unsigned long npages, gfn_t *start, gfn_t *end)
{
	gfn_t first = gfn & ~((gfn_t)nr - 1);

	*start = max(first, base_gfn);
	*end = min(first + nr, base_gfn + npages);
}

#endif /* _LINUX_GUEST_MEMFD_RANGE_H */
