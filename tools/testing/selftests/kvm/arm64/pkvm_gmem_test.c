// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected VM whose memory is a guest_memfd: who may use a page, and how that
 * changes, by the host's ioctl and by the guest's hypercalls.
 *
 * The guest is a command interpreter (see pkvm_guest.h); host and guest accesses
 * are interleaved one by one, on one thread. Lifetimes and races are elsewhere:
 * pkvm_gmem_teardown_test, pkvm_gmem_smp_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "pkvm_gmem_fixture.h"

#define ANON_GPA	0x90000000ULL
/* In another block than page 0, of those that one fault may hand over as a whole. */
#define FAR		1024

/* The host has no way to the page: neither by itself nor through a system call. */
#define EXPECT_HIDDEN(n) do {						\
	u64 __v;							\
									\
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(n)));	\
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(n), &__v));		\
	EXPECT_EQ(SIGBUS, gmem_host_write64(HVA(n), 0xbad));		\
	EXPECT_EQ(-EFAULT, gmem_kernel_read(HVA(n)));			\
	EXPECT_EQ(-EFAULT, gmem_kernel_write(HVA(n)));			\
} while (0)

/* The host reads @val in place. */
#define EXPECT_SHOWN(n, val) do {					\
	u64 __v = 0;							\
									\
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(n)));		\
	EXPECT_EQ(0, gmem_host_read64(HVA(n), &__v));			\
	EXPECT_EQ((u64)(val), __v);					\
} while (0)

/* The call is refused, which the guest hears as a result and not as an abort. */
#define EXPECT_REFUSED(func, a1, a2, a3) do {				\
	int __r = __guest_hvc(self->vcpu, func, a1, a2, a3);		\
									\
	EXPECT_EQ(0, __r)						\
		TH_LOG("esr %#lx", (unsigned long)self->vcpu->esr);	\
	EXPECT_EQ(PKVM_INVALID_PARAMETER, (s64)self->vcpu->res[0])	\
		TH_LOG("args %#lx %#lx %#lx", (unsigned long)(a1),	\
		       (unsigned long)(a2), (unsigned long)(a3));	\
} while (0)

#define EXPECT_BUSY(ret, n)						\
	EXPECT_TRUE((ret) == -EFAULT &&					\
		    pkvm_fault_is(self->vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, \
				  GPA(n), page))

TEST_F(gmem, capabilities)
{
	int kvm = open("/dev/kvm", O_RDWR);
	int plain = pkvm_vm_open(0);

	EXPECT_EQ(GMEM_PRIVATE, gmem_check_cap(kvm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	EXPECT_EQ(GMEM_PRIVATE, gmem_check_cap(self->vm.fd,
					       KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	EXPECT_EQ(1, gmem_check_cap(self->vm.fd, KVM_CAP_MEMORY_FAULT_INFO));

	/* A VM type without private memory has no attribute to set. */
	ASSERT_LE(0, plain);
	EXPECT_EQ(0, gmem_check_cap(plain, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	close(plain);
	close(kvm);
}

TEST_F(gmem, first_touch_takes_the_page)
{
	u64 val;
	int ret;

	gmem_host_set64(HVA(3), 0x1111);
	gmem_host_set64(HVA(3) + page - 8, 0x2222);
	ASSERT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_HIDDEN(3);

	EXPECT_EQ(0x1111, guest_read64(self->vcpu, GPA(3)));
	EXPECT_EQ(0x2222, guest_read64(self->vcpu, GPA(3) + page - 8));
	EXPECT_HIDDEN(3);

	ret = gmem_process_vm_read(getpid(), HVA(3), &val);
	if (ret == -ENOSYS)
		TH_LOG("no process_vm_readv in this kernel");
	else
		EXPECT_EQ(-EFAULT, ret);
	EXPECT_EQ(-1, madvise(HVA(3), page, MADV_POPULATE_READ));
	EXPECT_EQ(EFAULT, errno);

	/* Nothing there before: the guest gets a page of zeroes. */
	EXPECT_FALSE(gmem_populated(self->fd, OFF(FAR)));
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(FAR), page / 8, 0, 0, 8));
	EXPECT_TRUE(gmem_populated(self->fd, OFF(FAR)));
	EXPECT_HIDDEN(FAR);

	/* By a write, and seen by the other vCPU. */
	guest_write64(self->vcpu, GPA(5), 0x3333);
	EXPECT_EQ(0x3333, guest_read64(self->other, GPA(5)));
	EXPECT_HIDDEN(5);
}

TEST_F(gmem, first_touch_by_execution)
{
	/* mov x0, #0x77; ret: once from the host, once from the guest itself. */
	const u64 code = 0xd65f03c0d2800ee0ULL;

	gmem_host_set64(HVA(0), code);
	ASSERT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0x77, guest_exec(self->vcpu, GPA(0)));
	guest_write64(self->vcpu, GPA(1), code);
	EXPECT_EQ(0x77, guest_exec(self->vcpu, GPA(1)));
	EXPECT_HIDDEN(0);
	EXPECT_HIDDEN(1);
}

TEST_F(gmem, file_that_begins_private)
{
	int fd = gmem_create(self->vm.fd, OFF(4), GUEST_MEMFD_FLAG_MMAP);
	char *mem;
	u64 val;

	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(4));
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 1, ANON_GPA, OFF(4), fd, 0));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(fd, 0));

	guest_write64(self->vcpu, ANON_GPA, 0x42);
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem, &val));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, ANON_GPA, 1, NULL));
	EXPECT_EQ(0x42, gmem_host_get64(mem));
	munmap(mem, OFF(4));
	close(fd);
}

TEST_F(gmem, share_is_in_place)
{
	u64 pfn, done;

	gmem_host_set64(HVA(7), 1);
	pfn = gmem_pfn(HVA(7));
	if (!pfn)
		TH_LOG("no frame numbers in pagemap: not compared");
	ASSERT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	guest_fill(self->vcpu, GPA(7), page / 8, 0xabc000, 1, 8);
	EXPECT_HIDDEN(7);

	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(7), 1, &done));
	EXPECT_EQ(1, done);
	EXPECT_SHOWN(7, 0xabc000);
	EXPECT_SHOWN(7, 0xabc000);
	EXPECT_EQ(0xabc000 + page / 8 - 1, gmem_host_get64(HVA(7) + page - 8));
	EXPECT_EQ(pfn, gmem_pfn(HVA(7)));
	EXPECT_EQ(0, gmem_kernel_read(HVA(7)));

	/* Both see what the other writes, at once. */
	gmem_host_set64(HVA(7) + 64, 0x5555);
	EXPECT_EQ(0x5555, guest_read64(self->vcpu, GPA(7) + 64));
	guest_write64(self->other, GPA(7) + 128, 0x6666);
	EXPECT_EQ(0x6666, gmem_host_get64(HVA(7) + 128));

	/* Its neighbours are none of the host's business. */
	EXPECT_HIDDEN(6);
	EXPECT_HIDDEN(8);

	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(7), 1, &done));
	EXPECT_EQ(1, done);
	EXPECT_HIDDEN(7);
	EXPECT_EQ(0xabc000, guest_read64(self->vcpu, GPA(7)));
	EXPECT_EQ(0x5555, guest_read64(self->vcpu, GPA(7) + 64));
	EXPECT_EQ(0x6666, guest_read64(self->vcpu, GPA(7) + 128));

	/* And again: still the same page. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(7), 0, &done));
	EXPECT_EQ(1, done);
	EXPECT_SHOWN(7, 0xabc000);
	EXPECT_EQ(pfn, gmem_pfn(HVA(7)));
}

TEST_F(gmem, share_of_a_page_that_is_not_mapped)
{
	u64 done;
	int ret;

	gmem_host_set64(HVA(0), 0x99);
	gmem_host_set64(HVA(2), 0x88);
	ASSERT_EQ(0, set_attr(self, 0, 2, GMEM_PRIVATE));

	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, &done));
	EXPECT_EQ(1, done);
	EXPECT_SHOWN(0, 0x99);
	EXPECT_EQ(0x99, guest_read64(self->vcpu, GPA(0)));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(1), 1, &done));
	EXPECT_SHOWN(1, 0);

	/* Of a page that the host still has: the VMM may have to let go of it first. */
	ret = __guest_hvc(self->vcpu, PKVM_HVC_SHARE, GPA(2), 1, 0);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_SHOWN(2, 0x88);
	EXPECT_EQ(0x88, guest_read64(self->vcpu, GPA(2)));
}

TEST_F(gmem, unshare_under_a_mapping)
{
	char *second = gmem_map(self->fd, OFF(NR_PAGES));
	u64 val, done;

	fill_and_hide(self, 1);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, &done));
	EXPECT_EQ(0x1000, gmem_host_get64(HVA(0)));
	EXPECT_EQ(0x1000, gmem_host_get64(second));
	gmem_host_set64(second, 0x77);

	/* A mapping is no reference: both go, and nobody has to be asked. */
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(0), 1, &done));
	EXPECT_HIDDEN(0);
	EXPECT_EQ(SIGBUS, gmem_host_read64(second, &val));
	EXPECT_EQ(0x77, guest_read64(self->vcpu, GPA(0)));
	munmap(second, OFF(NR_PAGES));
}

static void unshare_referenced(struct __test_metadata *_metadata,
			       FIXTURE_DATA(gmem) * self, enum gmem_pin_kind kind)
{
	struct gmem_pin pin;
	int i, ret;

	fill_and_hide(self, 4);
	EXPECT_EQ(1, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0), 4));
	ret = gmem_pin_take(&pin, kind, HVA(2), page);
	if (ret)
		SKIP(return, "%s: %d", gmem_pin_name(kind), ret);

	ret = __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, GPA(2), 1, 0);
	EXPECT_BUSY(ret, 2);
	/* Nothing has changed, for anyone. */
	EXPECT_SHOWN(2, 0x1002);
	EXPECT_EQ(0x1002, guest_read64(self->other, GPA(2)));
	guest_write64(self->other, GPA(2) + 8, 0xfeed);
	EXPECT_EQ(0xfeed, gmem_host_get64(HVA(2) + 8));

	/* The host cannot either, and the call goes on waiting. */
	EXPECT_EQ(-EAGAIN, set_attr(self, 2, 1, GMEM_PRIVATE));
	ret = pkvm_vcpu_resume(self->vcpu);
	EXPECT_BUSY(ret, 2);

	gmem_pin_drop(&pin);
	for (i = 0; i < 100; i++) {
		ret = pkvm_vcpu_resume(self->vcpu);
		if (ret != -EFAULT)
			break;
		usleep(1000);
	}
	EXPECT_EQ(0, ret);
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_EQ(1, self->vcpu->res[1]);
	EXPECT_HIDDEN(2);
	EXPECT_EQ(0x1002, guest_read64(self->vcpu, GPA(2)));
	EXPECT_EQ(0xfeed, guest_read64(self->vcpu, GPA(2) + 8));
	EXPECT_SHOWN(1, 0x1001);
	EXPECT_SHOWN(3, 0x1003);
}

TEST_F(gmem, unshare_under_vmsplice)
{
	unshare_referenced(_metadata, self, GMEM_PIN_VMSPLICE);
}

TEST_F(gmem, unshare_under_io_uring)
{
	unshare_referenced(_metadata, self, GMEM_PIN_IO_URING);
}

TEST_F(gmem, unshare_under_gup_test)
{
	unshare_referenced(_metadata, self, GMEM_PIN_GUP_TEST);
}

TEST_F(gmem, unshare_handled_by_the_vmm)
{
	struct gmem_pin pin;
	int ret;

	fill_and_hide(self, 1);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 1, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(0), page));
	ret = __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), 1, 0);
	EXPECT_BUSY(ret, 0);

	/* Drop references, set PRIVATE, run again. */
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_HIDDEN(0);
	EXPECT_EQ(0x1000, guest_read64(self->vcpu, GPA(0)));
}

TEST_F(gmem, unshare_range_with_a_busy_page)
{
	struct gmem_pin pin;
	u64 done;
	int ret;

	fill_and_hide(self, 6);
	EXPECT_EQ(1, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0), 6));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(2), page));

	/* Those before it are done; the next call is for it. */
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(0), 6, &done));
	EXPECT_EQ(2, done);
	EXPECT_HIDDEN(0);
	EXPECT_HIDDEN(1);
	EXPECT_SHOWN(2, 0x1002);
	EXPECT_SHOWN(3, 0x1003);
	ret = __guest_hvc(self->vcpu, PKVM_HVC_UNSHARE, GPA(2), 4, 0);
	EXPECT_BUSY(ret, 2);

	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, (s64)self->vcpu->res[0]);
	EXPECT_EQ(4, self->vcpu->res[1]);
	EXPECT_HIDDEN(5);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), 6, 0x1000, 1, page));
}

/* First touch of what the host still has: the host has to agree first. */
TEST_F(gmem, touch_of_a_shared_offset)
{
	const u64 code = 0xd65f03c0d2800ee0ULL;
	u64 val, arg;
	int ret;

	gmem_host_set64(HVA(0), 0x10);
	gmem_host_set64(HVA(1), 0x11);
	gmem_host_set64(HVA(2), code);

	ret = __guest_read64(self->vcpu, GPA(0) + 8, &val);
	EXPECT_BUSY(ret, 0);
	EXPECT_SHOWN(0, 0x10);
	ret = pkvm_vcpu_resume(self->vcpu);
	EXPECT_BUSY(ret, 0);
	EXPECT_EQ(0, set_attr(self, 0, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));
	EXPECT_EQ(0x10, guest_read64(self->vcpu, GPA(0)));
	EXPECT_HIDDEN(0);

	ret = __guest_write64(self->vcpu, GPA(1) + 8, 0xbeef);
	EXPECT_BUSY(ret, 1);
	EXPECT_EQ(0, gmem_host_get64(HVA(1) + 8));
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(0x11, guest_read64(self->vcpu, GPA(1)));
	EXPECT_EQ(0xbeef, guest_read64(self->vcpu, GPA(1) + 8));

	arg = GPA(2);
	ret = pkvm_vcpu_call(self->vcpu, PKVM_OP_EXEC, &arg, 1, 1);
	EXPECT_BUSY(ret, 2);
	EXPECT_EQ(0, pkvm_vcpu_handle(self->vcpu, ret, self->fd, MEM_GPA));
	EXPECT_EQ(0x77, self->vcpu->res[0]);
	EXPECT_HIDDEN(2);
	EXPECT_SHOWN(3, 0);
}

TEST_F(gmem, ioctl_owned_by_the_guest)
{
	u64 err;

	fill_and_hide(self, 8);
	guest_write64(self->vcpu, GPA(FAR + 5), 0x55);

	EXPECT_EQ(-EPERM, gmem_set_attr_err(self->fd, OFF(FAR + 5), page, GMEM_SHARED,
					    &err));
	EXPECT_EQ(OFF(FAR + 5), err);
	EXPECT_HIDDEN(FAR + 5);

	/*
	 * All or nothing: those before and behind it stay as well. Its neighbours may
	 * have come with it.
	 */
	EXPECT_EQ(-EPERM, gmem_set_attr_err(self->fd, 0, OFF(FAR + 8), GMEM_SHARED, &err));
	EXPECT_LE(OFF(FAR), err);
	EXPECT_GE(OFF(FAR + 5), err);
	EXPECT_HIDDEN(2);
	EXPECT_HIDDEN(FAR - 1);
	EXPECT_HIDDEN(FAR + 5);
	EXPECT_HIDDEN(FAR + 6);
	EXPECT_EQ(0x55, guest_read64(self->vcpu, GPA(FAR + 5)));

	EXPECT_EQ(0, set_attr(self, FAR + 5, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0x55, guest_read64(self->vcpu, GPA(FAR + 5)));

	/* What the guest has not touched is the host's to take back. */
	EXPECT_EQ(0, set_attr(self, 2, 3, GMEM_SHARED));
	EXPECT_SHOWN(2, 0x1002);
	EXPECT_SHOWN(4, 0x1004);
	EXPECT_HIDDEN(5);
	EXPECT_HIDDEN(FAR + 5);
}

TEST_F(gmem, ioctl_shared_by_the_guest)
{
	struct gmem_pin pin;
	u64 err;

	fill_and_hide(self, 4);
	EXPECT_EQ(1, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0), 3));
	EXPECT_EQ(0, set_attr(self, 0, 3, GMEM_SHARED));
	EXPECT_SHOWN(1, 0x1001);

	/* The host gives up its access; the guest does not notice. */
	EXPECT_EQ(0, set_attr(self, 1, 1, GMEM_PRIVATE));
	EXPECT_HIDDEN(1);
	EXPECT_SHOWN(0, 0x1000);
	EXPECT_SHOWN(2, 0x1002);
	EXPECT_EQ(0x1001, guest_read64(self->vcpu, GPA(1)));
	guest_write64(self->vcpu, GPA(1) + 8, 0x44);
	EXPECT_REFUSED(PKVM_HVC_SHARE, GPA(1), 1, 0);
	EXPECT_HIDDEN(1);

	/* And may take it up again, for the guest still shares it. */
	EXPECT_EQ(0, set_attr(self, 1, 1, GMEM_SHARED));
	EXPECT_SHOWN(1, 0x1001);
	EXPECT_EQ(0x44, gmem_host_get64(HVA(1) + 8));

	/* Unshared while the host had given it up: from then on it may not. */
	EXPECT_EQ(0, set_attr(self, 1, 1, GMEM_PRIVATE));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(1), 1, NULL));
	EXPECT_HIDDEN(1);
	EXPECT_EQ(-EPERM, gmem_set_attr_err(self->fd, 0, OFF(3), GMEM_SHARED, &err));
	EXPECT_EQ(OFF(1), err);
	EXPECT_EQ(0x1001, guest_read64(self->vcpu, GPA(1)));

	/* With a reference: not now, and nothing of the range. */
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(2), page));
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(4), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(2), err);
	EXPECT_SHOWN(0, 0x1000);
	EXPECT_SHOWN(2, 0x1002);
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, set_attr(self, 0, 4, GMEM_PRIVATE));
	EXPECT_HIDDEN(0);
	EXPECT_HIDDEN(2);
	EXPECT_EQ(0x1002, guest_read64(self->vcpu, GPA(2)));
}

TEST_F(gmem, hypercalls_are_announced)
{
	u64 ranges, features;

	features = guest_hvc(self->vcpu, PKVM_HVC_FEATURES, 0, 0, 0, NULL);
	EXPECT_EQ(0x21c, features & 0x21c);
	EXPECT_EQ(page, guest_hvc(self->vcpu, PKVM_HVC_MEMINFO, 0, 0, 0, &ranges));
	EXPECT_EQ(3, ranges & 3);
	EXPECT_REFUSED(PKVM_HVC_MEMINFO, 1, 0, 0);
	EXPECT_REFUSED(PKVM_HVC_MEMINFO, 0, 1, 0);
	EXPECT_REFUSED(PKVM_HVC_MEMINFO, 0, 0, 1);
}

TEST_F(gmem, hypercalls_with_wrong_arguments)
{
	const u64 ends = GPA(NR_PAGES);
	const u64 bad_gpa[] = {
		GPA(1) + 1, GPA(1) + 8, GPA(1) + page / 2, GPA(2) - 1,
		0, PKVM_MBOX_GPA, GPA(0) - page, ends, 0x100000000ULL,
		1ULL << 39, 1ULL << 40, 1ULL << 48, 1ULL << 52, 1ULL << 63,
		-(u64)page, ~0ULL, GPA(1) | 1ULL << 48, GPA(1) | 1ULL << 63,
	};
	const u64 bad_count[] = {
		1ULL << 52, (1ULL << 52) + 1, 1ULL << 63, ~0ULL,
	};
	const u64 func[] = { PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_RELINQUISH };
	size_t f, i;

	/* 0 is not mapped, 1 the guest's own, 2 is shared. */
	fill_and_hide(self, 3);
	EXPECT_EQ(0x1001, guest_read64(self->vcpu, GPA(1)));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(2), 1, NULL));

	for (f = 0; f < ARRAY_SIZE(func); f++) {
		for (i = 0; i < ARRAY_SIZE(bad_gpa); i++) {
			EXPECT_REFUSED(func[f], bad_gpa[i], 0, 0);
			EXPECT_REFUSED(func[f], bad_gpa[i], 1, 0);
			EXPECT_REFUSED(func[f], bad_gpa[i], 3, 0);
		}
		for (i = 0; i < ARRAY_SIZE(bad_count); i++) {
			EXPECT_REFUSED(func[f], GPA(1), bad_count[i], 0);
			EXPECT_REFUSED(func[f], GPA(2), bad_count[i], 0);
		}
		EXPECT_REFUSED(func[f], GPA(1), 1, 1);
		EXPECT_REFUSED(func[f], GPA(2), 0, ~0ULL);
		EXPECT_REFUSED(func[f], GPA(2), 1, 1ULL << 63);
	}

	/* Right arguments, wrong state. */
	EXPECT_REFUSED(PKVM_HVC_UNSHARE, GPA(0), 1, 0);
	EXPECT_REFUSED(PKVM_HVC_UNSHARE, GPA(1), 1, 0);
	EXPECT_REFUSED(PKVM_HVC_UNSHARE, GPA(1), 2, 0);
	EXPECT_REFUSED(PKVM_HVC_SHARE, GPA(2), 1, 0);
	EXPECT_REFUSED(PKVM_HVC_SHARE, GPA(2), 2, 0);

	/* None of it has changed anything. */
	EXPECT_HIDDEN(0);
	EXPECT_HIDDEN(1);
	EXPECT_SHOWN(2, 0x1002);
	EXPECT_HIDDEN(3);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), 3, 0x1000, 1, page));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(2), 1, NULL));
	EXPECT_REFUSED(PKVM_HVC_UNSHARE, GPA(2), 1, 0);
	EXPECT_HIDDEN(2);
}

TEST_F(gmem, ranges)
{
	u64 done, i;

	fill_and_hide(self, 32);
	guest_fill(self->vcpu, GPA(0), 16, 0x2000, 1, page);

	/* Mapped ones, in one call. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(2), 8, &done));
	EXPECT_EQ(8, done);
	EXPECT_HIDDEN(1);
	for (i = 2; i < 10; i++)
		EXPECT_SHOWN(i, 0x2000 + i);
	EXPECT_HIDDEN(10);

	/* Up to the first one in another state. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(0), 16, &done));
	EXPECT_EQ(2, done);
	EXPECT_SHOWN(1, 0x2001);
	EXPECT_HIDDEN(10);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(6), 16, &done));
	EXPECT_EQ(4, done);
	EXPECT_SHOWN(5, 0x2005);
	EXPECT_HIDDEN(6);
	EXPECT_HIDDEN(9);

	/* Not mapped ones: in as many calls as it takes. */
	EXPECT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(20), 10));
	EXPECT_HIDDEN(19);
	for (i = 20; i < 30; i++)
		EXPECT_SHOWN(i, 0x1000 + i);
	EXPECT_HIDDEN(30);

	/* Over the end of the slot: what there is. */
	guest_fill(self->vcpu, GPA(NR_PAGES - 2), 2, 0x3000, 1, page);
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(NR_PAGES - 2), 4, &done));
	EXPECT_EQ(2, done);
	EXPECT_SHOWN(NR_PAGES - 1, 0x3001);
}

TEST_F(gmem, ranges_of_more_than_one_call)
{
	const u64 count = 2 * PKVM_RANGE_MAX + 76;
	u64 done, i;

	ASSERT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	guest_fill(self->vcpu, GPA(5), count, 0x4000, 1, page);

	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(5), count, &done));
	EXPECT_EQ(PKVM_RANGE_MAX, done);
	EXPECT_EQ(2, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(5 + done),
				   count - done));
	for (i = 5; i < 5 + count; i++) {
		if (gmem_host_get64(HVA(i)) != 0x4000 + i - 5)
			break;
	}
	EXPECT_EQ(5 + count, i);
	EXPECT_HIDDEN(4);
	EXPECT_HIDDEN(5 + count);

	EXPECT_EQ(3, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(5), count));
	EXPECT_HIDDEN(5);
	EXPECT_HIDDEN(5 + PKVM_RANGE_MAX);
	EXPECT_HIDDEN(4 + count);
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(5), count, 0x4000, 1, page));
}

TEST_F(gmem, slot_at_an_offset)
{
	int fd = gmem_create(self->vm.fd, OFF(64), GUEST_MEMFD_FLAG_MMAP |
			     GUEST_MEMFD_FLAG_INIT_SHARED);
	struct kvm_memory_attributes2 attr;
	char *mem;
	u64 i, val, done;

	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(64));
	for (i = 0; i < 64; i++)
		gmem_host_set64(mem + OFF(i), 0x7000 + i);

	/* Two parts of one file, the later part below: 40-47 and 16-31. */
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 1, ANON_GPA, OFF(8), fd, OFF(40)));
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 2, ANON_GPA + OFF(8), OFF(16), fd, OFF(16)));
	ASSERT_EQ(0, gmem_set_attr(fd, OFF(16), OFF(16), GMEM_PRIVATE));
	ASSERT_EQ(0, gmem_set_attr(fd, OFF(40), OFF(8), GMEM_PRIVATE));

	EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, 8, 0x7000 + 40, 1, page));
	EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA + OFF(8), 16, 0x7000 + 16, 1, page));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(16), &val));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(31), &val));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(40), &val));

	/* What no slot covers stays the host's. */
	for (i = 0; i < 64; i++) {
		if (i >= 16 && i < 32)
			continue;
		if (i >= 40 && i < 48)
			continue;
		EXPECT_EQ(0x7000 + i, gmem_host_get64(mem + OFF(i)));
	}

	/* A range over the seam between the slots: the right pages, in either file part. */
	EXPECT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, ANON_GPA + OFF(6), 4));
	EXPECT_EQ(0x7000 + 46, gmem_host_get64(mem + OFF(46)));
	EXPECT_EQ(0x7000 + 47, gmem_host_get64(mem + OFF(47)));
	EXPECT_EQ(0x7000 + 16, gmem_host_get64(mem + OFF(16)));
	EXPECT_EQ(0x7000 + 17, gmem_host_get64(mem + OFF(17)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(45), &val));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(18), &val));

	/* The slot's end is an end: the file goes on, the guest does not. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, ANON_GPA + OFF(23), 4, &done));
	EXPECT_EQ(1, done);
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(32), OFF(8), &attr));
	EXPECT_EQ(GMEM_SHARED, attr.attributes);
	EXPECT_EQ(OFF(8), attr.size);
	EXPECT_EQ(-EPERM, gmem_set_attr(fd, OFF(20), page, GMEM_SHARED));

	munmap(mem, OFF(64));
	close(fd);
}

TEST_F(gmem, no_locked_memory_is_needed)
{
	struct rlimit none = { 0, 0 };
	struct __user_cap_header_struct hdr = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2] = {};
	u64 locked = gmem_status_kb("VmLck"), pinned = gmem_status_kb("VmPin");

	/* CAP_IPC_LOCK would hide what is charged. */
	ASSERT_EQ(0, setrlimit(RLIMIT_MEMLOCK, &none));
	ASSERT_EQ(0, syscall(__NR_capset, &hdr, caps));

	ASSERT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	guest_fill(self->vcpu, GPA(0), 256, 0x5000, 1, page);
	EXPECT_EQ(1, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0), 256));
	EXPECT_EQ(1, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), 256));
	EXPECT_EQ(0, guest_check(self->vcpu, GPA(0), 256, 0x5000, 1, page));
	EXPECT_EQ(locked, gmem_status_kb("VmLck"));
	EXPECT_EQ(pinned, gmem_status_kb("VmPin"));
}

TEST_F(gmem, beside_anonymous_memory)
{
	char *anon = mmap(NULL, OFF(16), PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	u64 val;

	ASSERT_NE(MAP_FAILED, anon);
	ASSERT_EQ(0, pkvm_slot_anon(&self->vm, 1, ANON_GPA, OFF(16), anon));
	gmem_host_set64(anon + page, 0xa1);
	fill_and_hide(self, 2);

	EXPECT_EQ(0xa1, guest_read64(self->vcpu, ANON_GPA + page));
	EXPECT_EQ(0x1001, guest_read64(self->vcpu, GPA(1)));
	guest_write64(self->other, ANON_GPA, 0xa0);
	EXPECT_EQ(SIGSEGV, gmem_host_read64(anon, &val));
	EXPECT_HIDDEN(1);

	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, ANON_GPA, 1, NULL));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(1), 1, NULL));
	EXPECT_EQ(0xa0, gmem_host_get64(anon));
	EXPECT_SHOWN(1, 0x1001);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, ANON_GPA, 1, NULL));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(1), 1, NULL));
	EXPECT_EQ(0xa0, guest_read64(self->vcpu, ANON_GPA));
	EXPECT_HIDDEN(1);

	/* Not before the VM is gone: the guest's pages are pinned in this mapping. */
	pkvm_vm_destroy(&self->vm);
	munmap(anon, OFF(16));
}

TEST_F(gmem, guest_that_is_not_protected)
{
	struct pkvm_vm vm;
	char *mem;
	int fd;

	pkvm_vm_create(&vm, 1, 0);
	fd = gmem_create(vm.fd, OFF(8), GUEST_MEMFD_FLAG_MMAP |
			 GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(8));
	ASSERT_EQ(0, pkvm_slot_gmem(&vm, 0, MEM_GPA, OFF(8), fd, 0));

	gmem_host_set64(mem, 0x1234);
	EXPECT_EQ(0x1234, guest_read64(&vm.vcpu[0], GPA(0)));
	guest_write64(&vm.vcpu[0], GPA(0) + 8, 0x5678);
	EXPECT_EQ(0x5678, gmem_host_get64(mem + 8));

	/* It has no private memory: there is nothing to convert. */
	EXPECT_EQ(-EINVAL, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
	EXPECT_EQ(-EINVAL, gmem_set_attr(fd, 0, page, GMEM_SHARED));
	EXPECT_EQ(0x5678, gmem_host_get64(mem + 8));

	EXPECT_EQ(0, gmem_punch(fd, 0, page));
	EXPECT_EQ(0, guest_read64(&vm.vcpu[0], GPA(0)));

	pkvm_vm_destroy(&vm);
	munmap(mem, OFF(8));
	close(fd);
}

static void put_cmd(char *at, struct pkvm_cmd cmd)
{
	for (size_t i = 0; i < sizeof(cmd); i += sizeof(u64))
		gmem_host_set64(at + i, *(u64 *)((char *)&cmd + i));
}

/*
 * What a guest cannot have is not done behind its back once it has turned to something else:
 * here an interrupt makes it give up an access, and a call that a reference delays.
 */
TEST_F(gmem, guest_that_gives_up)
{
	struct gmem_pin pin;
	struct pkvm_vm vm;
	char *mem;
	int fd;

	pkvm_vm_create(&vm, 1, PKVM_VM_PROTECTED | PKVM_VM_VGIC);
	fd = gmem_create(vm.fd, OFF(8), GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(8));
	ASSERT_EQ(0, pkvm_slot_gmem(&vm, 0, MEM_GPA, OFF(8), fd, 0));
	ASSERT_EQ(0, gmem_set_attr(fd, 0, OFF(4), GMEM_PRIVATE));
	ASSERT_EQ(PKVM_SUCCESS, guest_share(vm.vcpu, GPA(0), 2, NULL));
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, mem + OFF(1), page));

	put_cmd(mem, (struct pkvm_cmd) { PKVM_CMD_WRITE64, { GPA(2), 0x11 } });
	put_cmd(mem + 64, (struct pkvm_cmd) { PKVM_CMD_FILL, { GPA(5), 0x22 } });
	put_cmd(mem + 128, (struct pkvm_cmd) { PKVM_CMD_HVC, { PKVM_HVC_UNSHARE, GPA(1), 1 } });
	put_cmd(mem + 192, (struct pkvm_cmd) { PKVM_CMD_READ64, { GPA(2) } });
	EXPECT_EQ(-EFAULT, pkvm_vcpu_batch(vm.vcpu, GPA(0), 4));
	EXPECT_TRUE(pkvm_fault_is(vm.vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(5), page));
	EXPECT_EQ(-EFAULT, pkvm_vcpu_resume(vm.vcpu));
	EXPECT_EQ(-EFAULT, pkvm_vcpu_skip(vm.vcpu));
	EXPECT_EQ(3, vm.vcpu->left);
	EXPECT_TRUE(pkvm_fault_is(vm.vcpu, KVM_MEMORY_EXIT_FLAG_PRIVATE, GPA(1), page));
	gmem_pin_drop(&pin);
	EXPECT_EQ(0, pkvm_vcpu_skip(vm.vcpu));
	EXPECT_EQ(2, vm.vcpu->left);

	EXPECT_EQ(0x11, gmem_host_get64(mem + 192 + offsetof(struct pkvm_cmd, res)));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(fd, OFF(1)));
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(1)));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(fd, OFF(5)));
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(5)));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(vm.vcpu, GPA(1), 1, NULL));

	pkvm_vm_destroy_gmem(&vm, fd, mem, OFF(8));
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
