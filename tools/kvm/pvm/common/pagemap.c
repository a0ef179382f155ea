// SPDX-License-Identifier: GPL-2.0-only
/*
 * Where this process's memory is, by what the kernel tells of it.
 */
#include <fcntl.h>
#include <unistd.h>

#include "common/layout.h"
#include "common/pagemap.h"

/* The physical page behind an address of ours; 0 if none or not permitted. */
uint64_t pfn_of(const void *addr)
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
