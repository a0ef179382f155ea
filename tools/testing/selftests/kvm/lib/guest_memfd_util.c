// SPDX-License-Identifier: GPL-2.0-only
/*
 * Helpers for tests of guest_memfd's per-page attributes, see the header.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "guest_memfd_util.h"

/* From mm/gup_test.h, which is not exported to userspace. */
struct gmem_longterm_test {
	__u64 addr;
	__u64 size;
	__u32 flags;
};

#define PIN_LONGTERM_TEST_START		_IOW('g', 7, struct gmem_longterm_test)
#define PIN_LONGTERM_TEST_STOP		_IO('g', 8)
#define PIN_LONGTERM_FLAG_WRITE		1

/* <linux/io_uring.h> does not compile with the headers of tools/include. */
#define RING_PARAMS_SIZE		120
#define RING_REGISTER_BUFFERS		0
#define RING_UNREGISTER_BUFFERS		1

static int ret_errno(long r)
{
	return r < 0 ? -errno : (int)r;
}

int gmem_check_cap(int fd, unsigned long cap)
{
	return ret_errno(ioctl(fd, KVM_CHECK_EXTENSION, cap));
}

unsigned long gmem_private_vm_type(void)
{
#if defined(__aarch64__)
	return KVM_VM_TYPE_ARM_PROTECTED;
#elif defined(__x86_64__)
	return KVM_X86_SW_PROTECTED_VM;
#else
	return 0;
#endif
}

void gmem_require_private(void)
{
	int vm = gmem_vm_open(gmem_private_vm_type());

	__TEST_REQUIRE(vm >= 0, "no VM type with private memory here (%d)", vm);
	__TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
		       GMEM_PRIVATE, "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(vm);
}

int gmem_vm_open(unsigned long type)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd;

	if (kvm < 0)
		return -errno;
	fd = ret_errno(ioctl(kvm, KVM_CREATE_VM, type));
	close(kvm);
	return fd;
}

int gmem_create(int vm_fd, u64 size, u64 flags)
{
	struct kvm_create_guest_memfd arg = { .size = size, .flags = flags };

	return ret_errno(ioctl(vm_fd, KVM_CREATE_GUEST_MEMFD, &arg));
}

/* @fd < 0: ordinary memory at @hva. */
int gmem_set_slot(int vm_fd, u32 slot, u64 gpa, u64 size, void *hva, int fd,
		  u64 offset)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (u64)hva,
	};

	if (fd >= 0) {
		region.flags = KVM_MEM_GUEST_MEMFD;
		region.guest_memfd = fd;
		region.guest_memfd_offset = offset;
	}

	return ret_errno(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION2, &region));
}

int gmem_set_attr_err(int fd, u64 offset, u64 size, u64 attributes,
		      u64 *error_offset)
{
	struct kvm_memory_attributes2 arg = {
		.offset = offset,
		.size = size,
		.attributes = attributes,
		.error_offset = GMEM_NO_OFFSET,
	};
	int ret;

	ret = ret_errno(ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	if (error_offset)
		*error_offset = arg.error_offset;
	return ret;
}

int gmem_set_attr(int fd, u64 offset, u64 size, u64 attributes)
{
	return gmem_set_attr_err(fd, offset, size, attributes, NULL);
}

int gmem_get_attr(int fd, u64 offset, u64 size,
		  struct kvm_memory_attributes2 *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->offset = offset;
	attr->size = size;
	return ret_errno(ioctl(fd, KVM_GET_MEMORY_ATTRIBUTES2, attr));
}

u64 gmem_attr_of(int fd, u64 offset)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(fd, offset, getpagesize(), &attr);

	TEST_ASSERT(!ret, "GET_MEMORY_ATTRIBUTES2 of %#lx: %d",
		    (unsigned long)offset, ret);
	return attr.attributes;
}

u64 gmem_presence(int fd, u64 offset)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(fd, offset, getpagesize(), &attr);

	TEST_ASSERT(!ret, "GET_MEMORY_ATTRIBUTES2 of %#lx: %d",
		    (unsigned long)offset, ret);
	return attr.flags;
}

bool gmem_populated(int fd, u64 offset)
{
	return gmem_presence(fd, offset) & KVM_MEMORY_ATTRIBUTES2_POPULATED;
}

const char *gmem_presence_word(u64 flags)
{
	switch (flags) {
	case 0:
		return "hole";
	case KVM_MEMORY_ATTRIBUTES2_POPULATED:
		return "resident";
	case KVM_MEMORY_ATTRIBUTES2_GIVEN_UP:
		return "given-up";
	case GMEM_BAD:
		return "poisoned";
	}
	return NULL;
}

int gmem_punch(int fd, u64 offset, u64 size)
{
	return ret_errno(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   offset, size));
}

void *gmem_map(int fd, u64 size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	TEST_ASSERT(mem != MAP_FAILED, "mmap of a guest_memfd: errno %d", errno);
	return mem;
}

void gmem_file_create(struct gmem_file *f, int vm_fd, u64 size)
{
	f->fd = gmem_create(vm_fd, size, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(f->fd >= 0, "guest_memfd of %#lx bytes: %d", (unsigned long)size, f->fd);
	f->mem = gmem_map(f->fd, size);
	f->size = size;
}

void gmem_file_close(struct gmem_file *f)
{
	munmap(f->mem, f->size);
	close(f->fd);
}

/* Each thread catches its own: several of them may touch guest memory at once. */
static __thread sigjmp_buf access_jmp;
static __thread sig_atomic_t access_armed;
static __thread int access_code;

static void access_handler(int sig, siginfo_t *info, void *ucontext)
{
	if (READ_ONCE(access_armed)) {
		access_code = info->si_code;
		siglongjmp(access_jmp, sig);
	}

	/* Not ours: the instruction faults again, and the default action ends us. */
	signal(sig, SIG_DFL);
}

static void access_init(void)
{
	static bool done;
	struct sigaction sa = { .sa_sigaction = access_handler, .sa_flags = SA_SIGINFO };

	if (done)
		return;
	sigaction(SIGBUS, &sa, NULL);
	sigaction(SIGSEGV, &sa, NULL);
	done = true;
}

static void access_sync(const void *addr)
{
#ifdef __aarch64__
	asm volatile("dc civac, %0\n\tdsb sy" :: "r" (addr) : "memory");
#endif
}

int gmem_host_read64(const void *addr, u64 *val)
{
	int sig;

	access_init();
	sig = sigsetjmp(access_jmp, 1);
	if (!sig) {
		WRITE_ONCE(access_armed, 1);
		/* A load first: a fault of the cache operation may not be reported. */
		(void)READ_ONCE(*(const u64 *)addr);
		access_sync(addr);
		*val = READ_ONCE(*(const u64 *)addr);
	}
	WRITE_ONCE(access_armed, 0);
	return sig;
}

int gmem_host_write64(void *addr, u64 val)
{
	int sig;

	access_init();
	sig = sigsetjmp(access_jmp, 1);
	if (!sig) {
		WRITE_ONCE(access_armed, 1);
		WRITE_ONCE(*(u64 *)addr, val);
		access_sync(addr);
	}
	WRITE_ONCE(access_armed, 0);
	return sig;
}

int gmem_try(void (*fn)(void *addr), void *addr)
{
	int sig;

	access_init();
	sig = sigsetjmp(access_jmp, 1);
	if (!sig) {
		WRITE_ONCE(access_armed, 1);
		fn(addr);
	}
	WRITE_ONCE(access_armed, 0);
	return sig;
}

int gmem_signal_code(void)
{
	return access_code;
}

u64 gmem_host_get64(const void *addr)
{
	u64 val = 0;
	int sig = gmem_host_read64(addr, &val);

	TEST_ASSERT(!sig, "host read of %p ended in signal %d", addr, sig);
	return val;
}

void gmem_host_set64(void *addr, u64 val)
{
	int sig = gmem_host_write64(addr, val);

	TEST_ASSERT(!sig, "host write to %p ended in signal %d", addr, sig);
}

int gmem_kernel_read(const void *addr)
{
	int fds[2], ret;

	TEST_ASSERT(!pipe(fds), "pipe: errno %d", errno);
	ret = ret_errno(write(fds[1], addr, 8));
	close(fds[0]);
	close(fds[1]);
	return ret == 8 ? 0 : ret;
}

int gmem_kernel_write(void *addr)
{
	int fds[2], ret;
	u64 val = 0;

	TEST_ASSERT(!pipe(fds), "pipe: errno %d", errno);
	TEST_ASSERT(write(fds[1], &val, sizeof(val)) == sizeof(val), "write to a pipe");
	ret = ret_errno(read(fds[0], addr, sizeof(val)));
	close(fds[0]);
	close(fds[1]);
	return ret == sizeof(val) ? 0 : ret;
}

int gmem_process_vm_read(pid_t pid, const void *addr, u64 *val)
{
	struct iovec to = { val, sizeof(*val) };
	struct iovec from = { (void *)addr, sizeof(*val) };
	int ret = ret_errno(process_vm_readv(pid, &to, 1, &from, 1, 0));

	return ret == sizeof(*val) ? 0 : ret;
}

u64 gmem_pfn(const void *addr)
{
	u64 entry = 0;
	int fd = open("/proc/self/pagemap", O_RDONLY);

	if (fd < 0)
		return 0;
	if (pread(fd, &entry, sizeof(entry),
		  (u64)addr / getpagesize() * sizeof(entry)) != sizeof(entry))
		entry = 0;
	close(fd);
	return (entry & (1ULL << 63)) ? entry & ((1ULL << 55) - 1) : 0;
}

int gmem_report_bad_memory(u64 pfn)
{
	int fd = open("/sys/devices/system/memory/hard_offline_page", O_WRONLY | O_CLOEXEC);
	char addr[32];
	int ret, len;

	if (fd < 0)
		return -errno;
	len = snprintf(addr, sizeof(addr), "%#llx", (unsigned long long)(pfn * getpagesize()));
	ret = ret_errno(write(fd, addr, len));
	close(fd);
	/* guest_memfd leaves the page where it is, which counts as not recovered. */
	return ret == -EBUSY || ret > 0 ? 0 : ret;
}

int gmem_map_path(char *path, size_t size, pid_t pid, int vm_fd, int fd)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	snprintf(path, size, "/sys/kernel/debug/kvm/%d-%d/guest_memfd-%llu", pid, vm_fd,
		 (unsigned long long)st.st_ino);
	return 0;
}

int gmem_map_open(pid_t pid, int vm_fd, int fd)
{
	char path[96];
	int ret = gmem_map_path(path, sizeof(path), pid, vm_fd, fd);

	return ret ?: ret_errno(open(path, O_RDONLY | O_CLOEXEC));
}

struct map_line {
	unsigned long start, end, first, last;
	char attr[16], there[16];
	int slot;
};

/* False for a line without a trusted side's word, or with one that nobody believes. */
static bool map_line_parse(const char *line, struct map_line *l)
{
	int len = 0;

	return sscanf(line, "%lx-%lx %15s %15s %lx-%lx slot %d el2 %*s%n", &l->start, &l->end,
		      l->attr, l->there, &l->first, &l->last, &l->slot, &len) == 7 &&
	       line[len] == '\n';
}

static bool map_line_goes_on(const struct map_line *l, const struct map_line *next)
{
	return l->end == next->start && l->last == next->first && l->slot == next->slot &&
	       !strcmp(l->attr, next->attr) && !strcmp(l->there, next->there);
}

void gmem_map_host_view(char *map)
{
	struct map_line now, next;
	char *out = map;

	while (*map) {
		char *line = map;
		size_t len = strcspn(line, "\n");

		map += len + (line[len] == '\n');
		if (!map_line_parse(line, &now)) {
			memmove(out, line, map - line);
			out += map - line;
			continue;
		}
		while (map_line_parse(map, &next) && map_line_goes_on(&now, &next)) {
			now.end = next.end;
			now.last = next.last;
			map = strchr(map, '\n') + 1;
		}
		/* Never longer than what it replaces. */
		out += sprintf(out, "%016lx-%016lx %s %s %lx-%lx slot %d", now.start, now.end,
			       now.attr, now.there, now.first, now.last, now.slot);
		*out++ = '\n';
	}
	*out = '\0';
}

const char *gmem_pin_name(enum gmem_pin_kind kind)
{
	static const char * const names[] = {
		[GMEM_PIN_VMSPLICE] = "vmsplice",
		[GMEM_PIN_IO_URING] = "io_uring buffer",
		[GMEM_PIN_GUP_TEST] = "gup_test",
	};

	return names[kind];
}

static int pin_vmsplice(struct gmem_pin *pin, void *addr, size_t size)
{
	struct iovec iov = { addr, size };
	ssize_t n;

	if (pipe(pin->fd))
		return -errno;
	n = vmsplice(pin->fd[1], &iov, 1, SPLICE_F_NONBLOCK);
	if (n == (ssize_t)size)
		return 0;
	return n < 0 ? -errno : -EIO;
}

static int pin_io_uring(struct gmem_pin *pin, void *addr, size_t size)
{
	u64 params[RING_PARAMS_SIZE / sizeof(u64)] = {};
	struct iovec iov = { addr, size };

	pin->fd[0] = syscall(__NR_io_uring_setup, 1, params);
	if (pin->fd[0] < 0)
		return -errno;
	return ret_errno(syscall(__NR_io_uring_register, pin->fd[0],
				 RING_REGISTER_BUFFERS, &iov, 1));
}

static int pin_gup_test(struct gmem_pin *pin, void *addr, size_t size)
{
	struct gmem_longterm_test arg = {
		.addr = (u64)addr,
		.size = size,
		.flags = PIN_LONGTERM_FLAG_WRITE,
	};

	pin->fd[0] = open("/sys/kernel/debug/gup_test", O_RDWR);
	if (pin->fd[0] < 0)
		return -errno;
	return ret_errno(ioctl(pin->fd[0], PIN_LONGTERM_TEST_START, &arg));
}

int gmem_pin_take(struct gmem_pin *pin, enum gmem_pin_kind kind, void *addr,
		  size_t size)
{
	int ret;

	pin->kind = kind;
	pin->fd[0] = pin->fd[1] = -1;

	switch (kind) {
	case GMEM_PIN_VMSPLICE:
		ret = pin_vmsplice(pin, addr, size);
		break;
	case GMEM_PIN_IO_URING:
		ret = pin_io_uring(pin, addr, size);
		break;
	case GMEM_PIN_GUP_TEST:
		ret = pin_gup_test(pin, addr, size);
		break;
	default:
		return -EINVAL;
	}

	if (ret) {
		if (pin->fd[0] >= 0)
			close(pin->fd[0]);
		if (pin->fd[1] >= 0)
			close(pin->fd[1]);
	}
	return ret;
}

void gmem_pin_drop(struct gmem_pin *pin)
{
	/* Closing a ring drops its buffers some time later: do it by hand. */
	if (pin->kind == GMEM_PIN_IO_URING)
		syscall(__NR_io_uring_register, pin->fd[0],
			RING_UNREGISTER_BUFFERS, NULL, 0);
	if (pin->kind == GMEM_PIN_GUP_TEST)
		ioctl(pin->fd[0], PIN_LONGTERM_TEST_STOP);

	close(pin->fd[0]);
	if (pin->fd[1] >= 0)
		close(pin->fd[1]);
}

int gmem_send_fd(int sock, int fd)
{
	char c = 0, control[CMSG_SPACE(sizeof(int))] = {};
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(int));
	return sendmsg(sock, &msg, 0) == 1 ? 0 : -errno;
}

int gmem_recv_fd(int sock)
{
	char c, control[CMSG_SPACE(sizeof(int))];
	struct iovec iov = { &c, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	int fd;

	if (recvmsg(sock, &msg, 0) != 1)
		return -EIO;
	cmsg = CMSG_FIRSTHDR(&msg);
	if (!cmsg || cmsg->cmsg_type != SCM_RIGHTS)
		return -EIO;
	memcpy(&fd, CMSG_DATA(cmsg), sizeof(int));
	return fd;
}

int gmem_kmsg_open(void)
{
	int fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd >= 0)
		lseek(fd, 0, SEEK_END);
	else
		fprintf(stderr, "# the kernel log is not watched: %s\n", strerror(errno));
	return fd;
}

int gmem_kmsg_bad(int fd)
{
	static const char * const marks[] = {
		"WARNING:", "BUG:", "INFO: possible", "INFO: rcu", "INFO: task",
		"Unable to handle", "Internal error", "Kernel panic", "hyp panic",
		"soft lockup", "KASAN:", "UBSAN:", "Bad page state",
	};
	char line[4096];
	ssize_t n;
	int bad = 0;
	size_t i;

	if (fd < 0)
		return 0;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		/* EPIPE: some lines were lost, the next read goes on. */
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			break;
		line[n] = '\0';
		for (i = 0; i < ARRAY_SIZE(marks); i++) {
			if (!strstr(line, marks[i]))
				continue;
			fprintf(stderr, "# kernel log: %s", line);
			bad++;
			break;
		}
	}
	return bad;
}

u64 gmem_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

int gmem_write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text)) < 0 ? -errno : 0;
	close(fd);
	return ret;
}

int gmem_write_to(const char *dir, const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	return gmem_write_file(path, text);
}

void gmem_read_file(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, size - 1);

	text[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

bool gmem_read_field(const char *dir, const char *file, const char *name, u64 *val)
{
	char path[160], line[128];
	bool found = false;
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", dir, file);
	f = fopen(path, "r");
	while (f && !found && fgets(line, sizeof(line), f)) {
		found = !strncmp(line, name, strlen(name));
		if (found)
			*val = strtoull(line + strlen(name), NULL, 10);
	}
	if (f)
		fclose(f);
	return found;
}

static u64 proc_kb(const char *path, const char *name)
{
	char line[256];
	u64 val = 0;
	FILE *f = fopen(path, "r");

	if (!f)
		return 0;
	while (fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, strlen(name)) && line[strlen(name)] == ':') {
			val = strtoull(line + strlen(name) + 1, NULL, 10);
			break;
		}
	}
	fclose(f);
	return val;
}

u64 gmem_meminfo_kb(const char *name)
{
	return proc_kb("/proc/meminfo", name);
}

/* Counters are folded together only now and then, or when asked for. */
static void refresh_vm_stat(void)
{
	FILE *f = fopen("/proc/sys/vm/stat_refresh", "w");

	if (!f)
		return;
	fputs("1", f);
	fclose(f);
}

u64 gmem_free_kb(void)
{
	u64 count, pages = 0;
	char line[256];
	FILE *f;

	refresh_vm_stat();
	f = fopen("/proc/zoneinfo", "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, " count: %lu", &count) == 1)
			pages += count;
	}
	if (f)
		fclose(f);
	return gmem_meminfo_kb("MemFree") + pages * getpagesize() / 1024;
}

u64 gmem_settled_free_kb(u64 enough_kb)
{
	u64 free_kb = 0;
	int i;

	for (i = 0; i < 100; i++) {
		free_kb = gmem_free_kb();
		if (free_kb > enough_kb)
			break;
		usleep(100000);
	}
	return free_kb;
}

static bool kernel_has_symbol(const char *name)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], symbol[256];
	bool found = false;

	while (f && !found && fgets(line, sizeof(line), f))
		found = sscanf(line, "%*s %*s %255s", symbol) == 1 && !strcmp(symbol, name);
	if (f)
		fclose(f);
	return found;
}

u64 gmem_free_slack_kb(void)
{
	static u64 slack_kb;

	if (!slack_kb)
		slack_kb = kernel_has_symbol("kasan_quarantine_put") ?
			   gmem_meminfo_kb("MemTotal") / 16 : 4096;
	return slack_kb;
}

u64 gmem_status_kb(const char *name)
{
	return proc_kb("/proc/self/status", name);
}
