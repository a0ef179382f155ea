// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the guest writes to a console.
 */
#include <errno.h>
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include "devices/output.h"
#include "vmm/stats.h"
#include "vmm/vm.h"

/*
 * To the user, who may read slowly or not at all: gives up when the guest is stopped,
 * of which thread_join() tells us. What cannot be written is lost.
 */
static void output_write(struct vm *vm, int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len && !(vm && vm_stopping(vm))) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd full = { .fd = fd, .events = POLLOUT };

			poll(&full, 1, -1);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
}

/* vm is NULL in a test of a device alone. */
void output_console(struct vm *vm, int fd, const uint8_t *buf, size_t len)
{
	output_write(vm, fd, buf, len);
	for (size_t i = 0; i < len && vm; i++)
		stats_console(vm, buf[i]);
}
