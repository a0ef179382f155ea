// SPDX-License-Identifier: GPL-2.0-only
/*
 * Allocations that fail, see the header.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "fail_nth.h"
#include "guest_memfd_util.h"

#define FAIL_NTH	"/proc/thread-self/fail-nth"
#define KNOBS		"/sys/kernel/debug/"

/* By default neither GFP_KERNEL nor single pages nor user memory fail. */
static struct {
	const char *path, *value;
	char before[16];
} knobs[] = {
	{ KNOBS "failslab/ignore-gfp-wait", "N" },
	{ KNOBS "failslab/cache-filter", "N" },
	{ KNOBS "failslab/verbose", "0" },
	{ KNOBS "fail_page_alloc/ignore-gfp-wait", "N" },
	{ KNOBS "fail_page_alloc/ignore-gfp-highmem", "N" },
	{ KNOBS "fail_page_alloc/min-order", "0" },
	{ KNOBS "fail_page_alloc/verbose", "0" },
};

static int knobs_set(void)
{
	int ret = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(knobs) && !ret; i++) {
		gmem_read_file(knobs[i].path, knobs[i].before, sizeof(knobs[i].before));
		ret = gmem_write_file(knobs[i].path, knobs[i].value);
	}
	return ret;
}

void fail_nth_restore(void)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(knobs); i++) {
		if (knobs[i].before[0])
			gmem_write_file(knobs[i].path, knobs[i].before);
	}
}

void fail_nth_require(void)
{
	int ret;

	__TEST_REQUIRE(!access(FAIL_NTH, W_OK), "no CONFIG_FAULT_INJECTION");
	ret = knobs_set();
	if (ret)
		fail_nth_restore();
	__TEST_REQUIRE(!ret, "no CONFIG_FAILSLAB, CONFIG_FAIL_PAGE_ALLOC with their debugfs: %d",
		       ret);
}

static __thread int nth_fd = -1;

void fail_nth_open(void)
{
	if (nth_fd >= 0)
		close(nth_fd);
	nth_fd = open(FAIL_NTH, O_RDWR | O_CLOEXEC);
	TEST_ASSERT(nth_fd >= 0, FAIL_NTH ": errno %d", errno);
}

void fail_nth(unsigned int n)
{
	char buf[16];
	int len = snprintf(buf, sizeof(buf), "%u", n);

	TEST_ASSERT(pwrite(nth_fd, buf, len, 0) == len, "fail-nth: errno %d", errno);
}

bool fail_nth_end(void)
{
	char buf[16] = "";

	TEST_ASSERT(pread(nth_fd, buf, sizeof(buf) - 1, 0) > 0, "fail-nth: errno %d", errno);
	fail_nth(0);
	return !atoi(buf);
}
