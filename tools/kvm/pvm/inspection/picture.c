// SPDX-License-Identifier: GPL-2.0-only
/*
 * The map of a guest's memory, drawn as text or as SVG.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/array_size.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/numbers.h"
#include "inspection/map.h"
#include "inspection/picture.h"

#define TEXT_COLUMNS	64
#define TEXT_ROWS	16

#define SVG_COLUMNS	128
#define SVG_ROWS	64
#define SVG_CELL	6
#define SVG_LEFT	90
#define SVG_LINE	20

/* One cell is many pages, of which not all need be alike. */
enum cell {
	CELL_UNTOUCHED, CELL_RELINQUISHED, CELL_PRIVATE, CELL_SOME_PRIVATE, CELL_SHARED,
	CELL_SOME_SHARED, CELL_POISONED, NR_CELLS
};

static const struct {
	char text;
	const char *colour;		/* of the terminal */
	const char *fill;		/* of the SVG */
} cells[NR_CELLS] = {
	[CELL_UNTOUCHED]	= { '.', "90", "#e8e8e8" },
	[CELL_RELINQUISHED]	= { '-', "32", "#9fd8a8" },
	[CELL_PRIVATE]		= { '#', "34", "#1f5a96" },
	[CELL_SOME_PRIVATE]	= { '+', "34", "#8db8de" },
	[CELL_SHARED]		= { 'S', "33", "#e6851f" },
	[CELL_SOME_SHARED]	= { 's', "33", "#f4c48d" },
	[CELL_POISONED]		= { 'X', "31", "#c0262d" },
};

/* In the order of the legend; `partly` is NR_CELLS where there is no such cell. */
static const struct {
	enum page_state state;
	const char *name;
	enum cell wholly, partly;
} states[] = {
	{ PAGE_PRIVATE, "private", CELL_PRIVATE, CELL_SOME_PRIVATE },
	{ PAGE_SHARED, "shared", CELL_SHARED, CELL_SOME_SHARED },
	{ PAGE_UNTOUCHED, "never touched", CELL_UNTOUCHED, NR_CELLS },
	{ PAGE_RELINQUISHED, "relinquished", CELL_RELINQUISHED, NR_CELLS },
	{ PAGE_POISONED, "poisoned", CELL_POISONED, NR_CELLS },
};

/* What is rare must not drown: a page that is lost, then one that the host can see. */
static enum cell cell_of(const struct map_counts *c)
{
	const uint64_t *n = c->pages;
	uint64_t holes = n[PAGE_UNTOUCHED] + n[PAGE_RELINQUISHED];

	if (n[PAGE_POISONED])
		return CELL_POISONED;
	if (n[PAGE_SHARED])
		return n[PAGE_PRIVATE] || holes ? CELL_SOME_SHARED : CELL_SHARED;
	if (n[PAGE_PRIVATE])
		return holes ? CELL_SOME_PRIVATE : CELL_PRIVATE;
	return n[PAGE_RELINQUISHED] ? CELL_RELINQUISHED : CELL_UNTOUCHED;
}

char map_char(const struct map_counts *counts)
{
	return cells[cell_of(counts)].text;
}

/* Cells of a power of two, so that each begins at a round address. */
void map_layout(uint64_t pages, unsigned int columns, unsigned int rows,
		struct map_layout *layout)
{
	uint64_t per_cell = 1;

	while ((pages + per_cell - 1) / per_cell > (uint64_t)columns * rows)
		per_cell *= 2;
	layout->columns = columns;
	layout->per_cell = per_cell;
	layout->cells = (pages + per_cell - 1) / per_cell;
}

static enum cell cell_at(const struct map *map, const struct map_layout *l, uint64_t i)
{
	struct map_counts c;

	map_count_range(map, i * l->per_cell, l->per_cell, &c);
	return cell_of(&c);
}

/* The address of a cell's first page. */
static unsigned long long address(const struct map_layout *l, uint64_t cell)
{
	return PVM_RAM_BASE + cell * l->per_cell * PVM_PAGE;
}

static uint64_t row_end(const struct map_layout *l, uint64_t cell)
{
	return cell + l->columns < l->cells ? cell + l->columns : l->cells;
}

/* Where the row's cells stop being what the one at i is. */
static uint64_t like_end(const struct map *map, const struct map_layout *l, uint64_t i,
			 enum cell *cell)
{
	uint64_t end = row_end(l, i - i % l->columns);

	*cell = cell_at(map, l, i);
	do
		i++;
	while (i < end && cell_at(map, l, i) == *cell);
	return i;
}

static void put_cells(FILE *f, enum cell cell, uint64_t nr, bool colour)
{
	if (colour)
		fprintf(f, "\033[%sm", cells[cell].colour);
	while (nr--)
		putc(cells[cell].text, f);
	if (colour)
		fputs("\033[m", f);
}

/* What is said only if there is something to say. */
static void draw_remark(FILE *f, uint64_t pages, const char *what)
{
	if (pages)
		fprintf(f, "%10s%llu pages %s\n", "", (unsigned long long)pages, what);
}

static void draw_legend(FILE *f, const struct map *map, const struct map_layout *l, bool colour)
{
	struct map_counts all;
	char size[32];

	map_count_range(map, 0, map->pages, &all);
	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		uint64_t n = all.pages[states[i].state];

		fprintf(f, "%10s", "");
		put_cells(f, states[i].wholly, 1, colour);
		fprintf(f, " %-14s%9llu pages %9.1f MiB", states[i].name,
			(unsigned long long)n, n * PVM_PAGE / 1048576.0);
		if (states[i].partly != NR_CELLS) {
			fputs("   ", f);
			put_cells(f, states[i].partly, 1, colour);
			fputs(" in part", f);
		}
		putc('\n', f);
	}
	fprintf(f, "%10sone character is %s%s\n", "",
		size_text(l->per_cell * PVM_PAGE, size, sizeof(size)),
		map->has_private ? "" : "; this guest has no private memory");
	draw_remark(f, map->relinquished, "relinquished so far, from the guest's start on");
	draw_remark(f, map->reclaimed, "taken from the guest so far");
	draw_remark(f, map->unbound, "are in no memory slot: the guest cannot reach them");
	draw_remark(f, map->disputed, "are something else by EL2's own books: a BUG");
}

void map_draw(FILE *f, const struct map *map, bool colour)
{
	struct map_layout l;
	enum cell cell;

	map_layout(map->pages, TEXT_COLUMNS, TEXT_ROWS, &l);
	for (uint64_t i = 0, end; i < l.cells; i = end) {
		if (!(i % l.columns))
			fprintf(f, "%9llx ", address(&l, i));
		end = like_end(map, &l, i, &cell);
		put_cells(f, cell, end - i, colour);
		if (end == row_end(&l, i - i % l.columns))
			putc('\n', f);
	}
	draw_legend(f, map, &l, colour);
}

static void svg_rect(FILE *f, unsigned int x, unsigned int y, unsigned int width,
		     unsigned int height, enum cell cell)
{
	fprintf(f, "<rect x=\"%u\" y=\"%u\" width=\"%u\" height=\"%u\" fill=\"%s\"/>\n", x, y,
		width, height, cells[cell].fill);
}

static void svg_cells(FILE *f, const struct map *map, const struct map_layout *l)
{
	enum cell cell;

	for (uint64_t i = 0, end; i < l->cells; i = end) {
		unsigned int x = SVG_LEFT + i % l->columns * SVG_CELL;
		unsigned int y = SVG_LINE + i / l->columns * SVG_CELL;

		if (!(i % (8 * l->columns)))
			fprintf(f, "<text x=\"%u\" y=\"%u\" text-anchor=\"end\">%llx</text>\n",
				SVG_LEFT - 8, y + 10, address(l, i));
		end = like_end(map, l, i, &cell);
		svg_rect(f, x, y, (end - i) * SVG_CELL, SVG_CELL, cell);
	}
}

static void svg_legend(FILE *f, const struct map *map, unsigned int y)
{
	struct map_counts all;

	map_count_range(map, 0, map->pages, &all);
	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		uint64_t n = all.pages[states[i].state];

		svg_rect(f, SVG_LEFT, y - 11, 13, 13, states[i].wholly);
		if (states[i].partly != NR_CELLS)
			svg_rect(f, SVG_LEFT + 15, y - 11, 13, 13, states[i].partly);
		fprintf(f, "<text x=\"%u\" y=\"%u\">%s%s: %llu pages, %.1f MiB</text>\n",
			SVG_LEFT + 36, y, states[i].name,
			states[i].partly != NR_CELLS ? " (wholly, in part)" : "",
			(unsigned long long)n, n * PVM_PAGE / 1048576.0);
		y += SVG_LINE;
	}
}

/* A picture that stands alone: no styles, no scripts, no fonts of its own. */
void map_draw_svg(FILE *f, const struct map *map)
{
	unsigned int width = SVG_LEFT + SVG_COLUMNS * SVG_CELL + SVG_LINE, height;
	struct map_layout l;
	char size[32];

	map_layout(map->pages, SVG_COLUMNS, SVG_ROWS, &l);
	height = SVG_LINE + (l.cells + l.columns - 1) / l.columns * SVG_CELL;
	fprintf(f, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%u\" height=\"%u\" font-family=\"monospace\" font-size=\"13\">\n"
		"<title>A guest's memory, page by page</title>\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"#ffffff\"/>\n",
		width, height + SVG_LINE * (unsigned int)(ARRAY_SIZE(states) + 2));
	svg_cells(f, map, &l);
	fprintf(f, "<text x=\"%u\" y=\"%u\">one square is %s</text>\n", SVG_LEFT,
		height + SVG_LINE, size_text(l.per_cell * PVM_PAGE, size, sizeof(size)));
	svg_legend(f, map, height + 2 * SVG_LINE);
	fprintf(f, "</svg>\n");
}
