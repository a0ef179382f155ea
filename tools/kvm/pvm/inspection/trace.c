// SPDX-License-Identifier: GPL-2.0-only
/*
 * The kernel's own account of which physical page it gave the guest (the tracepoint
 * kvm:pkvm_gmem_donate: gfn, pfn, ret), and of what the guest shared (pkvm_gmem_share:
 * gfn, ret).
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <unistd.h>

#include "common/layout.h"
#include "common/say.h"
#include "inspection/trace.h"

#define TRACEFS	"/sys/kernel/tracing/"

static int put(const char *file, const char *val)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), TRACEFS "%s", file);
	fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write_all(fd, val, strlen(val));
	close(fd);
	return ret;
}

/* Empties the trace buffer: whoever else traces loses theirs. */
int trace_start(void)
{
	int ret;

	if (access(TRACEFS "trace", F_OK))
		mount("tracefs", TRACEFS, "tracefs", 0, NULL);
	ret = put("events/kvm/pkvm_gmem_donate/enable", "1") ?:
	      put("events/kvm/pkvm_gmem_share/enable", "1");
	if (ret)
		return ret;
	put("buffer_size_kb", "4096");
	return put("trace", "") ?: put("tracing_on", "1");
}

static bool field(const char *line, const char *name, uint64_t *val)
{
	size_t len = strlen(name);

	for (const char *p = line; (p = strstr(p, name)); p += len) {
		const char *q = p + len;
		char *end;

		if ((p > line && p[-1] != ' ') || (*q != '=' && *q != ' ' && *q != ':'))
			continue;
		q += strspn(q, "=: ");
		*val = strtoull(q, &end, 0);
		if (end != q)
			return true;
	}
	return false;
}

static void record_donate(struct trace *t, const char *line)
{
	const uint64_t base = PVM_RAM_BASE / PVM_PAGE;
	uint64_t gfn, pfn, nr;

	/* ret: how many pages, or a negative errno. */
	if (!field(line, "gfn", &gfn) || !field(line, "pfn", &pfn) ||
	    !field(line, "ret", &nr) || (int64_t)nr < 0)
		return;
	for (uint64_t i = 0; i < nr && gfn + i - base < t->nr_pages; i++)
		t->donated[gfn + i - base] = pfn + i;
}

static void record_share(struct trace *t, const char *line)
{
	const uint64_t base = PVM_RAM_BASE / PVM_PAGE;
	uint64_t gfn, done;

	/* ret: how many pages, or a negative errno. */
	if (!field(line, "gfn", &gfn) || !field(line, "ret", &done) || (int64_t)done < 0)
		return;
	for (uint64_t i = 0; i < done && gfn + i - base < t->nr_pages; i++)
		t->shared[gfn + i - base] = true;
}

void trace_line(struct trace *t, const char *line)
{
	unsigned long long in_buffer, written;
	const char *p;

	p = strstr(line, "entries-in-buffer/entries-written: ");
	if (p && sscanf(p, "entries-in-buffer/entries-written: %llu/%llu",
			&in_buffer, &written) == 2)
		t->lossy = in_buffer != written;
	p = strstr(line, "pkvm_gmem_donate: ");
	if (p)
		record_donate(t, p);
	p = strstr(line, "pkvm_gmem_share: ");
	if (p)
		record_share(t, p);
}

/* Later events replace earlier ones. */
int trace_read(struct trace *t, uint64_t nr_pages)
{
	char *line = NULL;
	size_t size = 0;
	FILE *f;

	f = fopen(TRACEFS "trace", "re");
	if (!f)
		return -errno;
	free(t->donated);
	free(t->shared);
	t->nr_pages = nr_pages;
	t->donated = calloc(nr_pages, sizeof(*t->donated));
	t->shared = calloc(nr_pages, sizeof(*t->shared));
	if (!t->donated || !t->shared) {
		fclose(f);
		return -ENOMEM;
	}

	while (getline(&line, &size, f) > 0)
		trace_line(t, line);
	free(line);
	fclose(f);
	return 0;
}

void trace_stop(struct trace *t)
{
	if (t->active) {
		put("events/kvm/pkvm_gmem_donate/enable", "0");
		put("events/kvm/pkvm_gmem_share/enable", "0");
	}
	free(t->donated);
	free(t->shared);
	t->donated = NULL;
	t->shared = NULL;
}
