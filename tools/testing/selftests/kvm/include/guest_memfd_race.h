/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Races over guest_memfd files: a few racers (threads, or processes that share the mapping)
 * go at the same file, for a while and for some steps of each, and every single outcome is
 * judged.
 *
 * What can be judged in a race: whoever converts keeps the *epoch* of each page, which says in
 * its low bits whether the page is certainly shared, certainly private, or on its way. An
 * attempt to use a page that begins and ends in the same epoch has one legal outcome if that
 * epoch is a certain one. Pages carry stamps, so that another page's content is noticed.
 */
#ifndef SELFTEST_KVM_GUEST_MEMFD_RACE_H
#define SELFTEST_KVM_GUEST_MEMFD_RACE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "guest_memfd_util.h"

#define RACE_PAGES	32
#define MAX_RACERS	10
#define MAX_ARENAS	2
#define MEM_GPA		0x80000000ULL

/* What is known of a page, in the low bits of its epoch. */
enum { SHARED, LEAVING, PRIVATE, COMING, STATES };

/* A VM and its file. All of this is in memory that forked racers share. */
struct arena {
	int vm, fd;
	char *mem;
	pid_t pid;
	u32 tag;
	u32 epoch[RACE_PAGES];
	bool uncertain;		/* several convert: epochs say nothing */
	bool holes;		/* somebody punches: what was there may be 0 */
	bool bad[RACE_PAGES];	/* reported as bad memory, or about to be */
	u64 pfn[RACE_PAGES];
};

struct race;

struct racer {
	const char *name;
	void (*step)(struct racer *me);
	struct arena *arena;
	struct race *race;
	bool process;
	pthread_t thread;
	pid_t pid;
	u64 seed;
	u64 steps, busy, wrong;
	int pipe[2], sock[2];
	/* The part of the file that this racer is about, where that is fixed. */
	int first, nr, slot;
	bool private, bound;
};

struct race {
	struct arena arena[MAX_ARENAS];
	struct racer racer[MAX_RACERS];
	unsigned int nr_racers;
	bool go, stop;
};

/*
 * A race: memory for one, with an arena; racers; all of them from the start to the end, when
 * each has counted what went wrong. GMEM_RACE_MS= in the environment sets how long that takes.
 * One that hangs ends this process and its parent.
 */
struct race *race_create(void);
struct racer *race_add(struct race *race, struct arena *a, const char *name,
		       void (*step)(struct racer *me), bool process);
void race_run(struct race *race);

#define THREAD	false
#define PROCESS	true

/* A VM with a file of stamped pages that are all shared; its slot; and their end. */
void arena_begin(struct arena *a, u32 tag);
void arena_bind(struct arena *a);
void arena_end(struct arena *a);

/* The racer's own dice: a number, and a range of the file, which is short in most cases. */
u32 race_rnd(struct racer *me, u32 below);
void race_rnd_range(struct racer *me, int *first, int *nr);

/* Counts, and prints the first few. */
void __attribute__((format(printf, 2, 3))) race_wrong(struct racer *me, const char *fmt, ...);
/* Waits for a child; what it found wrong has been counted in shared memory. */
void race_reap(struct racer *me, pid_t pid);

u32 race_epoch(struct arena *a, int n);
void race_set_state(struct arena *a, int n, u32 state);
/* Page @n was or was not (@ok) usable, as tried from epoch @before on; errno says why not. */
void race_judge(struct racer *me, const char *what, int n, u32 before, bool ok);

/* The places of a page that are used: its ends and its middle. */
size_t race_spot(struct racer *me);
/* What a page of this arena holds: nobody else's pages do. */
u64 race_stamp(struct arena *a, int n, u32 low);
void race_judge_value(struct racer *me, const char *what, int n, u64 val);

/* ---- The racers: each call is one step. guest_memfd_racers.c ---- */

/* Who uses pages, by what way soever. */
void racer_touch(struct racer *me);
void racer_populate(struct racer *me);
void racer_remap(struct racer *me);
void racer_fork_and_use(struct racer *me);
void racer_vm_copy(struct racer *me);
void racer_hold_in_pipe(struct racer *me);
void racer_register_buffer(struct racer *me);
void racer_copy(struct racer *me);
/* Who changes what they are: one racer of an arena that keeps its epochs, or several. */
void racer_convert(struct racer *me);
void racer_convert_own_range(struct racer *me);
void racer_punch(struct racer *me);
void racer_allocate(struct racer *me);
void racer_report_bad(struct racer *me);
/* Who reads the map. */
void racer_get(struct racer *me);
void racer_get_own_range(struct racer *me);
void racer_read_map(struct racer *me);
/* Slots, files and VMs that come and go. */
void racer_toggle_slot(struct racer *me);
void racer_file_life(struct racer *me);
void racer_vm_life(struct racer *me);

#endif /* SELFTEST_KVM_GUEST_MEMFD_RACE_H */
