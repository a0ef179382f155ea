// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host reaches for pages that a protected guest owns: through a mapping, through every
 * system call that takes an address, through the kernel's own view of memory, and by moving
 * or taking memory away. It gets an error, never the content; nothing is reported as a bug,
 * the guest goes on, and the next conversion works.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/mempolicy.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "pkvm_guest.h"

#define MEM_GPA		0x80000000ULL
#define NR_PAGES	64
#define NR_SECRET	32		/* 0-31: the guest's own */
#define PAGE		7		/* the one of them that is reached for */
#define FIRST_SHARED	32		/* 32-39: shared by it */
#define NR_SHARED	8

/* Word i of the guest's own pages. No host memory holds one that is not a page's first. */
#define SECRET		0x5ec4e70000000000ULL
#define STEP		0x9e3779b1ULL
#define PUBLIC		0x7070000000000000ULL

/* From <linux/kernel-page-flags.h>. */
#define KPF_BUDDY	10
#define KPF_HWPOISON	19

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

static size_t page;

#define GPA(n)		(MEM_GPA + (n) * page)
#define OFF(n)		((u64)(n) * page)
#define HVA(n)		(self->mem + (n) * page)
#define WORDS(n)	((n) * page / 8)

FIXTURE(stray) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	char *mem;
	u64 pfn[NR_SECRET];
	int kmsg;
	int log;
};

/* What one word has to be like to have come from the guest's own memory. */
static bool is_secret(u64 val)
{
	u64 i = (val - SECRET) / STEP;

	return val >= SECRET && (val - SECRET) % STEP == 0 && i < WORDS(NR_SECRET) &&
	       i % WORDS(1);
}

static u64 count_secrets(const u64 *buf, size_t len)
{
	u64 nr = 0;
	size_t i;

	for (i = 0; i < len / 8; i++)
		nr += is_secret(buf[i]);
	return nr;
}

/* Lines of the kernel log since the last call that have all of these strings. */
static int log_lines(int fd, const char *first, const char *second)
{
	char line[4096];
	int nr = 0;
	ssize_t n;

	for (;;) {
		n = read(fd, line, sizeof(line) - 1);
		if (n < 0 && errno == EPIPE)
			continue;
		if (n <= 0)
			return nr;
		line[n] = '\0';
		nr += strstr(line, first) && strstr(line, second);
	}
}

FIXTURE_SETUP(stray)
{
	u64 val;
	int i;

	self->kmsg = gmem_kmsg_open();
	self->log = gmem_kmsg_open();
	pkvm_vm_create(&self->vm, 1, PKVM_VM_PROTECTED);
	self->vcpu = self->vm.vcpu;
	self->fd = gmem_create(self->vm.fd, OFF(NR_PAGES), GUEST_MEMFD_FLAG_MMAP);
	ASSERT_LE(0, self->fd);
	self->mem = gmem_map(self->fd, OFF(NR_PAGES));
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 0, MEM_GPA, OFF(NR_PAGES), self->fd, 0));

	/* Page frame numbers are to be had while the host may map the pages. */
	guest_fill(self->vcpu, GPA(0), NR_PAGES, 0, 0, page);
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0),
				   FIRST_SHARED + NR_SHARED));
	for (i = 0; i < NR_SECRET; i++) {
		ASSERT_EQ(0, gmem_host_read64(HVA(i), &val));
		self->pfn[i] = gmem_pfn(HVA(i));
	}
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), NR_SECRET));
	guest_fill(self->vcpu, GPA(0), WORDS(NR_SECRET), SECRET, STEP, 8);
	guest_fill(self->vcpu, GPA(FIRST_SHARED), NR_SHARED, PUBLIC, 1, page);
	for (i = 0; i < NR_SHARED; i++)
		ASSERT_EQ(PUBLIC + i, gmem_host_get64(HVA(FIRST_SHARED + i)));
}

FIXTURE_TEARDOWN(stray)
{
	pkvm_vm_destroy(&self->vm);
	munmap(self->mem, OFF(NR_PAGES));
	close(self->fd);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
	close(self->log);
}

/* After every attempt: host and guest are where they were, and can go on. */
static void expect_well(struct __test_metadata *_metadata, FIXTURE_DATA(stray) * self)
{
	u64 val;

	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(PAGE), &val));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(self->fd, OFF(PAGE)));
	EXPECT_TRUE(gmem_populated(self->fd, OFF(PAGE)));
	ASSERT_EQ(0, guest_check(self->vcpu, GPA(0), WORDS(NR_SECRET), SECRET, STEP, 8));

	/* In place, as ever: the same page comes and goes. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(PAGE), 1, NULL));
	EXPECT_EQ(0, gmem_host_read64(HVA(PAGE), &val));
	EXPECT_EQ(SECRET + WORDS(PAGE) * STEP, val);
	if (self->pfn[PAGE])
		EXPECT_EQ(self->pfn[PAGE], gmem_pfn(HVA(PAGE)));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(PAGE), 1, NULL));
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(PAGE), &val));

	EXPECT_EQ(0, gmem_host_read64(HVA(FIRST_SHARED), &val));
	EXPECT_EQ(PUBLIC, val);
	EXPECT_EQ(0, log_lines(self->log, "stage-2", ""));
}

/* ---- Userspace, through its mapping ---- */

static void by_byte(void *addr)
{
	(void)*(volatile char *)addr;
}

static void by_pair(void *addr)
{
	asm volatile("ldp xzr, x9, [%0]" :: "r" (addr) : "x9", "memory");
}

static void by_vector(void *addr)
{
	asm volatile("st1 {v0.16b}, [%0]" :: "r" (addr) : "memory");
}

static void by_exclusive(void *addr)
{
	asm volatile("ldxr x9, [%0]\n\tstxr w10, x9, [%0]" :: "r" (addr) : "x9", "x10", "memory");
}

static void by_zeroing(void *addr)
{
	asm volatile("dc zva, %0" :: "r" (addr) : "memory");
}

TEST_F(stray, instructions)
{
	static const struct {
		const char *name;
		void (*fn)(void *addr);
	} ways[] = {
		{ "byte", by_byte }, { "pair", by_pair }, { "vector", by_vector },
		{ "exclusive", by_exclusive }, { "dc zva", by_zeroing },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		EXPECT_EQ(SIGBUS, gmem_try(ways[i].fn, HVA(PAGE)))
			TH_LOG("%s", ways[i].name);
		EXPECT_EQ(BUS_ADRERR, gmem_signal_code());
		EXPECT_EQ(SIGBUS, gmem_try(ways[i].fn, HVA(PAGE) + page - 16))
			TH_LOG("%s, at the end", ways[i].name);
	}
	/* From the shared page before it into the private ones. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(PAGE - 1), 1, NULL));
	EXPECT_EQ(0, gmem_try(by_pair, HVA(PAGE) - 16));
	EXPECT_EQ(SIGBUS, gmem_try(by_pair, HVA(PAGE) - 8));
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(PAGE - 1), 1, NULL));

	/* There is no executing it, shared or not. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_EXEC, MAP_SHARED, self->fd, OFF(PAGE)));
	EXPECT_EQ(EPERM, errno);
	expect_well(_metadata, self);
}

static long direct_io(char *buf, bool out)
{
	int fd = open("/dev/nullb0", O_RDWR | O_DIRECT | O_CLOEXEC);
	long ret;

	if (fd < 0)
		return -EFAULT;		/* no such disk here: nothing to be seen */
	ret = out ? pwrite(fd, buf, page, 0) : pread(fd, buf, page, 0);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

TEST_F(stray, system_calls)
{
	struct iovec iov[2] = { { HVA(FIRST_SHARED), 8 }, { HVA(PAGE), 8 } };
	struct gmem_pin pin;
	int fds[2], ret, kind;

	EXPECT_EQ(-EFAULT, gmem_kernel_read(HVA(PAGE)));
	EXPECT_EQ(-EFAULT, gmem_kernel_write(HVA(PAGE)));
	EXPECT_EQ(-1, getrandom(HVA(PAGE), 8, 0));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-EFAULT, direct_io(HVA(PAGE), false));
	EXPECT_EQ(-EFAULT, direct_io(HVA(PAGE), true));
	EXPECT_LE(0, direct_io(HVA(FIRST_SHARED), true) + EFAULT);

	/* The second of two parts. */
	ASSERT_EQ(0, pipe(fds));
	EXPECT_EQ(-1, writev(fds[1], iov, 2));
	EXPECT_EQ(EFAULT, errno);
	close(fds[0]);
	close(fds[1]);

	for (kind = 0; kind < GMEM_NR_PINS; kind++) {
		ret = gmem_pin_take(&pin, kind, HVA(PAGE), page);
		if (ret == -ENOSYS || ret == -ENOENT)
			TH_LOG("no %s in this kernel", gmem_pin_name(kind));
		else
			EXPECT_EQ(-EFAULT, ret) TH_LOG("%s", gmem_pin_name(kind));
	}

	/* As a name: copied until it ends, which is never here. */
	EXPECT_EQ(-1, open(HVA(PAGE), O_RDONLY));
	EXPECT_EQ(EFAULT, errno);
	expect_well(_metadata, self);
}

static ssize_t proc_mem(pid_t pid, bool out, void *addr, u64 *val)
{
	char path[64];
	ssize_t ret;
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/mem", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ret = out ? pwrite(fd, val, 8, (off_t)addr) : pread(fd, val, 8, (off_t)addr);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

/* A debugger looks at a process that has the mapping; what is shared it does see. */
TEST_F(stray, debugger)
{
	char *priv = HVA(PAGE), *shared = HVA(FIRST_SHARED);
	u64 val = 1;
	int status;
	pid_t pid;

	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		ptrace(PTRACE_TRACEME, 0, NULL, NULL);
		raise(SIGSTOP);
		_exit(gmem_host_read64(priv, &val) != SIGBUS);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_TRUE(WIFSTOPPED(status));

	errno = 0;
	EXPECT_EQ(PUBLIC, ptrace(PTRACE_PEEKDATA, pid, shared, NULL));
	EXPECT_EQ(-1, ptrace(PTRACE_PEEKDATA, pid, priv, NULL));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(-1, ptrace(PTRACE_POKEDATA, pid, priv, 1));
	EXPECT_EQ(EIO, errno);
	EXPECT_EQ(8, proc_mem(pid, false, shared, &val));
	EXPECT_EQ(PUBLIC, val);
	EXPECT_EQ(-EIO, proc_mem(pid, false, priv, &val));
	EXPECT_EQ(-EIO, proc_mem(pid, true, priv, &val));
	EXPECT_EQ(-EIO, proc_mem(getpid(), true, priv, &val));
	if (gmem_process_vm_read(pid, shared, &val) != -ENOSYS)
		EXPECT_EQ(-EFAULT, gmem_process_vm_read(pid, priv, &val));

	EXPECT_EQ(0, ptrace(PTRACE_DETACH, pid, NULL, NULL));
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	expect_well(_metadata, self);
}

/* Counts in a file words of the guest's own, and what it shares. */
static void search_file(const char *path, u64 *secrets, u64 *publics)
{
	static u64 buf[8192];
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;
	size_t i;

	*secrets = *publics = 0;
	TEST_ASSERT(fd >= 0, "%s: errno %d", path, errno);
	while ((n = read(fd, buf, sizeof(buf))) > 0) {
		*secrets += count_secrets(buf, n);
		for (i = 0; i < n / 8; i++)
			*publics += buf[i] >= PUBLIC + 1 && buf[i] < PUBLIC + NR_SHARED;
	}
	close(fd);
}

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ssize_t ret;

	if (fd < 0)
		return -errno;
	ret = write(fd, text, strlen(text));
	ret = ret < 0 ? -errno : 0;
	close(fd);
	return ret;
}

static void read_file(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, buf, size - 1);

	buf[n > 0 ? n : 0] = '\0';
	if (fd >= 0)
		close(fd);
}

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"

TEST_F_TIMEOUT(stray, core_file, 120)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char old[256], path[64];
	u64 secrets, publics;
	int status;
	pid_t pid;

	read_file(CORE_PATTERN, old, sizeof(old));
	if (write_file(CORE_PATTERN, "/tmp/pkvm_gmem_stray.%p"))
		SKIP(return, "no core files in this kernel");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Every kind of mapping, shared ones of files among them. */
		setrlimit(RLIMIT_CORE, &all);
		if (write_file("/proc/self/coredump_filter", "0x7f"))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	write_file(CORE_PATTERN, old);
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status));
	ASSERT_TRUE(WCOREDUMP(status));

	snprintf(path, sizeof(path), "/tmp/pkvm_gmem_stray.%d", pid);
	search_file(path, &secrets, &publics);
	unlink(path);
	EXPECT_EQ(0, secrets);
	/* The mapping is in it: what is shared shows that. */
	EXPECT_LE(NR_SHARED - 1, publics);
	expect_well(_metadata, self);
}

/* MADV_REMOVE is not among them: it punches a hole, as it says. */
TEST_F_TIMEOUT(stray, advice, 120)
{
	static const struct {
		int advice;
		const char *name;
		int err;	/* 0: as the kernel likes */
	} all[] = {
		{ MADV_NORMAL, "NORMAL" }, { MADV_RANDOM, "RANDOM" },
		{ MADV_SEQUENTIAL, "SEQUENTIAL" }, { MADV_WILLNEED, "WILLNEED" },
		{ MADV_DONTNEED, "DONTNEED" }, { MADV_FREE, "FREE" },
		{ MADV_COLD, "COLD" }, { MADV_PAGEOUT, "PAGEOUT" },
		{ MADV_POPULATE_READ, "POPULATE_READ", EFAULT },
		{ MADV_POPULATE_WRITE, "POPULATE_WRITE", EFAULT },
		{ MADV_MERGEABLE, "MERGEABLE" }, { MADV_HUGEPAGE, "HUGEPAGE" },
		{ MADV_NOHUGEPAGE, "NOHUGEPAGE" }, { MADV_COLLAPSE, "COLLAPSE" },
		{ MADV_DONTFORK, "DONTFORK" }, { MADV_DOFORK, "DOFORK" },
		{ MADV_WIPEONFORK, "WIPEONFORK" }, { MADV_KEEPONFORK, "KEEPONFORK" },
		{ MADV_DONTDUMP, "DONTDUMP" }, { MADV_DODUMP, "DODUMP" },
		{ MADV_HWPOISON, "HWPOISON", EFAULT },
		{ MADV_SOFT_OFFLINE, "SOFT_OFFLINE", EFAULT },
	};
	size_t i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(all); i++) {
		ret = madvise(HVA(PAGE), page, all[i].advice);
		if (all[i].err && !(ret && errno == EINVAL)) {
			EXPECT_EQ(-1, ret) TH_LOG("%s", all[i].name);
			EXPECT_EQ(all[i].err, errno) TH_LOG("%s", all[i].name);
		} else {
			/* And of what is shared beside it; these two hurt it. */
			madvise(HVA(0), OFF(FIRST_SHARED + NR_SHARED), all[i].advice);
		}
		EXPECT_EQ(PUBLIC + 1, gmem_host_get64(HVA(FIRST_SHARED + 1)));
		expect_well(_metadata, self);
		if (!__test_passed(_metadata))
			break;
	}
	EXPECT_EQ(ARRAY_SIZE(all), i) TH_LOG("it was %s", all[i].name);
}

TEST_F(stray, locked_mappings)
{
	int flags;

	/* Some of these fail half-way: what can be locked is. */
	mlock(self->mem, OFF(NR_PAGES));
	expect_well(_metadata, self);
	munlock(self->mem, OFF(NR_PAGES));
	EXPECT_EQ(0, syscall(__NR_mlock2, self->mem, OFF(NR_PAGES), MLOCK_ONFAULT));
	expect_well(_metadata, self);

	for (flags = MCL_CURRENT; flags <= (MCL_CURRENT | MCL_FUTURE); flags++) {
		if (mlockall(flags))
			TH_LOG("mlockall(%d): errno %d", flags, errno);
		expect_well(_metadata, self);
	}
	EXPECT_EQ(0, munlockall());
	expect_well(_metadata, self);
}

static void expect_no_way(struct __test_metadata *_metadata, char *priv)
{
	u64 val;

	EXPECT_EQ(SIGBUS, gmem_host_read64(priv, &val));
	EXPECT_EQ(BUS_ADRERR, gmem_signal_code());
	EXPECT_EQ(SIGBUS, gmem_host_write64(priv, 1));
	EXPECT_EQ(BUS_ADRERR, gmem_signal_code());
}

TEST_F(stray, changed_mappings)
{
	char *more, *moved, *spare;
	u64 val;

	/* A copy of one's own is not to be had. */
	EXPECT_EQ(MAP_FAILED, mmap(NULL, page, PROT_READ, MAP_PRIVATE, self->fd, OFF(PAGE)));
	EXPECT_EQ(EINVAL, errno);

	more = mmap(NULL, OFF(NR_PAGES), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
		    self->fd, 0);
	ASSERT_NE(MAP_FAILED, more);
	expect_no_way(_metadata, more + OFF(PAGE));
	EXPECT_EQ(0, mprotect(more, OFF(NR_PAGES), PROT_NONE));
	EXPECT_EQ(SIGSEGV, gmem_host_read64(more + OFF(PAGE), &val));
	EXPECT_EQ(0, mprotect(more, OFF(NR_PAGES), PROT_READ | PROT_WRITE));
	expect_no_way(_metadata, more + OFF(PAGE));
	expect_well(_metadata, self);

	/* Moved, twice there, shrunk, grown. */
	spare = mmap(NULL, OFF(NR_PAGES), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, spare);
	moved = mremap(more + OFF(PAGE), OFF(4), OFF(8), MREMAP_MAYMOVE | MREMAP_FIXED, spare);
	ASSERT_EQ(spare, moved);
	expect_no_way(_metadata, moved);
	expect_no_way(_metadata, moved + OFF(6));
	moved = mremap(self->mem, 0, OFF(NR_PAGES), MREMAP_MAYMOVE);
	ASSERT_NE(MAP_FAILED, moved);
	expect_no_way(_metadata, moved + OFF(PAGE));
	EXPECT_EQ(PUBLIC, gmem_host_get64(moved + OFF(FIRST_SHARED)));
	EXPECT_EQ(moved, mremap(moved, OFF(NR_PAGES), OFF(PAGE + 1), 0));
	expect_no_way(_metadata, moved + OFF(PAGE));
	if (!syscall(__NR_remap_file_pages, more, page, 0, PAGE, 0))
		expect_no_way(_metadata, more);
	msync(self->mem, OFF(NR_PAGES), MS_SYNC | MS_INVALIDATE);
	expect_well(_metadata, self);

	EXPECT_EQ(0, munmap(moved, OFF(PAGE + 1)));
	EXPECT_EQ(0, munmap(spare, OFF(NR_PAGES)));
	EXPECT_EQ(0, munmap(more, OFF(NR_PAGES)));
	expect_well(_metadata, self);
}

TEST_F(stray, forked_processes)
{
	int status, i;
	pid_t pid;
	u64 val;

	/* PAGE is shared for a moment meanwhile, the next one never is. */
	for (i = 0; i < 4; i++) {
		/* Told to copy page tables, there is still nothing in them. */
		madvise(self->mem, OFF(NR_PAGES), i & 1 ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid)
			_exit(gmem_host_read64(HVA(PAGE + 1), &val) != SIGBUS ||
			      gmem_host_write64(HVA(PAGE + 1), 1) != SIGBUS ||
			      gmem_host_read64(HVA(FIRST_SHARED), &val) || val != PUBLIC);
		if (i & 2)
			expect_well(_metadata, self);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
	}
	expect_well(_metadata, self);
}

/* Resident kilobytes of the mapping that begins at @addr. */
static long mapping_rss_kb(const char *addr)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, end;
	bool here = false;
	char line[512];
	long kb = -1;

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &end) == 2)
			here = start == (unsigned long)addr;
		else if (here && sscanf(line, "Rss: %ld kB", &kb) == 1)
			break;
	}
	if (f)
		fclose(f);
	return kb;
}

TEST_F(stray, what_proc_says_of_the_mapping)
{
	static const char * const files[] = {
		"maps", "smaps", "smaps_rollup", "numa_maps", "statm", "stat", "status",
	};
	unsigned char core[NR_PAGES];
	static char buf[65536];
	char path[64];
	u64 entry = ~0ULL;
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		snprintf(path, sizeof(path), "/proc/self/%s", files[i]);
		read_file(path, buf, sizeof(buf));
	}
	EXPECT_EQ(OFF(NR_SHARED) / 1024, mapping_rss_kb(self->mem));

	fd = open("/proc/self/pagemap", O_RDONLY);
	ASSERT_LE(0, fd);
	EXPECT_EQ(8, pread(fd, &entry, 8, (u64)HVA(PAGE) / page * 8));
	close(fd);
	/* Neither present nor swapped, and no frame. */
	EXPECT_EQ(0, entry >> 62);
	EXPECT_EQ(0, entry & ((1ULL << 55) - 1));
	EXPECT_EQ(0, mincore(self->mem, OFF(NR_PAGES), core));
	expect_well(_metadata, self);
}

TEST_F(stray, userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (u64)self->mem, OFF(NR_PAGES) },
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		SKIP(return, "no userfaultfd: errno %d", errno);
	ASSERT_EQ(0, ioctl(fd, UFFDIO_API, &api));

	/* Whoever answers faults would be asked for the guest's pages. */
	for (reg.mode = 1; reg.mode < 8; reg.mode++) {
		EXPECT_EQ(-1, ioctl(fd, UFFDIO_REGISTER, &reg))
			TH_LOG("mode %d", (int)reg.mode);
		EXPECT_EQ(EINVAL, errno);
	}
	expect_well(_metadata, self);
	close(fd);
}

/* ---- The kernel's own view of memory ---- */

/* Where /proc/kcore shows a physical address, 0 if nowhere. */
static u64 kcore_offset(int fd, u64 phys)
{
	Elf64_Ehdr head;
	Elf64_Phdr seg;
	int i;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return 0;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &seg, sizeof(seg), head.e_phoff + i * sizeof(seg)) != sizeof(seg))
			return 0;
		if (seg.p_type == PT_LOAD && seg.p_paddr != -1ULL && phys >= seg.p_paddr &&
		    phys - seg.p_paddr < seg.p_memsz)
			return seg.p_offset + phys - seg.p_paddr;
	}
	return 0;
}

/* Secrets seen in one page; or -errno. */
static int kcore_read(int fd, u64 pfn, u64 *first)
{
	static u64 buf[8192];
	ssize_t n;

	buf[0] = ~0ULL;
	n = pread(fd, buf, page, kcore_offset(fd, pfn * page));
	if (n < 0)
		return -errno;
	if (first)
		*first = buf[0];
	return count_secrets(buf, n);
}

static int kcore_open(const u64 *pfn)
{
	return pfn[0] ? open("/proc/kcore", O_RDONLY | O_CLOEXEC) : -1;
}

TEST_F(stray, kcore)
{
	int fd = kcore_open(self->pfn), i;
	u64 first;

	if (fd < 0)
		SKIP(return, "no /proc/kcore, or no page frame numbers");

	/* It looks in the right place: while the page is shared, it shows. */
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GPA(PAGE), 1, NULL));
	EXPECT_EQ(WORDS(1) - 1, kcore_read(fd, self->pfn[PAGE], &first));
	EXPECT_EQ(SECRET + WORDS(PAGE) * STEP, first);
	EXPECT_EQ(PKVM_SUCCESS, guest_unshare(self->vcpu, GPA(PAGE), 1, NULL));
	/* The copies of it, ours and kcore's, must not puzzle kcore_of_everything. */
	EXPECT_EQ(0, kcore_read(fd, gmem_pfn(HVA(FIRST_SHARED)), NULL));

	for (i = 0; i < NR_SECRET; i++) {
		EXPECT_EQ(0, kcore_read(fd, self->pfn[i], &first));
		EXPECT_NE(SECRET + WORDS(i) * STEP, first);
	}
	/* A look takes nothing from the guest. */
	expect_well(_metadata, self);
	close(fd);
}

/* How often the kernel has said since the last call that somebody touched page @n. */
static int reports(FIXTURE_DATA(stray) * self, int n)
{
	char phys[32], gfn[32];

	snprintf(phys, sizeof(phys), "%lx", (unsigned long)(self->pfn[n] * page));
	snprintf(gfn, sizeof(gfn), "gfn 0x%lx", (unsigned long)(GPA(n) / page));
	return log_lines(self->log, phys, gfn);
}

/* Touches page @n until that is reported: the kernel makes few reports at a time. */
static int first_reports(FIXTURE_DATA(stray) * self, int fd, int n)
{
	int nr = 0, i;

	for (i = 0; i < 200 && !nr; i++) {
		kcore_read(fd, self->pfn[n], NULL);
		nr = reports(self, n);
		if (!nr)
			usleep(100000);
	}
	return nr;
}

/* A report names the page and whose it is; more looks at the page make no more reports. */
TEST_F_TIMEOUT(stray, kcore_is_logged_once, 120)
{
	int fd = kcore_open(self->pfn), i;

	if (fd < 0)
		SKIP(return, "no /proc/kcore, or no page frame numbers");

	/* PAGE may have been in an earlier guest's report: another one comes first. */
	EXPECT_EQ(1, first_reports(self, fd, PAGE + 1));
	EXPECT_EQ(1, first_reports(self, fd, PAGE));
	for (i = 0; i < 100; i++)
		EXPECT_EQ(0, kcore_read(fd, self->pfn[PAGE], NULL));
	EXPECT_EQ(0, reports(self, PAGE));
	expect_well(_metadata, self);
	close(fd);
}

/*
 * How many of these pages are as a page of the guest's. A few words do not make one: the
 * host has the guest's registers, and what a guest loads last is in one of them.
 */
static u64 guest_pages(const u64 *buf, size_t len)
{
	u64 nr = 0;
	size_t off;

	for (off = 0; off < len; off += page)
		nr += count_secrets(buf + off / 8, page) > 8;
	return nr;
}

/* All of memory, wherever the guest's pages may be: as a crash dump reads it. */
TEST_F_TIMEOUT(stray, kcore_of_everything, 300)
{
	static u64 buf[1 << 16];
	int fd = kcore_open(self->pfn), i;
	u64 pages = 0, bytes = 0, off, len;
	Elf64_Ehdr head;
	Elf64_Phdr seg;
	ssize_t n;

	if (fd < 0)
		SKIP(return, "no /proc/kcore, or no page frame numbers");
	ASSERT_EQ(sizeof(head), pread(fd, &head, sizeof(head), 0));
	for (i = 0; i < head.e_phnum; i++) {
		ASSERT_EQ(sizeof(seg), pread(fd, &seg, sizeof(seg),
					     head.e_phoff + i * sizeof(seg)));
		if (seg.p_type != PT_LOAD || seg.p_paddr == -1ULL)
			continue;
		for (off = 0; off < seg.p_memsz; off += n) {
			len = seg.p_memsz - off;
			if (len > sizeof(buf))
				len = sizeof(buf);
			n = pread(fd, buf, len, seg.p_offset + off);
			if (n <= 0)
				break;
			pages += guest_pages(buf, n);
		}
		EXPECT_EQ(seg.p_memsz, off);
		bytes += off;
	}
	EXPECT_EQ(0, pages);
	EXPECT_LE(gmem_meminfo_kb("MemTotal"), bytes / 1024);
	expect_well(_metadata, self);
	close(fd);
}

static u64 proc_page_word(const char *name, u64 pfn)
{
	char path[64];
	u64 val = 0;
	int fd;

	snprintf(path, sizeof(path), "/proc/%s", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	TEST_ASSERT(pread(fd, &val, 8, pfn * 8) == 8, "%s: errno %d", path, errno);
	close(fd);
	return val;
}

TEST_F(stray, what_proc_says_of_the_page)
{
	u64 flags;
	int i;

	if (!self->pfn[0])
		SKIP(return, "no page frame numbers");
	for (i = 0; i < NR_SECRET; i++) {
		flags = proc_page_word("kpageflags", self->pfn[i]);
		EXPECT_EQ(0, flags & (1ULL << KPF_BUDDY | 1ULL << KPF_HWPOISON));
		EXPECT_EQ(0, proc_page_word("kpagecount", self->pfn[i]));
		proc_page_word("kpagecgroup", self->pfn[i]);
	}
	expect_well(_metadata, self);
}

/*
 * A kernel that writes to the page without being ready for a fault, as a bug would: /dev/mem,
 * whose write has no other way. It goes on; the guest may lose the page, hears of that, and
 * nobody ever reads what was in it.
 */
TEST_F_TIMEOUT(stray, bug_of_the_kernel, 120)
{
	u64 val = 0, phys = self->pfn[PAGE] * page, shared = gmem_pfn(HVA(FIRST_SHARED)) * page;
	int fd = open("/dev/mem", O_RDWR | O_CLOEXEC), ret;

	if (fd < 0 || !phys || pread(fd, &val, 8, shared) != 8)
		SKIP(return, "no /dev/mem that shows memory, or no page frame numbers");
	EXPECT_EQ(PUBLIC, val);

	/* Reports are limited to a few in 5 seconds: there is only one chance to see this. */
	sleep(6);
	reports(self, PAGE);
	val = 0xbad;
	ret = pwrite(fd, &val, 8, phys + 64);
	TH_LOG("/dev/mem: %d", ret);
	EXPECT_EQ(1, reports(self, PAGE));

	ret = __guest_read64(self->vcpu, GPA(PAGE) + 8, &val);
	if (!ret) {
		expect_well(_metadata, self);
		close(fd);
		return;
	}
	EXPECT_EQ(-EHWPOISON, ret);
	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, self->vcpu->run->exit_reason);
	EXPECT_EQ(GPA(PAGE), self->vcpu->run->memory_fault.gpa);
	EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(PAGE), &val));

	/* The host may have what is left of it; for the guest it stays destroyed. */
	EXPECT_EQ(0, gmem_set_attr(self->fd, OFF(PAGE), page, GMEM_SHARED));
	EXPECT_EQ(0, count_secrets((u64 *)HVA(PAGE), page));
	EXPECT_EQ(-EHWPOISON, pkvm_vcpu_resume(self->vcpu));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(PAGE), page));
	EXPECT_EQ(-EHWPOISON, pkvm_vcpu_resume(self->vcpu));
	close(fd);
}

/* ---- Memory that is moved about, or taken away ---- */

static void expect_same_frames(struct __test_metadata *_metadata, FIXTURE_DATA(stray) * self)
{
	u64 val;
	int i;

	expect_well(_metadata, self);
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GPA(0), NR_SECRET));
	for (i = 0; self->pfn[0] && i < NR_SECRET; i++) {
		EXPECT_EQ(0, gmem_host_read64(HVA(i), &val));
		EXPECT_EQ(self->pfn[i], gmem_pfn(HVA(i)));
	}
	ASSERT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_UNSHARE, GPA(0), NR_SECRET));
	expect_well(_metadata, self);
}

TEST_F_TIMEOUT(stray, compaction, 120)
{
	const size_t chunk = 16 << 20;
	char *holes = mmap(NULL, chunk, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	size_t off;
	int i;

	ASSERT_NE(MAP_FAILED, holes);
	/* Something to be done. */
	for (off = 0; off < chunk; off += 2 * page)
		madvise(holes + off, page, MADV_DONTNEED);
	for (i = 0; i < 3; i++) {
		if (write_file("/proc/sys/vm/compact_memory", "1"))
			SKIP(break, "no compaction in this kernel");
		expect_same_frames(_metadata, self);
	}
	munmap(holes, chunk);
}

TEST_F(stray, dropped_caches)
{
	int i;

	EXPECT_EQ(0, write_file("/proc/sys/vm/drop_caches", "3"));
	expect_same_frames(_metadata, self);
	for (i = POSIX_FADV_NORMAL; i <= POSIX_FADV_NOREUSE; i++) {
		posix_fadvise(self->fd, 0, 0, i);
		posix_fadvise(self->fd, OFF(PAGE), page, i);
	}
	expect_same_frames(_metadata, self);
}

static int write_frame(const char *name, u64 pfn)
{
	char path[96], addr[32];

	snprintf(path, sizeof(path), "/sys/devices/system/memory/%s", name);
	snprintf(addr, sizeof(addr), "0x%lx", (unsigned long)(pfn * page));
	return write_file(path, addr);
}

TEST_F(stray, soft_offline)
{
	u64 shared = gmem_pfn(HVA(FIRST_SHARED + 1));
	int ret;

	if (!self->pfn[0])
		SKIP(return, "no page frame numbers");
	ret = write_frame("soft_offline_page", self->pfn[PAGE]);
	if (ret == -ENOENT || ret == -EOPNOTSUPP)
		SKIP(return, "no soft offlining in this kernel");
	EXPECT_GT(0, ret);
	EXPECT_EQ(0, proc_page_word("kpageflags", self->pfn[PAGE]) & 1ULL << KPF_HWPOISON);
	expect_same_frames(_metadata, self);

	/* What is shared is no more movable, mapped or not. */
	EXPECT_GT(0, write_frame("soft_offline_page", shared));
	EXPECT_EQ(PUBLIC + 1, gmem_host_get64(HVA(FIRST_SHARED + 1)));
	EXPECT_EQ(shared, gmem_pfn(HVA(FIRST_SHARED + 1)));
	EXPECT_EQ(0, madvise(self->mem, OFF(NR_PAGES), MADV_DONTNEED));
	EXPECT_GT(0, write_frame("soft_offline_page", shared));
	EXPECT_EQ(PUBLIC + 1, gmem_host_get64(HVA(FIRST_SHARED + 1)));
	EXPECT_EQ(shared, gmem_pfn(HVA(FIRST_SHARED + 1)));
	EXPECT_EQ(PUBLIC + 1, guest_read64(self->vcpu, GPA(FIRST_SHARED + 1)));
	expect_well(_metadata, self);
}

static void be_woken(int sig)
{
}

TEST_F_TIMEOUT(stray, memory_offline, 200)
{
	struct sigaction sa = { .sa_handler = be_woken };
	char path[96], buf[64];
	u64 block;
	int ret;

	read_file("/sys/devices/system/memory/block_size_bytes", buf, sizeof(buf));
	block = strtoull(buf, NULL, 16);
	if (!self->pfn[0] || !block)
		SKIP(return, "no memory blocks, or no page frame numbers");
	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%lu/state",
		 (unsigned long)(self->pfn[PAGE] * page / block));

	/* An attempt that goes on for ever is ended by a signal, which is no refusal. */
	sigaction(SIGALRM, &sa, NULL);
	alarm(60);
	ret = write_file(path, "offline");
	alarm(0);
	if (ret == -ENOENT)
		SKIP(return, "no memory blocks to be offlined");
	EXPECT_GT(0, ret);
	EXPECT_NE(-EINTR, ret);
	read_file(path, buf, sizeof(buf));
	EXPECT_STREQ("online\n", buf);
	expect_same_frames(_metadata, self);
}

static int last_node(void)
{
	char path[64];
	int node;

	for (node = 15; node > 0; node--) {
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", node);
		if (!access(path, F_OK))
			break;
	}
	return node;
}

/* On one node there is nowhere to go to; with more, everything is asked to go to each. */
TEST_F(stray, moved_pages)
{
	void *addrs[] = { HVA(PAGE), HVA(FIRST_SHARED + 1) };
	int to = last_node(), node;
	u64 shared = gmem_pfn(HVA(FIRST_SHARED + 1));
	unsigned long all = ~0UL, mask;
	long ret;

	for (node = 0; node <= to; node++) {
		int nodes[2] = { node, node }, status[2] = { 1000, 1000 };

		ret = syscall(__NR_move_pages, 0, 2, addrs, nodes, status, MPOL_MF_MOVE_ALL);
		if (ret < 0 && errno == ENOSYS) {
			TH_LOG("no move_pages in this kernel");
		} else {
			EXPECT_LE(0, ret);
			EXPECT_GT(0, status[0]);
		}
		mask = 1UL << node;
		syscall(__NR_migrate_pages, 0, 64, &all, &mask);
		expect_same_frames(_metadata, self);

		syscall(__NR_mbind, self->mem, OFF(NR_PAGES), MPOL_BIND, &mask, 64,
			MPOL_MF_STRICT | MPOL_MF_MOVE | MPOL_MF_MOVE_ALL);
		expect_same_frames(_metadata, self);
		EXPECT_EQ(PUBLIC + 1, gmem_host_get64(HVA(FIRST_SHARED + 1)));
		EXPECT_EQ(shared, gmem_pfn(HVA(FIRST_SHARED + 1)));
	}
}

/* How many of the guest's frames are in this mapping now. */
static int frames_in(FIXTURE_DATA(stray) * self, const char *mem, u64 size)
{
	static u64 entry[4096];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC), found = 0, i;
	u64 first = (u64)mem / page, nr = size / page;
	ssize_t n, k;

	while (nr && (n = pread(fd, entry, sizeof(entry), first * 8)) > 0) {
		n = n / 8 < nr ? n / 8 : nr;
		for (k = 0; k < n; k++) {
			for (i = 0; i < NR_SECRET; i++)
				found += (entry[k] & ((1ULL << 55) - 1)) == self->pfn[i];
		}
		first += n;
		nr -= n;
	}
	close(fd);
	return found;
}

/* Everything above, and then the VM goes: its memory serves anybody. */
TEST_F_TIMEOUT(stray, memory_is_normal_afterwards, 300)
{
	const u64 size = 32 << 20;
	u64 off, before, val, cpu0 = 1;
	int vm, fd, i;
	char *mem;

	fd = kcore_open(self->pfn);
	for (i = 0; fd >= 0 && i < NR_SECRET; i++)
		kcore_read(fd, self->pfn[i], NULL);
	write_file("/proc/sys/vm/compact_memory", "1");
	if (self->pfn[0])
		write_frame("soft_offline_page", self->pfn[PAGE]);

	/* What a CPU frees is what it allocates next: stay there. */
	syscall(__NR_sched_setaffinity, 0, sizeof(cpu0), &cpu0);
	before = gmem_free_kb();
	pkvm_vm_destroy(&self->vm);
	munmap(self->mem, OFF(NR_PAGES));
	close(self->fd);
	gmem_settled_free_kb(before + OFF(NR_SECRET) / 1024);

	/* Memory of the same kind: the guest's frames, the last to be freed, are in it. */
	vm = pkvm_vm_open(0);
	ASSERT_LE(0, vm);
	self->fd = gmem_create(vm, size, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, self->fd);
	mem = gmem_map(self->fd, size);
	for (off = 0; off < size; off += page) {
		if (gmem_host_read64(mem + off, &val) || val ||
		    gmem_host_write64(mem + off + 8, off))
			break;
	}
	EXPECT_EQ(size, off);
	if (self->pfn[0])
		EXPECT_LT(0, frames_in(self, mem, size));
	munmap(mem, size);
	close(self->fd);
	close(vm);
	for (i = 0; self->pfn[0] && i < NR_SECRET; i++)
		EXPECT_EQ(0, proc_page_word("kpageflags", self->pfn[i]) & 1ULL << KPF_HWPOISON);
	for (i = 0; fd >= 0 && i < NR_SECRET; i++)
		EXPECT_EQ(0, kcore_read(fd, self->pfn[i], NULL));
	close(fd);

	/* For the fixture's end. */
	self->fd = -1;
	self->mem = mmap(NULL, OFF(NR_PAGES), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

int main(int argc, char **argv)
{
	page = getpagesize();
	pkvm_require_gmem();
	return test_harness_run(argc, argv);
}
