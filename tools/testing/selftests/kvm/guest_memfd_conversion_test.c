// SPDX-License-Identifier: GPL-2.0-only
/*
 * Per-page private and shared memory of a guest_memfd, without a guest: what the
 * ioctls answer, what a conversion does to mappings, references and content, and
 * that nothing else is touched. Runs on every architecture that has it.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "guest_memfd_util.h"

#define NR_PAGES	16
#define OWNS		GUEST_MEMFD_FLAG_MMAP
#define INIT_SHARED	GUEST_MEMFD_FLAG_INIT_SHARED

static size_t page;

#define OFF(n)		((u64)(n) * page)
#define HVA(n)		(self->mem + (n) * page)

/* The type that has private memory and needs no special hardware set-up. */
static unsigned long private_type(void)
{
#if defined(__aarch64__)
	return KVM_VM_TYPE_ARM_PROTECTED;
#elif defined(__x86_64__)
	return KVM_X86_SW_PROTECTED_VM;
#else
	return 0;
#endif
}

static int vm_open(unsigned long type)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd;

	if (kvm < 0)
		return -errno;
	fd = ioctl(kvm, KVM_CREATE_VM, type);
	if (fd < 0)
		fd = -errno;
	close(kvm);
	return fd;
}

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
	self->vm = vm_open(private_type());
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

/* Every page of the file is as @private says (bit per page), content included. */
static void expect_map(struct __test_metadata *_metadata,
		       FIXTURE_DATA(conv) * self, u32 private)
{
	u64 val;
	int i;

	for (i = 0; i < NR_PAGES; i++) {
		bool p = private & (1U << i);

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

TEST_F(conv, files_that_do_not_own_their_attributes)
{
	struct kvm_memory_attributes2 attr;
	int fd = gmem_create(self->vm, OFF(4), 0), plain;

	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
	EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_SHARED));
	EXPECT_EQ(-ENOTTY, gmem_get_attr(fd, 0, page, &attr));
	close(fd);

	fd = memfd_create("other", 0);
	EXPECT_EQ(0, ftruncate(fd, OFF(4)));
	EXPECT_EQ(-ENOTTY, gmem_set_attr(fd, 0, page, GMEM_PRIVATE));
	close(fd);

	/* A VM type without private memory. */
	plain = vm_open(0);
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

TEST_F(conv, two_files)
{
	int fd = gmem_create(self->vm, OFF(NR_PAGES), variant->flags);
	int vm = vm_open(private_type()), third;
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
	int vm = vm_open(private_type());

	__TEST_REQUIRE(vm >= 0, "no VM type with private memory here (%d)", vm);
	__TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
		       GMEM_PRIVATE, "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(vm);

	page = getpagesize();
	return test_harness_run(argc, argv);
}
