// SPDX-License-Identifier: GPL-2.0-only
/*
 * What conversions of a guest_memfd cost, without a guest: not a test, for nothing that
 * depends on time can fail. Prints "name value", one per line; scripts/bench puts them
 * beside each other. Values are nanoseconds: on a machine whose clock counts
 * instructions (QEMU's -icount shift=0) that is what they are.
 */
#include <errno.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "guest_memfd_util.h"
#include "kselftest.h"

#define LARGE		(1ULL << 30)
#define NR_PAGES	512

static size_t page;
static int vm;

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void report(const char *name, u64 value)
{
	printf("%s %llu\n", name, (unsigned long long)value);
}

/* In ours the attributes are the file's; in the base they are the VM's. */
struct way {
	const char *name;
	void (*set)(int fd, u64 offset, u64 size, u64 attributes);
};

static void set_file(int fd, u64 offset, u64 size, u64 attributes)
{
	int ret = gmem_set_attr(fd, offset, size, attributes);

	TEST_ASSERT(!ret, "KVM_SET_MEMORY_ATTRIBUTES2: %d", ret);
}

static void __maybe_unused set_vm(int fd, u64 offset, u64 size, u64 attributes)
{
	struct kvm_memory_attributes attr = {
		.address = offset,
		.size = size,
		.attributes = attributes,
	};

	TEST_ASSERT(!ioctl(vm, KVM_SET_MEMORY_ATTRIBUTES, &attr),
		    "KVM_SET_MEMORY_ATTRIBUTES: errno %d", errno);
}

static const struct way file_way = { "file", set_file };
static const struct way __maybe_unused vm_way = { "vm", set_vm };

static u64 cost(const struct way *way, int fd, u64 size, u64 step, u64 attributes)
{
	u64 offset, start = now();

	for (offset = 0; offset < size; offset += step)
		way->set(fd, offset, step, attributes);
	return now() - start;
}

/* A file of which nothing is in memory, all of it shared; or with all of it in memory. */
static int create(u64 size, bool populate)
{
	int fd = gmem_create(vm, size, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	char *mem;
	u64 i;

	TEST_ASSERT(fd >= 0, "guest_memfd: %d", fd);
	if (populate) {
		mem = gmem_map(fd, size);
		for (i = 0; i < size; i += page)
			WRITE_ONCE(mem[i], 1);
		munmap(mem, size);
	}
	return fd;
}

/*
 * To private and back, twice: the first time a file pays for its tables, which is where
 * a cost that grows with the range would show; what a first call pays once for the whole
 * system is left out by doing it before on another file.
 */
static void bench(const struct way *way, const char *what, u64 size, u64 step, bool populate)
{
	static const char * const names[] = { "private", "shared", "private_again" };
	int fd, warm = create(page, populate), i;
	char name[80];

	for (i = 0; i < 3; i++)
		cost(way, warm, page, page, i % 2 ? GMEM_SHARED : GMEM_PRIVATE);
	close(warm);

	fd = create(size, populate);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "%s_%s_%s", way->name, what, names[i]);
		report(name, cost(way, fd, size, step, i % 2 ? GMEM_SHARED : GMEM_PRIVATE));
	}
	cost(way, fd, size, size, GMEM_SHARED);
	close(fd);
}

static void bench_way(const struct way *way)
{
	bench(way, "page", page, page, false);
	bench(way, "gib", LARGE, LARGE, false);
	bench(way, "512_one_call", NR_PAGES * page, NR_PAGES * page, true);
	bench(way, "512_calls", NR_PAGES * page, page, true);
}

int main(void)
{
	page = getpagesize();
	vm = gmem_vm_open(gmem_private_vm_type());
	TEST_REQUIRE(vm >= 0);
	TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) == GMEM_PRIVATE);

	bench_way(&file_way);
#ifdef __x86_64__
	/* The base kernel's own, beside it. */
	bench_way(&vm_way);
#endif
	close(vm);
	return 0;
}
