// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm demo: runs a guest, and checks from outside what the host can see of it.
 *
 * The guest runs in a `pvm run` of its own; we hold a second reference to its
 * guest_memfd, as a curious user of the host would, and outlive it.
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
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/registers_page.h"
#include "common/say.h"
#include "guest/demo.h"
#include "inspection/kmsg.h"
#include "inspection/map.h"
#include "inspection/probe.h"
#include "inspection/registers_ask.h"
#include "inspection/target.h"
#include "inspection/trace.h"
#include "vmm/options.h"

#define FD_TRIES	1000
#define FD_PAUSE_US	10000
#define TEARDOWN_TRIES		200
#define TEARDOWN_PAUSE_US	10000
#define GIVE_BACK_TRIES		200
#define GIVE_BACK_PAUSE_US	100000
#define GIVE_BACK_STILL		5

struct row {
	const char *what;
	const char *expected;
	char got[160];
	bool done;
	bool ok;
};

/* One for each claim; what never happened stays "not checked", which is a failure. */
enum {
	ROW_COUNTS, ROW_REGISTERS, ROW_PRIVATE_READ, ROW_PRIVATE_WRITE, ROW_SHARED_READ, ROW_SAME_PFN,
	ROW_ANSWER, ROW_UNSHARED, ROW_GIVEN_BACK, ROW_INTACT, ROW_EXIT, ROW_SCRUBBED_PAGE,
	ROW_SCRUBBED_ALL, ROW_SAME_AFTER, ROW_KEPT, ROW_KMSG, NR_ROWS
};

/* In MiB. */
struct usage {
	long file;			/* of the guest_memfd: what is populated */
	long free;			/* of the host */
};

struct demo {
	struct target target;
	bool have_target;
	struct trace trace;
	int trace_err;
	uint8_t *ram;			/* our mapping of the guest_memfd */
	uint64_t private_off, shared_off, keep_off;
	bool ready;
	uint64_t shared_pfn;
	long held;			/* MiB; 0: the guest has not said */
	struct usage usage;		/* while it held them */
	struct row rows[NR_ROWS];
};

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

static void result(struct demo *d, int row, bool ok, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

static void result(struct demo *d, int row, bool ok, const char *fmt, ...)
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

static int print_table(struct demo *d)
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

/* The physical page behind an address of ours; 0 if none or not permitted. */
static uint64_t pfn_of(const void *addr)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd < 0)
		return 0;
	n = pread(fd, &entry, sizeof(entry),
		  (off_t)((uintptr_t)addr / PVM_PAGE * sizeof(entry)));
	close(fd);
	return n == sizeof(entry) && entry >> 63 ? entry & ((1ULL << 55) - 1) : 0;
}

static bool demo_address(struct demo *d, const char *line, const char *name, uint64_t *off)
{
	const char *p = strstr(line, name);
	uint64_t gpa;

	if (!p)
		return false;
	gpa = strtoull(p + strlen(name), NULL, 0);
	if (gpa < PVM_RAM_BASE || gpa % PVM_PAGE || gpa - PVM_RAM_BASE >= d->target.size)
		return false;
	*off = gpa - PVM_RAM_BASE;
	return true;
}

static void demo_counts(struct demo *d)
{
	struct map_counts c;
	int ret = map_count(&d->target, &c);

	if (ret) {
		result(d, ROW_COUNTS, false, "cannot be read: %s", strerror(-ret));
		return;
	}
	result(d, ROW_COUNTS, c.pages[PAGE_PRIVATE] > c.pages[PAGE_SHARED] && c.pages[PAGE_SHARED],
	       "%llu private, %llu shared, %llu never touched",
	       (unsigned long long)c.pages[PAGE_PRIVATE], (unsigned long long)c.pages[PAGE_SHARED],
	       (unsigned long long)c.pages[PAGE_UNTOUCHED]);
}

static void demo_same_pfn(struct demo *d)
{
	uint64_t page = d->shared_off / PVM_PAGE, donated;

	d->shared_pfn = pfn_of(d->ram + d->shared_off);
	if (!d->shared_pfn) {
		result(d, ROW_SAME_PFN, false, "not checked: no /proc/self/pagemap");
		return;
	}
	if (!d->trace_err)
		d->trace_err = trace_read(&d->trace, d->target.size / PVM_PAGE);
	if (d->trace_err) {
		result(d, ROW_SAME_PFN, false, "not checked: tracepoint pkvm_gmem_donate: %s",
		       strerror(-d->trace_err));
		return;
	}
	donated = d->trace.donated[page];
	if (!d->trace.shared[page]) {
		result(d, ROW_SAME_PFN, false, "the kernel does not say that it was shared");
		return;
	}
	result(d, ROW_SAME_PFN, donated == d->shared_pfn,
	       "given to the guest pfn %#llx, host maps %#llx", (unsigned long long)donated,
	       (unsigned long long)d->shared_pfn);
}

/* By the VMM itself, which has the best right of all. */
static void demo_registers(struct demo *d)
{
	int got[NR_REGISTER_TRIES];
	int ret = registers_ask(&d->target, 1U << TRY_READ_REGISTER, got);

	if (ret)
		result(d, ROW_REGISTERS, false, "not checked: %s", strerror(-ret));
	else
		result(d, ROW_REGISTERS, got[TRY_READ_REGISTER] == -EPERM, "%s",
		       got[TRY_READ_REGISTER] ? strerror(-got[TRY_READ_REGISTER]) : "it reads them");
}

static void demo_ready(struct demo *d, const char *line)
{
	char text[64] = "", byte = 0;
	int sig;

	if (!d->have_target || d->ready)
		return;
	if (!demo_address(d, line, "private=", &d->private_off) ||
	    !demo_address(d, line, "shared=", &d->shared_off) ||
	    !demo_address(d, line, "keep=", &d->keep_off))
		return;
	d->ready = true;

	demo_counts(d);
	demo_registers(d);

	sig = probe_read(d->ram + d->private_off, text, 1);
	result(d, ROW_PRIVATE_READ, sig == SIGBUS, "%s at %#llx", probe_result(sig),
	       (unsigned long long)(PVM_RAM_BASE + d->private_off));
	sig = probe_write(d->ram + d->private_off, &byte, 1);
	result(d, ROW_PRIVATE_WRITE, sig == SIGBUS, "%s", probe_result(sig));

	sig = probe_read(d->ram + d->shared_off, text, sizeof(text) - 1);
	result(d, ROW_SHARED_READ, !sig && !strcmp(text, DEMO_HELLO), "%s%s%s",
	       sig ? probe_result(sig) : "\"", sig ? "" : text, sig ? "" : "\"");
	demo_same_pfn(d);

	sig = probe_write(d->ram + d->shared_off + DEMO_REPLY_OFF, DEMO_REPLY,
			  sizeof(DEMO_REPLY));
	if (sig)
		result(d, ROW_ANSWER, false, "the host's write: %s", probe_result(sig));
}

/* The guest waits for it: go on. */
static void demo_ack(struct demo *d, uint64_t off)
{
	probe_write(d->ram + d->keep_off + off, DEMO_ACK, sizeof(DEMO_ACK));
}

static void demo_unshared(struct demo *d)
{
	char text[8];
	int sig;

	if (!d->ready)
		return;
	/* Through the mapping that worked a moment ago. */
	sig = probe_read(d->ram + d->shared_off, text, sizeof(text));
	result(d, ROW_UNSHARED, sig == SIGBUS, "%s", probe_result(sig));
	demo_ack(d, DEMO_SEEN_OFF);
}

/* With what lies on the page allocator's per-CPU lists, which MemFree leaves out. */
static long free_mib(void)
{
	FILE *f = fopen("/proc/zoneinfo", "re");
	unsigned long pages = 0, n;
	char line[160];

	if (!f)
		return -1;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, " pages free %lu", &n) == 1 || sscanf(line, " count: %lu", &n) == 1)
			pages += n;
	}
	fclose(f);
	return pages * PVM_PAGE >> 20;
}

static int demo_usage(struct demo *d, struct usage *u)
{
	struct map_counts c;
	int ret = map_count(&d->target, &c);

	if (ret)
		return ret;
	u->file = (c.pages[PAGE_PRIVATE] + c.pages[PAGE_SHARED]) * PVM_PAGE >> 20;
	u->free = free_mib();
	return u->free < 0 ? -ENOENT : 0;
}

static void demo_holds(struct demo *d, const char *size)
{
	int ret;

	if (!d->ready)
		return;
	ret = demo_usage(d, &d->usage);
	if (ret)
		result(d, ROW_GIVEN_BACK, false, "cannot be read: %s", strerror(-ret));
	else
		d->held = strtol(size, NULL, 10);
	demo_ack(d, DEMO_HOLDS_OFF);
}

/*
 * Page reporting takes its time, and leaves out what is free in small pieces: the smaller
 * the guest, the more of it. Waits until no more comes.
 */
static void demo_freed(struct demo *d)
{
	struct usage now = d->usage, last;
	long enough = (d->held + 2) / 3;
	int ret = 0, still = 0;

	if (!d->ready)
		return;
	for (int i = 0; i < GIVE_BACK_TRIES && d->held > 0 && !ret; i++) {
		last = now;
		usleep(GIVE_BACK_PAUSE_US);
		ret = demo_usage(d, &now);
		still = now.file == last.file ? still + 1 : 0;
		if (d->usage.file - now.file >= enough && still >= GIVE_BACK_STILL)
			break;
	}
	if (ret)
		result(d, ROW_GIVEN_BACK, false, "cannot be read: %s", strerror(-ret));
	else if (d->held > 0)
		result(d, ROW_GIVEN_BACK, d->usage.file - now.file >= enough &&
		       now.free - d->usage.free >= enough,
		       "%ld MiB: its file %ld -> %ld, host's free %+ld", d->held,
		       d->usage.file, now.file, now.free - d->usage.free);
	demo_ack(d, DEMO_FREED_OFF);
}

/* What follows a tag in a line; NULL if it is not there. */
static const char *after(const char *line, const char *tag)
{
	const char *p = strstr(line, tag);

	return p ? p + strlen(tag) : NULL;
}

static void demo_line(struct demo *d, const char *line)
{
	const char *answer = after(line, DEMO_ANSWER);
	const char *none = after(line, DEMO_NONE);
	const char *holds = after(line, DEMO_HOLDS);
	const char *hoards = after(line, DEMO_HOARDS);

	if (strstr(line, DEMO_READY)) {
		demo_ready(d, line);
	} else if (answer) {
		result(d, ROW_ANSWER, !strcmp(answer, DEMO_REPLY), "\"%s\"", answer);
	} else if (strstr(line, DEMO_UNSHARED)) {
		demo_unshared(d);
	} else if (holds) {
		demo_holds(d, holds);
	} else if (strstr(line, DEMO_FREED)) {
		demo_freed(d);
	} else if (hoards) {
		result(d, ROW_GIVEN_BACK, false, "not checked: the guest says: %.80s", hoards);
	} else if (strstr(line, DEMO_INTACT)) {
		result(d, ROW_INTACT, d->ready, "as it wrote it");
	} else if (strstr(line, DEMO_DAMAGED)) {
		result(d, ROW_INTACT, false, "changed");
	} else if (none) {
		snprintf(d->rows[ROW_SHARED_READ].got, sizeof(d->rows[0].got),
			 "not checked: the guest says: %.80s", none);
	}
}

/* The guest's console: to our stdout as it is, and line by line to demo_line(). */
static void demo_relay(struct demo *d, int fd)
{
	char buf[4096], line[512];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		write_all(STDOUT_FILENO, buf, n);
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				line[len] = 0;
				demo_line(d, line);
				len = 0;
			} else if (buf[i] != '\r' && len < sizeof(line) - 1) {
				line[len++] = buf[i];
			}
		}
	}
}

static bool is_zero(const uint8_t *p, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (p[i])
			return false;
	}
	return true;
}

static int read_page(struct demo *d, uint64_t off, uint8_t *buf)
{
	return probe_read(d->ram + off, buf, PVM_PAGE);
}

/* Was the page private when the guest died? */
static uint8_t *private_map(struct demo *d)
{
	uint8_t *map = calloc(d->target.size / PVM_PAGE, 1);
	struct gmem_run run;

	for (uint64_t off = 0; map && off < d->target.size; off += run.size) {
		if (gmem_next_run(d->target.fd, off, d->target.size, &run)) {
			free(map);
			return NULL;
		}
		memset(map + off / PVM_PAGE, run.private && run.populated,
		       run.size / PVM_PAGE);
	}
	return map;
}

static void demo_scrubbed_all(struct demo *d, const uint8_t *private)
{
	unsigned long long owned = 0, dirty = 0, barred = 0;
	uint8_t page[PVM_PAGE];

	if (d->trace_err) {
		result(d, ROW_SCRUBBED_ALL, false, "not checked: tracepoint pkvm_gmem_donate: %s",
		       strerror(-d->trace_err));
		return;
	}
	if (d->trace.lossy) {
		result(d, ROW_SCRUBBED_ALL, false, "not checked: the trace lost events");
		return;
	}
	/* What the guest never touched it never owned: there our image is left. */
	for (uint64_t i = 0; i < d->target.size / PVM_PAGE; i++) {
		if (!private[i] || !d->trace.donated[i])
			continue;
		owned++;
		if (read_page(d, i * PVM_PAGE, page))
			barred++;
		else if (!is_zero(page, PVM_PAGE))
			dirty++;
	}
	result(d, ROW_SCRUBBED_ALL, owned && !dirty && !barred,
	       "%llu pages: %llu not zero, %llu unreadable", owned, dirty, barred);
}

/* The VMM is gone; the file is ours alone. */
static void demo_after(struct demo *d)
{
	uint8_t *private, page[PVM_PAGE];
	uint64_t stuck = 0, pfn;
	int ret = 0, sig;

	if (!d->ready)
		return;
	private = private_map(d);
	if (!private) {
		result(d, ROW_SCRUBBED_PAGE, false, "not checked: the map cannot be read");
		return;
	}
	/* What the guest owned comes back as the VMM's memory is torn down. */
	for (int i = 0; i < TEARDOWN_TRIES; i++) {
		ret = gmem_set(d->target.fd, 0, d->target.size, false, &stuck);
		if (ret != -EPERM)
			break;
		usleep(TEARDOWN_PAUSE_US);
	}
	if (ret) {
		result(d, ROW_SCRUBBED_PAGE, false, "not checked: cannot be made shared: %s at %#llx",
		       strerror(-ret), (unsigned long long)(PVM_RAM_BASE + stuck));
		free(private);
		return;
	}

	sig = read_page(d, d->private_off, page);
	if (!private[d->private_off / PVM_PAGE])
		result(d, ROW_SCRUBBED_PAGE, false, "it was not private at the end");
	else
		result(d, ROW_SCRUBBED_PAGE, !sig && is_zero(page, PVM_PAGE), "%s",
		       sig ? probe_result(sig) : is_zero(page, PVM_PAGE) ? "zero" : "NOT zero");

	if (!d->trace_err)
		d->trace_err = trace_read(&d->trace, d->target.size / PVM_PAGE);
	demo_scrubbed_all(d, private);

	sig = read_page(d, d->shared_off, page);
	pfn = sig ? 0 : pfn_of(d->ram + d->shared_off);
	result(d, ROW_SAME_AFTER, pfn && pfn == d->shared_pfn, "shared pfn %#llx, now %#llx",
	       (unsigned long long)d->shared_pfn, (unsigned long long)pfn);

	sig = read_page(d, d->keep_off, page);
	page[sizeof(DEMO_KEEP)] = 0;
	result(d, ROW_KEPT, !sig && !private[d->keep_off / PVM_PAGE] &&
	       !memcmp(page, DEMO_KEEP, sizeof(DEMO_KEEP)), "%s%s%s",
	       sig ? probe_result(sig) : "\"", sig ? "" : (char *)page, sig ? "" : "\"");
	free(private);
}

static void demo_kmsg(struct demo *d)
{
	unsigned int lines;
	char first[120];
	int ret = kmsg_check(&lines, first, sizeof(first));

	if (ret == -ENODATA)
		result(d, ROW_KMSG, false, "lines were lost: start with a larger log_buf_len=");
	else if (ret < 0)
		result(d, ROW_KMSG, false, "not checked: /dev/kmsg: %s", strerror(-ret));
	else if (ret)
		result(d, ROW_KMSG, false, "%d reports: %s", ret, first);
	else
		result(d, ROW_KMSG, true, "none in %u lines", lines);
}

/* `pvm run` with our arguments and a word for the guest's init; its console in *console. */
static pid_t demo_spawn(int argc, char **argv, const char *append, int *console)
{
	char words[1024];
	char **args;
	int fds[2], null;
	pid_t pid;

	args = calloc(argc + 4, sizeof(*args));
	if (!args || pipe2(fds, O_CLOEXEC)) {
		free(args);
		return -1;
	}
	args[0] = "pvm";
	args[1] = "run";
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	snprintf(words, sizeof(words), "%s%s" DEMO_WORD, append, *append ? " " : "");
	args[argc + 1] = "--append";
	args[argc + 2] = words;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDONLY);
		if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		    dup2(fds[1], STDOUT_FILENO) < 0)
			_exit(PVM_EXIT_FAIL);
		execv("/proc/self/exe", args);
		_exit(PVM_EXIT_FAIL);
	}
	free(args);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	*console = fds[0];
	return pid;
}

/* Waits until the VMM has its guest_memfd, or is gone. */
static bool demo_attach(struct demo *d, pid_t pid)
{
	siginfo_t info;

	for (int i = 0; i < FD_TRIES; i++) {
		if (!target_open(pid, &d->target, true)) {
			d->ram = mmap(NULL, d->target.size, PROT_READ | PROT_WRITE,
				      MAP_SHARED, d->target.fd, 0);
			if (d->ram != MAP_FAILED)
				return true;
			say("cannot map the guest_memfd: %s", strerror(errno));
			target_close(&d->target);
			return false;
		}
		info.si_pid = 0;
		if (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return false;
		usleep(FD_PAUSE_US);
	}
	say("the VMM made no guest_memfd");
	return false;
}

int cmd_demo(int argc, char **argv)
{
	static struct demo d;
	struct pvm_options opt;
	int ret, status, console, code;
	pid_t pid;

	ret = options_parse(argc, argv, &opt);
	if (ret)
		return ret;
	if (opt.anon || !opt.protect) {
		say("demo shows a protected guest in a guest_memfd: leave out --unprotected and --anon");
		return PVM_EXIT_USAGE;
	}

	d.target.fd = -1;
	d.trace_err = trace_start();
	d.trace.active = !d.trace_err;

	pid = demo_spawn(argc, argv, opt.append, &console);
	if (pid < 0) {
		say("cannot start pvm run: %s", strerror(errno));
		trace_stop(&d.trace);
		return PVM_EXIT_FAIL;
	}
	d.have_target = demo_attach(&d, pid);
	demo_relay(&d, console);
	close(console);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : PVM_EXIT_SIGNAL + WTERMSIG(status);

	/* It never ran: its own message says why, and a table would say nothing. */
	if (!d.have_target && code) {
		trace_stop(&d.trace);
		return code;
	}

	result(&d, ROW_EXIT, !code, code ? "pvm run returned %d" : "power-off", code);
	demo_after(&d);
	demo_kmsg(&d);
	trace_stop(&d.trace);
	ret = print_table(&d);
	if (d.have_target) {
		munmap(d.ram, d.target.size);
		target_close(&d.target);
	}
	if (fflush(stdout))
		return PVM_EXIT_FAIL;
	return ret ? PVM_EXIT_FAIL : PVM_EXIT_OK;
}
