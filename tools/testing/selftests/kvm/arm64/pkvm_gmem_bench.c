// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a protected guest's memory costs the host, on guest_memfd and, beside it, on the
 * base kernel's pinned anonymous memory: giving it, sharing it, taking it back. Not a
 * test. Prints "name value", one per line, for scripts/bench: _ns are nanoseconds (and
 * instructions, where those drive the clock), _exits are KVM's count of guest exits.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/sizes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>

#include "kselftest.h"
#include "pkvm_guest.h"

#define DATA_GPA	0x80000000ULL
#define TOUCH_SIZE	(64ULL << 20)
#define SHARE_GPA	(DATA_GPA + TOUCH_SIZE)
#define SHARE_PAGES	512
#define CODE_GPA	(SHARE_GPA + SHARE_PAGES * SZ_4K)
#define DATA_SIZE	(CODE_GPA + SZ_4K - DATA_GPA)

/*
 * For PKVM_OP_EXEC: function x1 on x3 granules of 4 KiB from x2 on, x4 of them (0: one, as
 * the base has it) in a call. Returns the number of calls, or -1. As the payload itself:
 * position independent, registers only, x19 and x28 untouched.
 */
static const u32 call_loop[] = {
	0xaa0103e5,	/*    mov   x5, x1 */
	0xaa0203e6,	/*    mov   x6, x2 */
	0xaa0303e7,	/*    mov   x7, x3 */
	0xaa0403e8,	/*    mov   x8, x4 */
	0xd280000a,	/*    mov   x10, #0 */
	0xb40001c7,	/* 1: cbz   x7, 2f */
	0xaa0503e0,	/*    mov   x0, x5 */
	0xaa0603e1,	/*    mov   x1, x6 */
	0xaa0803e2,	/*    mov   x2, x8 */
	0xd2800003,	/*    mov   x3, #0 */
	0xd4000002,	/*    hvc   #0 */
	0xb5000140,	/*    cbnz  x0, 3f */
	0x9100054a,	/*    add   x10, x10, #1 */
	0xf100011f,	/*    cmp   x8, #0 */
	0x9a9f1421,	/*    csinc x1, x1, xzr, ne */
	0xb40000c1,	/*    cbz   x1, 3f */
	0x8b0130c6,	/*    add   x6, x6, x1, lsl #12 */
	0xcb0100e7,	/*    sub   x7, x7, x1 */
	0x17fffff3,	/*    b     1b */
	0xaa0a03e0,	/* 2: mov   x0, x10 */
	0xd65f03c0,	/*    ret */
	0x92800000,	/* 3: mov   x0, #-1 */
	0xd65f03c0,	/*    ret */
};

struct guest {
	const char *name;
	bool anon;
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	void *mem;
	int stats_fd;
	u64 exits_offset;
};

struct meter {
	u64 ns;
	u64 exits;
};

static u64 now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

static void report(const struct guest *g, const char *what, const char *unit, s64 value)
{
	printf("%s_%s_%s %lld\n", g->name, what, unit, (long long)value);
}

/* Where KVM's counter "exits" is in the vCPU's statistics. */
static void find_exits(struct guest *g)
{
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc;
	size_t size;
	u32 i;

	g->stats_fd = ioctl(g->vcpu->fd, KVM_GET_STATS_FD);
	TEST_ASSERT(g->stats_fd >= 0, "KVM_GET_STATS_FD: errno %d", errno);
	TEST_ASSERT(pread(g->stats_fd, &head, sizeof(head), 0) == sizeof(head), "header");

	size = sizeof(*desc) + head.name_size;
	desc = malloc(size);
	TEST_ASSERT(desc, "no memory");
	for (i = 0; i < head.num_desc; i++) {
		TEST_ASSERT(pread(g->stats_fd, desc, size, head.desc_offset + i * size) ==
			    (ssize_t)size, "descriptor %u", i);
		if (!strcmp(desc->name, "exits"))
			break;
	}
	TEST_ASSERT(i < head.num_desc, "this KVM does not count exits");
	g->exits_offset = head.data_offset + desc->offset;
	free(desc);
}

static u64 exits(struct guest *g)
{
	u64 val;

	TEST_ASSERT(pread(g->stats_fd, &val, sizeof(val), g->exits_offset) == sizeof(val),
		    "exits");
	return val;
}

static struct meter meter_read(struct guest *g)
{
	return (struct meter){ now(), exits(g) };
}

static void meter_report(struct guest *g, const char *what, struct meter start)
{
	u64 end = now();

	report(g, what, "ns", end - start.ns);
	report(g, what, "exits", exits(g) - start.exits);
}

static void create_memory(struct guest *g)
{
	int ret;

	if (g->anon) {
		g->mem = mmap(NULL, DATA_SIZE, PROT_READ | PROT_WRITE,
			      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		TEST_ASSERT(g->mem != MAP_FAILED, "mmap: errno %d", errno);
		ret = pkvm_slot_anon(&g->vm, 0, DATA_GPA, DATA_SIZE, g->mem);
	} else {
		g->fd = gmem_create(g->vm.fd, DATA_SIZE, GUEST_MEMFD_FLAG_MMAP |
				    GUEST_MEMFD_FLAG_INIT_SHARED);
		TEST_ASSERT(g->fd >= 0, "guest_memfd: %d", g->fd);
		g->mem = gmem_map(g->fd, DATA_SIZE);
		ret = pkvm_slot_gmem(&g->vm, 0, DATA_GPA, DATA_SIZE, g->fd, 0);
	}
	TEST_ASSERT(!ret, "slot: %d", ret);

	memcpy(g->mem + (CODE_GPA - DATA_GPA), call_loop, sizeof(call_loop));
	__builtin___clear_cache(g->mem + (CODE_GPA - DATA_GPA),
				g->mem + (CODE_GPA - DATA_GPA) + SZ_4K);
	if (!g->anon) {
		ret = gmem_set_attr(g->fd, 0, DATA_SIZE, GMEM_PRIVATE);
		TEST_ASSERT(!ret, "to private: %d", ret);
	}
}

/* Up to the first run, which is when EL2 gets the VM. */
static void guest_create(struct guest *g)
{
	pkvm_vm_create(&g->vm, 1, PKVM_VM_PROTECTED | (g->anon ? PKVM_VM_ANON_CODE : 0));
	g->vcpu = &g->vm.vcpu[0];
	create_memory(g);
	TEST_ASSERT(!pkvm_vcpu_call(g->vcpu, PKVM_OP_NOP, NULL, 0, 1), "first run");
	find_exits(g);
}

static void bench_touch(struct guest *g)
{
	u64 free_kb = gmem_free_kb(), slab_kb = gmem_meminfo_kb("Slab");
	struct meter m = meter_read(g);
	s64 cost;

	guest_fill(g->vcpu, DATA_GPA, TOUCH_SIZE / SZ_4K, 1, 1, SZ_4K);
	meter_report(g, "touch", m);

	/* What the host has spent beyond the pages themselves. */
	cost = (s64)(free_kb - gmem_free_kb()) * 1024 - (s64)TOUCH_SIZE;
	report(g, "touch", "overhead_bytes", cost);
	report(g, "touch", "slab_bytes", (s64)(gmem_meminfo_kb("Slab") - slab_kb) * 1024);
}

static void bench_calls(struct guest *g, const char *what, u64 func, u64 pages, u64 step)
{
	u64 args[] = { CODE_GPA, func, SHARE_GPA, pages, step };
	struct meter m = meter_read(g);
	u64 calls = step ? pages / step : pages;
	int ret;

	ret = pkvm_vcpu_call(g->vcpu, PKVM_OP_EXEC, args, ARRAY_SIZE(args), 1);
	if (what)
		meter_report(g, what, m);
	TEST_ASSERT(!ret && g->vcpu->res[0] == calls, "%llu calls of %#llx: %d, %lld",
		    (unsigned long long)calls, (unsigned long long)func, ret,
		    (long long)g->vcpu->res[0]);
}

static void bench_share(struct guest *g)
{
	guest_fill(g->vcpu, SHARE_GPA, SHARE_PAGES, 1, 1, SZ_4K);

	/* What is paid once; and the mailbox, which is in all of the figures. */
	bench_calls(g, NULL, PKVM_HVC_SHARE, 1, 0);
	bench_calls(g, NULL, PKVM_HVC_UNSHARE, 1, 0);
	bench_calls(g, "nothing", PKVM_HVC_SHARE, 0, 1);

	bench_calls(g, "share_512_calls", PKVM_HVC_SHARE, SHARE_PAGES, 0);
	bench_calls(g, "unshare_512_calls", PKVM_HVC_UNSHARE, SHARE_PAGES, 0);
	if (g->anon)
		return;
	bench_calls(g, "share_one_call", PKVM_HVC_SHARE, SHARE_PAGES, SHARE_PAGES);
	bench_calls(g, "unshare_one_call", PKVM_HVC_UNSHARE, SHARE_PAGES, SHARE_PAGES);
}

static void guest_destroy(struct guest *g)
{
	u64 start;

	close(g->stats_fd);
	start = now();
	pkvm_vm_destroy(&g->vm);
	munmap(g->mem, DATA_SIZE);
	if (!g->anon)
		close(g->fd);
	report(g, "destroy", "ns", now() - start);
}

static void bench(struct guest *g)
{
	guest_create(g);
	bench_touch(g);
	bench_share(g);
	guest_destroy(g);
}

int main(int argc, char **argv)
{
	struct rlimit lim = { RLIM_INFINITY, RLIM_INFINITY };
	struct guest gmem = { .name = "gmem" }, anon = { .name = "anon", .anon = true };

	pkvm_require_gmem();
	TEST_ASSERT(!setrlimit(RLIMIT_MEMLOCK, &lim), "RLIMIT_MEMLOCK: errno %d", errno);

	/* Each on a machine of its own, if asked to: what runs second finds used memory. */
	if (argc < 2 || !strcmp(argv[1], "gmem"))
		bench(&gmem);
	if (argc < 2 || !strcmp(argv[1], "anon"))
		bench(&anon);
	return 0;
}
