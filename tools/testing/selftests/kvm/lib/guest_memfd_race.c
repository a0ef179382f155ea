// SPDX-License-Identifier: GPL-2.0-only
/*
 * What all races over guest_memfd files have in common, see the header.
 */
#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "guest_memfd_race.h"
#include "kselftest.h"

#define MIN_STEPS	20		/* of each racer, however slow the machine is */
#define HANG_S		40		/* no step for so long: it hangs */

#define PAGE		((size_t)getpagesize())
#define OFF(n)		((u64)(n) * PAGE)

u32 race_rnd(struct racer *me, u32 below)
{
	u64 x = me->seed;

	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	me->seed = x;
	return (x >> 20) % below;
}

/* Most are short, so that there are enough that are free. */
void race_rnd_range(struct racer *me, int *first, int *nr)
{
	*first = race_rnd(me, RACE_PAGES);
	*nr = 1 + race_rnd(me, RACE_PAGES - *first);
	if (race_rnd(me, 4) && *nr > 4)
		*nr = 1 + race_rnd(me, 4);
}

void race_wrong(struct racer *me, const char *fmt, ...)
{
	char line[256];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (__atomic_fetch_add(&me->wrong, 1, __ATOMIC_RELAXED) < 5)
		dprintf(STDERR_FILENO, "# %s: %s\n", me->name, line);
}

u32 race_epoch(struct arena *a, int n)
{
	return __atomic_load_n(&a->epoch[n], __ATOMIC_SEQ_CST);
}

void race_set_state(struct arena *a, int n, u32 state)
{
	u32 next = (a->epoch[n] / STATES + 1) * STATES + state;

	__atomic_store_n(&a->epoch[n], next, __ATOMIC_SEQ_CST);
}

void race_judge(struct racer *me, const char *what, int n, u32 before, bool ok)
{
	struct arena *a = me->arena;
	bool bad = READ_ONCE(a->bad[n]);

	if (a->uncertain || race_epoch(a, n) != before)
		return;
	if (before % STATES == PRIVATE && ok)
		race_wrong(me, "%s of page %d worked although it is private", what, n);
	if (before % STATES == SHARED && !ok && !bad)
		race_wrong(me, "%s of page %d failed (errno %d) although it is shared", what, n, errno);
}

size_t race_spot(struct racer *me)
{
	const size_t spots[] = { 0, PAGE / 2, PAGE - sizeof(u64) };

	return spots[race_rnd(me, ARRAY_SIZE(spots))];
}

u64 race_stamp(struct arena *a, int n, u32 low)
{
	return (u64)((a->tag << 16) + n + 1) << 32 | low;
}

void race_judge_value(struct racer *me, const char *what, int n, u64 val)
{
	struct arena *a = me->arena;

	if (val >> 32 != race_stamp(a, n, 0) >> 32 && (val || !a->holes))
		race_wrong(me, "%s of page %d found %#lx", what, n, (unsigned long)val);
}

void arena_begin(struct arena *a, u32 tag)
{
	size_t spots[] = { 0, PAGE / 2, PAGE - sizeof(u64) }, s;
	int n;

	a->tag = tag;
	a->pid = getpid();
	a->vm = gmem_vm_open(gmem_private_vm_type());
	TEST_ASSERT(a->vm >= 0, "VM: %d", a->vm);
	a->fd = gmem_create(a->vm, OFF(RACE_PAGES), GUEST_MEMFD_FLAG_MMAP |
			    GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(a->fd >= 0, "guest_memfd: %d", a->fd);
	a->mem = gmem_map(a->fd, OFF(RACE_PAGES));
	for (n = 0; n < RACE_PAGES; n++) {
		for (s = 0; s < ARRAY_SIZE(spots); s++)
			gmem_host_set64(a->mem + OFF(n) + spots[s], race_stamp(a, n, 0));
		a->pfn[n] = gmem_pfn(a->mem + OFF(n));
	}
}

void arena_bind(struct arena *a)
{
	TEST_ASSERT(!gmem_set_slot(a->vm, 0, MEM_GPA, OFF(RACE_PAGES), a->mem, a->fd, 0), "slot");
}

void arena_end(struct arena *a)
{
	if (!a->mem)
		return;
	munmap(a->mem, OFF(RACE_PAGES));
	close(a->fd);
	close(a->vm);
}

void race_reap(struct racer *me, pid_t pid)
{
	int status;

	if (waitpid(pid, &status, 0) != pid || status)
		race_wrong(me, "a child ended with status %#x", status);
}

struct race *race_create(void)
{
	struct race *race = mmap(NULL, sizeof(*race), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(race != MAP_FAILED, "mmap: errno %d", errno);
	arena_begin(&race->arena[0], 1);
	return race;
}

static u64 now_ms(void)
{
	return gmem_now_us() / 1000;
}

struct racer *race_add(struct race *race, struct arena *a, const char *name,
		       void (*step)(struct racer *me), bool process)
{
	struct racer *me = &race->racer[race->nr_racers++];

	TEST_ASSERT(race->nr_racers <= MAX_RACERS, "too many racers");
	me->name = name;
	me->step = step;
	me->arena = a;
	me->race = race;
	me->process = process;
	me->slot = race->nr_racers;
	me->seed = now_ms() << 8 | 1 << 7 | race->nr_racers;
	TEST_ASSERT(!pipe(me->pipe), "pipe: errno %d", errno);
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, me->sock), "socketpair: errno %d", errno);
	return me;
}

static void *run_racer(void *arg)
{
	struct racer *me = arg;

	while (!READ_ONCE(me->race->go))
		sched_yield();
	while (!READ_ONCE(me->race->stop))
		me->step(me);
	return NULL;
}

/* Processes first: a fork() copies no threads. */
static void start(struct race *race)
{
	unsigned int i;

	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];
		pid_t pid;

		if (!me->process)
			continue;
		pid = fork();
		TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
		if (!pid) {
			prctl(PR_SET_PDEATHSIG, SIGKILL);
			run_racer(me);
			_exit(0);
		}
		me->pid = pid;
	}
	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];

		if (!me->process)
			TEST_ASSERT(!pthread_create(&me->thread, NULL, run_racer, me), "thread");
	}
	WRITE_ONCE(race->go, true);
}

/* Tasks that do not end cannot be waited for: whoever waits for this process goes first. */
static void give_up(struct race *race, struct racer *slow)
{
	unsigned int i;
	FILE *f;

	fprintf(stderr, "# HANG: the racer \"%s\" has made no step for %d s. Steps:", slow->name,
		HANG_S);
	for (i = 0; i < race->nr_racers; i++)
		fprintf(stderr, " %s %ju", race->racer[i].name, (uintmax_t)race->racer[i].steps);
	fprintf(stderr, "\n# The kernel log shows who waits where, if SysRq is there.\n");
	f = fopen("/proc/sysrq-trigger", "w");
	if (f) {
		fputs("w", f);
		fclose(f);
	}
	kill(getppid(), SIGKILL);
	_exit(KSFT_FAIL);
}

static void supervise(struct race *race)
{
	const char *ms = getenv("GMEM_RACE_MS");
	u64 end = now_ms() + (ms ? strtoul(ms, NULL, 0) : 1000), since[MAX_RACERS];
	u64 last[MAX_RACERS] = {};
	bool enough = false;
	unsigned int i;

	for (i = 0; i < race->nr_racers; i++)
		since[i] = now_ms();
	while (!enough || now_ms() < end) {
		usleep(10000);
		enough = true;
		for (i = 0; i < race->nr_racers; i++) {
			u64 steps = READ_ONCE(race->racer[i].steps);

			enough &= steps >= MIN_STEPS;
			if (steps != last[i]) {
				last[i] = steps;
				since[i] = now_ms();
			} else if (now_ms() - since[i] > HANG_S * 1000) {
				give_up(race, &race->racer[i]);
			}
		}
	}
	WRITE_ONCE(race->stop, true);
}

static void join(struct race *race)
{
	unsigned int i;

	for (i = 0; i < race->nr_racers; i++) {
		struct racer *me = &race->racer[i];

		if (me->process)
			race_reap(me, me->pid);
		else
			pthread_join(me->thread, NULL);
		close(me->pipe[0]);
		close(me->pipe[1]);
		close(me->sock[0]);
		close(me->sock[1]);
	}
}

void race_run(struct race *race)
{
	start(race);
	supervise(race);
	join(race);
}
