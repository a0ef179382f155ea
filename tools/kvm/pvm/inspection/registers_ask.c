// SPDX-License-Identifier: GPL-2.0-only
/*
 * Has a running pvm try what a host might on its guest's registers. See registers_page.h.
 */
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/registers_page.h"
#include "inspection/registers_ask.h"
#include "inspection/target.h"

#define TRIES		6000
#define PAUSE_US	10000

static int ask(const struct target *t, struct registers_page *page, uint32_t which, int *got)
{
	uint32_t nr = page->answered + 1;

	page->which = which;
	__atomic_store_n(&page->asked, nr, __ATOMIC_SEQ_CST);
	if (syscall(SYS_pidfd_send_signal, t->pidfd, SIGUSR2, NULL, 0))
		return -errno;
	for (int i = 0; i < TRIES; i++) {
		if (__atomic_load_n(&page->answered, __ATOMIC_SEQ_CST) == nr) {
			for (int j = 0; j < NR_REGISTER_TRIES; j++)
				got[j] = page->got[j];
			return 0;
		}
		usleep(PAUSE_US);
	}
	return -ETIMEDOUT;
}

/* Has the target try these, as bits; what came of each in got[]. 0, or -errno. */
int registers_ask(const struct target *t, uint32_t which, int *got)
{
	int fd = target_get(t, REGISTERS_PAGE_NAME), ret;
	struct registers_page *page;

	if (fd < 0)
		return fd;
	page = mmap(NULL, sizeof(*page), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	ret = page == MAP_FAILED ? -errno : ask(t, page, which, got);
	if (page != MAP_FAILED)
		munmap(page, sizeof(*page));
	close(fd);
	return ret;
}
