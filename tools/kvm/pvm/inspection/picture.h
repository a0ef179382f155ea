/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_PICTURE_H
#define PVM_PICTURE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

struct map;
struct map_counts;

struct map_layout {
	unsigned int columns;
	uint64_t per_cell;		/* pages */
	uint64_t cells;
};

void map_layout(uint64_t pages, unsigned int columns, unsigned int rows,
		struct map_layout *layout);
char map_char(const struct map_counts *counts);
void map_draw(FILE *f, const struct map *map, bool colour);
void map_draw_svg(FILE *f, const struct map *map);

#endif
