/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * pvm demo, among its parts: the guest's console leads through demo_dialogue.c, its end to
 * demo_after.c, and what they find stands in demo_table.c.
 */
#ifndef PVM_DEMO_PARTS_H
#define PVM_DEMO_PARTS_H

#include <stdbool.h>
#include <stdint.h>

#include "inspection/target.h"
#include "inspection/trace.h"

struct row {
	char got[160];
	bool done;
	bool ok;
};

/* One for each claim; what never happened stays "not checked", which is a failure. */
enum {
	ROW_COUNTS, ROW_REGISTERS, ROW_PRIVATE_READ, ROW_PRIVATE_WRITE, ROW_SHARED_READ, ROW_SAME_PFN,
	ROW_ANSWER, ROW_UNSHARED, ROW_GIVEN_BACK, ROW_INTACT, ROW_EXIT, ROW_SCRUBBED_PAGE,
	ROW_SCRUBBED_ALL, ROW_SAME_AFTER, ROW_KEPT, ROW_KMSG, NR_ROWS
};

/* In MiB. */
struct usage {
	long file;			/* of the guest_memfd: what is populated */
	long free;			/* of the host */
};

struct demo {
	struct target target;
	bool have_target;
	struct trace trace;
	int trace_err;
	uint8_t *ram;			/* our mapping of the guest_memfd */
	uint64_t private_off, shared_off, keep_off;
	bool ready;
	uint64_t shared_pfn;
	long held;			/* MiB; 0: the guest has not said */
	struct usage usage;		/* while it held them */
	struct row rows[NR_ROWS];
};

void demo_result(struct demo *d, int row, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));
int demo_print(struct demo *d);

/* A line of the guest's console. */
void demo_line(struct demo *d, const char *line);

/* The VMM is gone; the file is ours alone. */
void demo_after(struct demo *d);
void demo_kmsg(struct demo *d);

#endif
