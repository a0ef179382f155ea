// SPDX-License-Identifier: GPL-2.0-only
/*
 * MMIO guard in a protected guest's driver (pkvm-mmio.c), against a hypervisor that does
 * less than it is asked for, refuses, or answers nonsense. It must find every page guarded
 * that somebody maps, and no page unguarded before the last of them is gone.
 */
#include <stdarg.h>
#include <string.h>

#include <guest_env.h>
#include <linux/array_size.h>
#include <linux/mm.h>
#include <pkvm-guest.h>

#include "check.h"

#define PAGES		1600	/* more than three calls' */
#define MAX_GRANULES	(PAGES * 4)
#define BASE		0x08000000UL
#define MOST_PER_CALL	512
#define NOWHERE		(~0UL)
#define MAPPINGS	24

/* The hypervisor: what it is like, and what it has. */
static struct {
	size_t granule;
	unsigned long info, flags;
	unsigned long cap;		/* granules a call, at most */
	unsigned long refuses;		/* MAP fails at that granule */
	long lie;			/* added to what MAP has done, in the answer */
	bool enrolled, may_enroll;
	bool guarded[MAX_GRANULES];
	unsigned long maps, unmaps, enrolls;
} hyp;

static unsigned long no_memory_at;	/* this new entry, counted from 1, does not fit */
static unsigned long fixmap_pfn;

void warned(const char *fmt, ...)
{
	CHECK(false, "it warns");
}

bool pkvm_fixmap_maps(unsigned long pfn)
{
	return pfn == fixmap_pfn;
}

void *xa_store(struct xarray *xa, unsigned long index, void *entry, int gfp)
{
	void *old = xa_load(xa, index);

	if (!old && no_memory_at && !--no_memory_at)
		return (void *)-ENOMEM;
	xa->entry[index % XA_ENTRIES] = entry;
	return old;
}

static bool ranges(void)
{
	return hyp.flags & ARM_SMCCC_KVM_MMIO_GUARD_RANGES;
}

static void map_or_unmap(bool map, u64 ipa, u64 nr, struct arm_smccc_res *res)
{
	unsigned long first = (ipa - BASE) / hyp.granule, done = 0;

	CHECK(!((ipa - BASE) % hyp.granule), "an address between granules");
	CHECK(ranges() ? nr && nr <= MOST_PER_CALL : !nr, "it asks for %lu granules", (long)nr);
	nr = ranges() ? nr : 1;
	CHECK(first + nr <= MAX_GRANULES, "a granule that it was not told of");
	if (nr > hyp.cap)
		nr = hyp.cap;
	while (done < nr && !(map && first + done == hyp.refuses))
		hyp.guarded[first + done++] = map;
	res->a0 = done ? SMCCC_RET_SUCCESS : SMCCC_RET_INVALID_PARAMETER;
	if (ranges() && done)
		res->a1 = done + (map ? hyp.lie : 0);
}

void hypervisor(u32 func_id, u64 a1, u64 a2, u64 a3, struct arm_smccc_res *res)
{
	memset(res, 0xa5, sizeof(*res));
	CHECK(!a3, "R3 is not 0");
	switch (func_id) {
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID:
		CHECK(!a1 && !a2, "INFO has arguments");
		res->a0 = hyp.info;
		res->a1 = hyp.flags;
		return;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID:
		CHECK(!a1 && !a2, "ENROLL has arguments");
		hyp.enrolls++;
		hyp.enrolled = hyp.may_enroll;
		res->a0 = hyp.enrolled ? SMCCC_RET_SUCCESS : SMCCC_RET_NOT_SUPPORTED;
		return;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID:
		hyp.maps++;
		map_or_unmap(true, a1, a2, res);
		return;
	case ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID:
		hyp.unmaps++;
		map_or_unmap(false, a1, a2, res);
		return;
	}
	CHECK(false, "call %u", func_id);
}

static void start(size_t granule, unsigned long flags, unsigned long cap)
{
	memset(&hyp, 0, sizeof(hyp));
	hyp.granule = hyp.info = granule;
	hyp.flags = flags;
	hyp.cap = cap;
	hyp.refuses = NOWHERE;
	hyp.may_enroll = true;
	no_memory_at = 0;
	fixmap_pfn = NOWHERE;
	CHECK(!pkvm_mmio_enroll() && hyp.enrolled, "granules of %zu", granule);
}

/* All granules of pages [first, first + nr) are guarded, or none is. */
static bool are(unsigned long first, unsigned long nr, bool guarded)
{
	unsigned long per_page = PAGE_SIZE / hyp.granule;

	for (unsigned long i = first * per_page; i < (first + nr) * per_page; i++)
		if (hyp.guarded[i] != guarded)
			return false;
	return true;
}

static phys_addr_t page(unsigned long nr)
{
	return BASE + nr * PAGE_SIZE;
}

static void check_init(void)
{
	static const unsigned long bad[] = { 0, 3, PAGE_SIZE + 1, PAGE_SIZE * 2, ~0UL, ~2UL };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		start(PAGE_SIZE, 0, 1);
		hyp.info = bad[i];
		hyp.enrolls = 0;
		CHECK(pkvm_mmio_enroll() == -EINVAL && !hyp.enrolls, "granules of %lu", bad[i]);
	}
	start(PAGE_SIZE, 0, 1);
	hyp.may_enroll = false;
	CHECK(pkvm_mmio_enroll() == -EPERM, "it may not enroll");

	/* One that has only MAP, of one granule. */
	memset(&hyp, 0, sizeof(hyp));
	hyp.granule = PAGE_SIZE / 4;
	hyp.cap = 1;
	hyp.refuses = NOWHERE;
	pkvm_mmio_init(hyp.granule);
	CHECK(!pkvm_mmio_get(page(1), 1) && hyp.maps == 4 && are(1, 1, true), "MAP only");
	pkvm_mmio_put(page(1), 1);
}

/* Bytes that a driver asks for are pages, however they lie. */
static void check_bytes(void)
{
	static const struct {
		unsigned long offset, size, pages;
	} of[] = {
		{ 0, 1, 1 }, { 0, PAGE_SIZE, 1 }, { 0, PAGE_SIZE + 1, 2 }, { PAGE_SIZE - 1, 1, 1 },
		{ PAGE_SIZE - 1, 2, 2 }, { 0x10, PAGE_SIZE, 2 }, { 0x10, 3 * PAGE_SIZE - 0x10, 3 },
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(of); i++) {
		start(PAGE_SIZE, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, MOST_PER_CALL);
		CHECK(!pkvm_mmio_get(page(2) + of[i].offset, of[i].size), "bytes %u", i);
		CHECK(are(2, of[i].pages, true) && are(0, 2, false) && are(2 + of[i].pages, 5, false),
		      "bytes %u: which pages", i);
		CHECK(!pkvm_mmio_get(page(2), 1) && hyp.maps == 1, "bytes %u: no call for what is there", i);
		pkvm_mmio_put(page(2), 1);
		CHECK(are(2, of[i].pages, true) && !hyp.unmaps, "bytes %u: somebody has it still", i);
		pkvm_mmio_put(page(2) + of[i].offset, of[i].size);
		CHECK(are(0, 20, false) && hyp.maps == 1 && hyp.unmaps == 1, "bytes %u: gone", i);
	}
}

static unsigned long calls_for(unsigned long pages)
{
	unsigned long most = !ranges() ? 1 : hyp.cap < MOST_PER_CALL ? hyp.cap : MOST_PER_CALL;

	return (pages * (PAGE_SIZE / hyp.granule) + most - 1) / most;
}

/* Whatever fails, and wherever: nobody has the pages then, and they can be had afterwards. */
static void check_failures(size_t granule, unsigned long flags, unsigned long cap)
{
	static const unsigned long sizes[] = { 1, 2, 5, 511, 513, 1100 };
	static const unsigned long at[] = { NOWHERE, 0, 1, 3, 510, 512, 1024, 1099 };

	for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
		unsigned long n = sizes[s];

		for (unsigned int f = 0; f < ARRAY_SIZE(at); f++) {
			bool fails = at[f] != NOWHERE;
			int ret;

			if (fails && at[f] >= n)
				continue;
			start(granule, flags, cap);
			hyp.refuses = fails ? (4 + at[f]) * (PAGE_SIZE / granule) : NOWHERE;
			ret = pkvm_mmio_get(page(4), n * PAGE_SIZE);
			CHECK(ret == (fails ? -EPERM : 0), "get %lu: %d", n, ret);
			CHECK(fails || hyp.maps == calls_for(n), "get %lu: %lu calls", n, hyp.maps);
			CHECK(are(4, n, !fails), "get %lu: which pages", n);

			hyp.refuses = NOWHERE;
			if (!fails)
				pkvm_mmio_put(page(4), n * PAGE_SIZE);
			CHECK(are(0, PAGES, false), "get %lu, refused at %lu: what stays", n, at[f]);

			no_memory_at = fails ? at[f] + 1 : 0;
			ret = pkvm_mmio_get(page(4), n * PAGE_SIZE);
			CHECK(ret == (fails ? -ENOMEM : 0), "get %lu without memory: %d", n, ret);
			if (!fails)
				pkvm_mmio_put(page(4), n * PAGE_SIZE);
			CHECK(are(0, PAGES, false), "get %lu without memory: what stays", n);
		}
	}
}

/* One that has done more than it was asked for, or nothing, with success. */
static void check_nonsense(void)
{
	static const long lies[] = { 1, -5, MOST_PER_CALL, 1L << 40, -6 };

	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		start(PAGE_SIZE, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, MOST_PER_CALL);
		hyp.lie = lies[i];
		CHECK(pkvm_mmio_get(page(0), 5 * PAGE_SIZE) == -EPROTO, "lie %ld", lies[i]);
		CHECK(pkvm_mmio_guard(page(0), 5 * PAGE_SIZE) == -EPROTO, "lie %ld", lies[i]);
	}
}

/* What the early console uses stays guarded, whoever else comes and goes. */
static void check_fixmap(void)
{
	start(PAGE_SIZE, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, MOST_PER_CALL);
	fixmap_pfn = PHYS_PFN(page(6));
	CHECK(!pkvm_mmio_guard(page(6), PAGE_SIZE) && are(6, 1, true), "an early page");
	CHECK(!pkvm_mmio_get(page(4), 5 * PAGE_SIZE), "a driver for it");
	hyp.unmaps = 0;
	pkvm_mmio_put(page(4), 5 * PAGE_SIZE);
	CHECK(are(4, 2, false) && are(6, 1, true) && are(7, 2, false), "the driver goes");
	CHECK(hyp.unmaps == 2, "one call before, and one after it: %lu", hyp.unmaps);
	/* Somebody's mistake: it has been put already. */
	hyp.unmaps = 0;
	pkvm_mmio_put(page(4), 5 * PAGE_SIZE);
	CHECK(!hyp.unmaps, "what nobody has is put");
}

static unsigned int rnd(unsigned int n)
{
	static unsigned long state = 1;

	state = state * 6364136223846793005UL + 1442695040888963407UL;
	return (state >> 33) % n;
}

/* Many mappings of few pages, that come and go, some of which fail. */
static void check_random(size_t granule, unsigned long flags, unsigned long cap)
{
	struct { unsigned long first, nr; } map[MAPPINGS] = {};
	unsigned int users[40] = {};

	start(granule, flags, cap);
	for (unsigned int step = 0; step < 20000; step++) {
		unsigned int m = rnd(MAPPINGS);
		bool fails = !rnd(8);

		if (map[m].nr) {
			pkvm_mmio_put(page(map[m].first) + rnd(16),
				      map[m].nr * PAGE_SIZE - 16);
			for (unsigned long i = 0; i < map[m].nr; i++)
				users[map[m].first + i]--;
			map[m].nr = 0;
		} else {
			map[m].first = rnd(30);
			map[m].nr = 1 + rnd(10);
			no_memory_at = fails ? 1 + rnd(4) : 0;
			if (pkvm_mmio_get(page(map[m].first), map[m].nr * PAGE_SIZE))
				map[m].nr = 0;
			no_memory_at = 0;
			for (unsigned long i = 0; i < map[m].nr; i++)
				users[map[m].first + i]++;
		}
		for (unsigned int i = 0; i < ARRAY_SIZE(users); i++)
			CHECK(are(i, 1, users[i]), "step %u: page %u has %u users", step, i, users[i]);
	}
	for (unsigned int m = 0; m < MAPPINGS; m++)
		if (map[m].nr)
			pkvm_mmio_put(page(map[m].first), map[m].nr * PAGE_SIZE);
	CHECK(are(0, PAGES, false), "nobody is left");
}

int main(void)
{
	static const unsigned long caps[] = { 1, 3, MOST_PER_CALL, ~0UL };

	check_init();
	check_bytes();
	for (unsigned int i = 0; i < ARRAY_SIZE(caps); i++) {
		check_failures(PAGE_SIZE, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, caps[i]);
		check_failures(PAGE_SIZE / 4, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, caps[i]);
		check_random(PAGE_SIZE, ARM_SMCCC_KVM_MMIO_GUARD_RANGES, caps[i]);
	}
	check_failures(PAGE_SIZE, 0, 1);
	check_random(PAGE_SIZE / 4, 0, 1);
	check_nonsense();
	check_fixmap();

	return check_end("pkvm_guest_mmio_test");
}
