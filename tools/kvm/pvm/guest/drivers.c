// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries the drivers that a protected guest has, /dev/pkvm-share, the one that relinquishes
 * free memory and the one that says what is a device, for tests/drivers.sh: says "guest:
 * NAME ok" or "guest: NAME FAILED: why" for each. Then it waits for a line from the console,
 * so that the host can look at it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/array_size.h"
#include "guest/lines.h"
#include "guest/memory.h"
#include "guest/tries.h"
#include "guest/words.h"

#define MOST_PAGES	1024UL	/* that one mapping of the driver's may have */
#define SOME_PAGES	8UL

/* pvm's serial port, and an address where it has nothing. */
#define UART		0x09000000
#define UART_LSR	5
#define LSR_EMPTY	0x60
#define NOTHING		0x0b000000

static void *map(int fd, size_t pages, int flags, off_t off)
{
	return mmap(NULL, pages * PAGE, PROT_READ | PROT_WRITE, flags, fd, off);
}

/* All of it zero, then of our own making; and every page a page of its own. */
static bool is_new_memory(uint64_t *p, size_t pages)
{
	size_t step = PAGE / sizeof(*p);

	for (size_t i = 0; i < pages * step; i++)
		if (p[i])
			return false;
	for (size_t i = 0; i < pages; i++)
		p[i * step] = i + 1;
	for (size_t i = 0; i < pages; i++)
		if (p[i * step] != i + 1)
			return false;
	return true;
}

static bool try_refusals(int fd)
{
	struct {
		size_t pages;
		int flags;
		off_t off;
	} bad[] = {
		{ 1,			MAP_PRIVATE,	0 },
		{ 1,			MAP_SHARED,	PAGE },
		{ MOST_PAGES + 1,	MAP_SHARED,	0 },
	};

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
		if (map(fd, bad[i].pages, bad[i].flags, bad[i].off) != MAP_FAILED)
			return failed("share", "a mapping that it must refuse");
		if (errno != EINVAL)
			return failed("share", "refused with another error than EINVAL");
	}
	return true;
}

/* The pages live as long as any part of them is mapped, by whomever. */
static bool try_fork(uint64_t *p)
{
	size_t step = PAGE / sizeof(*p);
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return failed("share", "fork");
	if (!pid) {
		/* A hole in the middle: the child's mapping is two. */
		if (munmap(p + 2 * step, PAGE))
			_exit(1);
		p[3 * step] = 42;
		_exit(p[step] == 2 ? 0 : 2);
	}
	if (munmap(p, PAGE) || waitpid(pid, &status, 0) != pid)
		return failed("share", "munmap, waitpid");
	if (status)
		return failed("share", "the child sees other pages");
	if (p[3 * step] != 42 || p[2 * step] != 3)
		return failed("share", "the child's word is not there");
	return true;
}

static bool try_share(void)
{
	int fd = open(SHARE_DEV, O_RDWR);
	void *most, *some;

	if (fd < 0)
		return failed("share", "open");
	if (!try_refusals(fd))
		return false;

	most = map(fd, MOST_PAGES, MAP_SHARED, 0);
	some = map(fd, SOME_PAGES, MAP_SHARED, 0);
	if (most == MAP_FAILED || some == MAP_FAILED)
		return failed("share", "mmap");
	if (!is_new_memory(most, MOST_PAGES) || !is_new_memory(some, SOME_PAGES))
		return failed("share", "its content");
	if (mremap(some, SOME_PAGES * PAGE, 2 * SOME_PAGES * PAGE, MREMAP_MAYMOVE) != MAP_FAILED)
		return failed("share", "a mapping grows");
	if (munmap(most, MOST_PAGES * PAGE) || !try_fork(some))
		return false;
	if (munmap((char *)some + PAGE, (SOME_PAGES - 1) * PAGE))
		return failed("share", "munmap");

	/* What was unshared is memory like any other, and new when it is shared again. */
	most = map(fd, MOST_PAGES, MAP_SHARED, 0);
	close(fd);
	if (most == MAP_FAILED || !is_new_memory(most, MOST_PAGES))
		return failed("share", "once more");
	munmap(most, MOST_PAGES * PAGE);
	put("guest: share ok");
	return true;
}

static int set_relinquish(const char *val)
{
	int fd = open(RELINQUISH, O_WRONLY), err = 0;

	if (fd < 0 || write(fd, val, strlen(val)) < 0)
		err = errno;
	close(fd);
	return err;
}

/* Where it cannot be on, it stays off and says so. */
static bool try_relinquish(void)
{
	bool on = has_word(RELINQUISH, "Y");

	if (set_relinquish("perhaps") != EINVAL || has_word(RELINQUISH, "Y") != on)
		return failed("relinquish", "a word that is none");
	if (!on) {
		if (set_relinquish("Y") != EOPNOTSUPP || has_word(RELINQUISH, "Y"))
			return failed("relinquish", "it lets itself be turned on");
		put("guest: relinquish ok, off");
		return true;
	}

	if (set_relinquish("N") || has_word(RELINQUISH, "Y") || set_relinquish("N"))
		return failed("relinquish", "it cannot be turned off");
	if (set_relinquish("Y") || !has_word(RELINQUISH, "Y"))
		return failed("relinquish", "it cannot be turned on again");
	put("guest: relinquish ok, on");
	return true;
}

/* A byte of a device page, read by a process that may die of it; its status. */
static int read_device(int fd, off_t addr, off_t reg)
{
	int status = -1;
	pid_t pid = fork();

	if (!pid) {
		const volatile uint8_t *p = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, addr);

		_exit(p == MAP_FAILED ? 0 : p[reg]);
	}
	if (pid > 0 && waitpid(pid, &status, 0) != pid)
		status = -1;
	return status;
}

/* A page that a driver has mapped is a device's, and another that is no memory is nothing. */
static bool try_mmio(void)
{
	int fd = open("/dev/mem", O_RDONLY | O_SYNC), uart, nothing;

	if (fd < 0)
		return failed("mmio", "open /dev/mem");
	uart = read_device(fd, UART, UART_LSR);
	nothing = read_device(fd, NOTHING, 0);
	close(fd);
	if (!WIFEXITED(uart) || !(WEXITSTATUS(uart) & LSR_EMPTY))
		return failed("mmio", "the serial port does not answer");
	if (!WIFSIGNALED(nothing) || WTERMSIG(nothing) != SIGBUS)
		return failed("mmio", "what nobody has guarded is a device");
	put("guest: mmio ok, guarded");
	return true;
}

void try_drivers(void)
{
	try_share();
	try_relinquish();
	try_mmio();
	listen_to_console("to be looked at");
}
