// SPDX-License-Identifier: GPL-2.0-only
/*
 * The demonstration guest's only process: says what it runs on, uses some memory, talks
 * with `pvm demo` through a page that it shares, and powers off.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "demo.h"
#include "guest.h"

#define PAGE		4096UL
#define MIB		(1UL << 20)
#define SHARE_DEV	"/dev/pkvm-share"
#define REPORT_DELAY	"/sys/module/page_reporting/parameters/page_reporting_delay_ms"

/* The most that we hold to give it back, and what is too little to be seen. */
#define CHUNK_MAX	(48 * MIB)
#define CHUNK_MIN	(8 * MIB)

/* One write a line, so that no other line gets into it. */
void put(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n)
		return;
}

/* For the tests: what was tried did not work. Returns false. */
bool failed(const char *name, const char *why)
{
	put("guest: %s FAILED: %s (%s)", name, why, strerror(errno));
	return false;
}

/* A line from the console, the host's sign to go on; NULL if there is none. */
const char *listen_to_console(const char *why)
{
	static char line[128];

	put("guest: waits %s", why);
	if (!fgets(line, sizeof(line), stdin)) {
		failed("console", "no line came");
		return NULL;
	}
	line[strcspn(line, "\r\n")] = 0;
	put("guest: heard '%s'", line);
	return line;
}

static void end(bool reset)
{
	put(reset ? "guest: reset" : "guest: power-off");
	sync();
	reboot(reset ? RB_AUTOBOOT : RB_POWER_OFF);
	for (;;)
		pause();
}

static void setup(void)
{
	int fd;

	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mount("proc", "/proc", "proc", 0, NULL);
	mount("sysfs", "/sys", "sysfs", 0, NULL);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	fd = open("/dev/console", O_RDWR);
	if (fd >= 0) {
		dup2(fd, STDIN_FILENO);
		dup2(fd, STDOUT_FILENO);
		dup2(fd, STDERR_FILENO);
		if (fd > STDERR_FILENO)
			close(fd);
	}
	/* Only errors may still come between our lines. */
	klogctl(8, NULL, 4);

	/* Nobody wants to wait for two seconds at a time. */
	fd = open(REPORT_DELAY, O_WRONLY);
	if (fd >= 0) {
		if (write(fd, "100", 3) != 3)
			put("guest: cannot set " REPORT_DELAY);
		close(fd);
	}
}

/* A line of /proc/meminfo, in kB; 0 if it is not there. */
static unsigned long meminfo_kb(const char *name)
{
	size_t len = strlen(name);
	unsigned long kb = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (strncmp(line, name, len) || line[len] != ':')
			continue;
		kb = strtoul(line + len + 1, NULL, 10);
		break;
	}
	fclose(f);
	return kb;
}

static void banner(void)
{
	struct utsname u;

	if (!uname(&u))
		put("guest: %s %s %s", u.sysname, u.release, u.machine);
	put("guest: %ld CPUs, %lu MiB of memory, %s", sysconf(_SC_NPROCESSORS_ONLN),
	    meminfo_kb("MemTotal") / 1024, access(SHARE_DEV, F_OK) ?
	    "no " SHARE_DEV " (not protected, or no driver)" : "protected by pKVM");
}

static size_t some_memory(void)
{
	return meminfo_kb("MemTotal") > 48 * 1024 ? 16 * MIB : 4 * MIB;
}

/* Memory that the host has never given us yet, and that must keep what we write. */
static bool use_memory(size_t size)
{
	uint64_t *p = mmap(NULL, size, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t n = size / sizeof(*p), bad = 0;

	if (p == MAP_FAILED) {
		put("guest: no %zu MiB to test", size / MIB);
		return false;
	}
	for (size_t i = 0; i < n; i++)
		p[i] = i * 0x9e3779b97f4a7c15ULL;
	for (size_t i = 0; i < n; i++)
		bad += p[i] != i * 0x9e3779b97f4a7c15ULL;
	munmap(p, size);
	put("guest: %zu MiB written and read back, %zu errors", size / MIB, bad);
	return !bad;
}

/* The guest physical address of a page of ours; 0 on failure. */
static uint64_t gpa_of(const void *addr)
{
	uint64_t entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry), (uintptr_t)addr / PAGE * sizeof(entry)) !=
	    sizeof(entry))
		entry = 0;
	close(fd);
	return entry >> 63 ? (entry & ((1ULL << 55) - 1)) * PAGE : 0;
}

/* A page shared with the host for as long as it is mapped. */
static char *share_page(void)
{
	int fd = open(SHARE_DEV, O_RDWR);
	char *p;

	if (fd < 0)
		return NULL;
	p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/*
 * Keeps a page from being free memory after it is unmapped: that might go back to the
 * host, who is to find the same page there at the end. A pipe holds it, to the end.
 */
static void hold_page(char *page)
{
	struct iovec iov = { .iov_base = page, .iov_len = PAGE };
	int fds[2];

	if (pipe(fds) || vmsplice(fds[1], &iov, 1, 0) != (ssize_t)PAGE)
		put("guest: cannot hold the shared page: %s", strerror(errno));
}

/* What the host wrote, once it has; NULL if it never does. */
static const char *await(const volatile char *from)
{
	static char text[64];

	for (int ms = 0; ms < DEMO_PATIENCE_MS; ms += 10) {
		if (*from) {
			/* It may still be writing. */
			usleep(50000);
			for (size_t i = 0; i < sizeof(text) - 1; i++)
				text[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : 0;
			return text;
		}
		usleep(10000);
	}
	return NULL;
}

/* What stands in the file from there on; NULL if the word does not. */
static const char *find_word(const char *path, const char *word)
{
	static char text[2048];
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[len < 0 ? 0 : len] = 0;
	return strstr(text, word);
}

int has_word(const char *path, const char *word)
{
	return !!find_word(path, word);
}

/* Of a word of the command line; what follows it may follow the value as well. */
const char *word_value(const char *word)
{
	const char *p = find_word("/proc/cmdline", word);

	return p ? p + strlen(word) : "";
}

/*
 * Uses a lot of memory and frees it, and lets the host look before and after. The
 * kernel relinquishes what is free in large blocks.
 */
static void give_back(const char *keep)
{
	size_t size = meminfo_kb("MemTotal") / 2 / 1024 * MIB;
	char *p;

	if (!has_word(RELINQUISH, "Y")) {
		put(DEMO_HOARDS "the kernel does not relinquish free memory");
		return;
	}
	if (size > CHUNK_MAX)
		size = CHUNK_MAX;
	if (size < CHUNK_MIN) {
		put(DEMO_HOARDS "there is too little memory");
		return;
	}
	p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED) {
		put(DEMO_HOARDS "no memory: %s", strerror(errno));
		return;
	}
	memset(p, 0x5a, size);
	put(DEMO_HOLDS "%zu MiB", size / MIB);
	if (!await(keep + DEMO_HOLDS_OFF))
		put("guest: the host has not looked at the memory in use");
	munmap(p, size);

	put(DEMO_FREED);
	if (!await(keep + DEMO_FREED_OFF))
		put("guest: the host has not looked at the freed memory");
}

static bool is_intact(const char *secret)
{
	for (size_t i = 0; i + sizeof(DEMO_SECRET) <= PAGE; i += sizeof(DEMO_SECRET)) {
		if (memcmp(secret + i, DEMO_SECRET, sizeof(DEMO_SECRET)))
			return false;
	}
	return true;
}

static void dialogue(void)
{
	char *secret, *shared, *keep;
	const char *text;

	if (!has_word("/proc/cmdline", DEMO_WORD))
		return;
	if (access(SHARE_DEV, F_OK)) {
		put(DEMO_NONE "there is no " SHARE_DEV);
		return;
	}
	secret = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	shared = share_page();
	keep = share_page();
	if (secret == MAP_FAILED || !shared || !keep) {
		put(DEMO_NONE "cannot share a page: %s", strerror(errno));
		return;
	}
	mlock(secret, PAGE);
	for (size_t i = 0; i + sizeof(DEMO_SECRET) <= PAGE; i += sizeof(DEMO_SECRET))
		memcpy(secret + i, DEMO_SECRET, sizeof(DEMO_SECRET));
	memcpy(shared, DEMO_HELLO, sizeof(DEMO_HELLO));
	memcpy(keep, DEMO_KEEP, sizeof(DEMO_KEEP));

	put(DEMO_READY "private=%#llx shared=%#llx keep=%#llx",
	    (unsigned long long)gpa_of(secret), (unsigned long long)gpa_of(shared),
	    (unsigned long long)gpa_of(keep));

	text = await(shared + DEMO_REPLY_OFF);
	if (!text) {
		put("guest: no answer from the host");
		return;
	}
	put(DEMO_ANSWER "%s", text);

	hold_page(shared);
	munmap(shared, PAGE);
	put(DEMO_UNSHARED);
	if (!await(keep + DEMO_SEEN_OFF))
		put("guest: the host has not looked at the unshared page");

	give_back(keep);
	/* Some of what it uses now comes from the host once more. */
	put(use_memory(some_memory()) && is_intact(secret) ? DEMO_INTACT : DEMO_DAMAGED);
	/* keep stays mapped, and so shared, and secret private, to the end. */
}

int main(void)
{
	const char *line = NULL;

	setup();
	banner();
	if (!use_memory(some_memory()))
		put("guest: FAILED");
	if (has_word("/proc/cmdline", DEVICES_WORD))
		try_devices();
	if (has_word("/proc/cmdline", DRIVERS_WORD))
		try_drivers();
	if (has_word("/proc/cmdline", CPUS_WORD))
		try_cpus();
	dialogue();
	if (has_word("/proc/cmdline", END_WORD))
		line = listen_to_console("for its end");
	end(line && !strcmp(line, "reset"));
	return 0;
}
