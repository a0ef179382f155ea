// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's part of `pvm demo`: talks with it through pages that it shares.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "common/pagemap.h"
#include "guest/demo.h"
#include "guest/lines.h"
#include "guest/memory.h"
#include "guest/tries.h"
#include "guest/words.h"

/* The most that we hold to give it back, and what is too little to be seen. */
#define CHUNK_MAX	(48 * MIB)
#define CHUNK_MIN	(8 * MIB)

/* The guest physical address of a page of ours; 0 on failure. */
static uint64_t gpa_of(const void *addr)
{
	return pfn_of(addr) * PAGE;
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

void dialogue(void)
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
