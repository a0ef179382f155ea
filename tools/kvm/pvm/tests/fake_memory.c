// SPDX-License-Identifier: GPL-2.0-only
/*
 * memory.c's part in a fake guest, for who needs private pages: ordinary memory of exactly
 * its size, so that ASan sees what is read or written beyond it.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/layout.h"
#include "vmm/memory.h"
#include "vmm/vm.h"
#include "fake_guest.h"

bool *fake_private;

static uint8_t *host(struct vm *vm, uint64_t gpa, size_t len)
{
	uint64_t off = gpa - PVM_RAM_BASE;

	if (gpa < PVM_RAM_BASE || off > vm->opt->mem || len > vm->opt->mem - off)
		return NULL;
	for (uint64_t p = off / PVM_PAGE; len && p <= (off + len - 1) / PVM_PAGE; p++) {
		if (fake_private[p])
			return NULL;
	}
	return (uint8_t *)vm->ram + off;
}

int memory_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
	uint8_t *p = host(vm, gpa, len);

	if (p)
		memcpy(buf, p, len);
	return p ? 0 : -EFAULT;
}

int memory_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
	uint8_t *p = host(vm, gpa, len);

	if (p)
		memcpy(p, buf, len);
	return p ? 0 : -EFAULT;
}

int memory_pread(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len)
{
	uint8_t *p = host(vm, gpa, len);

	if (!p)
		return -EFAULT;
	return pread(fd, p, len, pos) == (ssize_t)len ? 0 : -EIO;
}

int memory_pwrite(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len)
{
	uint8_t *p = host(vm, gpa, len);

	if (!p)
		return -EFAULT;
	/* The device's check of its bounds is all that keeps the file from growing. */
	if (pos > FAKE_DISK || len > FAKE_DISK - pos)
		abort();
	return pwrite(fd, p, len, pos) == (ssize_t)len ? 0 : -EIO;
}
