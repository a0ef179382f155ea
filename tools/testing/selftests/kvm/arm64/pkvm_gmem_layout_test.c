// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected VM whose slots show parts of guest_memfds, in whatever alignment: one fault
 * donates a block, and neither that nor anything else reaches out of the slot.
 *
 * What every architecture has of this is in guest_memfd_layout_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/mempolicy.h>
#include <linux/sizes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

/* MEM_GPA is a border of blocks of any size that a fault can donate. */
#define NR_PAGES	1024

/* Pages that a fault donates at most, see Documentation/virt/kvm/arm/pkvm_gmem.rst. */
#define AROUND		"/sys/module/kvm/parameters/pkvm_donate_around"
#define MAX_AROUND	256

#define TAG(n)		(0x10c0000ULL + (n))

FIXTURE(layout) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	struct pkvm_vcpu *other;
	struct gmem_file f;			/* NR_PAGES, all private, nothing in it */
	unsigned long around;		/* as it was */
	int kmsg;
};

static unsigned long around_get(void)
{
	char text[32] = "";
	int fd = open(AROUND, O_RDONLY);

	TEST_ASSERT(fd >= 0 && read(fd, text, sizeof(text) - 1) > 0, AROUND ": %m");
	close(fd);
	return strtoul(text, NULL, 10);
}

static void around_set(unsigned long nr)
{
	int fd = open(AROUND, O_WRONLY);

	TEST_ASSERT(fd >= 0 && dprintf(fd, "%lu", nr) > 0, AROUND ": %m");
	close(fd);
}

FIXTURE_SETUP(layout)
{
	self->kmsg = gmem_kmsg_open();
	self->around = around_get();
	pkvm_vm_create(&self->vm, 2, PKVM_VM_PROTECTED);
	self->vcpu = &self->vm.vcpu[0];
	self->other = &self->vm.vcpu[1];
	gmem_file_create(&self->f, self->vm.fd, OFF(NR_PAGES));
	ASSERT_EQ(0, gmem_set_attr(self->f.fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
}

FIXTURE_TEARDOWN(layout)
{
	around_set(self->around);
	pkvm_vm_destroy(&self->vm);
	gmem_file_close(&self->f);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static int bind(FIXTURE_DATA(layout) * self, int slot, u64 gpa, u64 nr, const struct gmem_file *f,
		u64 first)
{
	return pkvm_slot_gmem(&self->vm, slot, gpa, OFF(nr), f->fd, OFF(first));
}

/* Content from the host in [n, n + nr), private again afterwards. */
static void fill(const struct gmem_file *f, u64 n, u64 nr)
{
	u64 i;

	TEST_ASSERT(!gmem_set_attr(f->fd, OFF(n), OFF(nr), GMEM_SHARED), "to shared");
	for (i = n; i < n + nr; i++)
		gmem_host_set64(f->mem + OFF(i), TAG(i));
	TEST_ASSERT(!gmem_set_attr(f->fd, OFF(n), OFF(nr), GMEM_PRIVATE), "to private");
}

/* How many pages of [n, end) are in memory. */
static u64 populated(const struct gmem_file *f, u64 n, u64 end)
{
	struct kvm_memory_attributes2 attr;
	u64 nr = 0;

	for (; n < end; n += attr.size / page) {
		TEST_ASSERT(!gmem_get_attr(f->fd, OFF(n), OFF(end - n), &attr) && attr.size,
			    "GET_MEMORY_ATTRIBUTES2 of page %lu", (unsigned long)n);
		if (attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED)
			nr += attr.size / page;
	}
	return nr;
}

/* Exactly these pages of the file are in memory: [first, end). */
#define EXPECT_POPULATED(f, nr_all, first, end) do {			\
	EXPECT_EQ(0, populated(f, 0, first));				\
	EXPECT_EQ((end) - (first), populated(f, first, end));		\
	EXPECT_EQ(0, populated(f, end, nr_all));			\
} while (0)

/* EL2 gives these pages to the host, which says that no guest owns one, as they were. */
#define EXPECT_HOSTS(f, n, nr) do {					\
	u64 __i, __err = 0;						\
									\
	EXPECT_EQ(0, gmem_set_attr_err((f)->fd, OFF(n), OFF(nr), GMEM_SHARED, &__err)) \
		TH_LOG("error_offset %#lx", (unsigned long)__err);	\
	for (__i = (n); __i < (n) + (nr); __i++)			\
		EXPECT_EQ(TAG(__i), gmem_host_get64((f)->mem + OFF(__i))); \
} while (0)

/* A slot of @nr pages, @skip behind a border of blocks, over the file from @first on. */
struct shape {
	u64 skip, nr, first;
};

static void touch_a_hole(struct __test_metadata *_metadata, FIXTURE_DATA(layout) * self,
			 u64 window, const struct shape *s, u64 n)
{
	u64 start = (s->skip + n) / window * window, end = start + window, all = 700;
	struct gmem_file f;
	u64 base;

	/* In blocks and slots where nothing has been yet. */
	static u64 next = MEM_GPA + SZ_16M;
	static int slot;

	start = max(start, s->skip) - s->skip + s->first;
	end = min(end, s->skip + s->nr) - s->skip + s->first;
	base = next + OFF(s->skip);
	next += SZ_4M;

	gmem_file_create(&f, self->vm.fd, OFF(all));
	ASSERT_EQ(0, gmem_set_attr(f.fd, 0, OFF(all), GMEM_PRIVATE));
	ASSERT_EQ(0, bind(self, ++slot + PKVM_CODE_SLOT, base, s->nr, &f, s->first));
	EXPECT_EQ(0, guest_read64(self->vcpu, base + OFF(n)));
	EXPECT_POPULATED(&f, all, start, end);
	/* The guest has all of them: EL2 lets the host at none. */
	for (n = start; n < end; n++)
		EXPECT_EQ(-EPERM, gmem_set_attr(f.fd, OFF(n), page, GMEM_SHARED));
	gmem_file_close(&f);
}

/* A fault donates the aligned block around it, as far as the slot has it. */
static void blocks_of(struct __test_metadata *_metadata, FIXTURE_DATA(layout) * self,
		      u64 window)
{
	const struct shape shapes[] = {
		{ .skip = 0, .nr = 1, .first = 0 },
		{ .skip = 0, .nr = 300, .first = 4 },
		{ .skip = 1, .nr = 2, .first = 300 },
		{ .skip = 37, .nr = 27, .first = 61 },
		{ .skip = 37, .nr = 28, .first = 64 },
		{ .skip = 63, .nr = 2, .first = 128 },
		{ .skip = 63, .nr = 194, .first = 1 },
		{ .skip = 100, .nr = 512, .first = 188 },
		{ .skip = 511, .nr = 100, .first = 600 },
	};
	size_t i;

	around_set(window);
	for (i = 0; i < ARRAY_SIZE(shapes); i++) {
		touch_a_hole(_metadata, self, window, &shapes[i], 0);
		if (shapes[i].nr > 1)
			touch_a_hole(_metadata, self, window, &shapes[i], shapes[i].nr - 1);
		if (shapes[i].nr > 100)
			touch_a_hole(_metadata, self, window, &shapes[i], shapes[i].nr / 2);
	}
}

TEST_F_TIMEOUT(layout, blocks_of_1, 120)
{
	blocks_of(_metadata, self, 1);
}

TEST_F_TIMEOUT(layout, blocks_of_64, 120)
{
	blocks_of(_metadata, self, 64);
}

TEST_F_TIMEOUT(layout, blocks_of_256, 120)
{
	blocks_of(_metadata, self, MAX_AROUND);
}

/* Whatever is asked for, it is a power of two and in bounds, and so is what it reaches. */
TEST_F(layout, odd_blocks)
{
	const unsigned long odd[] = { 0, 3, 65, 255, 257, 100000, 0xffffffff };
	const struct shape s = { .skip = 511, .nr = 513, .first = 100 };
	const struct gmem_file *f = &self->f;
	size_t i;

	ASSERT_EQ(0, bind(self, 0, MEM_GPA + OFF(s.skip), s.nr, f, s.first));
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		around_set(odd[i]);
		EXPECT_EQ(0, guest_read64(self->vcpu, MEM_GPA + OFF(s.skip + 73 * i)));
		EXPECT_EQ(0, populated(f, 0, s.first));
		EXPECT_EQ(0, populated(f, s.first + s.nr, NR_PAGES));
	}
	EXPECT_EQ(0, guest_read64(self->vcpu, MEM_GPA + OFF(s.skip + s.nr - 1)));
	EXPECT_LE(2, populated(f, s.first, s.first + s.nr));
	EXPECT_GE(2 * MAX_AROUND + 1, populated(f, s.first, s.first + s.nr));
	EXPECT_EQ(0, populated(f, s.first + s.nr, NR_PAGES));
}

/*
 * Nothing but the slot's bounds keeps the pages around: they are private, in memory and in
 * the block, before it and behind it.
 */
TEST_F(layout, resident_pages_outside_stay_the_hosts)
{
	const u64 first = 100, nr = 30, gpa = MEM_GPA + OFF(17);
	const struct gmem_file *f = &self->f;
	u64 done;

	around_set(MAX_AROUND);
	fill(f, 0, 400);
	ASSERT_EQ(0, bind(self, 0, gpa, nr, f, first));
	EXPECT_EQ(0, guest_check(self->vcpu, gpa, nr, TAG(first), 1, page));
	guest_fill(self->vcpu, gpa, nr, TAG(5000), 1, page);
	/* A hypercall does not reach further than an access. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, gpa + OFF(20), nr, &done));
	EXPECT_EQ(nr - 20, done);
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, gpa + OFF(nr), 1, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, gpa - page, 1, NULL));

	EXPECT_HOSTS(f, 0, first);
	EXPECT_HOSTS(f, first + nr, 400 - first - nr);
	EXPECT_EQ(-EPERM, gmem_set_attr(f->fd, OFF(first), page, GMEM_SHARED));
	EXPECT_EQ(-EPERM, gmem_set_attr(f->fd, OFF(first + 19), page, GMEM_SHARED));
	EXPECT_EQ(TAG(5020), gmem_host_get64(f->mem + OFF(first + 20)));
	EXPECT_EQ(TAG(5000 + nr - 1), gmem_host_get64(f->mem + OFF(first + nr - 1)));
}

/* Neighbours in the file that are far apart in the guest: each has its own end. */
TEST_F(layout, slots_that_meet_in_the_file)
{
	const u64 first = 100, nr = 20, far = MEM_GPA + SZ_4M;
	const struct gmem_file *f = &self->f;

	around_set(64);
	fill(f, first - 5, 2 * nr + 10);
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, nr, f, first));
	ASSERT_EQ(0, bind(self, 1, far, nr, f, first + nr));

	EXPECT_EQ(TAG(first + nr - 1), guest_read64(self->vcpu, MEM_GPA + OFF(nr - 1)));
	EXPECT_HOSTS(f, first + nr, nr);
	ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(first + nr), OFF(nr), GMEM_PRIVATE));
	EXPECT_EQ(TAG(first + nr), guest_read64(self->vcpu, far));
	EXPECT_EQ(-EPERM, gmem_set_attr(f->fd, OFF(first + nr), page, GMEM_SHARED));
	EXPECT_EQ(0, guest_check(self->other, MEM_GPA, nr, TAG(first), 1, page));
	EXPECT_EQ(0, guest_check(self->other, far, nr, TAG(first + nr), 1, page));
	EXPECT_HOSTS(f, first - 5, 5);
	EXPECT_HOSTS(f, first + 2 * nr, 5);
}

/* Neighbours in the guest, in one block, over two files. */
TEST_F(layout, slots_that_meet_in_the_guest)
{
	const u64 nr = 20, all = 64;
	struct gmem_file g;

	around_set(64);
	gmem_file_create(&g, self->vm.fd, OFF(all));
	ASSERT_EQ(0, gmem_set_attr(g.fd, 0, OFF(all), GMEM_PRIVATE));
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, nr, &self->f, 500));
	ASSERT_EQ(0, bind(self, 1, MEM_GPA + OFF(nr), nr, &g, 3));

	guest_write64(self->vcpu, MEM_GPA + OFF(nr - 1), 1);
	EXPECT_POPULATED(&self->f, NR_PAGES, 500, 500 + nr);
	EXPECT_EQ(0, populated(&g, 0, all));
	guest_write64(self->vcpu, MEM_GPA + OFF(nr), 2);
	EXPECT_POPULATED(&g, all, 3, 3 + nr);
	EXPECT_POPULATED(&self->f, NR_PAGES, 500, 500 + nr);

	/* Shared over the border: each page in its own file. */
	EXPECT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, MEM_GPA + OFF(nr - 1), 2));
	EXPECT_EQ(1, gmem_host_get64(self->f.mem + OFF(500 + nr - 1)));
	EXPECT_EQ(2, gmem_host_get64(g.mem + OFF(3)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->f.fd, OFF(500 + nr)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(g.fd, OFF(4)));
	gmem_file_close(&g);
}

/* Within the slot and the block, what is shared is left out. */
/* Not what was in the host's memory before, be it in a page that nobody asked for. */
TEST_F_TIMEOUT(layout, new_memory_is_zeroed, 120)
{
	size_t size = gmem_meminfo_kb("MemFree") / 2 * 1024;
	char *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	const struct gmem_file *f = &self->f;
	u64 n;

	ASSERT_NE(MAP_FAILED, mem);
	memset(mem, 0x5a, size);
	munmap(mem, size);

	around_set(64);
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, NR_PAGES, f, 0));
	for (n = 0; n < NR_PAGES; n += 64)
		EXPECT_EQ(0, guest_read64(self->vcpu, MEM_GPA + OFF(n + 7)));
	EXPECT_EQ(NR_PAGES, populated(f, 0, NR_PAGES));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA, NR_PAGES, 0, 0, page));
}

/* Each page is then asked for by itself, and the block is filled all the same. */
TEST_F(layout, block_with_a_memory_policy)
{
	const struct gmem_file *f = &self->f;
	unsigned long nodes = 1;

	around_set(64);
	ASSERT_EQ(0, syscall(__NR_mbind, f->mem + OFF(70), OFF(20), MPOL_BIND, &nodes, 64, 0));
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, 200, f, 0));
	EXPECT_EQ(0, guest_read64(self->vcpu, MEM_GPA + OFF(80)));
	EXPECT_POPULATED(f, NR_PAGES, 64, 128);

	guest_fill(self->vcpu, MEM_GPA + OFF(64), 64, TAG(0), 1, page);
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(64), 64, TAG(0), 1, page));
	EXPECT_EQ(-EPERM, gmem_set_attr(f->fd, OFF(127), page, GMEM_SHARED));
}

TEST_F(layout, block_with_shared_pages)
{
	const struct gmem_file *f = &self->f;
	const u64 first = 7, nr = 64;
	u64 n;

	around_set(64);
	fill(f, first, nr);
	for (n = first; n < first + nr; n += 4)
		ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(n), page, GMEM_SHARED));
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, nr, f, first));
	EXPECT_EQ(TAG(first + 1), guest_read64(self->vcpu, MEM_GPA + page));

	for (n = first; n < first + nr; n++) {
		bool owned = (n - first) % 4;

		EXPECT_EQ(owned ? -EPERM : 0, gmem_set_attr(f->fd, OFF(n), page, GMEM_SHARED));
		if (!owned)
			EXPECT_EQ(TAG(n), gmem_host_get64(f->mem + OFF(n)));
	}
}

/* A hole over the end of one slot and the start of another: their gfns, and no others. */
TEST_F(layout, hole_over_the_ends_of_slots)
{
	const u64 first = 100, nr = 40, gap = 5, far = MEM_GPA + SZ_4M + OFF(3);
	const struct gmem_file *f = &self->f;
	u64 n, val;

	fill(f, 0, 300);
	ASSERT_EQ(0, bind(self, 0, MEM_GPA + OFF(9), nr, f, first));
	ASSERT_EQ(0, bind(self, 1, far, nr, f, first + nr + gap));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(9), nr, TAG(first), 1, page));
	EXPECT_EQ(0, guest_check(self->vcpu, far, nr, TAG(first + nr + gap), 1, page));

	ASSERT_EQ(0, gmem_punch(f->fd, OFF(first + nr - 2), OFF(gap + 4)));
	for (n = 0; n < nr; n++) {
		EXPECT_EQ(n < nr - 2 ? PKVM_SUCCESS : PKVM_INVALID_PARAMETER,
			  guest_share(self->vcpu, MEM_GPA + OFF(9 + n), 1, NULL));
		EXPECT_EQ(n >= 2 ? PKVM_SUCCESS : PKVM_INVALID_PARAMETER,
			  guest_share(self->vcpu, far + OFF(n), 1, NULL));
	}
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(9), nr - 2, TAG(first), 1, page));
	EXPECT_EQ(0, guest_check(self->vcpu, far + OFF(2), nr - 2, TAG(first + nr + gap + 2),
				 1, page));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, far + OFF(1), &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, 0, far + OFF(1), page));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->other, MEM_GPA + OFF(9 + nr - 2), &val));
	EXPECT_TRUE(pkvm_fault_is(self->other, 0, MEM_GPA + OFF(9 + nr - 2), page));
	/* The gap was the host's, and is again. */
	EXPECT_EQ(0, gmem_set_attr(f->fd, OFF(first + nr - 2), OFF(gap + 4), GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(f->mem + OFF(first + nr)));
}

/* Bad memory in the second part of a file: the page's gpa, not its offset, is lost. */
TEST_F(layout, bad_memory_where_gfn_and_offset_differ)
{
	const struct gmem_file *f = &self->f;
	const u64 first = 100, nr = 40, n = 30;
	u64 pfn, val;
	FILE *report;

	fill(f, first, nr);
	ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(first + n), page, GMEM_SHARED));
	EXPECT_EQ(TAG(first + n), gmem_host_get64(f->mem + OFF(first + n)));
	pfn = gmem_pfn(f->mem + OFF(first + n));
	ASSERT_NE(0, pfn);
	ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(first + n), page, GMEM_PRIVATE));
	ASSERT_EQ(0, bind(self, 0, MEM_GPA + OFF(200), nr, f, first));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(200), nr, TAG(first), 1, page));

	report = fopen("/sys/devices/system/memory/hard_offline_page", "w");
	if (!report)
		SKIP(return, "no hard_offline_page in this kernel");
	ASSERT_LT(0, fprintf(report, "%#lx", (unsigned long)OFF(pfn)));
	/* The page stays where it is, which counts as not recovered. */
	ASSERT_TRUE(!fclose(report) || errno == EBUSY);

	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(200), n, TAG(first), 1, page));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(200 + n + 1), nr - n - 1,
				 TAG(first + n + 1), 1, page));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, MEM_GPA + OFF(200 + n), &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, 0, MEM_GPA + OFF(200 + n), page));
}

/* The host has found a page bad before any guest touched it. */
TEST_F(layout, bad_memory_that_no_guest_has_yet)
{
	const struct gmem_file *f = &self->f;
	const u64 nr = 64, n = 30;
	u64 pfn, val;

	around_set(nr);
	fill(f, 0, nr);
	ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(n), page, GMEM_SHARED));
	EXPECT_EQ(TAG(n), gmem_host_get64(f->mem + OFF(n)));
	pfn = gmem_pfn(f->mem + OFF(n));
	ASSERT_NE(0, pfn);
	ASSERT_EQ(0, gmem_set_attr(f->fd, OFF(n), page, GMEM_PRIVATE));
	if (gmem_report_bad_memory(pfn) == -ENOENT)
		SKIP(return, "no hard_offline_page in this kernel");

	/* Nobody gets it, and not as one of the pages around another either. */
	ASSERT_EQ(0, bind(self, 0, MEM_GPA, nr, f, 0));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA + OFF(n + 1), nr - n - 1, TAG(n + 1), 1,
				 page));
	EXPECT_EQ(0, guest_check(self->vcpu, MEM_GPA, n, TAG(0), 1, page));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, MEM_GPA + OFF(n), &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, 0, MEM_GPA + OFF(n), page));
}

/* The last page that a guest can address, and the first. */
TEST_F(layout, both_ends_of_the_address_space)
{
	const int kvm = open("/dev/kvm", O_RDWR);
	const u64 top = 1ULL << gmem_check_cap(kvm, KVM_CAP_ARM_VM_IPA_SIZE);
	const struct gmem_file *f = &self->f;
	u64 done, val;

	close(kvm);
	around_set(MAX_AROUND);
	fill(f, 0, 40);
	EXPECT_EQ(-EFAULT, bind(self, 0, top - OFF(7), 8, f, 20));
	EXPECT_EQ(-EFAULT, bind(self, 0, top, 8, f, 20));
	ASSERT_EQ(0, bind(self, 0, top - OFF(7), 7, f, 20));
	ASSERT_EQ(0, bind(self, 1, 0, 6, f, 3));

	EXPECT_EQ(TAG(26), guest_read64(self->vcpu, top - page));
	EXPECT_EQ(TAG(20), guest_read64(self->vcpu, top - OFF(7)));
	EXPECT_EQ(TAG(3), guest_read64(self->vcpu, 0));
	EXPECT_EQ(TAG(8), guest_read64(self->vcpu, OFF(5)));
	EXPECT_HOSTS(f, 0, 3);
	EXPECT_HOSTS(f, 9, 11);
	EXPECT_HOSTS(f, 27, 13);

	/* Over a slot's end is less than was asked for; over this end is a bad argument. */
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, top - OFF(2), 3, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, top, 1, NULL));
	EXPECT_EQ(SIGBUS, gmem_host_read64(f->mem + OFF(26), &val));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, OFF(4), 5, &done));
	EXPECT_EQ(2, done);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, top - OFF(2), 2, &done));
	EXPECT_EQ(2, done);
	EXPECT_EQ(TAG(26), gmem_host_get64(f->mem + OFF(26)));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, top - OFF(2), 2, NULL));
	EXPECT_EQ(TAG(26), guest_read64(self->vcpu, top - page));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, 0, 1, NULL));
	EXPECT_EQ(TAG(3), gmem_host_get64(f->mem + OFF(3)));

	EXPECT_EQ(0, gmem_punch(f->fd, OFF(26), OFF(4)));
	EXPECT_EQ(TAG(25), guest_read64(self->vcpu, top - OFF(2)));
	EXPECT_EQ(-EHWPOISON, __guest_read64(self->vcpu, top - page, &val));
	EXPECT_TRUE(pkvm_fault_is(self->vcpu, 0, top - page, page));
}

/* Large and not congruent: ranges of hypercalls land where the offsets say. */
TEST_F_TIMEOUT(layout, ranges_where_gfn_and_offset_differ, 120)
{
	const u64 first = 4, nr = 700, from = 90, count = 600;
	const struct gmem_file *f = &self->f;
	u64 n, val;

	ASSERT_EQ(0, bind(self, 0, 0xc0000000, nr, f, first));
	guest_fill(self->vcpu, 0xc0000000, nr, TAG(first), 1, page);
	EXPECT_EQ(2, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, 0xc0000000 + OFF(from), count));
	for (n = first; n < first + nr; n++) {
		bool shared = n >= first + from && n < first + from + count;

		ASSERT_EQ(shared ? 0 : SIGBUS, gmem_host_read64(f->mem + OFF(n), &val))
			TH_LOG("page %lu", (unsigned long)n);
		if (shared)
			ASSERT_EQ(TAG(n), val);
	}
	EXPECT_POPULATED(f, NR_PAGES, first, first + nr);
	EXPECT_EQ(2, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, 0xc0000000 + OFF(from), count));
	EXPECT_EQ(0, guest_check(self->vcpu, 0xc0000000, nr, TAG(first), 1, page));
	EXPECT_EQ(SIGBUS, gmem_host_read64(f->mem + OFF(first + from), &val));
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
