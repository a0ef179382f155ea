// SPDX-License-Identifier: GPL-2.0-only
/*
 * What each page of a guest's memory is: by its attributes, and by what debugfs adds.
 */
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/gmem.h"
#include "common/layout.h"
#include "inspection/map.h"
#include "inspection/target.h"

#define DEBUGFS	"/sys/kernel/debug/kvm"

void map_count_range(const struct map *map, uint64_t first, uint64_t nr,
		     struct map_counts *counts)
{
	memset(counts, 0, sizeof(*counts));
	for (uint64_t i = first; i < map->pages && i - first < nr; i++)
		counts->pages[map->state[i]]++;
}

/* A VM without private memory: all of it is the host's too, and it is there or not. */
static int read_plain(const struct target *t, struct map *map)
{
	void *ram = mmap(NULL, t->size, PROT_READ, MAP_SHARED, t->fd, 0);
	int ret = 0;

	if (ram == MAP_FAILED)
		return -errno;
	if (mincore(ram, t->size, map->state))
		ret = -errno;
	munmap(ram, t->size);
	for (uint64_t i = 0; i < map->pages; i++)
		map->state[i] = map->state[i] & 1 ? PAGE_SHARED : PAGE_UNTOUCHED;
	return ret;
}

static int read_attributes(const struct target *t, struct map *map)
{
	struct gmem_run run;

	map->has_private = true;
	for (uint64_t off = 0; off < t->size; off += run.size) {
		int ret = gmem_next_run(t->fd, off, t->size, &run);

		if (ret == -EINVAL && !off) {
			map->has_private = false;
			return read_plain(t, map);
		}
		if (ret)
			return ret;
		memset(map->state + off / PVM_PAGE, run.state, run.size / PVM_PAGE);
	}
	return 0;
}

/*
 * A line of the kernel's own map: "START-END private|shared STATE GFNs slot N", or
 * "unbound" in place of the last three; some kernels add EL2's word, and their own on
 * whether that can be true. What we take from it is what the attributes do not tell.
 */
int map_debugfs_line(struct map *map, const char *line)
{
	char attribute[16], state[16], gfns[48];
	bool poisoned = strstr(line, " el2 poisoned");
	unsigned long long start, end;

	if (sscanf(line, "%llx-%llx %15s %15s %47s", &start, &end, attribute, state, gfns) != 5)
		return -EPROTO;
	start /= PVM_PAGE;
	end /= PVM_PAGE;
	if (start >= end || end > map->pages)
		return -EPROTO;

	if (!strcmp(gfns, "unbound"))
		map->unbound += end - start;
	if (strstr(line, " DISAGREES"))
		map->disputed += end - start;
	for (uint64_t i = start; poisoned && i < end; i++)
		map->state[i] = PAGE_POISONED;
	return 0;
}

/* A file of the VM's in debugfs; NULL for who may not read it, or where there is none. */
static FILE *open_debugfs(const struct target *t, const char *name)
{
	DIR *dir = opendir(DEBUGFS);
	char vm[16], path[400];
	struct dirent *e;
	FILE *f = NULL;

	if (!dir)
		return NULL;
	snprintf(vm, sizeof(vm), "%d-", t->pid);
	while (!f && (e = readdir(dir))) {
		if (strncmp(e->d_name, vm, strlen(vm)))
			continue;
		snprintf(path, sizeof(path), DEBUGFS "/%s/%s", e->d_name, name);
		f = fopen(path, "re");
	}
	closedir(dir);
	return f;
}

/* One of KVM's counters for the VM. */
static uint64_t read_counter(const struct target *t, const char *name)
{
	FILE *f = open_debugfs(t, name);
	unsigned long long val = 0;

	if (f && fscanf(f, "%llu", &val) != 1)
		val = 0;
	if (f)
		fclose(f);
	return val;
}

static void read_debugfs(const struct target *t, struct map *map)
{
	char name[48], line[160];
	FILE *f;

	snprintf(name, sizeof(name), "guest_memfd-%llu", (unsigned long long)t->inode);
	f = open_debugfs(t, name);
	while (f && fgets(line, sizeof(line), f))
		map_debugfs_line(map, line);
	if (f)
		fclose(f);
	map->relinquished = read_counter(t, "gmem_pages_relinquished");
	map->reclaimed = read_counter(t, "gmem_pages_reclaimed");
}

/* 0, or -errno; map_free() in either case. */
int map_read(const struct target *t, struct map *map)
{
	int ret;

	*map = (struct map) {
		.pages = t->size / PVM_PAGE,
		.state = calloc(t->size / PVM_PAGE + 1, 1),
	};
	if (!map->state)
		return -ENOMEM;
	ret = read_attributes(t, map);
	if (!ret)
		read_debugfs(t, map);
	return ret;
}

void map_free(struct map *map)
{
	free(map->state);
	map->state = NULL;
}

int map_count(const struct target *t, struct map_counts *counts)
{
	struct map map;
	int ret = map_read(t, &map);

	if (!ret)
		map_count_range(&map, 0, map.pages, counts);
	map_free(&map);
	return ret;
}
