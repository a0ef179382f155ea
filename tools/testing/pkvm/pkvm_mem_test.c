// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory calls of a protected guest's driver (pkvm-mem.c), against a hypervisor that
 * knows ranges or does not, does less than it is asked for, refuses, or answers nonsense.
 * It keeps an account of its own; what the driver returns, undoes and says must fit to it.
 */
#include <stdarg.h>
#include <string.h>

#include <guest_env.h>
#include <linux/array_size.h>
#include <linux/mm.h>
#include <pkvm-guest.h>

#include "check.h"

#define PAGES		1100	/* more than two calls' */
#define FIRST		3	/* the first page of all that is done, so that there is one before */
#define MAX_GRANULES	(PAGES * 4)
#define MOST_PER_CALL	512	/* of the interface: a guest asks for no more */
#define NOWHERE		(~0UL)

#define ALL_RANGES \
	(ARM_SMCCC_KVM_HYP_MEMINFO_RANGES | ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES)

enum state { PRIVATE, SHARED, ABSENT };

static const enum state becomes[] = { SHARED, PRIVATE, ABSENT };

/* The hypervisor: what it is like, and what it has. */
static struct {
	size_t granule;
	unsigned long features;
	unsigned long cap;		/* granules a call, at most */
	unsigned long refuses[3];	/* the granule that each kind of call fails at */
	int refusal;			/* with this */
	long lie;			/* added to what it has done, in the answer */
	enum state state[MAX_GRANULES];
	unsigned long calls;
} hyp;

static unsigned long warnings, stay_shared;
/* Both of the driver's messages end in how much stays, or may stay, shared. */
void warned(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	va_arg(ap, size_t);
	va_arg(ap, phys_addr_t *);
	va_arg(ap, int);
	va_arg(ap, phys_addr_t *);
	stay_shared = va_arg(ap, size_t);
	va_end(ap);
	warnings++;
}

static bool takes_ranges(u32 kind)
{
	return hyp.features & (kind == 2 ? ARM_SMCCC_KVM_HYP_MEMINFO_RELINQUISH_RANGES :
					   ARM_SMCCC_KVM_HYP_MEMINFO_RANGES);
}

void hypervisor(u32 func_id, u64 ipa, u64 nr, u64 zero, struct arm_smccc_res *res)
{
	u32 kind = func_id - ARM_SMCCC_VENDOR_HYP_KVM_MEM_SHARE_FUNC_ID;
	unsigned long first = (ipa - LM_PHYS) / hyp.granule, done = 0;
	bool ranges = takes_ranges(kind);

	hyp.calls++;
	memset(res, 0xa5, sizeof(*res));
	CHECK(kind < 3 && !zero && !((ipa - LM_PHYS) % hyp.granule), "a call that is none");
	CHECK(ranges ? nr && nr <= MOST_PER_CALL : !nr, "it asks for %lu granules", (long)nr);
	CHECK(first + nr <= MAX_GRANULES, "a granule that it was not told of");

	nr = ranges ? nr : 1;
	if (nr > hyp.cap)
		nr = hyp.cap;
	while (done < nr && first + done != hyp.refuses[kind])
		hyp.state[first + done++] = becomes[kind];

	/* A failure is that of the first: what was done before is not lost. */
	res->a0 = done ? SMCCC_RET_SUCCESS : hyp.refusal;
	if (ranges && done)
		res->a1 = done + hyp.lie;
}

/* The driver learns what the hypervisor is; nothing is refused. */
static void start(size_t granule, unsigned long features, unsigned long cap, enum state state)
{
	memset(&hyp, 0, sizeof(hyp));
	hyp.granule = granule;
	hyp.features = features;
	hyp.cap = cap;
	hyp.refusal = SMCCC_RET_INVALID_PARAMETER;
	memset(hyp.refuses, 0xff, sizeof(hyp.refuses));
	for (unsigned long i = 0; i < MAX_GRANULES; i++)
		hyp.state[i] = state;
	warnings = 0;
	CHECK(!pkvm_mem_init(granule, features), "granules of %zu", granule);
}

/* Granules [from, from + n) are in a state, counted from the first page on. */
static bool are(unsigned long from, unsigned long n, enum state state)
{
	unsigned long first = FIRST * PAGE_SIZE / hyp.granule + from;

	for (unsigned long i = first; i < first + n; i++)
		if (hyp.state[i] != state)
			return false;
	return true;
}

static bool neighbours_are(unsigned long n, enum state state)
{
	return hyp.state[FIRST * PAGE_SIZE / hyp.granule - 1] == state && are(n, 1, state);
}

static unsigned long page(unsigned long nr)
{
	/* As of an allocation that KASAN has tagged. */
	return (LM_BASE + nr * PAGE_SIZE) & ~(0xfUL << 56);
}

static unsigned long calls_for(unsigned long granules, bool ranges)
{
	unsigned long most = ranges ? hyp.cap < MOST_PER_CALL ? hyp.cap : MOST_PER_CALL : 1;

	return (granules + most - 1) / most;
}

static void check_share(unsigned long pages, unsigned long n, unsigned long fails,
			unsigned long undo_fails)
{
	unsigned long base = FIRST * PAGE_SIZE / hyp.granule, stay;
	int ret;

	hyp.refuses[0] = fails == NOWHERE ? NOWHERE : base + fails;
	hyp.refuses[1] = undo_fails == NOWHERE ? NOWHERE : base + undo_fails;
	ret = pkvm_mem_share(page(FIRST), pages);
	CHECK(neighbours_are(n, PRIVATE), "share: it goes beyond its pages");
	if (fails == NOWHERE) {
		CHECK(!ret && are(0, n, SHARED) && !warnings, "share %lu: %d", pages, ret);
		CHECK(hyp.calls == calls_for(n, takes_ranges(0)), "share %lu: %lu calls", pages,
		      hyp.calls);
		return;
	}

	stay = undo_fails < fails ? fails - undo_fails : 0;
	CHECK(ret == -EPERM && warnings == 1, "share that is refused at %lu: %d", fails, ret);
	CHECK(are(0, fails - stay, PRIVATE) && are(fails, n - fails, PRIVATE) &&
	      are(fails - stay, stay, SHARED), "share: what it has undone");
	CHECK(stay_shared == stay * hyp.granule, "share: it says that %lu bytes stay shared, not %lu",
	      stay_shared, stay * hyp.granule);
}

static void check_unshare(unsigned long pages, unsigned long n, unsigned long fails)
{
	int ret;

	hyp.refuses[1] = fails == NOWHERE ? NOWHERE : FIRST * PAGE_SIZE / hyp.granule + fails;
	ret = pkvm_mem_unshare(page(FIRST), pages);
	CHECK(neighbours_are(n, SHARED), "unshare: it goes beyond its pages");
	if (fails == NOWHERE) {
		CHECK(!ret && are(0, n, PRIVATE) && !warnings, "unshare %lu: %d", pages, ret);
		return;
	}

	CHECK(ret == -EPERM && warnings == 1, "unshare that is refused at %lu: %d", fails, ret);
	CHECK(are(0, fails, PRIVATE) && are(fails, n - fails, SHARED), "unshare: what is done stays");
	CHECK(stay_shared == (n - fails) * hyp.granule, "unshare: it says that %lu bytes may stay shared",
	      stay_shared);
}

static void check_relinquish(unsigned long pages, unsigned long n, unsigned long fails)
{
	size_t done = 1;
	int ret;

	hyp.refuses[2] = fails == NOWHERE ? NOWHERE : FIRST * PAGE_SIZE / hyp.granule + fails;
	ret = pkvm_mem_relinquish(LM_PHYS + FIRST * PAGE_SIZE, pages * PAGE_SIZE, &done);
	if (fails == NOWHERE)
		fails = n;
	CHECK(ret == (fails == n ? 0 : -EPERM), "relinquish: %d", ret);
	CHECK(done == fails * hyp.granule, "relinquish: %zu bytes done", done);
	CHECK(are(0, fails, ABSENT) && are(fails, n - fails + 1, PRIVATE), "relinquish: what it gives");
	CHECK(!warnings, "relinquish: it warns");
}

/* Sizes, and where a call may fail: at either end, at a call's first and last granule. */
static void check_calls(size_t granule, unsigned long features, unsigned long cap)
{
	static const unsigned long sizes[] = { 1, 2, 5, 512, 513, 1030 };
	static const unsigned long at[] = { NOWHERE, 0, 1, 3, 4, 511, 512, 513, 1023, 1024, 1029 };

	for (unsigned int s = 0; s < ARRAY_SIZE(sizes); s++) {
		unsigned long n = sizes[s] * PAGE_SIZE / granule;

		for (unsigned int f = 0; f < ARRAY_SIZE(at); f++) {
			if (at[f] != NOWHERE && at[f] >= n)
				continue;
			for (unsigned int u = 0; u < ARRAY_SIZE(at); u++) {
				start(granule, features, cap, PRIVATE);
				check_share(sizes[s], n, at[f], at[u]);
			}
			start(granule, features, cap, SHARED);
			check_unshare(sizes[s], n, at[f]);
			start(granule, features, cap, PRIVATE);
			check_relinquish(sizes[s], n, at[f]);
		}
	}
}

/* What names no pages of the linear map never gets to the hypervisor. */
static void check_addresses(void)
{
	static const struct {
		unsigned long addr;
		int pages, ret;
	} bad[] = {
		{ LM_BASE,				0,	0 },
		{ LM_BASE,				-1,	-EINVAL },
		{ LM_BASE - PAGE_SIZE,			1,	-EINVAL },
		{ LM_BASE - PAGE_SIZE,			2,	-EINVAL },
		{ LM_BASE + LM_SIZE,			1,	-EINVAL },
		{ LM_BASE + LM_SIZE - PAGE_SIZE,	2,	-EINVAL },
		{ LM_BASE,				0x7fffffff, -EINVAL },
	};

	start(PAGE_SIZE, ALL_RANGES, MOST_PER_CALL, PRIVATE);
	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++) {
		CHECK(pkvm_mem_share(bad[i].addr, bad[i].pages) == bad[i].ret, "share, address %u", i);
		CHECK(pkvm_mem_unshare(bad[i].addr, bad[i].pages) == bad[i].ret, "unshare, address %u", i);
	}
	CHECK(!hyp.calls, "the hypervisor is bothered");
}

/* One that has done more than it was asked for, or nothing, with success. */
static void check_nonsense(void)
{
	static const long lies[] = { 1, -5, MOST_PER_CALL, 1L << 40, -6 };

	for (unsigned int i = 0; i < ARRAY_SIZE(lies); i++) {
		size_t done = 1;

		start(PAGE_SIZE, ALL_RANGES, MOST_PER_CALL, PRIVATE);
		hyp.lie = lies[i];
		CHECK(pkvm_mem_share(page(FIRST), 5) == -EPROTO && hyp.calls == 1, "lie %ld", lies[i]);
		CHECK(pkvm_mem_unshare(page(FIRST), 5) == -EPROTO && hyp.calls == 2, "lie %ld", lies[i]);
		CHECK(pkvm_mem_relinquish(LM_PHYS, 5 * PAGE_SIZE, &done) == -EPROTO && !done,
		      "lie %ld", lies[i]);
	}

	start(PAGE_SIZE, ALL_RANGES, MOST_PER_CALL, PRIVATE);
	hyp.refusal = SMCCC_RET_NOT_SUPPORTED;
	hyp.refuses[0] = FIRST;
	CHECK(pkvm_mem_share(page(FIRST), 2) == -EOPNOTSUPP, "no such call");
}

static void check_init(void)
{
	static const size_t bad[] = { 0, 3, PAGE_SIZE + 1, PAGE_SIZE * 2, ~0UL };

	for (unsigned int i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(pkvm_mem_init(bad[i], 0) == -EINVAL, "granules of %zu", bad[i]);
}

int main(void)
{
	static const unsigned long caps[] = { 1, 3, MOST_PER_CALL, ~0UL };

	for (unsigned int i = 0; i < ARRAY_SIZE(caps); i++) {
		check_calls(PAGE_SIZE, ALL_RANGES, caps[i]);
		check_calls(PAGE_SIZE / 4, ALL_RANGES, caps[i]);
	}
	check_calls(PAGE_SIZE, 0, 1);
	check_calls(PAGE_SIZE, ARM_SMCCC_KVM_HYP_MEMINFO_RANGES, MOST_PER_CALL);
	check_addresses();
	check_nonsense();
	check_init();

	return check_end("pkvm_mem_test");
}
