// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software-protected guest whose memory is converted in place by ioctl on its
 * guest_memfd: the same page, the same content, host access as the attribute says.
 * What ends a KVM_RUN instead is in guest_memfd_exits_test.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm_para.h>

#include "guest_memfd_util.h"
#include "kvm_util.h"
#include "kselftest_harness.h"
#include "processor.h"

#define SLOT		10
#define GPA		(1ULL << 32)
#define NR_PAGES	32ULL
#define SIZE		(NR_PAGES * PAGE_SIZE)
/* In file offsets the slot begins here: alignment of page size is enough. */
#define OFFSET		PAGE_SIZE

#define FROM_HOST	0x686f7374ULL
#define FROM_GUEST	0x6775657374ULL
#define SECRET		0x736563726574ULL
#define LATER		0x6c61746572ULL

FIXTURE(in_place) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;	/* the first of two */
	struct kvm_vcpu *other;
	char *mem;		/* the slot's part of the file */
	int fd;
	int kmsg;
};

FIXTURE_SETUP(in_place)
{
	const struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SW_PROTECTED_VM,
	};
	struct kvm_vcpu *vcpus[2];
	char *file;

	self->kmsg = gmem_kmsg_open();
	self->vm = __vm_create_with_vcpus(shape, 2, 0, NULL, vcpus);
	self->vcpu = vcpus[0];
	self->other = vcpus[1];
	vm_enable_cap(self->vm, KVM_CAP_EXIT_HYPERCALL, BIT(KVM_HC_MAP_GPA_RANGE));
	self->fd = vm_create_guest_memfd(self->vm, SIZE + OFFSET,
					 GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	vm_mem_add(self->vm, VM_MEM_SRC_ANONYMOUS, GPA, SLOT, NR_PAGES, KVM_MEM_GUEST_MEMFD,
		   self->fd, OFFSET);
	virt_map(self->vm, GPA, GPA, NR_PAGES);
	file = gmem_map(self->fd, SIZE + OFFSET);
	self->mem = file + OFFSET;
}

FIXTURE_TEARDOWN(in_place)
{
	munmap(self->mem - OFFSET, SIZE + OFFSET);
	kvm_vm_free(self->vm);
	close(self->fd);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static void guest_converts(void)
{
	volatile u64 *page = (u64 *)GPA;

	GUEST_ASSERT_EQ(*page, FROM_HOST);
	*page = FROM_GUEST;
	GUEST_SYNC(1);

	kvm_hypercall_map_gpa_range(GPA, PAGE_SIZE, KVM_MAP_GPA_RANGE_ENCRYPTED);
	GUEST_ASSERT_EQ(*page, FROM_GUEST);
	*page = SECRET;
	GUEST_SYNC(2);

	kvm_hypercall_map_gpa_range(GPA, PAGE_SIZE, KVM_MAP_GPA_RANGE_DECRYPTED);
	GUEST_ASSERT_EQ(*page, SECRET);
	GUEST_SYNC(3);
	GUEST_ASSERT_EQ(*page, LATER);
	GUEST_DONE();
}

/* What a VMM does when its guest asks for a conversion. */
static void convert_as_asked(struct kvm_run *run, int fd)
{
	u64 gpa = run->hypercall.args[0], size = run->hypercall.args[1] * PAGE_SIZE;
	bool private = run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;
	int ret;

	TEST_ASSERT_EQ(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
	TEST_ASSERT(gpa >= GPA && gpa + size <= GPA + SIZE, "asked for %#lx + %#lx", gpa, size);

	/* The other vCPU's fault holds a reference for a moment. */
	do {
		ret = gmem_set_attr(fd, gpa - GPA + OFFSET, size,
				    private ? GMEM_PRIVATE : GMEM_SHARED);
	} while (ret == -EAGAIN);
	TEST_ASSERT_EQ(0, ret);
	run->hypercall.ret = 0;
}

/* Runs the guest to its next GUEST_SYNC(), doing as it asks. Returns the stage, 0 at the end. */
static u64 run_to_sync(struct kvm_vcpu *vcpu, int fd)
{
	struct ucall uc;

	for (;;) {
		vcpu_run(vcpu);
		if (vcpu->run->exit_reason == KVM_EXIT_HYPERCALL) {
			convert_as_asked(vcpu->run, fd);
			continue;
		}

		TEST_ASSERT_KVM_EXIT_REASON(vcpu, KVM_EXIT_IO);
		switch (get_ucall(vcpu, &uc)) {
		case UCALL_SYNC:
			return uc.args[1];
		case UCALL_DONE:
			return 0;
		case UCALL_ABORT:
			REPORT_GUEST_ASSERT(uc);
		default:
			TEST_FAIL("Unknown ucall %lu", uc.cmd);
		}
	}
}

TEST_F(in_place, same_page_same_content)
{
	u64 val, pfn;

	vcpu_arch_set_entry_point(self->vcpu, guest_converts);
	gmem_host_set64(self->mem, FROM_HOST);
	pfn = gmem_pfn(self->mem);
	EXPECT_NE(0, pfn);

	ASSERT_EQ(1, run_to_sync(self->vcpu, self->fd));
	EXPECT_EQ(FROM_GUEST, gmem_host_get64(self->mem));

	ASSERT_EQ(2, run_to_sync(self->vcpu, self->fd));
	EXPECT_EQ(SIGBUS, gmem_host_read64(self->mem, &val));
	EXPECT_EQ(-EFAULT, gmem_kernel_read(self->mem));
	/* The neighbour and what lies before the slot stay the host's. */
	EXPECT_EQ(0, gmem_host_read64(self->mem + PAGE_SIZE, &val));
	EXPECT_EQ(0, gmem_host_read64(self->mem - PAGE_SIZE, &val));

	ASSERT_EQ(3, run_to_sync(self->vcpu, self->fd));
	EXPECT_EQ(SECRET, gmem_host_get64(self->mem));
	EXPECT_EQ(pfn, gmem_pfn(self->mem));
	gmem_host_set64(self->mem, LATER);
	EXPECT_EQ(0, run_to_sync(self->vcpu, self->fd));
}

/* What the guest asks for, one after the other: single pages, ranges, over what is there. */
static const struct step {
	u64 first, count;
	bool private;
} steps[] = {
	{ 3, 1, true },
	{ 0, 1, true },
	{ NR_PAGES - 1, 1, true },
	{ 3, 1, false },
	{ 2, 9, true },
	{ 5, 2, false },
	{ 6, 12, true },
	{ 0, NR_PAGES, false },
	{ 0, NR_PAGES, true },
	{ 0, NR_PAGES, true },
	{ 16, 8, false },
	{ 23, 1, true },
	{ 0, NR_PAGES, false },
};

/* What either side adds to a page in each round. */
#define GUEST_ADDS	1ULL
#define HOST_ADDS	(1ULL << 32)

static void take_step(bool *private, const struct step *s)
{
	u64 p;

	for (p = s->first; p < s->first + s->count; p++)
		private[p] = s->private;
}

static void guest_converts_ranges(void)
{
	bool private[NR_PAGES] = {};
	volatile u64 *page;
	u64 want[NR_PAGES];
	u64 p, s;

	for (p = 0; p < NR_PAGES; p++)
		want[p] = FROM_HOST + p;

	for (s = 0; s < ARRAY_SIZE(steps); s++) {
		kvm_hypercall_map_gpa_range(GPA + steps[s].first * PAGE_SIZE,
					    steps[s].count * PAGE_SIZE,
					    steps[s].private ? KVM_MAP_GPA_RANGE_ENCRYPTED :
					    KVM_MAP_GPA_RANGE_DECRYPTED);
		take_step(private, &steps[s]);
		for (p = 0; p < NR_PAGES; p++) {
			page = (u64 *)(GPA + p * PAGE_SIZE);
			GUEST_ASSERT_EQ(*page, want[p]);
			want[p] += GUEST_ADDS;
			*page = want[p];
		}
		GUEST_SYNC(s + 1);
		for (p = 0; p < NR_PAGES; p++) {
			if (!private[p])
				want[p] += HOST_ADDS;
		}
	}
	GUEST_DONE();
}

TEST_F(in_place, ranges_and_their_neighbours)
{
	bool private[NR_PAGES] = {};
	u64 want[NR_PAGES];
	u64 p, s, val;

	for (p = 0; p < NR_PAGES; p++) {
		want[p] = FROM_HOST + p;
		gmem_host_set64(self->mem + p * PAGE_SIZE, want[p]);
	}
	vcpu_arch_set_entry_point(self->vcpu, guest_converts_ranges);

	for (s = 0; s < ARRAY_SIZE(steps); s++) {
		ASSERT_EQ(s + 1, run_to_sync(self->vcpu, self->fd));
		take_step(private, &steps[s]);
		for (p = 0; p < NR_PAGES; p++) {
			char *page = self->mem + p * PAGE_SIZE;

			want[p] += GUEST_ADDS;
			EXPECT_EQ(private[p] ? GMEM_PRIVATE : GMEM_SHARED,
				  gmem_attr_of(self->fd, OFFSET + p * PAGE_SIZE));
			ASSERT_EQ(private[p] ? SIGBUS : 0, gmem_host_read64(page, &val))
				TH_LOG("step %lu, page %lu", s, p);
			if (private[p])
				continue;
			EXPECT_EQ(want[p], val)
				TH_LOG("step %lu, page %lu", s, p);
			want[p] += HOST_ADDS;
			gmem_host_set64(page, want[p]);
		}
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, 0));
	}
	EXPECT_EQ(0, run_to_sync(self->vcpu, self->fd));
}

/* One truth: where the file decides, the VM-wide attributes are refused. */
TEST_F(in_place, vm_wide_attributes_are_refused)
{
	struct kvm_memory_attributes attr = {
		.address = GPA,
		.size = PAGE_SIZE,
		.attributes = KVM_MEMORY_ATTRIBUTE_PRIVATE,
	};

	EXPECT_EQ(-1, __vm_ioctl(self->vm, KVM_SET_MEMORY_ATTRIBUTES, &attr));
	EXPECT_EQ(EOPNOTSUPP, errno);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFFSET));

	/* Elsewhere they work as before. */
	attr.address = GPA + SIZE;
	EXPECT_EQ(0, __vm_ioctl(self->vm, KVM_SET_MEMORY_ATTRIBUTES, &attr));
}

/* How often a page is converted back and forth under the guest that uses it. */
#define TOGGLES		300

/* The guest's, where it keeps them: its own memory, which nobody converts. */
static bool guest_stop;
static u64 guest_rounds;

static void guest_counts_until_told(void)
{
	volatile u64 *page = (u64 *)GPA, *neighbour = (u64 *)(GPA + PAGE_SIZE);
	u64 i = 0;

	while (!READ_ONCE(guest_stop)) {
		i++;
		*page = i;
		*neighbour = ~i;
		GUEST_ASSERT_EQ(*page, i);
		GUEST_ASSERT_EQ(*neighbour, ~i);
		WRITE_ONCE(guest_rounds, i);
	}
	GUEST_SYNC(i);
}

struct converter {
	struct kvm_vm *vm;
	int fd;
	unsigned int busy, other;
};

static void *convert_and_stop(void *arg)
{
	struct converter *c = arg;
	u64 *rounds = addr_gva2hva(c->vm, (gva_t)&guest_rounds);
	u64 attr = GMEM_PRIVATE, before;
	int i, ret;

	for (i = 0; i < 2 * TOGGLES && !c->other; i++, attr ^= GMEM_PRIVATE) {
		/* Each of them under a guest that runs, and goes on. */
		before = READ_ONCE(*rounds);
		while (READ_ONCE(*rounds) == before)
			sched_yield();
		/* The guest's fault holds a reference for a moment. */
		while ((ret = gmem_set_attr(c->fd, OFFSET, PAGE_SIZE, attr)) == -EAGAIN)
			c->busy++;
		if (ret)
			c->other++;
	}
	WRITE_ONCE(*(bool *)addr_gva2hva(c->vm, (gva_t)&guest_stop), true);
	return NULL;
}

/*
 * A software-protected guest does not say what it expects: its accesses follow the state,
 * whatever it is. None is lost, and none ends in an exit, while the host converts the page
 * under it all the time.
 */
TEST_F_TIMEOUT(in_place, guest_that_runs_meanwhile, 120)
{
	struct converter c = { .vm = self->vm, .fd = self->fd };
	pthread_t thread;
	u64 counted;

	vcpu_arch_set_entry_point(self->vcpu, guest_counts_until_told);
	ASSERT_EQ(0, pthread_create(&thread, NULL, convert_and_stop, &c));
	counted = run_to_sync(self->vcpu, self->fd);
	pthread_join(thread, NULL);

	TH_LOG("%lu rounds under %d conversions, %u busy", counted, 2 * TOGGLES, c.busy);
	EXPECT_EQ(0, c.other);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFFSET));
	EXPECT_EQ(counted, gmem_host_get64(self->mem));
	EXPECT_EQ(~counted, gmem_host_get64(self->mem + PAGE_SIZE));
}

static void guest_toggles(void)
{
	volatile u64 *page = (u64 *)GPA;
	u64 i, before;

	for (i = 0; i < 2 * TOGGLES; i++) {
		before = READ_ONCE(guest_rounds);
		while (READ_ONCE(guest_rounds) == before)
			cpu_relax();
		kvm_hypercall_map_gpa_range(GPA, PAGE_SIZE, i % 2 ? KVM_MAP_GPA_RANGE_DECRYPTED :
					    KVM_MAP_GPA_RANGE_ENCRYPTED);
		GUEST_ASSERT(*page > before);
	}
	WRITE_ONCE(guest_stop, true);
	GUEST_DONE();
}

struct runner {
	struct kvm_vcpu *vcpu;
	int fd;
};

static void *run_to_done(void *arg)
{
	struct runner *r = arg;

	TEST_ASSERT_EQ(0, run_to_sync(r->vcpu, r->fd));
	return NULL;
}

/* One vCPU converts the page that another one writes and reads: not an access is lost. */
TEST_F_TIMEOUT(in_place, vcpu_converts_under_another, 120)
{
	struct runner r = { .vcpu = self->other, .fd = self->fd };
	pthread_t thread;
	u64 counted;

	vcpu_arch_set_entry_point(self->vcpu, guest_counts_until_told);
	vcpu_arch_set_entry_point(self->other, guest_toggles);
	ASSERT_EQ(0, pthread_create(&thread, NULL, run_to_done, &r));
	counted = run_to_sync(self->vcpu, self->fd);
	pthread_join(thread, NULL);

	TH_LOG("%lu rounds under %d conversions", counted, 2 * TOGGLES);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFFSET));
	EXPECT_EQ(counted, gmem_host_get64(self->mem));
	EXPECT_EQ(~counted, gmem_host_get64(self->mem + PAGE_SIZE));
}

/* Returns 0 or -errno, with what is left to do in @range. */
static int prefault(struct kvm_vcpu *vcpu, struct kvm_pre_fault_memory *range)
{
	int ret;

	do {
		ret = __vcpu_ioctl(vcpu, KVM_PRE_FAULT_MEMORY, range);
	} while (ret && errno == EINTR);

	return ret ? -errno : 0;
}

static void guest_reads_all(void)
{
	u64 p;

	for (p = 0; p < NR_PAGES; p++)
		GUEST_ASSERT_EQ(*(volatile u64 *)(GPA + p * PAGE_SIZE), p % 3 ? 0 : FROM_HOST + p);
	GUEST_DONE();
}

TEST_F(in_place, prefault_of_private_and_shared_parts)
{
	struct kvm_pre_fault_memory range = { .gpa = GPA, .size = SIZE };
	u64 p, val;

	if (!kvm_check_cap(KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_PRE_FAULT_MEMORY");
	for (p = 0; p < NR_PAGES; p += 3)
		gmem_host_set64(self->mem + p * PAGE_SIZE, FROM_HOST + p);
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFFSET + 4 * PAGE_SIZE, 20 * PAGE_SIZE,
				   GMEM_PRIVATE));

	while (range.size)
		ASSERT_EQ(0, prefault(self->vcpu, &range));
	EXPECT_EQ(GPA + SIZE, range.gpa);

	/* All of it is there, nothing before it, and nobody has changed sides. */
	EXPECT_FALSE(gmem_populated(self->fd, 0));
	for (p = 0; p < NR_PAGES; p++) {
		bool private = p >= 4 && p < 24;

		EXPECT_TRUE(gmem_populated(self->fd, OFFSET + p * PAGE_SIZE));
		EXPECT_EQ(private ? GMEM_PRIVATE : GMEM_SHARED,
			  gmem_attr_of(self->fd, OFFSET + p * PAGE_SIZE));
		EXPECT_EQ(private ? SIGBUS : 0,
			  gmem_host_read64(self->mem + p * PAGE_SIZE, &val));
	}

	/* It holds nothing: either way at once. */
	EXPECT_EQ(0, gmem_set_attr(self->fd, OFFSET, SIZE, GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_set_attr(self->fd, OFFSET, SIZE, GMEM_SHARED));
	EXPECT_EQ(FROM_HOST + 6, gmem_host_get64(self->mem + 6 * PAGE_SIZE));
	EXPECT_EQ(0, gmem_host_get64(self->mem + 7 * PAGE_SIZE));
	vcpu_arch_set_entry_point(self->vcpu, guest_reads_all);
	EXPECT_EQ(0, run_to_sync(self->vcpu, self->fd));
}

TEST_F(in_place, prefault_over_the_ends)
{
	struct kvm_pre_fault_memory range = { .gpa = GPA + SIZE - PAGE_SIZE, .size = SIZE };

	if (!kvm_check_cap(KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_PRE_FAULT_MEMORY");
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFFSET + SIZE - PAGE_SIZE, PAGE_SIZE,
				   GMEM_PRIVATE));
	EXPECT_EQ(0, prefault(self->vcpu, &range));
	EXPECT_EQ(GPA + SIZE, range.gpa);
	EXPECT_EQ(SIZE - PAGE_SIZE, range.size);
	EXPECT_EQ(-ENOENT, prefault(self->vcpu, &range));
	EXPECT_TRUE(gmem_populated(self->fd, OFFSET + SIZE - PAGE_SIZE));

	range.gpa = GPA - PAGE_SIZE;
	EXPECT_EQ(-ENOENT, prefault(self->vcpu, &range));
	EXPECT_FALSE(gmem_populated(self->fd, 0));
	EXPECT_FALSE(gmem_populated(self->fd, OFFSET));
}

struct prefaulter {
	struct kvm_vcpu *vcpu;
	atomic_bool stop;
	atomic_ulong done;
	int other;		/* an error that a conversion does not explain */
};

static void *prefault_for_ever(void *arg)
{
	struct prefaulter *p = arg;

	while (!atomic_load(&p->stop)) {
		struct kvm_pre_fault_memory range = { .gpa = GPA, .size = PAGE_SIZE };
		int ret = prefault(p->vcpu, &range);

		/* Overtaken by a conversion: for the VMM to do again. */
		if (ret && ret != -EAGAIN)
			p->other = ret;
		atomic_fetch_add(&p->done, 1);
	}
	return NULL;
}

/*
 * What a prefault expects is what it found when it began. After a conversion that is wrong
 * for good, and it has to end; it must not try until somebody converts the page back.
 */
TEST_F_TIMEOUT(in_place, prefault_overtaken_by_conversions, 60)
{
	struct prefaulter p = { .vcpu = self->vcpu };
	u64 done, attr = GMEM_PRIVATE;
	pthread_t thread;
	int i, ret;

	if (!kvm_check_cap(KVM_CAP_PRE_FAULT_MEMORY))
		SKIP(return, "no KVM_PRE_FAULT_MEMORY");
	gmem_host_set64(self->mem, FROM_HOST);
	ASSERT_EQ(0, pthread_create(&thread, NULL, prefault_for_ever, &p));
	for (i = 0; i < 500; i++) {
		do {
			ret = gmem_set_attr(self->fd, OFFSET, PAGE_SIZE, attr);
		} while (ret == -EAGAIN);
		ASSERT_EQ(0, ret);
		attr ^= GMEM_PRIVATE;

		/* The one that was under way, if one was, and another. */
		done = atomic_load(&p.done);
		while (atomic_load(&p.done) < done + 2)
			sched_yield();
	}
	atomic_store(&p.stop, true);
	pthread_join(thread, NULL);
	EXPECT_EQ(0, p.other);
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFFSET, PAGE_SIZE, GMEM_SHARED));
	EXPECT_EQ(FROM_HOST, gmem_host_get64(self->mem));
}

/* Where the guest finds it, for addresses that do not fit. */
static u64 guest_top;

static void guest_uses_the_top(void)
{
	volatile u64 *last = (u64 *)(guest_top + 7 * PAGE_SIZE);

	GUEST_ASSERT_EQ(*last, FROM_HOST);
	*last = FROM_GUEST;
	*(volatile u64 *)guest_top = SECRET;
	GUEST_DONE();
}

TEST_F(in_place, slot_at_the_top)
{
	u64 gpa = (self->vm->max_gfn + 1) * PAGE_SIZE - 8 * PAGE_SIZE;
	int fd = vm_create_guest_memfd(self->vm, 16 * PAGE_SIZE,
				       GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	char *mem = gmem_map(fd, 16 * PAGE_SIZE);

	/* As high as the guest gets, by virtual addresses of its half. */
	guest_top = gpa & ((1ULL << (self->vm->va_bits - 1)) - 1);
	sync_global_to_guest(self->vm, guest_top);
	ASSERT_EQ(0, gmem_set_slot(self->vm->fd, SLOT + 1, gpa, 8 * PAGE_SIZE, NULL, fd,
				   8 * PAGE_SIZE));
	virt_map(self->vm, guest_top, gpa, 8);
	gmem_host_set64(mem + 15 * PAGE_SIZE, FROM_HOST);
	ASSERT_EQ(0, gmem_set_attr(fd, 15 * PAGE_SIZE, PAGE_SIZE, GMEM_PRIVATE));

	vcpu_arch_set_entry_point(self->vcpu, guest_uses_the_top);
	EXPECT_EQ(0, run_to_sync(self->vcpu, fd));
	EXPECT_EQ(SECRET, gmem_host_get64(mem + 8 * PAGE_SIZE));
	ASSERT_EQ(0, gmem_set_attr(fd, 0, 16 * PAGE_SIZE, GMEM_SHARED));
	EXPECT_EQ(FROM_GUEST, gmem_host_get64(mem + 15 * PAGE_SIZE));
	EXPECT_FALSE(gmem_populated(fd, 0));
	EXPECT_FALSE(gmem_populated(fd, 9 * PAGE_SIZE));
	munmap(mem, 16 * PAGE_SIZE);
	close(fd);
}

int main(int argc, char **argv)
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));

	return test_harness_run(argc, argv);
}
