// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pvm demo claims, and what came of each claim.
 */
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "commands/demo_parts.h"

static const struct {
	const char *what;
	const char *expected;
} claims[NR_ROWS] = {
	[ROW_COUNTS] = { "the guest's pages, while it runs", "most private, few shared" },
	[ROW_REGISTERS] = { "host reads the guest's registers", "refused" },
	[ROW_PRIVATE_READ] = { "host reads a private page", "SIGBUS" },
	[ROW_PRIVATE_WRITE] = { "host writes a private page", "SIGBUS" },
	[ROW_SHARED_READ] = { "host reads a page the guest shared", "the guest's text" },
	[ROW_SAME_PFN] = { "  its physical page: given, now shared", "the same" },
	[ROW_ANSWER] = { "host answers in that page, guest prints", "the host's text" },
	[ROW_UNSHARED] = { "host reads it once it is unshared", "SIGBUS" },
	[ROW_GIVEN_BACK] = { "the guest frees memory, the host gets it", "a good part of it" },
	[ROW_INTACT] = { "the guest's private page, seen by the guest", "as it wrote it" },
	[ROW_EXIT] = { "the guest's end", "power-off" },
	[ROW_SCRUBBED_PAGE] = { "its private page after power-off", "zero" },
	[ROW_SCRUBBED_ALL] = { "every page it owned, after power-off", "zero" },
	[ROW_SAME_AFTER] = { "  the unshared page: shared, now given back", "the same" },
	[ROW_KEPT] = { "a page shared to the end, after power-off", "the guest's text" },
	[ROW_KMSG] = { "the host's kernel log", "no WARN, BUG, lockdep" },
};

void demo_result(struct demo *d, int row, bool ok, const char *fmt, ...)
{
	struct row *r = &d->rows[row];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(r->got, sizeof(r->got), fmt, ap);
	va_end(ap);
	/* Guest text goes to a terminal. */
	for (char *p = r->got; *p; p++) {
		if (*p < ' ' || *p > '~')
			*p = '?';
	}
	r->done = true;
	r->ok = ok;
}

/* How many rows do not hold. */
int demo_print(struct demo *d)
{
	int bad = 0;

	printf("\n%-44s %-25s %-48s\n", "what", "expected", "got");
	for (int i = 0; i < NR_ROWS; i++) {
		struct row *r = &d->rows[i];
		bool ok = r->done && r->ok;

		bad += !ok;
		printf("%-44s %-25s %-48s %s\n", claims[i].what, claims[i].expected,
		       *r->got ? r->got : "not checked: the demo did not get that far",
		       ok ? "ok" : "FAIL");
	}
	printf("\n%s\n", bad ? "The evidence is NOT complete." : "Every line holds.");
	return bad;
}
