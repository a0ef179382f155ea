/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_MAP_H
#define PVM_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "common/gmem.h"

struct target;

struct map {
	uint64_t pages;
	uint8_t *state;			/* of each page: enum page_state */
	uint64_t unbound;		/* pages that are in no memory slot */
	uint64_t disputed;		/* of which EL2 says what cannot be */
	uint64_t relinquished, reclaimed; /* in the VM's life */
	bool has_private;		/* the guest can have private memory */
};

struct map_counts {
	uint64_t pages[NR_PAGE_STATES];
};

int map_read(const struct target *t, struct map *map);
void map_free(struct map *map);
int map_debugfs_line(struct map *map, const char *line);
void map_count_range(const struct map *map, uint64_t first, uint64_t nr,
		     struct map_counts *counts);
int map_count(const struct target *t, struct map_counts *counts);

#endif
