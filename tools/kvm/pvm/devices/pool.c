// SPDX-License-Identifier: GPL-2.0-only
/*
 * The memory through which a guest bounces what its devices read and write, and who gets
 * how much of it. What does not fit is tried again, or, with a network card, lost; and
 * Linux says in its log that its "swiotlb buffer is full".
 */
#include <stdint.h>

#include "common/layout.h"
#include "devices/pool.h"
#include "vmm/options.h"

#define POOL_MIN	(4ULL << 20)
#define COMMON		(1ULL << 20)	/* rings, the console's buffers */
#define PER_NET		(512ULL << 10)	/* 128 frames each way, of 2 KiB */
#define UNREAD_MAX	(6ULL << 20)

/*
 * A network card takes more: Linux's driver keeps mapped what it has received and nobody
 * has read yet. A TCP socket may hold 1/128 of RAM of that, and no more than 6 MiB.
 */
static uint64_t besides_disks(const struct pvm_options *opt)
{
	uint64_t unread = opt->mem / 128 < UNREAD_MAX ? opt->mem / 128 : UNREAD_MAX;

	return COMMON + opt->nr_nets * (PER_NET + unread);
}

/* Enough for the devices, but no more than a quarter of RAM. */
uint64_t pool_default(const struct pvm_options *opt)
{
	uint64_t pool = besides_disks(opt) + opt->nr_disks * POOL_PER_DISK;

	if (pool < POOL_MIN)
		pool = POOL_MIN;
	if (pool > opt->mem / 4)
		pool = opt->mem / 4;
	return pool & ~(PVM_PAGE - 1);
}

/* What each disk may count on. In a small pool all disks together have half. */
uint64_t pool_disk_share(const struct pvm_options *opt)
{
	uint64_t others = besides_disks(opt), share;

	if (!opt->pool || !opt->nr_disks)
		return POOL_PER_DISK;
	if (others > opt->pool / 2)
		others = opt->pool / 2;
	share = (opt->pool - others) / opt->nr_disks;
	return share < POOL_PER_DISK ? share : POOL_PER_DISK;
}
