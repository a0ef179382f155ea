// SPDX-License-Identifier: GPL-2.0-only
/*
 * Slots over a guest_memfd: which offset a guest address comes to, where that ends, which
 * bindings are refused, and the map of a file in debugfs.
 *
 * The guest of either architecture is of the type that has private memory, and
 * does one load or store at a time, wherever the test says:
 *
 *	LOW_GPA, HIGH_GPA	where a VMM puts RAM of more than 2 GiB: this much, a hole,
 *				and the rest
 *	BEYOND_TOP		the error of a slot beyond top_gpa()
 *	guest_load(), guest_store(), guest_go_on()
 *				0 when done, -errno of KVM_RUN, or OTHER_EXIT; the access is
 *				pending then, and guest_go_on() tries it again
 *	guest_close()		all that belongs to the VM but its guest_memfds
 *	guest_gives()		makes the guest's pages the host's, with their content
 *	guest_lost()		has a page been freed under the guest?
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/kernel.h>
#include <linux/sizes.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "guest_memfd_util.h"

#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define SHARED_FILE	(OWNS | GUEST_MEMFD_FLAG_INIT_SHARED)

/* 3 GiB: neither guest below has anything of its own there. */
#define MEM_GPA		(3ULL * SZ_1G)
/* No fault brings more pages than this with it, on any architecture. */
#define MAX_AROUND	256

static size_t page;

/* See guest_load(). */
#define OTHER_EXIT	1

#define OFF(n)		((u64)(n) * page)
#define TAG(n)		(0xf11e00000ULL + (n))

#if defined(__aarch64__)
#include "pkvm_guest.h"

/* Not from 0 on: the payload's mailbox and its code are in the first 2 GiB. */
#define LOW_GPA		(2ULL * SZ_1G)
#define HIGH_GPA	(6ULL * SZ_1G)
#define BEYOND_TOP	(-EFAULT)

struct guest {
	struct pkvm_vm vm;
};

static void guest_create(struct guest *g)
{
	pkvm_require_gmem();
	pkvm_vm_create(&g->vm, 1, PKVM_VM_PROTECTED);
}

static void guest_close(struct guest *g)
{
	pkvm_vm_destroy(&g->vm);
}

static int guest_vm(struct guest *g)
{
	return g->vm.fd;
}

static struct kvm_run *guest_run(struct guest *g)
{
	return g->vm.vcpu[0].run;
}

static int guest_result(int ret)
{
	return ret > 0 ? OTHER_EXIT : ret;
}

static int guest_load(struct guest *g, u64 gpa, u64 *val)
{
	return guest_result(__guest_read64(&g->vm.vcpu[0], gpa, val));
}

static int guest_store(struct guest *g, u64 gpa, u64 val)
{
	return guest_result(__guest_write64(&g->vm.vcpu[0], gpa, val));
}

static int guest_go_on(struct guest *g, u64 *val)
{
	int ret = guest_result(pkvm_vcpu_resume(&g->vm.vcpu[0]));

	*val = g->vm.vcpu[0].res[0];
	return ret;
}

/* What was the guest's becomes the host's: only the guest can say so. */
static bool guest_gives(struct guest *g, u64 gpa, u64 count, int fd, u64 offset)
{
	return guest_hvc_all(&g->vm.vcpu[0], PKVM_HVC_SHARE, gpa, count) > 0;
}

/* A page under the guest was freed: it is told so, and never gets another one there. */
static bool guest_lost(struct guest *g, u64 gpa)
{
	return guest_share(&g->vm.vcpu[0], gpa, 1, NULL) == PKVM_INVALID_PARAMETER;
}

/* The VM chooses nothing: pKVM gives all VMs what the hardware can do. */
static u64 top_gpa(struct guest *g)
{
	return 1ULL << gmem_check_cap(open("/dev/kvm", O_RDWR | O_CLOEXEC),
				      KVM_CAP_ARM_VM_IPA_SIZE);
}
#elif defined(__x86_64__)
#define LOW_GPA		0ULL
#define HIGH_GPA	(4ULL * SZ_1G)
#define BEYOND_TOP	(-EINVAL)

/*
 * The guest's own pages: page tables with its code at address 0 and, behind it, a window
 * to the page that it is to access next.
 */
#define OWN_GPA		0xe0000000ULL
#define OWN_SLOT	31
#define PRESENT_RW	3ULL

enum { PML4, PDPT, PD, PT, CODE, NR_OWN };

#define OWN_SIZE	(NR_OWN * SZ_4K)

struct guest {
	int fd, vcpu;
	struct kvm_run *run;
	size_t run_size;
	u64 *own;
};

/* mov %cr3, %rax; mov %rax, %cr3; then mov (%rbx), %rcx or mov %rcx, (%rbx); hlt */
static const u8 load_code[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x48, 0x8b, 0x0b, 0xf4 };
static const u8 store_code[] = { 0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, 0x48, 0x89, 0x0b, 0xf4 };

#define LOAD_AT		0
#define STORE_AT	64

static u64 *own_page(struct guest *g, int n)
{
	return g->own + n * SZ_4K / sizeof(u64);
}

static void guest_paging(struct guest *g)
{
	int n;

	for (n = PML4; n < PT; n++)
		own_page(g, n)[0] = (OWN_GPA + (n + 1) * SZ_4K) | PRESENT_RW;
	own_page(g, PT)[0] = (OWN_GPA + CODE * SZ_4K) | PRESENT_RW;
	memcpy((char *)own_page(g, CODE) + LOAD_AT, load_code, sizeof(load_code));
	memcpy((char *)own_page(g, CODE) + STORE_AT, store_code, sizeof(store_code));
}

static void guest_cpuid(struct guest *g, int kvm)
{
	const int nr = 256;
	struct kvm_cpuid2 *cpuid;

	cpuid = calloc(1, sizeof(*cpuid) + nr * sizeof(cpuid->entries[0]));
	cpuid->nent = nr;
	TEST_ASSERT(!ioctl(kvm, KVM_GET_SUPPORTED_CPUID, cpuid), "CPUID: errno %d", errno);
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_CPUID2, cpuid), "CPUID: errno %d", errno);
	free(cpuid);
}

/* 64-bit mode with flat segments. */
static void guest_mode(struct guest *g)
{
	struct kvm_segment seg = {
		.limit = ~0U, .selector = 8, .type = 11, .present = 1, .s = 1, .g = 1, .l = 1,
	};
	struct kvm_sregs sregs;

	TEST_ASSERT(!ioctl(g->vcpu, KVM_GET_SREGS, &sregs), "sregs: errno %d", errno);
	sregs.cs = seg;
	seg.selector = 16;
	seg.type = 3;
	seg.l = 0;
	seg.db = 1;
	sregs.ds = sregs.es = sregs.fs = sregs.gs = sregs.ss = seg;
	sregs.cr0 = 0x80000011;			/* PG, ET, PE */
	sregs.cr3 = OWN_GPA + PML4 * SZ_4K;
	sregs.cr4 = 0x20;			/* PAE */
	sregs.efer = 0x500;			/* LME, LMA */
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_SREGS, &sregs), "sregs: errno %d", errno);
}

static void guest_create(struct guest *g)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	TEST_ASSERT(kvm >= 0, "/dev/kvm: errno %d", errno);
	g->fd = ioctl(kvm, KVM_CREATE_VM, (unsigned long)KVM_X86_SW_PROTECTED_VM);
	TEST_ASSERT(g->fd >= 0, "KVM_CREATE_VM: errno %d", errno);
	g->own = mmap(NULL, OWN_SIZE, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(g->own != MAP_FAILED, "mmap: errno %d", errno);
	TEST_ASSERT(!gmem_set_slot(g->fd, OWN_SLOT, OWN_GPA, OWN_SIZE, g->own, -1, 0),
		    "the guest's own pages: errno %d", errno);
	guest_paging(g);

	g->vcpu = ioctl(g->fd, KVM_CREATE_VCPU, 0UL);
	TEST_ASSERT(g->vcpu >= 0, "vCPU: errno %d", errno);
	g->run_size = ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0UL);
	g->run = mmap(NULL, g->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, g->vcpu, 0);
	TEST_ASSERT(g->run != MAP_FAILED, "mmap of a vCPU: errno %d", errno);
	guest_cpuid(g, kvm);
	guest_mode(g);
	close(kvm);
}

static void guest_close(struct guest *g)
{
	munmap(g->run, g->run_size);
	close(g->vcpu);
	close(g->fd);
	munmap(g->own, OWN_SIZE);
}

static int guest_vm(struct guest *g)
{
	return g->fd;
}

static struct kvm_run *guest_run(struct guest *g)
{
	return g->run;
}

static int guest_go_on(struct guest *g, u64 *val)
{
	struct kvm_regs regs;
	int ret;

	do {
		ret = ioctl(g->vcpu, KVM_RUN, 0UL);
	} while (ret < 0 && errno == EINTR);
	if (ret < 0)
		return -errno;
	if (g->run->exit_reason != KVM_EXIT_HLT)
		return OTHER_EXIT;

	TEST_ASSERT(!ioctl(g->vcpu, KVM_GET_REGS, &regs), "regs: errno %d", errno);
	*val = regs.rcx;
	return 0;
}

static int guest_access(struct guest *g, u64 code, u64 gpa, u64 *val)
{
	struct kvm_regs regs = {
		.rip = code,
		.rbx = SZ_4K + gpa % SZ_4K,
		.rcx = *val,
		.rflags = 2,
	};

	own_page(g, PT)[1] = (gpa - gpa % SZ_4K) | PRESENT_RW;
	TEST_ASSERT(!ioctl(g->vcpu, KVM_SET_REGS, &regs), "regs: errno %d", errno);
	return guest_go_on(g, val);
}

static int guest_load(struct guest *g, u64 gpa, u64 *val)
{
	return guest_access(g, LOAD_AT, gpa, val);
}

static int guest_store(struct guest *g, u64 gpa, u64 val)
{
	return guest_access(g, STORE_AT, gpa, &val);
}

/* The host decides alone. */
static bool guest_gives(struct guest *g, u64 gpa, u64 count, int fd, u64 offset)
{
	return !gmem_set_attr(fd, offset, count * SZ_4K, GMEM_SHARED);
}

/* A page under the guest was freed: the next access finds a new one. */
static bool guest_lost(struct guest *g, u64 gpa)
{
	u64 val = 1;

	return !guest_load(g, gpa, &val) && !val;
}

static u64 top_gpa(struct guest *g)
{
	u32 eax = 0x80000008, ebx, ecx, edx;

	asm volatile("cpuid" : "+a" (eax), "=b" (ebx), "=c" (ecx), "=d" (edx));
	return 1ULL << (eax & 0xff);
}
#endif

struct file {
	int fd;
	char *mem;
	u64 size;
};

static void file_create(struct file *f, struct guest *g, u64 size)
{
	f->fd = gmem_create(guest_vm(g), size, SHARED_FILE);
	TEST_ASSERT(f->fd >= 0, "guest_memfd of %#lx bytes: %d", (unsigned long)size, f->fd);
	f->mem = gmem_map(f->fd, size);
	f->size = size;
}

static void file_close(struct file *f)
{
	munmap(f->mem, f->size);
	close(f->fd);
}

static int bind(struct guest *g, int slot, u64 gpa, u64 size, const struct file *f, u64 offset)
{
	return gmem_set_slot(guest_vm(g), slot, gpa, size, NULL, f->fd, offset);
}

/* Tags pages [n, n + count) of the file. */
static void file_tag(const struct file *f, u64 n, u64 count)
{
	for (; count; n++, count--)
		gmem_host_set64(f->mem + OFF(n), TAG(n));
}

static int file_hide(const struct file *f)
{
	return gmem_set_attr(f->fd, 0, f->size, GMEM_PRIVATE);
}

#define EXPECT_GUEST(g, gpa, val) do {					\
	u64 __v = 0;							\
									\
	EXPECT_EQ(0, guest_load(g, gpa, &__v));				\
	EXPECT_EQ((u64)(val), __v)					\
		TH_LOG("at gpa %#lx", (unsigned long)(gpa));		\
} while (0)

/* No memory there: the access becomes the VMM's business, and gets the VMM's answer. */
#define EXPECT_NO_MEMORY(g, where) do {					\
	struct kvm_run *__r = guest_run(g);				\
	u64 __gpa = (where), __v = 0, __answer = 0x5a5a0000 ^ __gpa;	\
									\
	EXPECT_EQ(OTHER_EXIT, guest_load(g, __gpa, &__v));		\
	EXPECT_EQ(KVM_EXIT_MMIO, __r->exit_reason);			\
	EXPECT_EQ(__gpa, __r->mmio.phys_addr);				\
	EXPECT_EQ(0, __r->mmio.is_write);				\
	memcpy(__r->mmio.data, &__answer, sizeof(__answer));		\
	EXPECT_EQ(0, guest_go_on(g, &__v));				\
	EXPECT_EQ(__answer, __v);					\
} while (0)

FIXTURE(layout) {
	struct guest g;
	int kmsg;
};

FIXTURE_SETUP(layout)
{
	self->kmsg = gmem_kmsg_open();
	guest_create(&self->g);
}

FIXTURE_TEARDOWN(layout)
{
	guest_close(&self->g);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* How many pages of the file are in memory, and how many of them far from all of @near. */
static u64 populated(const struct file *f, const u64 *near, int nr_near, u64 *far)
{
	struct kvm_memory_attributes2 attr;
	u64 off, n, count = 0;
	int i;

	*far = 0;
	for (off = 0; off < f->size; off += attr.size) {
		TEST_ASSERT(!gmem_get_attr(f->fd, off, f->size - off, &attr) && attr.size,
			    "GET_MEMORY_ATTRIBUTES2 of %#lx", (unsigned long)off);
		if (!(attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED))
			continue;
		for (n = off / page; n < (off + attr.size) / page; n++) {
			for (i = 0; i < nr_near; i++) {
				if (n < near[i] + MAX_AROUND && near[i] < n + MAX_AROUND)
					break;
			}
			count++;
			*far += i == nr_near;
		}
	}
	return count;
}

TEST_F_TIMEOUT(layout, ram_in_two_parts_over_one_file, 120)
{
	const u64 low = 2ULL * SZ_1G / page, high = SZ_1G / page;
	/* At both sides of both seams, and of the file's ends. */
	const u64 touch[] = { 0, 1, low - 2, low - 1, low, low + 1, low + high - 1 };
	const u64 write[] = { 2, low - 3, low + 2, low + high - 2 };
	u64 before, after, far, near[ARRAY_SIZE(touch)];
	struct file f;
	size_t i;

	file_create(&f, &self->g, OFF(low + high));
	ASSERT_EQ(0, bind(&self->g, 0, LOW_GPA, OFF(low), &f, 0));
	ASSERT_EQ(0, bind(&self->g, 1, HIGH_GPA, OFF(high), &f, OFF(low)));

#define RAM_GPA(n) ((n) < low ? LOW_GPA + OFF(n) : HIGH_GPA + OFF((n) - low))
	for (i = 0; i < ARRAY_SIZE(touch); i++) {
		file_tag(&f, touch[i], 1);
		near[i] = touch[i];
	}
	before = populated(&f, near, ARRAY_SIZE(near), &far);
	EXPECT_EQ(ARRAY_SIZE(touch), before);
	ASSERT_EQ(0, file_hide(&f));

	for (i = 0; i < ARRAY_SIZE(touch); i++)
		EXPECT_GUEST(&self->g, RAM_GPA(touch[i]), TAG(touch[i]));
	for (i = 0; i < ARRAY_SIZE(write); i++)
		EXPECT_EQ(0, guest_store(&self->g, RAM_GPA(write[i]) + 8, TAG(write[i])));

	/* Each end is an end, whatever the file has next. */
	EXPECT_NO_MEMORY(&self->g, LOW_GPA + OFF(low));
	EXPECT_NO_MEMORY(&self->g, HIGH_GPA - page);
	EXPECT_NO_MEMORY(&self->g, HIGH_GPA - 8);
	EXPECT_NO_MEMORY(&self->g, HIGH_GPA + OFF(high));

	for (i = 0; i < ARRAY_SIZE(touch); i++) {
		ASSERT_TRUE(guest_gives(&self->g, RAM_GPA(touch[i]), 1, f.fd, OFF(touch[i])));
		EXPECT_EQ(TAG(touch[i]), gmem_host_get64(f.mem + OFF(touch[i])));
		EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(touch[i]) + 8));
	}
	for (i = 0; i < ARRAY_SIZE(write); i++) {
		ASSERT_TRUE(guest_gives(&self->g, RAM_GPA(write[i]), 1, f.fd, OFF(write[i])));
		EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(write[i])));
		EXPECT_EQ(TAG(write[i]), gmem_host_get64(f.mem + OFF(write[i]) + 8));
	}

	/* Sparse it was, and sparse it is. */
	after = populated(&f, near, ARRAY_SIZE(near), &far);
	EXPECT_EQ(0, far);
#if defined(__x86_64__)
	EXPECT_EQ(before + ARRAY_SIZE(write), after);
#else
	EXPECT_LE(before + ARRAY_SIZE(write), after);
#endif
#undef RAM_GPA
	file_close(&f);
}

/*
 * The gpa as aligned as can be, the offset not at all, more than a block of 2 MiB; what lies
 * before and behind in the file is hidden and resident, so that nothing but the slot's
 * bounds keeps a fault away from it.
 */
TEST_F_TIMEOUT(layout, gpa_and_offset_not_congruent, 120)
{
	const u64 first = 0x4000 / page, count = 2 * SZ_2M / page + 3, all = first + count + 70;
	struct file f;
	u64 n;

	file_create(&f, &self->g, OFF(all));
	file_tag(&f, 0, all);
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(count), &f, OFF(first)));
	ASSERT_EQ(0, file_hide(&f));

	/* Around block borders of gpa and of offset, then all the rest. */
	for (n = SZ_2M / page - 1; n < count; n += SZ_2M / page - 1)
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(first + n));
	for (n = 0; n < count; n += 5)
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(first + n));
	EXPECT_GUEST(&self->g, MEM_GPA + OFF(count - 1), TAG(first + count - 1));
	EXPECT_NO_MEMORY(&self->g, MEM_GPA - 8);
	EXPECT_NO_MEMORY(&self->g, MEM_GPA + OFF(count));

	/* The rest of the file is the host's, with what it held. */
	ASSERT_EQ(0, gmem_set_attr(f.fd, 0, OFF(first), GMEM_SHARED));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(first + count), OFF(all - first - count),
				   GMEM_SHARED));
	for (n = 0; n < all; n++) {
		if (n < first || n >= first + count)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
	}
	file_close(&f);
}

/* From the middle of a 2 MiB block into the middle of the next, over holes. */
TEST_F(layout, slot_in_the_middle_of_blocks)
{
	const u64 block = SZ_2M / page, skip = 37, count = block, first = block + 5;
	const u64 gpa = MEM_GPA + OFF(skip), all = 4 * block;
	struct kvm_memory_attributes2 attr;
	struct file f;

	file_create(&f, &self->g, OFF(all));
	ASSERT_EQ(0, bind(&self->g, 0, gpa, OFF(count), &f, OFF(first)));
	ASSERT_EQ(0, file_hide(&f));

	EXPECT_GUEST(&self->g, gpa, 0);
	EXPECT_GUEST(&self->g, gpa + OFF(count - 1), 0);
	EXPECT_NO_MEMORY(&self->g, gpa - 8);
	EXPECT_NO_MEMORY(&self->g, MEM_GPA);
	EXPECT_NO_MEMORY(&self->g, gpa + OFF(count));
	EXPECT_EQ(0, guest_store(&self->g, gpa + OFF(block - skip), TAG(1)));
	EXPECT_EQ(0, guest_store(&self->g, gpa + OFF(block - skip - 1), TAG(2)));

	EXPECT_TRUE(gmem_populated(f.fd, OFF(first)));
	EXPECT_TRUE(gmem_populated(f.fd, OFF(first + count - 1)));
	EXPECT_EQ(0, gmem_get_attr(f.fd, 0, OFF(first), &attr));
	EXPECT_EQ(OFF(first), attr.size);
	EXPECT_EQ(0, attr.flags);
	EXPECT_EQ(0, gmem_get_attr(f.fd, OFF(first + count), OFF(all - first - count), &attr));
	EXPECT_EQ(OFF(all - first - count), attr.size);
	EXPECT_EQ(0, attr.flags);

	ASSERT_TRUE(guest_gives(&self->g, gpa + OFF(block - skip - 1), 2, f.fd,
				OFF(first + block - skip - 1)));
	EXPECT_EQ(TAG(2), gmem_host_get64(f.mem + OFF(first + block - skip - 1)));
	EXPECT_EQ(TAG(1), gmem_host_get64(f.mem + OFF(first + block - skip)));
	file_close(&f);
}

/* What three slots show of one file, in another order and with gaps. */
static const struct part {
	u64 first, count, gpa;
} parts[] = {
	{ .first =  2, .count =  8, .gpa = MEM_GPA + SZ_1M },
	{ .first = 20, .count =  8, .gpa = MEM_GPA },
	/* Follows the first one in the guest, and not in the file. */
	{ .first = 40, .count = 16, .gpa = MEM_GPA + SZ_1M + 8 * SZ_4K },
};

#define PARTS_ALL	64

static void bind_parts(struct guest *g, const struct file *f)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++)
		TEST_ASSERT(!bind(g, i, parts[i].gpa, OFF(parts[i].count), f,
				  OFF(parts[i].first)), "slot %zu", i);
}

/* The gpa of a page of the file, 0 where no slot has it. */
static u64 part_gpa(u64 n)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		if (n >= parts[i].first && n < parts[i].first + parts[i].count)
			return parts[i].gpa + OFF(n - parts[i].first);
	}
	return 0;
}

TEST_F(layout, several_slots_over_one_file)
{
	struct file f;
	u64 n, val;

	file_create(&f, &self->g, OFF(PARTS_ALL));
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, file_hide(&f));

	for (n = 0; n < PARTS_ALL; n++) {
		if (part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}
	EXPECT_NO_MEMORY(&self->g, part_gpa(27) + page);
	EXPECT_NO_MEMORY(&self->g, part_gpa(2) - page);
	EXPECT_NO_MEMORY(&self->g, part_gpa(55) + page);

	/* A range of the guest's over two of them. */
	ASSERT_TRUE(guest_gives(&self->g, part_gpa(8), 2, f.fd, OFF(8)));
	ASSERT_TRUE(guest_gives(&self->g, part_gpa(40), 2, f.fd, OFF(40)));
	for (n = 0; n < PARTS_ALL; n++) {
		bool given = n == 8 || n == 9 || n == 40 || n == 41;

		EXPECT_EQ(given ? 0 : SIGBUS, gmem_host_read64(f.mem + OFF(n), &val))
			TH_LOG("page %lu", (unsigned long)n);
		EXPECT_EQ(given ? GMEM_SHARED : GMEM_PRIVATE, gmem_attr_of(f.fd, OFF(n)));
	}

	/* The gaps are the host's alone. */
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(10), OFF(10), GMEM_SHARED));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(28), OFF(12), GMEM_SHARED));
	for (n = 0; n < PARTS_ALL; n++) {
		if (gmem_attr_of(f.fd, OFF(n)) == GMEM_SHARED)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
		if (gmem_attr_of(f.fd, OFF(n)) == GMEM_PRIVATE && part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}
	file_close(&f);
}

/* A hole goes through every slot that shows a part of it, and through nothing else. */
TEST_F(layout, hole_through_several_slots)
{
	const u64 start = 6, end = 23;
	struct file f;
	u64 n;

	file_create(&f, &self->g, OFF(PARTS_ALL));
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, file_hide(&f));
	for (n = 0; n < PARTS_ALL; n++) {
		if (part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
	}

	ASSERT_EQ(0, gmem_punch(f.fd, OFF(start), OFF(end - start)));
	for (n = 0; n < PARTS_ALL; n++)
		EXPECT_EQ(n < start || n >= end, gmem_populated(f.fd, OFF(n)));
	for (n = 0; n < PARTS_ALL; n++) {
		if (!part_gpa(n))
			continue;
		if (n < start || n >= end)
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
		if (n >= start && n < end)
			EXPECT_TRUE(guest_lost(&self->g, part_gpa(n)));
	}
	file_close(&f);
}

TEST_F(layout, files_of_two_vms)
{
	struct guest other;
	struct file f, o;
	u64 n;

	guest_create(&other);
	file_create(&f, &self->g, OFF(8));
	file_create(&o, &other, OFF(8));
	file_tag(&f, 0, 8);
	for (n = 0; n < 8; n++)
		gmem_host_set64(o.mem + OFF(n), ~TAG(n));

	/* A file is its VM's. */
	EXPECT_EQ(-EINVAL, bind(&self->g, 0, MEM_GPA, OFF(8), &o, 0));
	EXPECT_EQ(-EINVAL, bind(&other, 0, MEM_GPA, OFF(8), &f, 0));
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(4), &f, OFF(2)));
	ASSERT_EQ(0, bind(&other, 0, MEM_GPA, OFF(4), &o, OFF(2)));
	ASSERT_EQ(0, file_hide(&f));
	ASSERT_EQ(0, file_hide(&o));

	for (n = 0; n < 4; n++) {
		EXPECT_GUEST(&self->g, MEM_GPA + OFF(n), TAG(n + 2));
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));
	}

	/* What happens to the one does not happen to the other. */
	EXPECT_EQ(0, guest_store(&self->g, MEM_GPA, 1));
	ASSERT_TRUE(guest_gives(&self->g, MEM_GPA + page, 1, f.fd, OFF(3)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(o.fd, OFF(3)));
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(4), page));
	for (n = 0; n < 4; n++)
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));

	file_close(&f);
	guest_close(&self->g);
	for (n = 0; n < 4; n++)
		EXPECT_GUEST(&other, MEM_GPA + OFF(n), ~TAG(n + 2));
	EXPECT_EQ(0, guest_store(&other, MEM_GPA, 2));
	file_close(&o);
	guest_close(&other);
	guest_create(&self->g);
}

TEST_F(layout, refused_bindings)
{
	const u64 gpa = MEM_GPA + SZ_16M, size = OFF(PARTS_ALL), top = top_gpa(&self->g);
	const struct {
		const char *what;
		int err;
		u64 gpa, size, offset;
	} bad[] = {
		/* Of the file: part 0 has 2 to 9, part 1 has 20 to 27, part 2 has 40 to 55. */
		{ "the same",		-EEXIST, gpa, OFF(8), OFF(2) },
		{ "its first page",	-EEXIST, gpa, OFF(3), OFF(0) },
		{ "its last page",	-EEXIST, gpa, OFF(3), OFF(9) },
		{ "one in the middle",	-EEXIST, gpa, OFF(1), OFF(24) },
		{ "all and more",	-EEXIST, gpa, OFF(20), OFF(18) },
		{ "two of them",	-EEXIST, gpa, OFF(12), OFF(9) },
		{ "the whole file",	-EEXIST, gpa, size, 0 },
		/* Of the guest. */
		{ "the same gpa",	-EEXIST, MEM_GPA, OFF(4), OFF(10) },
		{ "the first gpa",	-EEXIST, MEM_GPA - OFF(3), OFF(4), OFF(10) },
		{ "the last gpa",	-EEXIST, MEM_GPA + OFF(7), OFF(4), OFF(10) },
		{ "both",		-EEXIST, MEM_GPA, OFF(8), OFF(20) },
		/* Of nothing. */
		{ "at the end",		-EINVAL, gpa, OFF(1), size },
		{ "over the end",	-EINVAL, gpa, OFF(5), size - OFF(4) },
		{ "beyond the end",	-EINVAL, gpa, OFF(1), size + OFF(1) },
		{ "far away",		-EINVAL, gpa, OFF(1), 1ULL << 62 },
		{ "negative",		-EINVAL, gpa, OFF(1), 1ULL << 63 },
		{ "wraps to 0",		-EINVAL, gpa, OFF(1), -OFF(1) },
		{ "wraps",		-EINVAL, gpa, OFF(2), -OFF(1) },
		{ "wraps to a gap",	-EINVAL, gpa, OFF(14), -OFF(2) },
		{ "wraps by its size",	-EINVAL, gpa, -OFF(1), OFF(10) },
		{ "offset in a page",	-EINVAL, gpa, OFF(1), OFF(10) + 8 },
		{ "offset in a page",	-EINVAL, gpa, OFF(1), OFF(10) - 1 },
		{ "size in a page",	-EINVAL, gpa, OFF(1) + 8, OFF(10) },
		{ "gpa in a page",	-EINVAL, gpa + 8, OFF(1), OFF(10) },
		{ "gpa at the top",	BEYOND_TOP, top, OFF(1), OFF(10) },
		{ "gpa over the top",	BEYOND_TOP, top - OFF(1), OFF(2), OFF(10) },
		{ "gpa wraps",		-EINVAL, -OFF(1), OFF(2), OFF(10) },
	};
	struct file f;
	size_t i;
	u64 n;

	file_create(&f, &self->g, size);
	file_tag(&f, 0, PARTS_ALL);
	bind_parts(&self->g, &f);
	ASSERT_EQ(0, gmem_set_attr(f.fd, 0, OFF(30), GMEM_PRIVATE));
	EXPECT_GUEST(&self->g, part_gpa(4), TAG(4));

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		EXPECT_EQ(bad[i].err, bind(&self->g, 7, bad[i].gpa, bad[i].size, &f,
					   bad[i].offset))
			TH_LOG("%s", bad[i].what);
	}

	/* Not files, or not such. */
	EXPECT_EQ(-EINVAL, gmem_set_slot(guest_vm(&self->g), 7, gpa, page, NULL,
					 self->kmsg, 0));
	EXPECT_EQ(-EINVAL, gmem_set_slot(guest_vm(&self->g), 7, gpa, page, NULL,
					 guest_vm(&self->g), 0));
	EXPECT_EQ(-EBADF, gmem_set_slot(guest_vm(&self->g), 7, gpa, page, NULL, INT_MAX, 0));
	/* A slot that is there cannot be made another. */
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, MEM_GPA, OFF(8), &f, OFF(20)));
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, MEM_GPA, OFF(8), &f, OFF(10)));
	EXPECT_EQ(-EINVAL, bind(&self->g, 1, gpa, OFF(8), &f, OFF(10)));

	/* Nothing has changed: the guest's memory, the host's, and what is free. */
	for (n = 0; n < PARTS_ALL; n++) {
		if (n >= 30)
			EXPECT_EQ(TAG(n), gmem_host_get64(f.mem + OFF(n)));
		if (n < 30 && part_gpa(n))
			EXPECT_GUEST(&self->g, part_gpa(n), TAG(n));
		EXPECT_EQ(n < 30 ? GMEM_PRIVATE : GMEM_SHARED, gmem_attr_of(f.fd, OFF(n)));
	}
	EXPECT_NO_MEMORY(&self->g, gpa);
	EXPECT_EQ(0, bind(&self->g, 7, gpa, OFF(10), &f, OFF(10)));
	EXPECT_EQ(0, bind(&self->g, 8, gpa + SZ_1M, OFF(2), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 9, gpa + SZ_2M, OFF(12), &f, OFF(28)));
	EXPECT_EQ(0, bind(&self->g, 10, gpa + SZ_4M, OFF(8), &f, OFF(56)));
	EXPECT_GUEST(&self->g, gpa + OFF(9), TAG(19));
	EXPECT_GUEST(&self->g, gpa + SZ_1M, TAG(0));
	EXPECT_GUEST(&self->g, gpa + SZ_2M + OFF(1), TAG(29));
	file_close(&f);
}

/* Whether the guest gets there is the architectures' business; that it fits is not. */
TEST_F(layout, slot_at_the_top)
{
	const u64 top = top_gpa(&self->g);
	struct file f;

	file_create(&f, &self->g, OFF(16));
	EXPECT_EQ(BEYOND_TOP, bind(&self->g, 0, top - OFF(4), OFF(5), &f, 0));
	EXPECT_EQ(BEYOND_TOP, bind(&self->g, 0, top, OFF(1), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 0, top - OFF(4), OFF(4), &f, OFF(12)));
	EXPECT_EQ(-EEXIST, bind(&self->g, 1, top - OFF(1), OFF(1), &f, 0));
	EXPECT_EQ(0, bind(&self->g, 1, top - OFF(5), OFF(1), &f, 0));

	/* Conversions and holes go through it as through any other. */
	EXPECT_EQ(0, file_hide(&f));
	EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(15), page, GMEM_SHARED));
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(14), OFF(2)));
	EXPECT_EQ(0, gmem_host_get64(f.mem + OFF(15)));
	file_close(&f);
}

/*
 * The map in debugfs, a file for each guest_memfd in the VM's directory; a line is
 *
 *	START-END private|shared resident|hole GFN-GFN slot N
 *
 * or "unbound" instead of frames and slot, for as much as all of that holds. START and END
 * are bytes of the file, the frames the guest's; both ends are the first that is not meant.
 */
static void map_path(char *path, size_t size, struct guest *g, int fd)
{
	struct stat st;

	TEST_ASSERT(!fstat(fd, &st), "fstat: errno %d", errno);
	snprintf(path, size, "/sys/kernel/debug/kvm/%d-%d/guest_memfd-%lu", getpid(),
		 guest_vm(g), (unsigned long)st.st_ino);
}

/* All of it, @chunk bytes at a time; NULL and errno if it cannot be read. */
static char *map_read(const char *path, size_t chunk)
{
	size_t used = 0, room = SZ_1M;
	char *text = malloc(room);
	int fd = open(path, O_RDONLY);
	ssize_t n = -1;

	while (fd >= 0) {
		if (used + chunk >= room)
			text = realloc(text, room *= 2);
		n = pread(fd, text + used, chunk, used);
		if (n <= 0)
			break;
		used += n;
	}
	if (fd >= 0)
		close(fd);
	if (n < 0) {
		free(text);
		return NULL;
	}
	text[used] = '\0';
	/* A debug kernel tells more. */
	gmem_map_host_view(text);
	return text;
}

/* What a slot shows, in the file's order. */
struct bound {
	u64 offset, size, gpa;
	int slot;
};

/* The map as GET_MEMORY_ATTRIBUTES2 and the slots tell it. */
static char *map_expected(const struct file *f, const struct bound *b, int nr)
{
	size_t used = 0, room = SZ_1M;
	char *text = malloc(room);
	u64 start, end;

	for (start = 0; start < f->size; start = end) {
		struct kvm_memory_attributes2 attr;

		while (nr && b->offset + b->size <= start) {
			b++;
			nr--;
		}
		TEST_ASSERT(!gmem_get_attr(f->fd, start, f->size - start, &attr) && attr.size,
			    "GET_MEMORY_ATTRIBUTES2 of %#lx", (unsigned long)start);
		end = start + attr.size;
		if (nr && start < b->offset)
			end = min(end, b->offset);
		else if (nr)
			end = min(end, b->offset + b->size);

		if (room - used < 200)
			text = realloc(text, room *= 2);
		used += sprintf(text + used, "%016lx-%016lx %s %s ", (unsigned long)start,
				(unsigned long)end,
				attr.attributes & GMEM_PRIVATE ? "private" : "shared",
				attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED ?
				"resident" : "hole");
		if (nr && start >= b->offset)
			used += sprintf(text + used, "%lx-%lx slot %d\n",
					(unsigned long)((b->gpa + start - b->offset) / page),
					(unsigned long)((b->gpa + end - b->offset) / page),
					b->slot);
		else
			used += sprintf(text + used, "unbound\n");
	}
	text[used] = '\0';
	return text;
}

/* Equal, or the first line that is not goes to the log. */
static bool map_same(const char *want, const char *got)
{
	const char *w = want, *g = got;

	while (*w && *w == *g) {
		w++;
		g++;
	}
	if (*w == *g)
		return true;
	while (w > want && w[-1] != '\n') {
		w--;
		g--;
	}
	fprintf(stderr, "# map: want \"%.*s\"\n#       got \"%.*s\"\n",
		(int)strcspn(w, "\n"), w, (int)strcspn(g, "\n"), g);
	return false;
}

#define EXPECT_MAP(f, bound, nr) do {					\
	char __path[128], *__want = map_expected(f, bound, nr), *__got;	\
									\
	map_path(__path, sizeof(__path), &self->g, (f)->fd);		\
	__got = map_read(__path, SZ_64K);				\
	ASSERT_NE(NULL, __got);						\
	EXPECT_TRUE(map_same(__want, __got));				\
	free(__want);							\
	free(__got);							\
} while (0)

/* Kernels without debugfs are fine; with it, the map has to be there. */
static bool no_debugfs(void)
{
	return access("/sys/kernel/debug/kvm", X_OK);
}

TEST_F(layout, map_comes_and_goes_with_the_file)
{
	char path[2][128], dir[128], *text;
	struct file f[2];
	int copy, open_map;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	file_create(&f[0], &self->g, OFF(4));
	file_create(&f[1], &self->g, OFF(8));
	map_path(path[0], sizeof(path[0]), &self->g, f[0].fd);
	map_path(path[1], sizeof(path[1]), &self->g, f[1].fd);
	EXPECT_NE(0, strcmp(path[0], path[1]));
	EXPECT_EQ(0, access(path[0], R_OK));
	EXPECT_EQ(0, access(path[1], R_OK));

	/* Another descriptor of it is the same file; a slot does not keep it. */
	copy = dup(f[0].fd);
	ASSERT_EQ(0, bind(&self->g, 0, MEM_GPA, OFF(4), &f[0], 0));
	file_close(&f[0]);
	EXPECT_EQ(0, access(path[0], R_OK));
	open_map = open(path[0], O_RDONLY);
	ASSERT_LE(0, open_map);
	text = map_read(path[0], 10);
	EXPECT_NE(NULL, text);
	free(text);
	close(copy);
	EXPECT_EQ(-1, access(path[0], F_OK));
	EXPECT_EQ(ENOENT, errno);
	EXPECT_EQ(0, access(path[1], R_OK));

	/* Whoever has the map open still gets nothing of a file that is gone. */
	EXPECT_GE(0, pread(open_map, dir, sizeof(dir), 0));
	close(open_map);

	/* A file outlives everything else of its VM, and so does its map. */
	guest_close(&self->g);
	text = map_read(path[1], SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same("0000000000000000-0000000000008000 shared hole unbound\n", text));
	free(text);
	file_close(&f[1]);
	EXPECT_EQ(-1, access(path[1], F_OK));
	EXPECT_EQ(ENOENT, errno);
	*strrchr(path[1], '/') = '\0';
	EXPECT_EQ(-1, access(path[1], F_OK));

	guest_create(&self->g);
}

TEST_F(layout, map_is_exact)
{
	const struct bound bound[] = {
		{ OFF(2), OFF(8), MEM_GPA + SZ_1M, 0 },
		{ OFF(20), OFF(8), MEM_GPA, 1 },
		{ OFF(40), OFF(16), MEM_GPA + SZ_1M + OFF(8), 2 },
	};
	char path[128], *text;
	struct file f;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	file_create(&f, &self->g, OFF(PARTS_ALL));
	map_path(path, sizeof(path), &self->g, f.fd);
	text = map_read(path, SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same("0000000000000000-0000000000040000 shared hole unbound\n", text));
	free(text);

	bind_parts(&self->g, &f);
	EXPECT_MAP(&f, bound, 3);

	/* Runs that end in the middle of slots, at their ends and where others do. */
	file_tag(&f, 0, 1);
	file_tag(&f, 3, 2);
	file_tag(&f, 8, 4);
	file_tag(&f, 20, 8);
	file_tag(&f, 39, 2);
	file_tag(&f, 63, 1);
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(4), OFF(6), GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(24), OFF(18), GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(62), OFF(2), GMEM_PRIVATE));
	text = map_read(path, SZ_4K);
	ASSERT_NE(NULL, text);
	EXPECT_TRUE(map_same(
		"0000000000000000-0000000000001000 shared resident unbound\n"
		"0000000000001000-0000000000002000 shared hole unbound\n"
		"0000000000002000-0000000000003000 shared hole c0100-c0101 slot 0\n"
		"0000000000003000-0000000000004000 shared resident c0101-c0102 slot 0\n"
		"0000000000004000-0000000000005000 private resident c0102-c0103 slot 0\n"
		"0000000000005000-0000000000008000 private hole c0103-c0106 slot 0\n"
		"0000000000008000-000000000000a000 private resident c0106-c0108 slot 0\n"
		"000000000000a000-000000000000c000 shared resident unbound\n"
		"000000000000c000-0000000000014000 shared hole unbound\n"
		"0000000000014000-0000000000018000 shared resident c0000-c0004 slot 1\n"
		"0000000000018000-000000000001c000 private resident c0004-c0008 slot 1\n"
		"000000000001c000-0000000000027000 private hole unbound\n"
		"0000000000027000-0000000000028000 private resident unbound\n"
		"0000000000028000-0000000000029000 private resident c0108-c0109 slot 2\n"
		"0000000000029000-000000000002a000 private hole c0109-c010a slot 2\n"
		"000000000002a000-0000000000038000 shared hole c010a-c0118 slot 2\n"
		"0000000000038000-000000000003e000 shared hole unbound\n"
		"000000000003e000-000000000003f000 private hole unbound\n"
		"000000000003f000-0000000000040000 private resident unbound\n", text));
	free(text);
	EXPECT_MAP(&f, bound, 3);

	/* And follows what the guest does. */
	EXPECT_EQ(0, guest_store(&self->g, part_gpa(5), 1));
	EXPECT_MAP(&f, bound, 3);
	ASSERT_TRUE(guest_gives(&self->g, part_gpa(5), 2, f.fd, OFF(5)));
	EXPECT_MAP(&f, bound, 3);
	EXPECT_EQ(0, gmem_punch(f.fd, OFF(4), OFF(18)));
	EXPECT_MAP(&f, bound, 3);
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(f.fd, OFF(4)));
	file_close(&f);
}

TEST_F(layout, map_of_a_large_file)
{
	const u64 low = 2ULL * SZ_1G, high = SZ_1G;
	const struct bound bound[] = {
		{ 0, low, LOW_GPA, 0 },
		{ low, high, HIGH_GPA, 1 },
	};
	struct file f;
	u64 val = 0;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	file_create(&f, &self->g, low + high + SZ_1M);
	ASSERT_EQ(0, bind(&self->g, 0, LOW_GPA, low, &f, 0));
	ASSERT_EQ(0, bind(&self->g, 1, HIGH_GPA, high, &f, low));
	EXPECT_MAP(&f, bound, 2);
	file_tag(&f, low / page - 1, 2);
	ASSERT_EQ(0, gmem_set_attr(f.fd, SZ_1M, low + high - SZ_1M, GMEM_PRIVATE));
	EXPECT_MAP(&f, bound, 2);
	EXPECT_EQ(0, guest_load(&self->g, HIGH_GPA + SZ_4M, &val));
	EXPECT_MAP(&f, bound, 2);
	file_close(&f);
}

/* Every page a run of its own: whole, in whatever pieces it is read. */
TEST_F_TIMEOUT(layout, map_of_thousands_of_runs, 120)
{
	const size_t chunks[] = { SZ_1M, 100, 7 * SZ_4K + 1 };
	const u64 nr = 4096;
	const struct bound bound[] = {
		{ OFF(1), OFF(nr / 2), MEM_GPA, 3 },
		{ OFF(nr / 2 + 1), OFF(100), MEM_GPA + OFF(nr), 4 },
	};
	char path[128], *want, *got;
	struct file f;
	size_t i;
	u64 n;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	file_create(&f, &self->g, OFF(nr));
	for (i = 0; i < ARRAY_SIZE(bound); i++)
		ASSERT_EQ(0, bind(&self->g, bound[i].slot, bound[i].gpa, bound[i].size, &f,
				  bound[i].offset));
	for (n = 0; n < nr; n += 2)
		ASSERT_EQ(0, gmem_set_attr(f.fd, OFF(n), page, GMEM_PRIVATE));
	for (n = 1; n < nr; n += 6)
		file_tag(&f, n, 1);

	map_path(path, sizeof(path), &self->g, f.fd);
	want = map_expected(&f, bound, ARRAY_SIZE(bound));
	for (n = 0, got = want; (got = strchr(got, '\n')); n++)
		got++;
	EXPECT_EQ(nr, n);
	for (i = 0; i < ARRAY_SIZE(chunks); i++) {
		got = map_read(path, chunks[i]);
		ASSERT_NE(NULL, got);
		EXPECT_TRUE(map_same(want, got))
			TH_LOG("in pieces of %zu bytes", chunks[i]);
		free(got);
	}
	free(want);
	file_close(&f);
}

struct reader {
	char path[128];
	u64 size;
	atomic_bool stop;
	atomic_ulong whole;	/* maps read to their end */
	unsigned long odd;	/* lines that are not such */
};

/* Each line begins where the one before it ended, however old that is by now. */
static void check_lines(struct reader *r, const char *text)
{
	unsigned long start, end, at = 0;
	char attr[16], there[16];

	for (; *text; text = strchr(text, '\n') + 1) {
		if (sscanf(text, "%lx-%lx %15s %15s", &start, &end, attr, there) != 4 ||
		    start != at || end <= start || !strchr(text, '\n')) {
			fprintf(stderr, "# map: after %lx \"%.80s\"\n", at, text);
			r->odd++;
			return;
		}
		at = end;
	}
	r->odd += at != r->size;
}

static void *read_for_ever(void *arg)
{
	struct reader *r = arg;
	char *text;

	while (!atomic_load(&r->stop)) {
		text = map_read(r->path, 100);
		if (!text)
			continue;
		check_lines(r, text);
		free(text);
		atomic_fetch_add(&r->whole, 1);
	}
	return NULL;
}

/* Somebody reads the map all the while, to the file's end. */
TEST_F_TIMEOUT(layout, map_of_what_changes, 120)
{
	struct reader r = { .size = OFF(PARTS_ALL) };
	pthread_t thread;
	struct file f;
	u64 n, i;

	if (no_debugfs())
		SKIP(return, "no debugfs");
	file_create(&f, &self->g, OFF(PARTS_ALL));
	map_path(r.path, sizeof(r.path), &self->g, f.fd);
	ASSERT_EQ(0, access(r.path, R_OK));
	ASSERT_EQ(0, pthread_create(&thread, NULL, read_for_ever, &r));
	for (i = 0; i < 50 || atomic_load(&r.whole) < 50; i++) {
		n = i % PARTS_ALL;
		bind_parts(&self->g, &f);
		EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(n), page, GMEM_PRIVATE));
		EXPECT_EQ(0, gmem_set_attr(f.fd, OFF(PARTS_ALL - 1 - n), page, GMEM_SHARED));
		file_tag(&f, PARTS_ALL - 1 - n, 1);
		for (n = 0; n < ARRAY_SIZE(parts); n++)
			EXPECT_EQ(0, gmem_set_slot(guest_vm(&self->g), n, parts[n].gpa, 0, NULL,
						   -1, 0));
		EXPECT_EQ(0, gmem_punch(f.fd, OFF(i % 7), OFF(i % 20 + 1)));
	}
	file_close(&f);
	atomic_store(&r.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, r.odd);
	EXPECT_EQ(-1, access(r.path, F_OK));
}

int main(int argc, char **argv)
{
	page = getpagesize();
	/* The maps are written for it, and so are the guests. */
	__TEST_REQUIRE(page == SZ_4K, "pages of %zu bytes", page);
#if defined(__aarch64__)
	pkvm_require_gmem();
#elif defined(__x86_64__)
	TEST_REQUIRE(gmem_check_cap(open("/dev/kvm", O_RDWR), KVM_CAP_VM_TYPES) &
		     BIT(KVM_X86_SW_PROTECTED_VM));
	TEST_REQUIRE(gmem_check_cap(open("/dev/kvm", O_RDWR),
				    KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) > 0);
#endif
	return test_harness_run(argc, argv);
}
