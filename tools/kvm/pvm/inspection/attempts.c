// SPDX-License-Identifier: GPL-2.0-only
/*
 * Everything that a curious user of the host might try on a guest: on its registers and on
 * a page of its own, which must resist, and on a page that it shares, which must not.
 *
 * A guest does not notice, unless a page is punched: what is written is what was there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/registers_page.h"
#include "common/say.h"
#include "inspection/attempts.h"
#include "inspection/map.h"
#include "inspection/probe.h"
#include "inspection/registers_ask.h"
#include "inspection/target.h"

#define CANDIDATES	64
/* What an attempt returns beside 0, -errno and the number of a signal. */
#define UNTRIED		1000

struct page {
	const struct target *target;
	uint64_t offset;
	uint8_t *map;			/* our mapping of it */
	const char *direct;		/* a file to read from past the page cache, or NULL */
	uint8_t old[PVM_PAGE];		/* its content, if we may see it */
	uint8_t got[PVM_PAGE];
	char why[120];			/* UNTRIED */
};

static int untried(struct page *p, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

static int untried(struct page *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(p->why, sizeof(p->why), fmt, ap);
	va_end(ap);
	return UNTRIED;
}

static int try_load(struct page *p)
{
	int ret = probe_read(p->map, p->got, PVM_PAGE);

	if (!ret)
		memcpy(p->old, p->got, PVM_PAGE);
	return ret;
}

static int try_store(struct page *p)
{
	return probe_write(p->map, p->old, sizeof(p->old[0]));
}

static int try_vmsplice(struct page *p)
{
	struct iovec iov = { .iov_base = p->map, .iov_len = PVM_PAGE };
	int fds[2], ret = 0;

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		return untried(p, "pipe: %s", strerror(errno));
	if (vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PVM_PAGE)
		ret = -errno;
	else if (read(fds[0], p->got, PVM_PAGE) != (ssize_t)PVM_PAGE)
		ret = -EIO;
	close(fds[0]);
	close(fds[1]);
	return ret;
}

/* Where the VMM has the page; 0 if it does not map it. */
static uint64_t vmm_address(const struct page *p)
{
	unsigned long long start, end, offset, inode;
	uint64_t address = 0;
	char line[300];
	FILE *f;

	snprintf(line, sizeof(line), "/proc/%d/maps", p->target->pid);
	f = fopen(line, "re");
	while (f && !address && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%llx-%llx %*s %llx %*s %llu", &start, &end, &offset,
			   &inode) == 4 && inode == p->target->inode &&
		    p->offset >= offset && p->offset - offset < end - start)
			address = start + (p->offset - offset);
	}
	if (f)
		fclose(f);
	return address;
}

static int try_readv(struct page *p)
{
	struct iovec to = { .iov_base = p->got, .iov_len = PVM_PAGE };
	struct iovec from = { .iov_len = PVM_PAGE };

	from.iov_base = (void *)(uintptr_t)vmm_address(p);
	if (!from.iov_base)
		return untried(p, "process %d does not map it", p->target->pid);
	if (process_vm_readv(p->target->pid, &to, 1, &from, 1, 0) == (ssize_t)PVM_PAGE)
		return 0;
	return errno == ENOSYS ? untried(p, "this kernel has no process_vm_readv") : -errno;
}

static int try_proc_mem(struct page *p)
{
	uint64_t address = vmm_address(p);
	char path[64];
	ssize_t n;
	int fd;

	if (!address)
		return untried(p, "process %d does not map it", p->target->pid);
	snprintf(path, sizeof(path), "/proc/%d/mem", p->target->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return untried(p, "%s: %s", path, strerror(errno));
	n = pread(fd, p->got, PVM_PAGE, address);
	if (n != (ssize_t)PVM_PAGE)
		n = n < 0 ? -errno : -EIO;
	close(fd);
	return n < 0 ? n : 0;
}

/* A file with what is in the page, for O_DIRECT; -1 if there can be none. */
static int direct_file(const struct page *p)
{
	static const char *const dirs[] = { "/var/tmp", "/tmp" };
	char path[64];

	if (p->direct)
		return open(p->direct, O_RDONLY | O_DIRECT | O_CLOEXEC);
	for (size_t i = 0; i < ARRAY_SIZE(dirs); i++) {
		int fd, direct;

		snprintf(path, sizeof(path), "%s/pvm-poke-XXXXXX", dirs[i]);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd < 0)
			continue;
		direct = write_all(fd, p->old, PVM_PAGE) || fsync(fd) ? -1 :
			 open(path, O_RDONLY | O_DIRECT | O_CLOEXEC);
		unlink(path);
		close(fd);
		if (direct >= 0)
			return direct;
	}
	return -1;
}

/* What the device has written is overwritten by what was there. */
static int try_direct(struct page *p)
{
	int fd = direct_file(p), ret = 0;
	ssize_t n;

	if (fd < 0)
		return untried(p, "no file for it (%s): name one by --direct", strerror(errno));
	n = pread(fd, p->map, PVM_PAGE, 0);
	if (n < 0)
		ret = -errno;
	else if (!n)
		ret = untried(p, "the file is empty");
	close(fd);
	if (n > 0 && p->direct)
		probe_write(p->map, p->old, PVM_PAGE);
	return ret;
}

static int try_make_shared(struct page *p)
{
	return gmem_set(p->target->fd, p->offset, PVM_PAGE, false, NULL);
}

static int try_punch(struct page *p)
{
	return fallocate(p->target->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			 p->offset, PVM_PAGE) ? -errno : 0;
}

/* After PUNCH_HOLE: what does whoever gets at the page's place find there? */
static int try_what_is_left(struct page *p)
{
	int ret = try_make_shared(p);

	/* A guest without private memory has nothing to convert. */
	if (ret && ret != -EINVAL)
		return ret;
	ret = probe_read(p->map, p->got, PVM_PAGE);
	for (size_t i = 0; i < PVM_PAGE && !ret; i++) {
		if (p->got[i])
			ret = -ENOTEMPTY;
	}
	return ret;
}

/* In this order; `private` is what a private page must answer, a shared one says 0. */
static const struct attempt {
	const char *what;
	int (*try)(struct page *p);
	int private;
	const char *success;
	bool gets;			/* p->got */
	bool destroys;
} attempts[] = {
	{ "load from a mapping", try_load, SIGBUS, "reads", true },
	{ "store to a mapping", try_store, SIGBUS, "writes" },
	{ "vmsplice into a pipe", try_vmsplice, -EFAULT, "reads", true },
	{ "process_vm_readv of pvm", try_readv, -EFAULT, "reads", true },
	{ "read /proc/PID/mem", try_proc_mem, -EIO, "reads", true },
	{ "O_DIRECT from a file", try_direct, -EFAULT, "the device writes" },
	{ "make it shared", try_make_shared, -EPERM, "it is" },
	{ "PUNCH_HOLE", try_punch, 0, "destroyed", .destroys = true },
	{ "what is left of it", try_what_is_left, 0, "zeroes", .destroys = true },
};

static void answer_text(const struct page *p, const struct attempt *a, int ret, char *text,
			size_t size)
{
	int n;

	if (ret == UNTRIED) {
		snprintf(text, size, "not tried: %s", p->why);
	} else if (ret == -ENOTEMPTY && a->try == try_what_is_left) {
		snprintf(text, size, "NOT zero");
	} else if (ret < 0) {
		snprintf(text, size, "%s", strerror(-ret));
	} else if (ret) {
		snprintf(text, size, "%s", probe_result(ret));
	} else {
		n = snprintf(text, size, "%s", a->success);
		for (int i = 0; i < 8 && a->gets; i++)
			n += snprintf(text + n, size - n, " %02x", p->got[i]);
	}
}

/* Returns whether all was as it should be. */
static bool attempt_all(struct page *p, bool private, bool has_private, bool punch)
{
	bool ok = true;
	char text[200];

	for (size_t i = 0; i < ARRAY_SIZE(attempts); i++) {
		const struct attempt *a = &attempts[i];
		int want = private ? a->private : 0, ret;

		if ((a->destroys && !punch) || (a->try == try_make_shared && !has_private))
			continue;
		ret = a->try(p);
		answer_text(p, a, ret, text, sizeof(text));
		printf("  %-26s%-34s%s\n", a->what, text, ret == UNTRIED ? "" :
		       ret == want ? "as it should be" : "NOT as it should be");
		ok &= ret == want || ret == UNTRIED;
	}
	return ok;
}

static bool is_zero(const uint8_t *p)
{
	return !*p && !memcmp(p, p + 1, PVM_PAGE - 1);
}

/* The shared page that the guest is least likely to use: high up, and of zeroes. */
static bool find_shared(const struct page *p, const struct map *map, uint64_t *page)
{
	unsigned int tries = 0;
	uint8_t buf[PVM_PAGE];
	bool found = false;

	for (uint64_t i = map->pages; i-- && tries < CANDIDATES;) {
		void *m;

		if (map->state[i] != PAGE_SHARED)
			continue;
		m = mmap(NULL, PVM_PAGE, PROT_READ, MAP_SHARED, p->target->fd, i * PVM_PAGE);
		if (m == MAP_FAILED)
			return false;
		tries++;
		if (!probe_read(m, buf, PVM_PAGE)) {
			found = true;
			*page = i;
			if (is_zero(buf))
				tries = CANDIDATES;
		}
		munmap(m, PVM_PAGE);
	}
	return found;
}

/*
 * A private page that the guest owns, and not one that it has never touched since the host
 * put its image there: the host may have those back. They stay shared then, for the guest
 * to have made private when it comes to them; meanwhile it might have shared one itself.
 */
static int find_private(const struct page *p, const struct map *map, uint64_t nr, uint64_t *page)
{
	uint64_t step = nr / CANDIDATES ?: 1, seen = 0;

	for (uint64_t i = 0; i < map->pages; i++) {
		int ret;

		if (map->state[i] != PAGE_PRIVATE || seen++ % step != step / 2)
			continue;
		ret = gmem_set(p->target->fd, i * PVM_PAGE, PVM_PAGE, false, NULL);
		if (ret == -EPERM) {
			*page = i;
			return 0;
		}
		if (ret)
			return ret;
	}
	return -ENOENT;
}

static bool attempt_page(struct page *p, uint64_t page, bool private, uint64_t nr,
			 bool has_private, bool punch)
{
	bool ok;

	p->offset = page * PVM_PAGE;
	p->map = mmap(NULL, PVM_PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, p->target->fd,
		      p->offset);
	if (p->map == MAP_FAILED) {
		say("cannot map the guest_memfd: %s", strerror(errno));
		return false;
	}
	printf("the %s page at %#llx, one of %llu\n", private ? "private" : "shared",
	       (unsigned long long)(PVM_RAM_BASE + p->offset), (unsigned long long)nr);
	ok = attempt_all(p, private, has_private, punch);
	munmap(p->map, PVM_PAGE);
	return ok;
}

static bool attempt_both(struct page *p, const struct map *map, bool punch)
{
	bool ok = true, has_shared;
	struct map_counts counts;
	uint64_t private, shared;
	int ret = -ENOENT;

	map_count_range(map, 0, map->pages, &counts);
	has_shared = find_shared(p, map, &shared);
	if (counts.pages[PAGE_PRIVATE]) {
		ret = find_private(p, map, counts.pages[PAGE_PRIVATE], &private);
		if (ret == -ENOENT)
			printf("private pages: the host could make all it tried shared    NOT as it should be\n");
		else if (ret)
			say("cannot find a page of the guest's own: %s", strerror(-ret));
		ok = !ret && attempt_page(p, private, true, counts.pages[PAGE_PRIVATE],
					  true, punch);
	} else {
		printf("no private page: %s\n", map->has_private ? "the guest has touched none" :
		       "this guest has no private memory");
	}
	if (has_shared)
		ok &= attempt_page(p, shared, false, counts.pages[PAGE_SHARED],
				   map->has_private, punch);
	else
		printf("no shared page\n");
	return ok;
}

static const struct {
	const char *what;
	const char *success;
	bool kills;			/* whom it succeeds with */
} register_tries[NR_REGISTER_TRIES] = {
	[TRY_READ_REGISTER] = { "read a register", "reads" },
	[TRY_SET_PC] = { "set the PC", "sets it" },
	[TRY_INJECT_ABORT] = { "inject an abort", "injected", true },
	[TRY_DEBUG_STEP] = { "debug a step", "it would stop there" },
};

/* pvm has to try these itself: see registers_page.h. Returns whether all was as it should be. */
static bool attempt_registers(const struct target *t, bool protected)
{
	int got[NR_REGISTER_TRIES], want = protected ? -EPERM : 0, ret;
	uint32_t which = 0;
	bool ok = true;

	for (int i = 0; i < NR_REGISTER_TRIES; i++) {
		if (protected || !register_tries[i].kills)
			which |= 1U << i;
	}
	printf("the registers of vCPU 0, tried by process %d itself\n", t->pid);
	ret = registers_ask(t, which, got);
	if (ret) {
		printf("  not tried: %s\n", strerror(-ret));
		return true;
	}
	for (int i = 0; i < NR_REGISTER_TRIES; i++) {
		if (!(which & 1U << i))
			continue;
		printf("  %-26s%-34s%s\n", register_tries[i].what,
		       got[i] ? strerror(-got[i]) : register_tries[i].success,
		       got[i] == want ? "as it should be" : "NOT as it should be");
		ok &= got[i] == want;
	}
	return ok;
}

int attempt_everything(const struct target *t, const char *direct, bool punch)
{
	struct page *p = calloc(1, sizeof(*p));
	struct map map;
	int ret = map_read(t, &map);
	bool ok = false;

	if (ret)
		say("cannot read the map: %s", strerror(-ret));
	else if (!p)
		say("no memory");
	else {
		p->target = t;
		p->direct = direct;
		ok = attempt_registers(t, map.has_private);
		ok &= attempt_both(p, &map, punch);
		printf("%s\n", ok ? "All of it is as it should be." : "Something is NOT as it should be.");
	}
	map_free(&map);
	free(p);
	return ok && !fflush(stdout) ? PVM_EXIT_OK : PVM_EXIT_FAIL;
}
