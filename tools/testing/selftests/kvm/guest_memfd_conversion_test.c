// SPDX-License-Identifier: GPL-2.0-only
/*
 * Per-page private and shared memory of a guest_memfd, without a guest: what the
 * ioctls answer, what a conversion does to mappings and content, and that nothing
 * else is touched. Runs on every architecture that has it. References, bad memory
 * and the cost of it are elsewhere: guest_memfd_reference_test,
 * guest_memfd_memory_failure_test, guest_memfd_accounting_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/futex.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "guest_memfd_conv.h"

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
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, madvise(HVA(2), 3 * page, MADV_POPULATE_WRITE));
	EXPECT_EQ(EFAULT, errno);
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

static void answer_requests(int sock, char *mem)
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

struct other {
	pid_t pid;
	int sock;
};

/* A process with the same mapping, which does what it is asked to. */
static void other_begin(struct other *o, char *mem)
{
	int socks[2];

	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, socks), "socketpair: errno %d", errno);
	o->pid = fork();
	TEST_ASSERT(o->pid >= 0, "fork: errno %d", errno);
	if (!o->pid) {
		close(socks[0]);
		answer_requests(socks[1], mem);
	}
	close(socks[1]);
	o->sock = socks[0];
}

static void other_kill(struct other *o)
{
	kill(o->pid, SIGKILL);
	TEST_ASSERT(waitpid(o->pid, NULL, 0) == o->pid, "waitpid: errno %d", errno);
}

static int ask(struct other *o, char op, int n)
{
	struct request req = { op, n };
	int answer = 0x7fffffff;

	TEST_ASSERT(write(o->sock, &req, sizeof(req)) == sizeof(req) &&
		    read(o->sock, &answer, sizeof(answer)) == sizeof(answer),
		    "the other process has gone");
	return answer;
}

TEST_F(conv, two_processes)
{
	struct other other;
	u64 err;

	share_and_fill(self);
	other_begin(&other, self->mem);

	EXPECT_EQ(-0x104, ask(&other, 'r', 4));
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, ask(&other, 'r', 4));
	EXPECT_EQ(-0x105, ask(&other, 'r', 5));
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_SHARED));
	EXPECT_EQ(-0x104, ask(&other, 'r', 4));

	EXPECT_EQ(0, ask(&other, 'p', 7));
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(7), err);
	expect_map(_metadata, self, 0);
	EXPECT_EQ(0, ask(&other, 'd', 0));
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, ask(&other, 'r', 5));

	/* A reference goes with the process that held it. */
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	EXPECT_EQ(0, ask(&other, 'p', 7));
	EXPECT_EQ(-EAGAIN, set_attr(self, 7, 1, GMEM_PRIVATE));
	other_kill(&other);
	EXPECT_EQ(0, set_attr(self, 7, 1, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0080);
	close(other.sock);
}

/* By process_vm_readv() and writev() another process gets no more than this one. */
TEST_F(conv, what_another_process_can_copy)
{
	struct other other;

	share_and_fill(self);
	other_begin(&other, self->mem);

	if (ask(&other, 'v', 4) == -ENOSYS)
		SKIP(goto out, "no process_vm_readv in this kernel");
	EXPECT_EQ(2 * page, ask(&other, 'v', 4));
	EXPECT_EQ(2 * page, ask(&other, 'w', 4));
	EXPECT_EQ(0, set_attr(self, 5, 2, GMEM_PRIVATE));
	EXPECT_EQ(page, ask(&other, 'v', 4));
	EXPECT_EQ(page, ask(&other, 'w', 4));
	EXPECT_EQ(-EFAULT, ask(&other, 'v', 5));
	EXPECT_EQ(-EFAULT, ask(&other, 'w', 5));
	EXPECT_EQ(-EFAULT, ask(&other, 'v', 6));
	EXPECT_EQ(-EFAULT, ask(&other, 'w', 6));
	expect_map(_metadata, self, 0x0060);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
out:
	other_kill(&other);
	close(other.sock);
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

	/* So are holes that were made, whatever was there; filled, they are none. */
	EXPECT_EQ(0, gmem_punch(fd, OFF(12), OFF(4)));
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(12), OFF(count - 12), &attr));
	EXPECT_EQ(OFF(4), attr.size);
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP, attr.flags);
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(16), OFF(count - 16), &attr));
	EXPECT_EQ(OFF(count - 16), attr.size);
	EXPECT_EQ(0, attr.flags);
	EXPECT_EQ(0, fallocate(fd, FALLOC_FL_KEEP_SIZE, OFF(13), OFF(1)));
	EXPECT_EQ(0, gmem_get_attr(fd, OFF(12), OFF(count - 12), &attr));
	EXPECT_EQ(OFF(1), attr.size);
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_POPULATED, gmem_presence(fd, OFF(13)));
	EXPECT_EQ(KVM_MEMORY_ATTRIBUTES2_GIVEN_UP, gmem_presence(fd, OFF(14)));
	EXPECT_EQ(0, gmem_punch(fd, 0, OFF(count)));

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
	/* Until both have been seen: else it was no race. */
	for (i = 0; i < 1000 || !READ_ONCE(t.values) || !READ_ONCE(t.buses); i++) {
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
	return gmem_test_main(argc, argv, gmem_require_private);
}
