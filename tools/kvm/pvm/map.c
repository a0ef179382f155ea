// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm map: who can see the guest's memory.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pvm.h"

#define COLUMNS	64
#define ROWS	16

int map_count(const struct target *t, struct map_counts *counts)
{
	struct gmem_run run;

	memset(counts, 0, sizeof(*counts));
	for (uint64_t off = 0; off < t->size; off += run.size) {
		int ret = gmem_next_run(t->fd, off, t->size, &run);
		uint64_t pages;

		if (ret)
			return ret;
		pages = run.size / PVM_PAGE;
		if (!run.populated)
			counts->untouched += pages;
		else if (run.private)
			counts->private += pages;
		else
			counts->shared += pages;
	}
	return 0;
}

/* One cell of the picture is so many pages. */
static int map_cells(const struct target *t, uint64_t per_cell, struct map_counts *cells)
{
	struct gmem_run run;

	for (uint64_t off = 0; off < t->size; off += run.size) {
		int ret = gmem_next_run(t->fd, off, t->size, &run);

		if (ret)
			return ret;
		for (uint64_t p = off / PVM_PAGE; p < (off + run.size) / PVM_PAGE; p++) {
			struct map_counts *c = &cells[p / per_cell];

			if (!run.populated)
				c->untouched++;
			else if (run.private)
				c->private++;
			else
				c->shared++;
		}
	}
	return 0;
}

static char map_char(const struct map_counts *c)
{
	if (c->shared)
		return c->private || c->untouched ? 's' : 'S';
	if (c->private)
		return c->untouched ? '+' : '#';
	return '.';
}

static void map_draw(const struct map_counts *cells, uint64_t nr, uint64_t per_cell)
{
	char size[32];

	for (uint64_t i = 0; i < nr; i += COLUMNS) {
		printf("%12llx  ", (unsigned long long)(PVM_RAM_BASE + i * per_cell * PVM_PAGE));
		for (uint64_t j = i; j < nr && j < i + COLUMNS; j++)
			putchar(map_char(&cells[j]));
		putchar('\n');
	}
	printf("one character is %s: # private, + private in part, S shared, s shared in part, . never touched\n",
	       size_text(per_cell * PVM_PAGE, size, sizeof(size)));
}

int cmd_map(int argc, char **argv)
{
	uint64_t pages, per_cell, nr;
	struct map_counts counts = { 0 }, *cells;
	struct target t;
	pid_t pid;
	int ret;

	if (argc != 2) {
		say("map takes one PID: that of a running pvm");
		return PVM_EXIT_USAGE;
	}
	if (parse_pid(argv[1], &pid))
		return PVM_EXIT_USAGE;
	if (target_open(pid, &t, false))
		return PVM_EXIT_FAIL;

	pages = t.size / PVM_PAGE;
	per_cell = (pages + COLUMNS * ROWS - 1) / (COLUMNS * ROWS);
	nr = per_cell ? (pages + per_cell - 1) / per_cell : 0;
	cells = calloc(nr ? nr : 1, sizeof(*cells));
	ret = cells ? map_cells(&t, per_cell, cells) : -ENOMEM;
	target_close(&t);
	if (ret == -ENOTTY) {
		say("this kernel cannot tell private pages from shared ones (KVM_GET_MEMORY_ATTRIBUTES2)");
		free(cells);
		return PVM_EXIT_HOST;
	}
	if (ret) {
		say("cannot read the map: %s", strerror(-ret));
		free(cells);
		return PVM_EXIT_FAIL;
	}

	/* From the same reading as the picture: the guest goes on meanwhile. */
	for (uint64_t i = 0; i < nr; i++) {
		counts.private += cells[i].private;
		counts.shared += cells[i].shared;
		counts.untouched += cells[i].untouched;
	}
	printf("private %llu, shared %llu, never touched %llu pages of %llu bytes\n",
	       (unsigned long long)counts.private, (unsigned long long)counts.shared,
	       (unsigned long long)counts.untouched, PVM_PAGE);
	map_draw(cells, nr, per_cell);
	free(cells);
	return PVM_EXIT_OK;
}
