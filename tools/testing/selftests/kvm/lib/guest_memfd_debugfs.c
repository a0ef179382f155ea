// SPDX-License-Identifier: GPL-2.0-only
/*
 * The map of a guest_memfd in debugfs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "guest_memfd_util.h"

int gmem_map_path(char *path, size_t size, pid_t pid, int vm_fd, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	snprintf(path, size, "/sys/kernel/debug/kvm/%d-%d/guest_memfd-%llu", pid, vm_fd,
		 (unsigned long long)st.st_ino);
	return 0;
}

int gmem_map_open(pid_t pid, int vm_fd, int fd)
{
	char path[96];
	int ret = gmem_map_path(path, sizeof(path), pid, vm_fd, fd);

	return ret ?: gmem_ret(open(path, O_RDONLY | O_CLOEXEC));
}

struct map_line {
	unsigned long start, end, first, last;
	char attr[16], there[16];
	int slot;
};

/* False for a line without a trusted side's word, or with one that nobody believes. */
static bool map_line_parse(const char *line, struct map_line *l)
{
	int len = 0;

	return sscanf(line, "%lx-%lx %15s %15s %lx-%lx slot %d el2 %*s%n", &l->start, &l->end,
		      l->attr, l->there, &l->first, &l->last, &l->slot, &len) == 7 &&
	       line[len] == '\n';
}

static bool map_line_goes_on(const struct map_line *l, const struct map_line *next)
{
	return l->end == next->start && l->last == next->first && l->slot == next->slot &&
	       !strcmp(l->attr, next->attr) && !strcmp(l->there, next->there);
}

void gmem_map_host_view(char *map)
{
	struct map_line now, next;
	char *out = map;

	while (*map) {
		char *line = map;
		size_t len = strcspn(line, "\n");

		map += len + (line[len] == '\n');
		if (!map_line_parse(line, &now)) {
			memmove(out, line, map - line);
			out += map - line;
			continue;
		}
		while (map_line_parse(map, &next) && map_line_goes_on(&now, &next)) {
			now.end = next.end;
			now.last = next.last;
			map = strchr(map, '\n') + 1;
		}
		/* Never longer than what it replaces. */
		out += sprintf(out, "%016lx-%016lx %s %s %lx-%lx slot %d", now.start, now.end,
			       now.attr, now.there, now.first, now.last, now.slot);
		*out++ = '\n';
	}
	*out = '\0';
}
