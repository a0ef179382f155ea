// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's part of the dialogue that pvm demo has with a guest, and what it sees of the
 * guest's memory meanwhile.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "commands/demo_parts.h"
#include "common/layout.h"
#include "common/pagemap.h"
#include "common/registers_page.h"
#include "guest/demo.h"
#include "inspection/map.h"
#include "inspection/probe.h"
#include "inspection/registers_ask.h"

#define GIVE_BACK_TRIES		200
#define GIVE_BACK_PAUSE_US	100000
#define GIVE_BACK_STILL		5

static bool demo_address(struct demo *d, const char *line, const char *name, uint64_t *off)
{
	const char *p = strstr(line, name);
	uint64_t gpa;

	if (!p)
		return false;
	gpa = strtoull(p + strlen(name), NULL, 0);
	if (gpa < PVM_RAM_BASE || gpa % PVM_PAGE || gpa - PVM_RAM_BASE >= d->target.size)
		return false;
	*off = gpa - PVM_RAM_BASE;
	return true;
}

static void demo_counts(struct demo *d)
{
	struct map_counts c;
	int ret = map_count(&d->target, &c);

	if (ret) {
		demo_result(d, ROW_COUNTS, false, "cannot be read: %s", strerror(-ret));
		return;
	}
	demo_result(d, ROW_COUNTS, c.pages[PAGE_PRIVATE] > c.pages[PAGE_SHARED] && c.pages[PAGE_SHARED],
	       "%llu private, %llu shared, %llu never touched",
	       (unsigned long long)c.pages[PAGE_PRIVATE], (unsigned long long)c.pages[PAGE_SHARED],
	       (unsigned long long)c.pages[PAGE_UNTOUCHED]);
}

static void demo_same_pfn(struct demo *d)
{
	uint64_t page = d->shared_off / PVM_PAGE, donated;

	d->shared_pfn = pfn_of(d->ram + d->shared_off);
	if (!d->shared_pfn) {
		demo_result(d, ROW_SAME_PFN, false, "not checked: no /proc/self/pagemap");
		return;
	}
	if (!d->trace_err)
		d->trace_err = trace_read(&d->trace, d->target.size / PVM_PAGE);
	if (d->trace_err) {
		demo_result(d, ROW_SAME_PFN, false, "not checked: tracepoint pkvm_gmem_donate: %s",
		       strerror(-d->trace_err));
		return;
	}
	donated = d->trace.donated[page];
	if (!d->trace.shared[page]) {
		demo_result(d, ROW_SAME_PFN, false, "the kernel does not say that it was shared");
		return;
	}
	demo_result(d, ROW_SAME_PFN, donated == d->shared_pfn,
	       "given to the guest pfn %#llx, host maps %#llx", (unsigned long long)donated,
	       (unsigned long long)d->shared_pfn);
}

/* By the VMM itself, which has the best right of all. */
static void demo_registers(struct demo *d)
{
	int got[NR_REGISTER_TRIES];
	int ret = registers_ask(&d->target, 1U << TRY_READ_REGISTER, got);

	if (ret)
		demo_result(d, ROW_REGISTERS, false, "not checked: %s", strerror(-ret));
	else
		demo_result(d, ROW_REGISTERS, got[TRY_READ_REGISTER] == -EPERM, "%s",
		       got[TRY_READ_REGISTER] ? strerror(-got[TRY_READ_REGISTER]) : "it reads them");
}

static void demo_ready(struct demo *d, const char *line)
{
	char text[64] = "", byte = 0;
	int sig;

	if (!d->have_target || d->ready)
		return;
	if (!demo_address(d, line, "private=", &d->private_off) ||
	    !demo_address(d, line, "shared=", &d->shared_off) ||
	    !demo_address(d, line, "keep=", &d->keep_off))
		return;
	d->ready = true;

	demo_counts(d);
	demo_registers(d);

	sig = probe_read(d->ram + d->private_off, text, 1);
	demo_result(d, ROW_PRIVATE_READ, sig == SIGBUS, "%s at %#llx", probe_result(sig),
	       (unsigned long long)(PVM_RAM_BASE + d->private_off));
	sig = probe_write(d->ram + d->private_off, &byte, 1);
	demo_result(d, ROW_PRIVATE_WRITE, sig == SIGBUS, "%s", probe_result(sig));

	sig = probe_read(d->ram + d->shared_off, text, sizeof(text) - 1);
	demo_result(d, ROW_SHARED_READ, !sig && !strcmp(text, DEMO_HELLO), "%s%s%s",
	       sig ? probe_result(sig) : "\"", sig ? "" : text, sig ? "" : "\"");
	demo_same_pfn(d);

	sig = probe_write(d->ram + d->shared_off + DEMO_REPLY_OFF, DEMO_REPLY,
			  sizeof(DEMO_REPLY));
	if (sig)
		demo_result(d, ROW_ANSWER, false, "the host's write: %s", probe_result(sig));
}

/* The guest waits for it: go on. */
static void demo_ack(struct demo *d, uint64_t off)
{
	probe_write(d->ram + d->keep_off + off, DEMO_ACK, sizeof(DEMO_ACK));
}

static void demo_unshared(struct demo *d)
{
	char text[8];
	int sig;

	if (!d->ready)
		return;
	/* Through the mapping that worked a moment ago. */
	sig = probe_read(d->ram + d->shared_off, text, sizeof(text));
	demo_result(d, ROW_UNSHARED, sig == SIGBUS, "%s", probe_result(sig));
	demo_ack(d, DEMO_SEEN_OFF);
}

/* With what lies on the page allocator's per-CPU lists, which MemFree leaves out. */
static long free_mib(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned long pages = 0, n;
	char line[160];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pages free %lu", &n) == 1 || sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	}
	fclose(f);
	return pages * PVM_PAGE >> 20;
}

static int demo_usage(struct demo *d, struct usage *u)
{
	struct map_counts c;
	int ret = map_count(&d->target, &c);

	if (ret)
		return ret;
	u->file = (c.pages[PAGE_PRIVATE] + c.pages[PAGE_SHARED]) * PVM_PAGE >> 20;
	u->free = free_mib();
	return u->free < 0 ? -ENOENT : 0;
}

static void demo_holds(struct demo *d, const char *size)
{
	int ret;

	if (!d->ready)
		return;
	ret = demo_usage(d, &d->usage);
	if (ret)
		demo_result(d, ROW_GIVEN_BACK, false, "cannot be read: %s", strerror(-ret));
	else
		d->held = strtol(size, NULL, 10);
	demo_ack(d, DEMO_HOLDS_OFF);
}

/*
 * Page reporting takes its time, and leaves out what is free in small pieces: the smaller
 * the guest, the more of it. Waits until no more comes.
 */
static void demo_freed(struct demo *d)
{
	struct usage now = d->usage, last;
	long enough = (d->held + 2) / 3;
	int ret = 0, still = 0;

	if (!d->ready)
		return;
	for (int i = 0; i < GIVE_BACK_TRIES && d->held > 0 && !ret; i++) {
		last = now;
		usleep(GIVE_BACK_PAUSE_US);
		ret = demo_usage(d, &now);
		still = now.file == last.file ? still + 1 : 0;
		if (d->usage.file - now.file >= enough && still >= GIVE_BACK_STILL)
			break;
	}
	if (ret)
		demo_result(d, ROW_GIVEN_BACK, false, "cannot be read: %s", strerror(-ret));
	else if (d->held > 0)
		demo_result(d, ROW_GIVEN_BACK, d->usage.file - now.file >= enough &&
		       now.free - d->usage.free >= enough,
		       "%ld MiB: its file %ld -> %ld, host's free %+ld", d->held,
		       d->usage.file, now.file, now.free - d->usage.free);
	demo_ack(d, DEMO_FREED_OFF);
}

/* What follows a tag in a line; NULL if it is not there. */
static const char *after(const char *line, const char *tag)
{
	const char *p = strstr(line, tag);

	return p ? p + strlen(tag) : NULL;
}

void demo_line(struct demo *d, const char *line)
{
	const char *answer = after(line, DEMO_ANSWER);
	const char *none = after(line, DEMO_NONE);
	const char *holds = after(line, DEMO_HOLDS);
	const char *hoards = after(line, DEMO_HOARDS);

	if (strstr(line, DEMO_READY)) {
		demo_ready(d, line);
	} else if (answer) {
		demo_result(d, ROW_ANSWER, !strcmp(answer, DEMO_REPLY), "\"%s\"", answer);
	} else if (strstr(line, DEMO_UNSHARED)) {
		demo_unshared(d);
	} else if (holds) {
		demo_holds(d, holds);
	} else if (strstr(line, DEMO_FREED)) {
		demo_freed(d);
	} else if (hoards) {
		demo_result(d, ROW_GIVEN_BACK, false, "not checked: the guest says: %.80s", hoards);
	} else if (strstr(line, DEMO_INTACT)) {
		demo_result(d, ROW_INTACT, d->ready, "as it wrote it");
	} else if (strstr(line, DEMO_DAMAGED)) {
		demo_result(d, ROW_INTACT, false, "changed");
	} else if (none) {
		snprintf(d->rows[ROW_SHARED_READ].got, sizeof(d->rows[0].got),
			 "not checked: the guest says: %.80s", none);
	}
}
