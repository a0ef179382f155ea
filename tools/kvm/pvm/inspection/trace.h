/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_TRACE_H
#define PVM_TRACE_H

#include <stdbool.h>
#include <stdint.h>

struct trace {
	bool active;
	bool lossy;
	uint64_t nr_pages;
	/* By page offset in the guest_memfd. */
	uint64_t *donated;		/* pfn; 0: never given to the guest */
	bool *shared;			/* the guest has shared it at some time */
};

int trace_start(void);
void trace_line(struct trace *t, const char *line);
int trace_read(struct trace *t, uint64_t nr_pages);
void trace_stop(struct trace *t);

#endif
