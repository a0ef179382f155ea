// SPDX-License-Identifier: GPL-2.0-only
/*
 * Reads the kernel log for reports of trouble: WARN, BUG, lockdep, KASAN, hangs.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/array_size.h"
#include "inspection/kmsg.h"

static const char *const trouble[] = {
	"WARNING: ", "BUG: ", "Oops", "Kernel panic", "Internal error", "cut here",
	"possible recursive locking", "possible circular locking", "possible irq lock",
	"inconsistent lock state", "INFO: possible", "suspicious RCU", "rcu_preempt detected",
	"self-detected stall", "blocked for more than", "soft lockup", "refcount_t: ",
	"Bad page", "KASAN: ", "UBSAN: ", "nVHE hyp panic", "hyp panic", "lockdep:",
	"held lock freed", "DEBUG_LOCKS_WARN_ON",
};

/*
 * The number of lines that tell of trouble, with the first of them; *lines is how many
 * were read. -ENODATA if the log's oldest lines were lost.
 */
int kmsg_check(unsigned int *lines, char *first, size_t len)
{
	unsigned long long seq = 0, expect = 0;
	bool lost = false;
	char rec[8192];
	int fd, found = 0;

	*lines = 0;
	*first = 0;
	fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	for (;;) {
		ssize_t n = read(fd, rec, sizeof(rec) - 1);
		char *text, *end;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EPIPE) {
			lost = true;
			continue;
		}
		if (n <= 0)
			break;
		rec[n] = 0;
		if (sscanf(rec, "%*u,%llu,", &seq) == 1) {
			lost |= seq != expect;
			expect = seq + 1;
		}
		text = strchr(rec, ';');
		text = text ? text + 1 : rec;
		end = strchr(text, '\n');
		if (end)
			*end = 0;
		(*lines)++;
		for (size_t i = 0; i < ARRAY_SIZE(trouble); i++) {
			if (!strstr(text, trouble[i]))
				continue;
			if (!found++)
				snprintf(first, len, "%s", text);
			break;
		}
	}
	close(fd);
	return found || !lost ? found : -ENODATA;
}
