// SPDX-License-Identifier: GPL-2.0-only
/*
 * All at once: vCPUs of several guests and threads of the host at the same pages.
 *
 * The first quarter of each guest's memory is anybody's: all vCPUs make calls on it, with any
 * arguments, and host threads convert, punch, touch and hold it. The rest belongs to vCPUs:
 * each has pages that no other vCPU touches, which the host converts, reads, and holds, but does
 * not write or punch. There the vCPU knows what each of its calls must answer and each page
 * contain (pkvm_random_concurrent_vcpu.c). What it leaves in a page that is its own is a secret,
 * marked as such; before it shares the page it writes something else. So any secret that the host
 * sees, anywhere and at any time, dead VMs included, is a leak.
 *
 * Now and then all stop. Then each page is accessible to the host if its attribute says so, and
 * what a vCPU has for itself is private; when the VM is gone, there are zeros.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include "pkvm_random.h"

#define MAX_HELD	3
#define PAUSES		2	/* in a life */
/* Until the next pause, of all vCPUs; a slow machine has so many times longer for them. */
#define BATCHES		150
#define SLOW		5

/* A host thread that is in the way of one guest. */
struct host {
	pthread_t thread;
	struct rnd_vmm *vmm;
	struct rnd rnd;
	char *mem;		/* a mapping of its own */
	bool stop;
	u64 ops;
	struct gmem_pin held[MAX_HELD];
	u32 nr_held;
	char problem[128];
};

static void complain(struct host *h, const char *what, u32 page, s64 got)
{
	if (!h->problem[0])
		snprintf(h->problem, sizeof(h->problem), "host: %s, page %u: %#lx", what, page,
			 (unsigned long)got);
}

static void host_map(struct host *h)
{
	h->mem = gmem_map(h->vmm->fd, RND_OFF(RND_CONCURRENT_PAGES));
	madvise(h->mem, RND_OFF(RND_CONCURRENT_PAGES), MADV_DONTFORK);
}

static u32 any_range(struct host *h, u32 limit, u32 *nr)
{
	u32 page = rnd_below(&h->rnd, limit);

	*nr = 1 + rnd_below(&h->rnd, rnd_below(&h->rnd, 8) ? 4 : limit);
	if (*nr > limit - page)
		*nr = limit - page;
	return page;
}

static void host_read(struct host *h)
{
	u32 differ, page = rnd_below(&h->rnd, RND_CONCURRENT_PAGES);
	u64 val;
	int sig = rnd_host_check(h->mem + RND_OFF(page), &val, &differ);

	if (sig && sig != SIGBUS)
		complain(h, "a load ended in a signal", page, sig);
	if (!sig && RND_MARK(val) == RND_SECRET)
		complain(h, "A SECRET IS SEEN", page, val);
}

static void host_write(struct host *h)
{
	u32 page = rnd_below(&h->rnd, RND_ANYBODYS);
	int sig = rnd_host_fill(h->mem + RND_OFF(page), RND_OPEN | page);

	if (sig && sig != SIGBUS)
		complain(h, "a store ended in a signal", page, sig);
}

static void host_convert(struct host *h)
{
	bool private = rnd_below(&h->rnd, 2);
	u32 nr, page = any_range(h, RND_CONCURRENT_PAGES, &nr);
	int ret = gmem_set_attr(h->vmm->fd, RND_OFF(page), RND_OFF(nr),
				private ? GMEM_PRIVATE : GMEM_SHARED);

	if (ret && ret != (private ? -EAGAIN : -EPERM))
		complain(h, "a conversion returned", page, ret);
}

static void host_hold(struct host *h)
{
	u32 page = rnd_below(&h->rnd, RND_CONCURRENT_PAGES);
	enum gmem_pin_kind kind = rnd_below(&h->rnd, 3) ? GMEM_PIN_VMSPLICE : GMEM_PIN_IO_URING;
	int ret;

	if (h->nr_held == MAX_HELD)
		gmem_pin_drop(&h->held[--h->nr_held]);
	ret = gmem_pin_take(&h->held[h->nr_held], kind, h->mem + RND_OFF(page), rnd_page);
	if (!ret)
		h->nr_held++;
	else if (ret != -EFAULT)
		complain(h, "a reference returned", page, ret);
}

static void host_kernel_access(struct host *h)
{
	u32 page = rnd_below(&h->rnd, RND_CONCURRENT_PAGES);
	int ret = gmem_kernel_read(h->mem + RND_OFF(page));

	if (ret && ret != -EFAULT)
		complain(h, "a system call's access returned", page, ret);
}

static void host_punch(struct host *h)
{
	u32 nr, page = any_range(h, RND_ANYBODYS, &nr);
	int ret;

	if (nr > 2)
		nr = 2;
	ret = gmem_punch(h->vmm->fd, RND_OFF(page), RND_OFF(nr));
	if (ret)
		complain(h, "PUNCH_HOLE returned", page, ret);
}

/* Fills holes, also such as were made on purpose. */
static void host_allocate(struct host *h)
{
	u32 nr, page = any_range(h, RND_ANYBODYS, &nr);
	int ret;

	/* It ends early for anything that a thread is woken for, and may be tried again. */
	do {
		ret = fallocate(h->vmm->fd, FALLOC_FL_KEEP_SIZE, RND_OFF(page), RND_OFF(nr));
	} while (ret && errno == EINTR);
	if (ret)
		complain(h, "fallocate() returned", page, -errno);
}

static void host_advise(struct host *h)
{
	u32 nr, page = any_range(h, RND_CONCURRENT_PAGES, &nr);

	if (rnd_below(&h->rnd, 4)) {
		madvise(h->mem + RND_OFF(page), RND_OFF(nr), MADV_DONTNEED);
		return;
	}
	munmap(h->mem, RND_OFF(RND_CONCURRENT_PAGES));
	host_map(h);
}

static void host_get(struct host *h)
{
	struct kvm_memory_attributes2 attr;
	u32 nr, page = any_range(h, RND_CONCURRENT_PAGES, &nr);
	int ret = gmem_get_attr(h->vmm->fd, RND_OFF(page), RND_OFF(nr), &attr);

	if (ret || !attr.size || attr.size > RND_OFF(nr))
		complain(h, "GET returned", page, ret ?: (s64)attr.size);
}

static void *be_the_host(void *arg)
{
	struct host *h = arg;

	host_map(h);
	for (; !READ_ONCE(h->stop); h->ops++) {
		u32 what = rnd_below(&h->rnd, 256);

		/* The CPUs are for guests, too. */
		usleep(rnd_below(&h->rnd, 1000));

		if (what < 80)
			host_read(h);
		else if (what < 120)
			host_write(h);
		else if (what < 180)
			host_convert(h);
		else if (what < 200)
			host_hold(h);
		else if (what < 210)
			host_kernel_access(h);
		else if (what < 230)
			host_get(h);
		else if (what < 250)
			host_advise(h);
		else if (what < 252)
			host_allocate(h);
		else if (what == 255 && rnd_below(&h->rnd, 4) == 0)
			host_punch(h);
	}
	while (h->nr_held)
		gmem_pin_drop(&h->held[--h->nr_held]);
	munmap(h->mem, RND_OFF(RND_CONCURRENT_PAGES));
	return NULL;
}

/* ---- When all is quiet ---- */

static char problem[256];

static const char *wrong(const char *what, u32 page, u64 got, u64 want)
{
	snprintf(problem, sizeof(problem), "%s, page %u: %#lx, not %#lx", what, page,
		 (unsigned long)got, (unsigned long)want);
	return problem;
}

/* @own: what vCPUs know, or NULL. @dead: and what they had must be zeros. */
static const char *check_page(struct rnd_vmm *vmm, u32 i, const struct rnd_own *own, bool dead)
{
	u64 attr = gmem_attr_of(vmm->fd, RND_OFF(i)), val;
	enum rnd_page_is is = own && i >= RND_ANYBODYS ? own->is[i] : RND_UNKNOWN;
	u32 differ;
	int sig = rnd_host_check(vmm->mem + RND_OFF(i), &val, &differ);

	if (sig != (attr == GMEM_PRIVATE ? SIGBUS : 0))
		return wrong("the host's access is not what the attribute says", i, sig, attr);
	if (!sig && RND_MARK(val) == RND_SECRET)
		return wrong("A SECRET IS SEEN", i, val, 0);
	if (is == RND_OWNED && !dead && attr != GMEM_PRIVATE)
		return wrong("what a guest owns is not private", i, attr, GMEM_PRIVATE);
	if (is == RND_OWNED && dead && (sig || val || differ))
		return wrong("what a dead guest owned is not zero", i, sig ?: val, 0);
	if (is == RND_SHARED && !sig && (val != own->val[i] || differ))
		return wrong("what a guest shares is not what it wrote", i, val, own->val[i]);
	return NULL;
}

static const char *check_file(struct rnd_vmm *vmm, const struct rnd_own *own, bool dead,
			      struct rnd_stats *stats)
{
	const char *bad = NULL;

	for (u32 i = 0; i < RND_CONCURRENT_PAGES && !bad; i++)
		bad = check_page(vmm, i, own, dead);
	stats->checks += RND_CONCURRENT_PAGES;
	return bad;
}

/* ---- A life of all guests ---- */

struct many {
	u64 seed, life;
	u32 nr_vcpus, round;
	struct rnd rnd;
	struct rnd_vmm vmm[SPEC_GUESTS];
	struct host host[SPEC_GUESTS];
	struct rnd_own own[SPEC_GUESTS];
	struct rnd_stats *stats;
};

static void set_off(struct many *m)
{
	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		struct rnd_vmm *vmm = &m->vmm[g];

		WRITE_ONCE(vmm->shm->pause, 0);
		for (u32 v = 0; v < m->nr_vcpus; v++) {
			vmm->shm->mail[v].nr = m->round * SPEC_VCPUS;
			rnd_vmm_post(vmm, v, RND_REQ_CONCURRENT);
		}
	}
}

static void start_hosts(struct many *m)
{
	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		m->host[g] = (struct host) { .vmm = &m->vmm[g] };
		rnd_seed(&m->host[g].rnd, m->seed ^ m->life << 16, 100 + g + 10 * m->round);
		TEST_ASSERT(!pthread_create(&m->host[g].thread, NULL, be_the_host, &m->host[g]),
			    "thread");
	}
}

static const char *stop_hosts(struct many *m)
{
	const char *bad = NULL;

	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		WRITE_ONCE(m->host[g].stop, true);
		pthread_join(m->host[g].thread, NULL);
		m->stats->host_ops += m->host[g].ops;
		if (m->host[g].problem[0])
			bad = m->host[g].problem;
	}
	return bad;
}

/* Guests before hosts: a vCPU may wait for a page that somebody holds, and then lets go of. */
static const char *pause_all(struct many *m)
{
	const char *bad, *worse = NULL;

	for (u32 g = 0; g < SPEC_GUESTS; g++)
		WRITE_ONCE(m->vmm[g].shm->pause, 1);
	bad = stop_hosts(m);
	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		for (u32 v = 0; v < m->nr_vcpus && !worse; v++)
			worse = rnd_vmm_wait(&m->vmm[g], v);
	}
	return bad ?: worse;
}

static void note_stats(struct many *m, u32 g)
{
	for (u32 v = 0; v < m->nr_vcpus; v++)
		rnd_add_stats(m->stats, &m->vmm[g].shm->stats[v]);
	m->own[g] = m->vmm[g].shm->own;
}

/* Killed while all goes on, or gone when all is quiet: then it is known what each page was. */
static const char *end_guests(struct many *m, bool quiet)
{
	const char *bad = NULL, *worse;

	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		note_stats(m, g);
		bad = bad ?: rnd_vmm_end(&m->vmm[g], !quiet || rnd_below(&m->rnd, 2));
	}
	if (!quiet) {
		worse = stop_hosts(m);
		bad = bad ?: worse;
	}
	for (u32 g = 0; g < SPEC_GUESTS && !bad; g++) {
		int ret = gmem_set_attr(m->vmm[g].fd, 0, RND_OFF(RND_CONCURRENT_PAGES), GMEM_SHARED);

		if (ret)
			bad = wrong("a dead guest's file to shared", 0, ret, 0);
		bad = bad ?: check_file(&m->vmm[g], quiet ? &m->own[g] : NULL, true, m->stats);
	}
	return bad;
}

static u64 nr_batches(const struct many *m)
{
	u64 nr = 0;

	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		for (u32 v = 0; v < m->nr_vcpus; v++)
			nr += READ_ONCE(m->vmm[g].shm->stats[v].batches);
	}
	return nr;
}

/* What begins and ends a life costs the same on a slow machine: what is in between should too. */
static void let_them_live(struct many *m, u64 ms)
{
	u64 until = nr_batches(m) + BATCHES;

	for (u64 i = 0; i < SLOW * 20; i++) {
		if (i >= 20 && nr_batches(m) >= until)
			break;
		usleep(ms * 1000 / 20);
	}
}

static const char *live(struct many *m, u64 ms)
{
	const char *bad = NULL;
	bool quiet = rnd_below(&m->rnd, 2);

	for (u32 g = 0; g < SPEC_GUESTS && !bad; g++)
		bad = rnd_vmm_start(&m->vmm[g], m->nr_vcpus, RND_CONCURRENT_PAGES, m->seed, m->life,
				    rnd_below(&m->rnd, 2));
	/* Mostly not one exit for each page that a guest touches first. */
	for (u32 g = 0; g < SPEC_GUESTS && !bad; g++) {
		if (rnd_below(&m->rnd, 4) &&
		    gmem_set_attr(m->vmm[g].fd, 0, RND_OFF(RND_CONCURRENT_PAGES), GMEM_PRIVATE))
			bad = "a new file is not private";
	}
	while (!bad) {
		set_off(m);
		start_hosts(m);
		let_them_live(m, ms / (PAUSES + 1));
		if (++m->round > PAUSES && !quiet)
			return end_guests(m, false);
		bad = pause_all(m);
		for (u32 g = 0; g < SPEC_GUESTS && !bad; g++)
			bad = check_file(&m->vmm[g], &m->vmm[g].shm->own, false, m->stats);
		if (!bad && m->round > PAUSES)
			return end_guests(m, true);
	}
	return bad;
}

const char *rnd_concurrent_life(u64 seed, u64 life, u32 nr_vcpus, u64 ms, struct rnd_stats *stats)
{
	struct many *m = calloc(1, sizeof(*m));
	static char said[256];
	const char *bad;

	TEST_ASSERT(m, "no memory");
	m->seed = seed;
	m->life = life;
	m->nr_vcpus = nr_vcpus;
	m->stats = stats;
	rnd_seed(&m->rnd, seed, life);
	for (u32 g = 0; g < SPEC_GUESTS; g++)
		m->vmm[g].fd = -1;
	bad = live(m, ms);
	if (bad) {
		snprintf(said, sizeof(said), "%s", bad);
		bad = said;
	}
	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		rnd_vmm_end(&m->vmm[g], true);
		rnd_vmm_close(&m->vmm[g]);
	}
	free(m);
	stats->lives++;
	return bad;
}
