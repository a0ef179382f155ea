// SPDX-License-Identifier: GPL-2.0-only
/*
 * Per-page private and shared memory of a guest_memfd, without a guest: what the
 * ioctls answer, what a conversion does to mappings, references and content, and
 * that nothing else is touched. Runs on every architecture that has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <time.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <linux/compiler.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "guest_memfd_util.h"

#define NR_PAGES	16
#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED

static size_t page;

#define OFF(n)		((u64)(n) * page)
#define HVA(n)		(self->mem + (n) * page)

FIXTURE(conv) {
	int vm;
	int fd;
	char *mem;
	int kmsg;
};

FIXTURE_VARIANT(conv) {
	u64 flags;
};

FIXTURE_VARIANT_ADD(conv, init_shared) {
	.flags = OWNS | INIT_SHARED,
};

FIXTURE_VARIANT_ADD(conv, init_private) {
	.flags = OWNS,
};

FIXTURE_SETUP(conv)
{
	self->kmsg = gmem_kmsg_open();
	self->vm = gmem_vm_open(gmem_private_vm_type());
	ASSERT_LE(0, self->vm);
	self->fd = gmem_create(self->vm, OFF(NR_PAGES), variant->flags);
	ASSERT_LE(0, self->fd);
	self->mem = gmem_map(self->fd, OFF(NR_PAGES));
}

FIXTURE_TEARDOWN(conv)
{
	munmap(self->mem, OFF(NR_PAGES));
	close(self->fd);
	close(self->vm);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static int set_attr(FIXTURE_DATA(conv) * self, u64 n, u64 count, u64 attr)
{
	return gmem_set_attr(self->fd, OFF(n), OFF(count), attr);
}

static void share_and_fill(FIXTURE_DATA(conv) * self)
{
	int i;

	TEST_ASSERT(!set_attr(self, 0, NR_PAGES, GMEM_SHARED), "all to shared");
	for (i = 0; i < NR_PAGES; i++)
		gmem_host_set64(HVA(i), 0x100 + i);
}

/*
 * Every page of the file is as @private says (bit per page), content included; nothing is
 * said of those in @but.
 */
static void expect_map_but(struct __test_metadata *_metadata,
			   FIXTURE_DATA(conv) * self, u32 private, u32 but)
{
	u64 val;
	int i;

	for (i = 0; i < NR_PAGES; i++) {
		bool p = private & (1U << i);

		if (but & (1U << i))
			continue;
		val = 0;
		EXPECT_EQ(p ? GMEM_PRIVATE : GMEM_SHARED, gmem_attr_of(self->fd, OFF(i)))
			TH_LOG("page %d", i);
		EXPECT_EQ(p ? SIGBUS : 0, gmem_host_read64(HVA(i), &val))
			TH_LOG("page %d", i);
		if (!p)
			EXPECT_EQ(0x100 + i, val)
				TH_LOG("page %d", i);
	}
}

static void expect_map(struct __test_metadata *_metadata,
		       FIXTURE_DATA(conv) * self, u32 private)
{
	expect_map_but(_metadata, self, private, 0);
}

TEST_F(conv, how_a_file_begins)
{
	bool shared = variant->flags & INIT_SHARED;
	struct kvm_memory_attributes2 attr;
	u64 val = 1;

	EXPECT_EQ(0, gmem_get_attr(self->fd, 0, OFF(NR_PAGES), &attr));
	EXPECT_EQ(OFF(NR_PAGES), attr.size);
	EXPECT_EQ(shared ? GMEM_SHARED : GMEM_PRIVATE, attr.attributes);
	EXPECT_EQ(0, attr.flags);

	EXPECT_EQ(shared ? 0 : SIGBUS, gmem_host_read64(HVA(3), &val));
	EXPECT_EQ(shared ? 0 : 1, val);
	EXPECT_EQ(shared, gmem_populated(self->fd, OFF(3)));
}

TEST_F(conv, one_page_and_its_neighbours)
{
	int i;

	share_and_fill(self);
	for (i = 0; i < NR_PAGES; i++) {
		EXPECT_EQ(0, set_attr(self, i, 1, GMEM_PRIVATE));
		expect_map(_metadata, self, 1U << i);
		EXPECT_EQ(0, set_attr(self, i, 1, GMEM_SHARED));
		expect_map(_metadata, self, 0);
	}

	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	for (i = 0; i < NR_PAGES; i++) {
		EXPECT_EQ(0, set_attr(self, i, 1, GMEM_SHARED));
		expect_map(_metadata, self, 0xffff & ~(1U << i));
		EXPECT_EQ(0, set_attr(self, i, 1, GMEM_PRIVATE));
		expect_map(_metadata, self, 0xffff);
	}
}

TEST_F(conv, ranges_over_what_is_there)
{
	share_and_fill(self);
	EXPECT_EQ(0, set_attr(self, 2, 4, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x003c);
	EXPECT_EQ(0, set_attr(self, 4, 6, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x03fc);
	EXPECT_EQ(0, set_attr(self, 0, 4, GMEM_SHARED));
	expect_map(_metadata, self, 0x03f0);
	EXPECT_EQ(0, set_attr(self, 6, 2, GMEM_SHARED));
	expect_map(_metadata, self, 0x0330);
	EXPECT_EQ(0, set_attr(self, 15, 1, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x8330);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	expect_map(_metadata, self, 0xffff);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
}

TEST_F(conv, before_there_are_pages)
{
	u64 val = 1;

	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 4, 4, GMEM_SHARED));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(3)));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(4)));

	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(3), &val));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(3)));
	EXPECT_EQ(0, gmem_host_read64(HVA(4), &val));
	EXPECT_EQ(0, val);
	EXPECT_TRUE(gmem_populated(self->fd, OFF(4)));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(5)));

	/* Allocated while private, shown later: nobody's old data. */
	EXPECT_EQ(0, fallocate(self->fd, FALLOC_FL_KEEP_SIZE, OFF(8), OFF(2)));
	EXPECT_TRUE(gmem_populated(self->fd, OFF(8)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(8), &val));
	EXPECT_EQ(0, set_attr(self, 8, 2, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(HVA(8)));
	EXPECT_EQ(0, gmem_host_get64(HVA(9) + page - 8));
}

TEST_F(conv, refused_arguments)
{
	const u64 size = OFF(NR_PAGES);
	const struct {
		const char *what;
		struct kvm_memory_attributes2 arg;
	} bad[] = {
		{ "offset not aligned", { .offset = 1, .size = page } },
		{ "offset not aligned", { .offset = page / 2, .size = page } },
		{ "size not aligned", { .size = page - 1 } },
		{ "size not aligned", { .size = page + 8 } },
		{ "empty", { .size = 0 } },
		{ "empty at the end", { .offset = size } },
		{ "one page beyond", { .size = size + page } },
		{ "from the end", { .offset = size, .size = page } },
		{ "over the end", { .offset = size - page, .size = 2 * page } },
		{ "far away", { .offset = 1ULL << 62, .size = page } },
		{ "wraps to 0", { .offset = -(u64)page, .size = page } },
		{ "wraps", { .offset = -(u64)page, .size = 2 * page } },
		{ "wraps", { .offset = page, .size = -(u64)page } },
		{ "wraps", { .offset = page, .size = -(u64)page + page } },
		{ "huge", { .size = ~0ULL & ~(u64)(page - 1) } },
		{ "negative", { .offset = 1ULL << 63, .size = page } },
	};
	const u64 attrs[] = {
		1, 2, 4, 7, 9, 16, 1ULL << 31, 1ULL << 32, 1ULL << 63, ~0ULL,
		GMEM_PRIVATE | 1ULL << 63, GMEM_PRIVATE | 1,
	};
	struct kvm_memory_attributes2 arg;
	size_t i;

	share_and_fill(self);
	ASSERT_EQ(0, set_attr(self, 1, 1, GMEM_PRIVATE));

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		arg = bad[i].arg;
		arg.attributes = GMEM_PRIVATE;
		EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg))
			TH_LOG("to private: %s", bad[i].what);
		EXPECT_EQ(EINVAL, errno);
		arg = bad[i].arg;
		EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg))
			TH_LOG("to shared: %s", bad[i].what);
		EXPECT_EQ(EINVAL, errno);
		arg = bad[i].arg;
		EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MEMORY_ATTRIBUTES2, &arg))
			TH_LOG("get: %s", bad[i].what);
		EXPECT_EQ(EINVAL, errno);
	}

	for (i = 0; i < ARRAY_SIZE(attrs); i++) {
		EXPECT_EQ(-EINVAL, set_attr(self, 0, NR_PAGES, attrs[i]))
			TH_LOG("attributes %#lx", (unsigned long)attrs[i]);
	}

	for (i = 0; i < 64; i++) {
		arg = (struct kvm_memory_attributes2) {
			.size = size, .attributes = GMEM_PRIVATE, .flags = 1ULL << i,
		};
		EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
		EXPECT_EQ(EINVAL, errno);
	}

	for (i = 0; i < ARRAY_SIZE(arg.reserved); i++) {
		arg = (struct kvm_memory_attributes2) {
			.size = size, .attributes = GMEM_PRIVATE,
		};
		arg.reserved[i] = i & 1 ? 1 : 1ULL << 63;
		EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
		EXPECT_EQ(EINVAL, errno);
	}

	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MEMORY_ATTRIBUTES2, NULL));
	EXPECT_EQ(EFAULT, errno);
	/* An argument in memory that has become private is no memory either. */
	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, HVA(1)));
	EXPECT_EQ(EFAULT, errno);

	EXPECT_EQ(-1, ioctl(self->fd, KVM_CREATE_VCPU, 0));
	EXPECT_EQ(ENOTTY, errno);
	expect_map(_metadata, self, 0x0002);
}

TEST_F(conv, argument_in_the_file_itself)
{
	struct kvm_memory_attributes2 *arg = (void *)HVA(0);

	/* Copied in before the conversion, and out (if at all) after it. */
	share_and_fill(self);
	*arg = (struct kvm_memory_attributes2) {
		.offset = OFF(1), .size = page, .attributes = GMEM_PRIVATE,
	};
	EXPECT_EQ(0, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, arg));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(1)));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, 0));

	/* Even when it hides itself: whatever it answers, nothing hangs. */
	*arg = (struct kvm_memory_attributes2) {
		.offset = 0, .size = page, .attributes = GMEM_PRIVATE,
	};
	ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, arg);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
}

/* Of the argument, only what is documented as output changes. */
TEST_F(conv, what_comes_back_in_the_argument)
{
	struct kvm_memory_attributes2 in, arg;
	struct gmem_pin pin;

	share_and_fill(self);
	in = (struct kvm_memory_attributes2) {
		.offset = OFF(2), .size = OFF(5), .attributes = GMEM_PRIVATE,
		.error_offset = GMEM_NO_OFFSET,
	};
	arg = in;
	EXPECT_EQ(0, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	EXPECT_EQ(0, memcmp(&in, &arg, sizeof(arg)));
	in.attributes = GMEM_SHARED;
	arg = in;
	EXPECT_EQ(0, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	EXPECT_EQ(0, memcmp(&in, &arg, sizeof(arg)));

	/* Refused as such: no offset is at fault. */
	in.attributes = GMEM_PRIVATE | 1;
	arg = in;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	EXPECT_EQ(0, memcmp(&in, &arg, sizeof(arg)));

	in.attributes = GMEM_PRIVATE;
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(4), page));
	arg = in;
	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	EXPECT_EQ(EAGAIN, errno);
	in.error_offset = OFF(4);
	EXPECT_EQ(0, memcmp(&in, &arg, sizeof(arg)));
	gmem_pin_drop(&pin);

	/* GET says nothing of an offset at fault either. */
	in.error_offset = GMEM_NO_OFFSET;
	in.offset = 0;
	in.size = OFF(NR_PAGES);
	arg = in;
	EXPECT_EQ(0, ioctl(self->fd, KVM_GET_MEMORY_ATTRIBUTES2, &arg));
	in.attributes = GMEM_SHARED;
	in.flags = KVM_MEMORY_ATTRIBUTES2_POPULATED;
	EXPECT_EQ(0, memcmp(&in, &arg, sizeof(arg)));
}

/* A change whose answer cannot be delivered either did not happen, or is no failure. */
static void expect_all_or_nothing(struct __test_metadata *_metadata,
				  FIXTURE_DATA(conv) * self, void *arg)
{
	int ret = ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, arg) ? -errno : 0;

	if (ret)
		EXPECT_EQ(-EFAULT, ret);
	expect_map(_metadata, self, ret ? 0 : 0x000e);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
}

TEST_F(conv, argument_that_is_only_half_there)
{
	const struct kvm_memory_attributes2 arg = {
		.offset = OFF(1), .size = OFF(3), .attributes = GMEM_PRIVATE,
	};
	char *two = mmap(NULL, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1, 0);
	char *half = two + page - sizeof(arg) / 2;

	ASSERT_NE(MAP_FAILED, two);
	share_and_fill(self);

	memcpy(half, &arg, sizeof(arg));
	ASSERT_EQ(0, mprotect(two + page, page, PROT_NONE));
	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, half));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MEMORY_ATTRIBUTES2, half));
	EXPECT_EQ(EFAULT, errno);
	expect_map(_metadata, self, 0);

	/* It can be read, but not, or not as a whole, be written. */
	ASSERT_EQ(0, mprotect(two + page, page, PROT_READ));
	expect_all_or_nothing(_metadata, self, half);
	memcpy(half, &arg, sizeof(arg) / 2);
	ASSERT_EQ(0, mprotect(two, page, PROT_READ));
	expect_all_or_nothing(_metadata, self, half);
	EXPECT_EQ(-1, ioctl(self->fd, KVM_GET_MEMORY_ATTRIBUTES2, half));
	EXPECT_EQ(EFAULT, errno);

	ASSERT_EQ(0, munmap(two + page, page));
	EXPECT_EQ(-1, ioctl(self->fd, KVM_SET_MEMORY_ATTRIBUTES2, half));
	EXPECT_EQ(EFAULT, errno);
	expect_map(_metadata, self, 0);
	munmap(two, page);
}

TEST_F(conv, what_the_capabilities_say)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	ASSERT_LE(0, kvm);
	EXPECT_EQ(GMEM_PRIVATE, gmem_check_cap(kvm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	EXPECT_EQ(GMEM_PRIVATE, gmem_check_cap(self->vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	EXPECT_EQ(1, gmem_check_cap(kvm, KVM_CAP_MEMORY_FAULT_INFO));
	EXPECT_EQ(1, gmem_check_cap(self->vm, KVM_CAP_MEMORY_FAULT_INFO));
	EXPECT_EQ(OWNS | INIT_SHARED, gmem_check_cap(self->vm, KVM_CAP_GUEST_MEMFD_FLAGS));
	close(kvm);
}

TEST_F(conv, files_that_do_not_own_their_attributes)
{
	struct kvm_memory_attributes2 attr;
	const u64 flags[] = { 0, INIT_SHARED };
	int fd, plain, i;

	for (i = 0; i < 2; i++) {
		fd = gmem_create(self->vm, OFF(4), flags[i]);
		ASSERT_LE(0, fd);
		EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
		EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_SHARED));
		EXPECT_EQ(-ENOTTY, gmem_get_attr(fd, 0, page, &attr));
		close(fd);
	}

	fd = memfd_create("other", 0);
	EXPECT_EQ(0, ftruncate(fd, OFF(4)));
	EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
	close(fd);

	/* A VM type without private memory. */
	plain = gmem_vm_open(0);
	ASSERT_LE(0, plain);
	EXPECT_EQ(0, gmem_check_cap(plain, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	fd = gmem_create(plain, OFF(4), OWNS | INIT_SHARED);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EINVAL, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
	EXPECT_EQ(-EINVAL, gmem_set_attr(fd, 0, page, GMEM_SHARED));
	close(fd);
	close(plain);
}

TEST_F(conv, holes_keep_the_attributes)
{
	share_and_fill(self);
	EXPECT_EQ(0, set_attr(self, 4, 4, GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(2), OFF(4)));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(2)));
	EXPECT_FALSE(gmem_populated(self->fd, OFF(5)));
	EXPECT_TRUE(gmem_populated(self->fd, OFF(6)));
	EXPECT_EQ(0, gmem_host_get64(HVA(2)));
	EXPECT_EQ(0, gmem_host_get64(HVA(3)));
	gmem_host_set64(HVA(2), 0x102);
	gmem_host_set64(HVA(3), 0x103);
	expect_map(_metadata, self, 0x00f0);

	EXPECT_EQ(0, gmem_punch(self->fd, 0, OFF(NR_PAGES)));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(3)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(4)));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(7)));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(8)));

	/* What was there has gone for good. */
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(HVA(6)));
}

static void referenced(struct __test_metadata *_metadata,
		       FIXTURE_DATA(conv) * self, enum gmem_pin_kind kind)
{
	struct gmem_pin first, second;
	u64 err;
	int i, ret;

	share_and_fill(self);
	ret = gmem_pin_take(&first, kind, HVA(5), page);
	if (ret)
		SKIP(return, "%s: %d", gmem_pin_name(kind), ret);
	ASSERT_EQ(0, gmem_pin_take(&second, kind, HVA(9), page));

	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, OFF(5), page, GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, OFF(6), OFF(4), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(9), err);
	expect_map(_metadata, self, 0);

	/* The others are free, and to shared nobody is in the way. */
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 6, 3, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x01d0);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);

	/* A failed range leaves the private ones among it private. */
	EXPECT_EQ(0, set_attr(self, 3, 1, GMEM_PRIVATE));
	EXPECT_EQ(-EAGAIN, set_attr(self, 2, 4, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0008);

	gmem_pin_drop(&first);
	for (i = 0; i < 100; i++) {
		ret = gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err);
		if (ret != -EAGAIN || err != OFF(5))
			break;
		usleep(1000);
	}
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(OFF(9), err);
	gmem_pin_drop(&second);
	for (i = 0; i < 100; i++) {
		ret = set_attr(self, 0, NR_PAGES, GMEM_PRIVATE);
		if (ret != -EAGAIN)
			break;
		usleep(1000);
	}
	EXPECT_EQ(0, ret);
	expect_map(_metadata, self, 0xffff);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
}

TEST_F(conv, referenced_by_vmsplice)
{
	referenced(_metadata, self, GMEM_PIN_VMSPLICE);
}

TEST_F(conv, referenced_by_io_uring)
{
	referenced(_metadata, self, GMEM_PIN_IO_URING);
}

TEST_F(conv, referenced_by_gup_test)
{
	referenced(_metadata, self, GMEM_PIN_GUP_TEST);
}

TEST_F(conv, references_to_a_hole)
{
	struct gmem_pin pin;

	/* The page lives on in the pipe; the file has another one. */
	share_and_fill(self);
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(5), page));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(5), page));
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(HVA(5)));
	gmem_pin_drop(&pin);
}

static int by_proc_mem(char *addr, u64 *val, bool out)
{
	int fd = open("/proc/self/mem", O_RDWR | O_CLOEXEC), ret;

	TEST_ASSERT(fd >= 0, "/proc/self/mem: errno %d", errno);
	ret = out ? pwrite(fd, val, sizeof(*val), (off_t)addr) :
		    pread(fd, val, sizeof(*val), (off_t)addr);
	if (ret < 0)
		ret = -errno;
	close(fd);
	return ret;
}

TEST_F(conv, every_way_to_a_private_page)
{
	char *second = gmem_map(self->fd, OFF(NR_PAGES));
	char *ro, *moved;
	u64 val;
	int ret;

	share_and_fill(self);
	ro = mmap(NULL, OFF(NR_PAGES), PROT_READ, MAP_SHARED | MAP_POPULATE, self->fd, 0);
	ASSERT_NE(MAP_FAILED, ro);
	EXPECT_EQ(0x103, gmem_host_get64(second + OFF(3)));
	EXPECT_EQ(0, set_attr(self, 3, 1, GMEM_PRIVATE));

	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(3), &val));
	EXPECT_EQ(SIGBUS, gmem_host_write64(HVA(3), 0));
	EXPECT_EQ(SIGBUS, gmem_host_read64(second + OFF(3), &val));
	EXPECT_EQ(SIGBUS, gmem_host_read64(ro + OFF(3), &val));
	EXPECT_EQ(-EFAULT, gmem_kernel_read(HVA(3)));
	EXPECT_EQ(-EFAULT, gmem_kernel_write(HVA(3)));
	ret = gmem_process_vm_read(getpid(), HVA(3), &val);
	if (ret != -ENOSYS)
		EXPECT_EQ(-EFAULT, ret);
	EXPECT_EQ(-1, madvise(HVA(3), page, MADV_POPULATE_READ));
	EXPECT_EQ(-1, madvise(HVA(2), 3 * page, MADV_POPULATE_WRITE));
	EXPECT_EQ(-1, pread(self->fd, &val, sizeof(val), OFF(3)));
	EXPECT_EQ(-1, pwrite(self->fd, &val, sizeof(val), OFF(3)));
	EXPECT_EQ(sizeof(val), by_proc_mem(HVA(2), &val, false));
	EXPECT_EQ(-EIO, by_proc_mem(HVA(3), &val, false));
	EXPECT_EQ(-EIO, by_proc_mem(HVA(3), &val, true));
	EXPECT_EQ(-1, syscall(__NR_futex, HVA(3), FUTEX_WAKE, 1, NULL, NULL, 0));
	EXPECT_EQ(EFAULT, errno);

	/* None of the things one can do with a mapping helps. */
	EXPECT_EQ(0, madvise(second + OFF(3), page, MADV_DONTNEED));
	EXPECT_EQ(SIGBUS, gmem_host_read64(second + OFF(3), &val));
	EXPECT_EQ(0, mprotect(ro + OFF(3), page, PROT_READ | PROT_WRITE));
	EXPECT_EQ(SIGBUS, gmem_host_write64(ro + OFF(3), 0));
	moved = mremap(second + OFF(2), OFF(3), OFF(3), MREMAP_MAYMOVE | MREMAP_FIXED,
		       second + OFF(8));
	EXPECT_EQ(second + OFF(8), moved);
	EXPECT_EQ(0x102, gmem_host_get64(moved));
	EXPECT_EQ(SIGBUS, gmem_host_read64(moved + page, &val));
	mlock(HVA(3), page);
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(3), &val));
	expect_map(_metadata, self, 0x0008);

	EXPECT_EQ(0, set_attr(self, 3, 1, GMEM_SHARED));
	EXPECT_EQ(0x103, gmem_host_get64(moved + page));
	EXPECT_EQ(0x103, gmem_host_get64(ro + OFF(3)));
	munmap(ro, OFF(NR_PAGES));
	munmap(second, OFF(NR_PAGES));
}

/* A request to the other process: what to do at which page. */
struct request {
	char op;
	int n;
};

/* Two pages of the parent's, from page @n on: the number of bytes copied or -errno. */
static int copy_parents(bool out, char *mem, int n)
{
	static char buf[2 << 16];
	struct iovec here = { buf, 2 * page }, there = { mem + OFF(n), 2 * page };
	ssize_t ret = out ? process_vm_writev(getppid(), &here, 1, &there, 1, 0) :
			    process_vm_readv(getppid(), &here, 1, &there, 1, 0);

	return ret < 0 ? -errno : (int)ret;
}

static void other_process(int sock, char *mem)
{
	struct gmem_pin pin;
	struct request req;
	int answer;
	u64 val;

	while (read(sock, &req, sizeof(req)) == sizeof(req)) {
		switch (req.op) {
		case 'r':
			answer = gmem_host_read64(mem + OFF(req.n), &val);
			if (!answer)
				answer = -(int)val;
			break;
		case 'v':
		case 'w':
			answer = copy_parents(req.op == 'w', mem, req.n);
			break;
		case 'p':
			answer = gmem_pin_take(&pin, GMEM_PIN_VMSPLICE,
					       mem + OFF(req.n), page);
			break;
		default:
			gmem_pin_drop(&pin);
			answer = 0;
			break;
		}
		if (write(sock, &answer, sizeof(answer)) != sizeof(answer))
			break;
	}
	_exit(0);
}

static int ask(int sock, char op, int n)
{
	struct request req = { op, n };
	int answer = 0x7fffffff;

	TEST_ASSERT(write(sock, &req, sizeof(req)) == sizeof(req) &&
		    read(sock, &answer, sizeof(answer)) == sizeof(answer),
		    "the other process has gone");
	return answer;
}

TEST_F(conv, two_processes)
{
	int socks[2], status;
	pid_t pid;
	u64 err;

	share_and_fill(self);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(socks[0]);
		other_process(socks[1], self->mem);
	}
	close(socks[1]);

	EXPECT_EQ(-0x104, ask(socks[0], 'r', 4));
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, ask(socks[0], 'r', 4));
	EXPECT_EQ(-0x105, ask(socks[0], 'r', 5));
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_SHARED));
	EXPECT_EQ(-0x104, ask(socks[0], 'r', 4));

	EXPECT_EQ(0, ask(socks[0], 'p', 7));
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(7), err);
	expect_map(_metadata, self, 0);
	EXPECT_EQ(0, ask(socks[0], 'd', 0));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, ask(socks[0], 'r', 5));

	/* A reference goes with the process that held it. */
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(0, ask(socks[0], 'p', 7));
	EXPECT_EQ(-EAGAIN, set_attr(self, 7, 1, GMEM_PRIVATE));
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, set_attr(self, 7, 1, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0080);
	close(socks[0]);
}

/* By process_vm_readv() and writev() another process gets no more than this one. */
TEST_F(conv, what_another_process_can_copy)
{
	int socks[2], status;
	pid_t pid;

	share_and_fill(self);
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(socks[0]);
		other_process(socks[1], self->mem);
	}
	close(socks[1]);

	if (ask(socks[0], 'v', 4) == -ENOSYS)
		SKIP(goto out, "no process_vm_readv in this kernel");
	EXPECT_EQ(2 * page, ask(socks[0], 'v', 4));
	EXPECT_EQ(2 * page, ask(socks[0], 'w', 4));
	EXPECT_EQ(0, set_attr(self, 5, 2, GMEM_PRIVATE));
	EXPECT_EQ(page, ask(socks[0], 'v', 4));
	EXPECT_EQ(page, ask(socks[0], 'w', 4));
	EXPECT_EQ(-EFAULT, ask(socks[0], 'v', 5));
	EXPECT_EQ(-EFAULT, ask(socks[0], 'w', 5));
	EXPECT_EQ(-EFAULT, ask(socks[0], 'v', 6));
	EXPECT_EQ(-EFAULT, ask(socks[0], 'w', 6));
	expect_map(_metadata, self, 0x0060);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
out:
	kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	close(socks[0]);
}

TEST_F(conv, two_files)
{
	int fd = gmem_create(self->vm, OFF(NR_PAGES), variant->flags);
	int vm = gmem_vm_open(gmem_private_vm_type()), third;
	char *mem, *mem3;
	u64 val;

	ASSERT_LE(0, fd);
	ASSERT_LE(0, vm);
	third = gmem_create(vm, OFF(NR_PAGES), OWNS | INIT_SHARED);
	ASSERT_LE(0, third);
	share_and_fill(self);
	ASSERT_EQ(0, gmem_set_attr(fd, 0, OFF(NR_PAGES), GMEM_SHARED));
	mem = gmem_map(fd, OFF(NR_PAGES));
	mem3 = gmem_map(third, OFF(NR_PAGES));
	gmem_host_set64(mem + OFF(4), 0x24);
	gmem_host_set64(mem3 + OFF(4), 0x34);

	EXPECT_EQ(0, gmem_set_attr(fd, OFF(4), page, GMEM_PRIVATE));
	expect_map(_metadata, self, 0);
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(4), &val));
	EXPECT_EQ(0x34, gmem_host_get64(mem3 + OFF(4)));

	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0020);
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(5)));
	EXPECT_EQ(0, gmem_host_get64(mem3 + OFF(5)));

	munmap(mem, OFF(NR_PAGES));
	munmap(mem3, OFF(NR_PAGES));
	close(fd);
	close(third);
	close(vm);
}

TEST_F(conv, reading_back)
{
	const u64 count = 512;
	int fd = gmem_create(self->vm, OFF(count), variant->flags);
	struct kvm_memory_attributes2 attr;
	u64 i, n, runs = 0;

	ASSERT_LE(0, fd);
	ASSERT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_SHARED));

	/* Runs of 1, 2, 3, ... pages, private and shared by turns. */
	for (i = 0, n = 1; i + n <= count; i += n, n++) {
		if (n & 1)
			EXPECT_EQ(0, gmem_set_attr(fd, OFF(i), OFF(n), GMEM_PRIVATE));
	}
	for (i = 0, n = 1; i + n <= count; i += n, n++) {
		EXPECT_EQ(0, gmem_get_attr(fd, OFF(i), OFF(n + 1), &attr));
		EXPECT_EQ(OFF(n), attr.size);
		EXPECT_EQ(n & 1 ? GMEM_PRIVATE : GMEM_SHARED, attr.attributes);
	}

	/* The size given is a limit, and the middle of a run is a beginning. */
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(100), OFF(7), &attr));
	EXPECT_EQ(OFF(7), attr.size);
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(100), OFF(count - 100), &attr));
	EXPECT_EQ(OFF(count - 100), attr.size);

	/* What is in memory and what is not are different runs. */
	EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, OFF(10), OFF(3)));
	EXPECT_EQ(0, gmem_get_attr(fd, 0, OFF(count), &attr));
	EXPECT_EQ(OFF(10), attr.size);
	EXPECT_EQ(0, attr.flags);
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(10), OFF(count - 10), &attr));
	EXPECT_EQ(OFF(3), attr.size);
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_POPULATED, attr.flags);
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(13), OFF(count - 13), &attr));
	EXPECT_EQ(OFF(count - 13), attr.size);

	/* A checkerboard, and back. */
	for (i = 0; i < count; i += 2)
		EXPECT_EQ(0, gmem_set_attr(fd, OFF(i), page, GMEM_SHARED));
	for (i = 0; i < count; i += attr.size / page, runs++)
		ASSERT_EQ(0, gmem_get_attr(fd, OFF(i), OFF(count - i), &attr));
	EXPECT_EQ(count, runs);
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_SHARED));
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(13), OFF(count - 13), &attr));
	EXPECT_EQ(OFF(count - 13), attr.size);
	close(fd);
}

TEST_F(conv, large_file_without_pages)
{
	const u64 size = 1ULL << 30;
	int fd = gmem_create(self->vm, size, variant->flags), i;
	struct kvm_memory_attributes2 attr;

	ASSERT_LE(0, fd);
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, gmem_set_attr(fd, 0, size, i & 1 ? GMEM_SHARED : GMEM_PRIVATE));
		EXPECT_EQ(0, gmem_get_attr(fd, 0, size, &attr));
		EXPECT_EQ(size, attr.size);
		EXPECT_EQ(0, attr.flags);
	}
	EXPECT_EQ(0, gmem_set_attr(fd, size - page, page, GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_get_attr(fd, 0, size, &attr));
	EXPECT_EQ(size - page, attr.size);
	close(fd);
}

#define GPA(n)		(0x80000000ULL + (n) * page)

static int bind_slot(FIXTURE_DATA(conv) * self, u32 slot, u64 gpa, u64 n, u64 count)
{
	return gmem_set_slot(self->vm, slot, gpa, OFF(count), HVA(n), self->fd, OFF(n));
}

static int delete_slot(FIXTURE_DATA(conv) * self, u32 slot)
{
	return gmem_set_slot(self->vm, slot, 0, 0, NULL, -1, 0);
}

/*
 * What shows the file to a guest comes and goes; attributes and content are the file's. The
 * slots lie neither in the file's order nor in one piece, and 8-9 are in none.
 */
TEST_F(conv, several_slots)
{
	share_and_fill(self);
	ASSERT_EQ(0, bind_slot(self, 0, GPA(100), 0, 4));
	ASSERT_EQ(0, bind_slot(self, 1, GPA(51), 4, 4));
	ASSERT_EQ(0, bind_slot(self, 2, GPA(0), 10, 6));
	EXPECT_EQ(-EEXIST, bind_slot(self, 3, GPA(200), 3, 2));
	EXPECT_EQ(-EEXIST, bind_slot(self, 3, GPA(200), 0, NR_PAGES));
	EXPECT_EQ(-EEXIST, bind_slot(self, 3, GPA(53), 8, 2));
	EXPECT_EQ(-EINVAL, bind_slot(self, 3, GPA(200), 15, 2));
	EXPECT_EQ(-EINVAL, gmem_set_slot(self->vm, 3, GPA(200), page, HVA(8), self->fd,
					 OFF(8) + page / 2));
	expect_map(_metadata, self, 0);

	EXPECT_EQ(0, set_attr(self, 2, 10, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0ffc);
	EXPECT_EQ(0, delete_slot(self, 1));
	expect_map(_metadata, self, 0x0ffc);
	EXPECT_EQ(0, set_attr(self, 3, 2, GMEM_SHARED));
	EXPECT_EQ(0, bind_slot(self, 1, GPA(300), 5, 5));
	EXPECT_EQ(-EEXIST, bind_slot(self, 3, GPA(200), 3, 2));
	EXPECT_EQ(0, bind_slot(self, 3, GPA(200), 4, 1));
	expect_map(_metadata, self, 0x0fe4);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(0, set_attr(self, 9, 3, GMEM_PRIVATE));
	EXPECT_EQ(0, delete_slot(self, 0));
	EXPECT_EQ(0, delete_slot(self, 2));
	expect_map(_metadata, self, 0x0e00);
	EXPECT_EQ(0, bind_slot(self, 0, GPA(101), 0, 4));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
}

/* A file belongs to the VM that it was made on; other VMs' ends are not its own. */
TEST_F(conv, two_vms)
{
	int vm = gmem_vm_open(gmem_private_vm_type()), fd;
	char *mem;
	u64 val;

	ASSERT_LE(0, vm);
	fd = gmem_create(vm, OFF(NR_PAGES), OWNS | INIT_SHARED);
	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(NR_PAGES));
	gmem_host_set64(mem + OFF(3), 0x33);
	share_and_fill(self);

	EXPECT_EQ(-EINVAL, gmem_set_slot(vm, 0, GPA(0), OFF(NR_PAGES), HVA(0), self->fd, 0));
	EXPECT_EQ(-EINVAL, gmem_set_slot(self->vm, 0, GPA(0), OFF(NR_PAGES), mem, fd, 0));
	/* The same slot, address and offset in each. */
	EXPECT_EQ(0, gmem_set_slot(vm, 0, GPA(0), OFF(NR_PAGES), mem, fd, 0));
	EXPECT_EQ(0, bind_slot(self, 0, GPA(0), 0, NR_PAGES));
	EXPECT_EQ(0, gmem_set_attr(fd, OFF(3), OFF(2), GMEM_PRIVATE));
	expect_map(_metadata, self, 0);
	EXPECT_EQ(0, set_attr(self, 4, 4, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + OFF(3), &val));
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(5)));

	EXPECT_EQ(0, gmem_punch(fd, 0, OFF(NR_PAGES)));
	expect_map(_metadata, self, 0x00f0);
	close(vm);
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(NR_PAGES), GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(3)));
	close(fd);
	EXPECT_EQ(0, gmem_host_get64(mem + OFF(4)));
	munmap(mem, OFF(NR_PAGES));
	expect_map(_metadata, self, 0x00f0);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
}

/* Reports the memory of page @n as bad; a reason not to, or NULL. */
static const char *make_bad(struct __test_metadata *_metadata, u64 pfn)
{
	int ret;

	if (!pfn)
		return "no /proc/self/pagemap in this kernel";
	ret = gmem_report_bad_memory(pfn);
	if (ret == -ENOENT)
		return "no hard_offline_page in this kernel";
	EXPECT_EQ(0, ret);
	return NULL;
}

/* Every use of it says what it is, by the errno or signal that the use has for that. */
static void expect_bad(struct __test_metadata *_metadata, char *addr)
{
	u64 val = 0;

	EXPECT_EQ(SIGBUS, gmem_host_read64(addr, &val));
	EXPECT_EQ(BUS_MCEERR_AR, gmem_signal_code());
	EXPECT_EQ(SIGBUS, gmem_host_write64(addr, val));
	EXPECT_EQ(BUS_MCEERR_AR, gmem_signal_code());
	EXPECT_EQ(-EFAULT, gmem_kernel_read(addr));
	EXPECT_EQ(-EFAULT, gmem_kernel_write(addr));
	EXPECT_EQ(-1, madvise(addr, page, MADV_POPULATE_READ));
	EXPECT_EQ(EHWPOISON, errno);
}

/*
 * The page stays in the file, and referenced by those who keep bad memory from being used
 * again: it can be shared, and then has nothing to give, but not become private, not even
 * when it is so already. Punched, the file gets another one.
 */
static void expect_bad_5(struct __test_metadata *_metadata, FIXTURE_DATA(conv) * self,
			 u64 pfn)
{
	char *fresh;
	u64 err;

	EXPECT_TRUE(gmem_populated(self->fd, OFF(5)));
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(0, set_attr(self, 6, 4, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, 5, GMEM_PRIVATE));
	expect_map_but(_metadata, self, 0x03df, 1 << 5);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map_but(_metadata, self, 0, 1 << 5);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(5)));
	expect_bad(_metadata, HVA(5));
	fresh = gmem_map(self->fd, OFF(NR_PAGES));
	expect_bad(_metadata, fresh + OFF(5));

	EXPECT_EQ(0, gmem_punch(self->fd, OFF(5), page));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	/* Page tables remember bad memory until they are told to forget it. */
	EXPECT_EQ(0, madvise(HVA(5), page, MADV_DONTNEED));
	EXPECT_EQ(0, gmem_host_get64(HVA(5)));
	EXPECT_NE(pfn, gmem_pfn(HVA(5)));
	gmem_host_set64(HVA(5), 0x105);
	expect_map(_metadata, self, 0);
	munmap(fresh, OFF(NR_PAGES));
}

TEST_F(conv, bad_memory_that_is_shared)
{
	const char *why;
	u64 pfn;

	share_and_fill(self);
	pfn = gmem_pfn(HVA(5));
	why = make_bad(_metadata, pfn);
	if (why)
		SKIP(return, "%s", why);
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->fd, OFF(5)));
	expect_bad(_metadata, HVA(5));
	expect_map_but(_metadata, self, 0, 1 << 5);
	expect_bad_5(_metadata, self, pfn);
}

TEST_F(conv, bad_memory_that_is_private)
{
	const char *why;
	u64 pfn, val;

	share_and_fill(self);
	pfn = gmem_pfn(HVA(5));
	EXPECT_EQ(0, set_attr(self, 4, 3, GMEM_PRIVATE));
	why = make_bad(_metadata, pfn);
	if (why)
		SKIP(return, "%s", why);
	/* The attribute comes first. */
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(5), &val));
	EXPECT_EQ(BUS_ADRERR, gmem_signal_code());
	expect_map(_metadata, self, 0x0070);
	expect_bad_5(_metadata, self, pfn);
}

/* A disk that takes its time, with blocks in memory: null_blk. */
struct slow_disk {
	char dir[64];
	int fd;
	aio_context_t aio;
};

static int disk_set(const struct slow_disk *disk, const char *name, unsigned long val)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
	f = fopen(path, "w");
	if (!f)
		return -errno;
	fprintf(f, "%lu", val);
	return fclose(f) ? -errno : 0;
}

static void disk_close(struct slow_disk *disk)
{
	syscall(__NR_io_destroy, disk->aio);
	if (disk->fd >= 0)
		close(disk->fd);
	disk_set(disk, "power", 0);
	rmdir(disk->dir);
}

static int disk_open(struct slow_disk *disk)
{
	char name[32], path[64];

	disk->fd = -1;
	disk->aio = 0;
	snprintf(name, sizeof(name), "gmem%d", getpid());
	snprintf(disk->dir, sizeof(disk->dir), "/sys/kernel/config/nullb/%s", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(disk->dir, 0700))
		return -errno;

	/* Completion by a timer, after 200 ms. */
	if (syscall(__NR_io_setup, 1, &disk->aio) || disk_set(disk, "size", 1 << 4) ||
	    disk_set(disk, "blocksize", 4096) || disk_set(disk, "memory_backed", 1) ||
	    disk_set(disk, "irqmode", 2) || disk_set(disk, "completion_nsec", 200000000) ||
	    disk_set(disk, "power", 1)) {
		disk_close(disk);
		return -EIO;
	}
	disk->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk->fd < 0) {
		disk_close(disk);
		return -ENODEV;
	}
	return 0;
}

static int disk_start(struct slow_disk *disk, bool out, void *addr, u64 offset)
{
	struct iocb io = {
		.aio_lio_opcode = out ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = disk->fd,
		.aio_buf = (u64)addr,
		.aio_nbytes = page,
		.aio_offset = offset,
	}, *list = &io;

	return syscall(__NR_io_submit, disk->aio, 1, &list) == 1 ? 0 : -errno;
}

/* Has it come to its end? If @wait, it will have. */
static bool disk_done(struct slow_disk *disk, bool wait, s64 *res)
{
	struct io_event event;

	if (syscall(__NR_io_getevents, disk->aio, wait, 1, &event, NULL) != 1)
		return false;
	*res = event.res;
	return true;
}

/*
 * A transfer between page 5 and the disk, under way when the conversion is tried. Whether it
 * was can be told afterwards only, so this tries again where the machine was too slow.
 */
static bool convert_meanwhile(struct __test_metadata *_metadata, FIXTURE_DATA(conv) * self,
			      struct slow_disk *disk, bool out)
{
	u64 err;
	s64 res = 0;
	int i, ret;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, disk_start(disk, out, HVA(5), OFF(5)));
		ret = gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err);
		if (!disk_done(disk, false, &res))
			break;
		set_attr(self, 0, NR_PAGES, GMEM_SHARED);
	}
	if (i == 20)
		return false;
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(OFF(5), err);
	expect_map(_metadata, self, 0);
	EXPECT_TRUE(disk_done(disk, true, &res));
	EXPECT_EQ(page, res);

	/* The reference goes a moment after the completion. */
	for (i = 0; i < 1000; i++) {
		ret = set_attr(self, 0, NR_PAGES, GMEM_PRIVATE);
		if (ret != -EAGAIN)
			break;
		usleep(10000);
	}
	EXPECT_EQ(0, ret);
	expect_map(_metadata, self, 0xffff);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
	return true;
}

TEST_F_TIMEOUT(conv, referenced_by_direct_io, 120)
{
	struct slow_disk disk;
	int ret = disk_open(&disk);

	if (ret)
		SKIP(return, "no null_blk with configfs here (%d)", ret);
	share_and_fill(self);
	EXPECT_EQ(OFF(NR_PAGES), pwrite(disk.fd, self->mem, OFF(NR_PAGES), 0));
	EXPECT_TRUE(convert_meanwhile(_metadata, self, &disk, false))
		TH_LOG("a read of 200 ms was always over before the conversion");
	EXPECT_TRUE(convert_meanwhile(_metadata, self, &disk, true))
		TH_LOG("a write of 200 ms was always over before the conversion");

	/* It neither takes from a private page nor gives to it. */
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_PRIVATE));
	EXPECT_EQ(-1, pwrite(disk.fd, HVA(5), page, OFF(5)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(disk.fd, HVA(5), page, OFF(4)));
	EXPECT_EQ(EFAULT, errno);
	expect_map(_metadata, self, 0x0020);
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_SHARED));
	expect_map(_metadata, self, 0);
	disk_close(&disk);
}

/* What need not be seen with either beginning of a file. */
FIXTURE(large) {
	int vm;
	int kmsg;
};

FIXTURE_SETUP(large)
{
	self->kmsg = gmem_kmsg_open();
	self->vm = gmem_vm_open(gmem_private_vm_type());
	ASSERT_LE(0, self->vm);
}

FIXTURE_TEARDOWN(large)
{
	close(self->vm);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* A gigabyte, or what an emulated kernel full of checks gets through in reasonable time. */
static u64 pages_for_a_checkerboard(int vm)
{
	u64 count = 1 << 18, start, i, per_page;
	int fd = gmem_create(vm, OFF(4096), OWNS);

	TEST_ASSERT(fd >= 0, "guest_memfd: %d", fd);
	start = now_ms();
	for (i = 0; i < 4096; i++) {
		TEST_ASSERT(!gmem_set_attr(fd, OFF(i), page, i & 1 ? 0 : GMEM_PRIVATE), "convert");
		gmem_attr_of(fd, OFF(i));
	}
	per_page = (now_ms() - start) * 1000 / 4096;
	close(fd);
	while (count > 1 << 14 && count * per_page > 15 * 1000000)
		count /= 2;
	return count;
}

/* Every second page of a private file is shared: read back, undone at once, closed. */
static void checkerboard(struct __test_metadata *_metadata, int fd, u64 count, u64 flags)
{
	struct kvm_memory_attributes2 attr;
	u64 i;

	for (i = 0; i < count; i += 2)
		ASSERT_EQ(0, gmem_set_attr(fd, OFF(i), page, GMEM_SHARED));
	for (i = 0; i < count; i++) {
		ASSERT_EQ(0, gmem_get_attr(fd, OFF(i), OFF(count - i), &attr));
		ASSERT_EQ(page, attr.size);
		ASSERT_EQ(i & 1 ? GMEM_PRIVATE : GMEM_SHARED, attr.attributes);
		ASSERT_EQ(flags, attr.flags);
	}
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_get_attr(fd, 0, OFF(count), &attr));
	EXPECT_EQ(OFF(count), attr.size);
	EXPECT_EQ(GMEM_PRIVATE, attr.attributes);

	/* It has gone whole; what is closed now is a checkerboard once more. */
	for (i = 1; i < count; i += 2)
		ASSERT_EQ(0, gmem_set_attr(fd, OFF(i), page, GMEM_SHARED));
	close(fd);
}

TEST_F_TIMEOUT(large, checkerboard_of_a_gigabyte, 300)
{
	u64 count = pages_for_a_checkerboard(self->vm);
	int fd = gmem_create(self->vm, OFF(count), OWNS);

	ASSERT_LE(0, fd);
	checkerboard(_metadata, fd, count, 0);
	TH_LOG("%ju pages", (uintmax_t)count);
}

TEST_F_TIMEOUT(large, checkerboard_of_a_gigabyte_in_memory, 300)
{
	u64 size = OFF(pages_for_a_checkerboard(self->vm));
	u64 before = gmem_free_kb(), after;
	int fd;

	if (before < size / 1024 * 5 / 4)
		SKIP(return, "%ju MiB of free memory are not enough", (uintmax_t)before / 1024);
	fd = gmem_create(self->vm, size, OWNS);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, 0, size));
	checkerboard(_metadata, fd, size / page, KVM_MEMORY_ATTRIBUTES2_POPULATED);
	TH_LOG("%ju pages", (uintmax_t)(size / page));
	after = gmem_settled_free_kb(before - gmem_free_slack_kb());
	EXPECT_LT(before, after + gmem_free_slack_kb())
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

#define CGROUPS		"/sys/fs/cgroup"

static int write_to(const char *dir, const char *file, const char *what)
{
	char path[128];
	int fd, ret;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = write(fd, what, strlen(what)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

/* Field @name of memory.stat, or the whole of a file with one number. */
static u64 cgroup_read(const char *dir, const char *file, const char *name)
{
	char path[128], line[128];
	u64 val = ~0ULL;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	while (f && val == ~0ULL && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)))
			val = strtoull(line + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);
	return val;
}

/*
 * A process in a memory cgroup of its own, which the OOM killer leaves alone, and what it is
 * asked to do there: share @count pages, every second one from @first on. How many went well?
 * Asked by memory and semaphores, for anything else needs memory that it may not have.
 */
struct caged {
	char dir[64];
	pid_t pid;
	sem_t ask, answer;
	int fd;
	u64 first, count, done;
	int ret;
};

static void caged_process(struct caged *c)
{
	for (;;) {
		if (sem_wait(&c->ask))
			continue;
		c->ret = 0;
		for (c->done = 0; c->done < c->count && !c->ret; c->done += !c->ret)
			c->ret = gmem_set_attr(c->fd, OFF(c->first + 2 * c->done), page,
					       GMEM_SHARED);
		sem_post(&c->answer);
	}
}

static void cage_share(struct caged *c, int fd, u64 first, u64 count)
{
	c->fd = fd;
	c->first = first;
	c->count = count;
	sem_post(&c->ask);
	while (sem_wait(&c->answer))
		;
}

static struct caged *cage_open(void)
{
	struct caged *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char name[16];
	pid_t pid;

	TEST_ASSERT(c != MAP_FAILED, "mmap: errno %d", errno);
	snprintf(c->dir, sizeof(c->dir), CGROUPS "/gmem%d", getpid());
	write_to(CGROUPS, "cgroup.subtree_control", "+memory");
	if (mkdir(c->dir, 0700))
		return NULL;
	if (cgroup_read(c->dir, "memory.stat", "slab_unreclaimable") == ~0ULL) {
		rmdir(c->dir);
		return NULL;
	}
	sem_init(&c->ask, 1, 0);
	sem_init(&c->answer, 1, 0);
	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		caged_process(c);
	}
	c->pid = pid;
	snprintf(name, sizeof(name), "%d", pid);
	TEST_ASSERT(!write_to(c->dir, "cgroup.procs", name), "cgroup.procs");
	snprintf(name, sizeof(name), "/proc/%d", pid);
	TEST_ASSERT(!write_to(name, "oom_score_adj", "-1000"), "oom_score_adj");
	return c;
}

static void cage_close(struct caged *c)
{
	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	rmdir(c->dir);
}

/* A checkerboard is memory too, and that of him who makes it. */
TEST_F_TIMEOUT(large, what_records_a_change_is_charged, 120)
{
	const u64 count = 1 << 15;
	/* 16 bytes a run is as dense as it can be; half of it is asked for. */
	const u64 least = count * 16 / 2;
	int fd = gmem_create(self->vm, OFF(count), OWNS);
	struct caged *c = cage_open();
	u64 before, after;

	ASSERT_LE(0, fd);
	if (!c)
		SKIP(return, "no memory cgroups here");
	cage_share(c, fd, 0, 16);
	EXPECT_EQ(0, c->ret);
	before = cgroup_read(c->dir, "memory.stat", "slab_unreclaimable");
	cage_share(c, fd, 32, count / 2 - 16);
	EXPECT_EQ(0, c->ret);
	after = cgroup_read(c->dir, "memory.stat", "slab_unreclaimable");
	EXPECT_LE(before + least, after)
		TH_LOG("%ju bytes charged before, %ju with %ju runs", (uintmax_t)before,
		       (uintmax_t)after, (uintmax_t)count);
	cage_close(c);
	close(fd);
}

/* -ENOMEM: as much as fits is recorded, and what does not fit has not happened. */
TEST_F_TIMEOUT(large, no_memory_to_record_a_change, 120)
{
	const u64 count = 1 << 18;
	int fd = gmem_create(self->vm, OFF(count), OWNS);
	struct kvm_memory_attributes2 attr;
	struct caged *c = cage_open();
	char max[24];
	u64 end;

	ASSERT_LE(0, fd);
	if (!c)
		SKIP(return, "no memory cgroups here");
	cage_share(c, fd, 0, 16);
	EXPECT_EQ(0, c->ret);
	snprintf(max, sizeof(max), "%lu", cgroup_read(c->dir, "memory.current", "") + (1 << 18));
	EXPECT_EQ(0, write_to(c->dir, "memory.max", max));

	cage_share(c, fd, 32, count / 2 - 16);
	EXPECT_EQ(-ENOMEM, c->ret)
		TH_LOG("%ju pages were shared with 256 KiB", (uintmax_t)c->done);
	if (c->ret) {
		end = 32 + 2 * c->done;
		EXPECT_EQ(0, gmem_get_attr(fd, OFF(end - 2), OFF(2), &attr));
		EXPECT_EQ(GMEM_SHARED, attr.attributes);
		EXPECT_EQ(page, attr.size);
		EXPECT_EQ(0, gmem_get_attr(fd, OFF(end - 1), OFF(count - end + 1), &attr));
		EXPECT_EQ(GMEM_PRIVATE, attr.attributes);
		EXPECT_EQ(OFF(count - end + 1), attr.size);

		/* He who has memory can do it. */
		EXPECT_EQ(0, write_to(c->dir, "memory.max", "max"));
		cage_share(c, fd, end, 1);
		EXPECT_EQ(0, c->ret);
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(fd, OFF(end)));
	}
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(count), GMEM_PRIVATE));
	cage_close(c);
	close(fd);
}

struct toucher {
	char *mem;
	bool stop;
	u64 values, buses, others, wrong;
};

static void *touch(void *arg)
{
	struct toucher *t = arg;
	u64 val;
	int i;

	for (i = 0; !READ_ONCE(t->stop); i = (i + 1) % NR_PAGES) {
		switch (gmem_host_read64(t->mem + OFF(i), &val)) {
		case 0:
			t->values++;
			t->wrong += val != 0x100 + i;
			break;
		case SIGBUS:
			t->buses++;
			break;
		default:
			t->others++;
			break;
		}
	}
	return NULL;
}

TEST_F_TIMEOUT(conv, while_somebody_touches, 120)
{
	struct toucher t = { .mem = self->mem };
	u64 again = 0, done = 0;
	pthread_t thread;
	int i, ret;

	share_and_fill(self);
	ASSERT_EQ(0, pthread_create(&thread, NULL, touch, &t));
	for (i = 0; i < 1000; i++) {
		ret = set_attr(self, i % 8, 8, GMEM_PRIVATE);
		/* A fault that is under way holds a reference for a moment. */
		if (ret == -EAGAIN)
			again++;
		else
			EXPECT_EQ(0, ret);
		done += !ret;
		EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	}
	WRITE_ONCE(t.stop, true);
	pthread_join(thread, NULL);

	TH_LOG("%ju done, %ju busy; touched: %ju values, %ju SIGBUS", (uintmax_t)done,
	       (uintmax_t)again, (uintmax_t)t.values, (uintmax_t)t.buses);
	EXPECT_EQ(0, t.wrong);
	EXPECT_EQ(0, t.others);
	EXPECT_LT(0, done);
	expect_map(_metadata, self, 0);
}

int main(int argc, char **argv)
{
	int vm = gmem_vm_open(gmem_private_vm_type());

	__TEST_REQUIRE(vm >= 0, "no VM type with private memory here (%d)", vm);
	__TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
		       GMEM_PRIVATE, "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(vm);

	page = getpagesize();
	return test_harness_run(argc, argv);
}
