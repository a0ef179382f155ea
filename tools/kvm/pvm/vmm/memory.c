// SPDX-License-Identifier: GPL-2.0-only
/*
 * Guest memory: one guest_memfd (or pinned anonymous memory), and the only code that
 * touches it.
 *
 * A guest may take back a page that it shared at any time, and the host's mapping
 * then raises SIGBUS. So pvm never dereferences guest memory: the kernel copies for
 * us (copy.c, or a read() or write() of a file), and what it cannot reach is -EFAULT.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/exit_codes.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/say.h"
#include "vmm/copy.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

#define HUGE_PAGE	(2ULL << 20)

static void *memory_host(struct vm *vm, uint64_t gpa, size_t len)
{
	uint64_t offset = gpa - PVM_RAM_BASE;

	if (gpa < PVM_RAM_BASE || offset > vm->opt->mem || len > vm->opt->mem - offset)
		return NULL;
	return (char *)vm->ram + offset;
}

int memory_read(struct vm *vm, uint64_t gpa, void *buf, size_t len)
{
	void *host = memory_host(vm, gpa, len);

	return host ? copy_from_fragile(buf, host, len) : -EFAULT;
}

int memory_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len)
{
	void *host = memory_host(vm, gpa, len);

	return host ? copy_to_fragile(host, buf, len) : -EFAULT;
}

/* len bytes from the file's current place; -ENODATA if it ends before. */
int memory_load(struct vm *vm, uint64_t gpa, int fd, uint64_t len)
{
	char *host = memory_host(vm, gpa, len);

	if (!host)
		return -EFAULT;

	while (len) {
		ssize_t n = read(fd, host, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			return -ENODATA;
		host += n;
		len -= n;
	}
	return 0;
}

/*
 * From a file into guest memory, or back; the kernel copies, and nothing is pinned. The
 * guest's part in a failure is -EFAULT, the file's any other; -ENODATA is its end.
 */
int memory_pread(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len)
{
	char *host = memory_host(vm, gpa, len);

	if (!host)
		return -EFAULT;
	while (len) {
		ssize_t n = pread(fd, host, len, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -ENODATA;
		host += n;
		pos += n;
		len -= n;
	}
	return 0;
}

int memory_pwrite(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len)
{
	const char *host = memory_host(vm, gpa, len);

	if (!host)
		return -EFAULT;
	while (len) {
		ssize_t n = pwrite(fd, host, len, pos);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n ? -errno : -EIO;
		host += n;
		pos += n;
		len -= n;
	}
	return 0;
}

/* Pinned pages of a protected guest are charged to RLIMIT_MEMLOCK. */
static int memory_raise_memlock(uint64_t mem)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };

	if (!setrlimit(RLIMIT_MEMLOCK, &lim))
		return 0;
	if (getrlimit(RLIMIT_MEMLOCK, &lim))
		return -errno;
	if (lim.rlim_max == RLIM_INFINITY || lim.rlim_max >= mem) {
		lim.rlim_cur = lim.rlim_max;
		return setrlimit(RLIMIT_MEMLOCK, &lim) ? -errno : 0;
	}
	return -EPERM;
}

/* Where a huge page of the host's can be one of the guest's. MAP_FAILED on failure. */
static void *map_aligned(uint64_t size)
{
	uintptr_t start, aligned;
	void *map;

	map = mmap(NULL, size + HUGE_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (map == MAP_FAILED)
		return map;

	start = (uintptr_t)map;
	aligned = (start + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	if (aligned > start)
		munmap(map, aligned - start);
	munmap((void *)(aligned + size), start + HUGE_PAGE - aligned);
	return (void *)aligned;
}

static int memory_create_anon(struct vm *vm)
{
	struct kvm_userspace_memory_region slot = {
		.guest_phys_addr = PVM_RAM_BASE,
		.memory_size = vm->opt->mem,
	};

	if (vm->opt->protect && memory_raise_memlock(vm->opt->mem)) {
		say("--anon: RLIMIT_MEMLOCK is below --mem, and pinned memory is charged to it: raise it (ulimit -l), or leave out --anon");
		return PVM_EXIT_HOST;
	}

	vm->ram = map_aligned(vm->opt->mem);
	if (vm->ram == MAP_FAILED) {
		say("--mem: cannot map guest memory: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}
	/* Pinned memory is given away page by page: huge ones would only be split. */
	if (!vm->opt->protect && madvise(vm->ram, vm->opt->mem, MADV_HUGEPAGE))
		say("--anon: no huge pages on this host (%s)", strerror(errno));

	slot.userspace_addr = (uintptr_t)vm->ram;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot)) {
		say("KVM_SET_USER_MEMORY_REGION: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}
	return 0;
}

static int memory_create_gmem(struct vm *vm)
{
	struct kvm_create_guest_memfd create = {
		.size = vm->opt->mem,
		.flags = GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
	};
	struct kvm_userspace_memory_region2 slot = {
		.flags = KVM_MEM_GUEST_MEMFD,
		.guest_phys_addr = PVM_RAM_BASE,
		.memory_size = vm->opt->mem,
	};

	vm->gmem_fd = ioctl(vm->fd, KVM_CREATE_GUEST_MEMFD, &create);
	if (vm->gmem_fd < 0) {
		say("this kernel cannot make a guest_memfd that the host may map (%s): use one with CONFIG_KVM_GUEST_MEMFD, or --anon",
		    strerror(errno));
		return PVM_EXIT_HOST;
	}

	vm->ram = mmap(NULL, vm->opt->mem, PROT_READ | PROT_WRITE, MAP_SHARED,
		       vm->gmem_fd, 0);
	if (vm->ram == MAP_FAILED) {
		say("--mem: cannot map the guest_memfd: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}

	slot.userspace_addr = (uintptr_t)vm->ram;
	slot.guest_memfd = vm->gmem_fd;
	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION2, &slot)) {
		say("KVM_SET_USER_MEMORY_REGION2: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}
	return 0;
}

/* Reported; PVM_EXIT_*. */
int memory_create(struct vm *vm)
{
	int ret = vm->opt->anon ? memory_create_anon(vm) : memory_create_gmem(vm);

	if (vm->ram == MAP_FAILED)
		vm->ram = NULL;
	return ret;
}

void memory_destroy(struct vm *vm)
{
	if (vm->ram)
		munmap(vm->ram, vm->opt->mem);
	if (vm->gmem_fd >= 0)
		close(vm->gmem_fd);
}

/*
 * The guest's image is in place: from here on, all of a protected guest's memory is
 * its own. Reported; PVM_EXIT_*.
 */
int memory_seal(struct vm *vm)
{
	uint64_t offset = 0;
	int ret;

	if (!vm->opt->protect || vm->opt->anon)
		return 0;

	ret = gmem_set(vm->gmem_fd, 0, vm->opt->mem, true, &offset);
	if (ret) {
		say("cannot make guest memory private: %s at offset %#llx%s", strerror(-ret),
		    (unsigned long long)offset,
		    ret == -EAGAIN ? " (some process holds a reference to the page)" : "");
		return PVM_EXIT_FAIL;
	}
	return 0;
}
