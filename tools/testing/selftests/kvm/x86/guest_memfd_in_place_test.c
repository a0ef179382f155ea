// SPDX-License-Identifier: GPL-2.0-only
/*
 * A software-protected guest whose memory is converted in place by ioctl on its
 * guest_memfd: the same page, the same content, host access as the attribute says.
 */
#include <errno.h>
#include <pthread.h>
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
#define NR_PAGES	8ULL
#define SIZE		(NR_PAGES * PAGE_SIZE)
/* In file offsets the slot begins here: alignment of page size is enough. */
#define OFFSET		PAGE_SIZE

#define FROM_HOST	0x686f7374ULL
#define FROM_GUEST	0x6775657374ULL
#define SECRET		0x736563726574ULL
#define LATER		0x6c61746572ULL

FIXTURE(in_place) {
	struct kvm_vm *vm;
	struct kvm_vcpu *vcpu;
	char *mem;		/* the slot's part of the file */
	int fd;
};

FIXTURE_SETUP(in_place)
{
	const struct vm_shape shape = {
		.mode = VM_MODE_DEFAULT,
		.type = KVM_X86_SW_PROTECTED_VM,
	};
	char *file;

	self->vm = vm_create_shape_with_one_vcpu(shape, &self->vcpu, NULL);
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

/* Runs the guest to its next GUEST_SYNC(), doing as it asks. Returns the stage, 0 at the end. */
static u64 run_to_sync(struct kvm_vcpu *vcpu, int fd)
{
	struct kvm_run *run = vcpu->run;
	struct ucall uc;

	for (;;) {
		vcpu_run(vcpu);
		if (run->exit_reason == KVM_EXIT_HYPERCALL) {
			u64 gpa = run->hypercall.args[0];
			u64 size = run->hypercall.args[1] * PAGE_SIZE;
			bool private = run->hypercall.args[2] & KVM_MAP_GPA_RANGE_ENCRYPTED;

			TEST_ASSERT_EQ(run->hypercall.nr, KVM_HC_MAP_GPA_RANGE);
			TEST_ASSERT_EQ(0, gmem_set_attr(fd, gpa - GPA + OFFSET, size,
							private ? GMEM_PRIVATE : GMEM_SHARED));
			run->hypercall.ret = 0;
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

#define COUNTS	200000ULL

static void guest_counts(void)
{
	volatile u64 *page = (u64 *)GPA;
	u64 i;

	for (i = 1; i <= COUNTS; i++) {
		*page = i;
		GUEST_ASSERT_EQ(*page, i);
	}
	GUEST_DONE();
}

struct converter {
	int fd;
	atomic_bool stop;
	unsigned int done, busy, other;
};

static void *convert_for_ever(void *arg)
{
	struct converter *c = arg;
	u64 attr = GMEM_PRIVATE;
	int ret;

	while (!atomic_load(&c->stop)) {
		ret = gmem_set_attr(c->fd, OFFSET, PAGE_SIZE, attr);
		if (!ret) {
			c->done++;
			attr ^= GMEM_PRIVATE;
		} else if (ret == -EAGAIN) {
			c->busy++;
		} else {
			c->other++;
		}
	}
	return NULL;
}

/*
 * A software-protected guest does not say what it expects: its accesses follow the state,
 * whatever it is. None is lost, and none ends in an exit, while the host converts the page
 * under it all the time.
 */
TEST_F(in_place, guest_that_runs_meanwhile)
{
	struct converter c = { .fd = self->fd };
	pthread_t thread;

	vcpu_arch_set_entry_point(self->vcpu, guest_counts);
	ASSERT_EQ(0, pthread_create(&thread, NULL, convert_for_ever, &c));
	EXPECT_EQ(0, run_to_sync(self->vcpu, self->fd));
	atomic_store(&c.stop, true);
	pthread_join(thread, NULL);

	TH_LOG("%u conversions, %u busy", c.done, c.busy);
	EXPECT_LT(10, c.done);
	EXPECT_EQ(0, c.other);
	ASSERT_EQ(0, gmem_set_attr(self->fd, OFFSET, PAGE_SIZE, GMEM_SHARED));
	EXPECT_EQ(COUNTS, gmem_host_get64(self->mem));
}

int main(int argc, char **argv)
{
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_VM_TYPES) & BIT(KVM_X86_SW_PROTECTED_VM));
	TEST_REQUIRE(kvm_check_cap(KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));

	return test_harness_run(argc, argv);
}
