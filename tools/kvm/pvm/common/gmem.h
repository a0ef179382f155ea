/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ioctls on a guest_memfd, of this process or another's.
 */
#ifndef PVM_GMEM_H
#define PVM_GMEM_H

#include <stdbool.h>
#include <stdint.h>

/* What a page of the guest's is, to the host. */
enum page_state {
	PAGE_UNTOUCHED,			/* nothing is there yet */
	PAGE_RELINQUISHED,		/* nothing is there any more: guest or host gave it up */
	PAGE_PRIVATE,
	PAGE_SHARED,
	PAGE_POISONED,			/* destroyed under the guest */
	NR_PAGE_STATES
};

struct gmem_run {
	uint64_t offset;
	uint64_t size;
	bool private;
	bool populated;
	enum page_state state;
};

int gmem_set(int fd, uint64_t offset, uint64_t size, bool private, uint64_t *error_offset);
int gmem_next_run(int fd, uint64_t offset, uint64_t end, struct gmem_run *run);

#endif
