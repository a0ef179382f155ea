// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's userspace reaches for pages that a protected guest owns: through a mapping and
 * through every system call that takes an address. It gets an error, never the content; nothing
 * is reported as a bug, the guest goes on, and the next conversion works.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include "pkvm_host_access.h"

#ifndef MADV_SOFT_OFFLINE
#define MADV_SOFT_OFFLINE 101
#endif

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

TEST_F(host_access, instructions)
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

#define DISK		"/dev/nullb0"

static long direct_io(char *buf, bool out)
{
	int fd = open(DISK, O_RDWR | O_DIRECT | O_CLOEXEC);
	long ret;

	TEST_ASSERT(fd >= 0, DISK ": errno %d", errno);
	ret = out ? pwrite(fd, buf, page, 0) : pread(fd, buf, page, 0);
	ret = ret < 0 ? -errno : ret;
	close(fd);
	return ret;
}

TEST_F(host_access, system_calls)
{
	struct iovec iov[2] = { { HVA(FIRST_SHARED), 8 }, { HVA(PAGE), 8 } };
	struct gmem_pin pin;
	int fds[2], ret, kind;

	EXPECT_EQ(-EFAULT, gmem_kernel_read(HVA(PAGE)));
	EXPECT_EQ(-EFAULT, gmem_kernel_write(HVA(PAGE)));
	EXPECT_EQ(-1, getrandom(HVA(PAGE), 8, 0));
	EXPECT_EQ(EFAULT, errno);

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

/* Neither to a disk nor from it; what is shared goes both ways. */
TEST_F(host_access, direct_transfers)
{
	if (access(DISK, W_OK))
		SKIP(return, "no " DISK);
	EXPECT_EQ(-EFAULT, direct_io(HVA(PAGE), false));
	EXPECT_EQ(-EFAULT, direct_io(HVA(PAGE), true));
	EXPECT_EQ(page, direct_io(HVA(FIRST_SHARED), true));
	EXPECT_EQ(page, direct_io(HVA(FIRST_SHARED + NR_SHARED - 1), false));
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
TEST_F(host_access, debugger)
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

#define CORE_PATTERN	"/proc/sys/kernel/core_pattern"

TEST_F_TIMEOUT(host_access, core_file, 120)
{
	struct rlimit all = { RLIM_INFINITY, RLIM_INFINITY };
	char old[256], path[64];
	u64 secrets, publics;
	int status;
	pid_t pid;

	gmem_read_file(CORE_PATTERN, old, sizeof(old));
	if (gmem_write_file(CORE_PATTERN, "/tmp/pkvm_gmem_host_user_access.%p"))
		SKIP(return, "no core files in this kernel");
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		/* Every kind of mapping, shared ones of files among them. */
		setrlimit(RLIMIT_CORE, &all);
		if (gmem_write_file("/proc/self/coredump_filter", "0x7f"))
			_exit(1);
		signal(SIGABRT, SIG_DFL);
		abort();
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	gmem_write_file(CORE_PATTERN, old);
	ASSERT_TRUE(WIFSIGNALED(status));
	EXPECT_EQ(SIGABRT, WTERMSIG(status));
	ASSERT_TRUE(WCOREDUMP(status));

	snprintf(path, sizeof(path), "/tmp/pkvm_gmem_host_user_access.%d", pid);
	search_file(path, &secrets, &publics);
	unlink(path);
	EXPECT_EQ(0, secrets);
	/* The mapping is in it: what is shared shows that. */
	EXPECT_LE(NR_SHARED - 1, publics);
	expect_well(_metadata, self);
}

/* MADV_REMOVE is not among them: it punches a hole, as it says. */
TEST_F_TIMEOUT(host_access, advice, 120)
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

TEST_F(host_access, locked_mappings)
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

TEST_F(host_access, changed_mappings)
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

TEST_F(host_access, forked_processes)
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

TEST_F(host_access, what_proc_says_of_the_mapping)
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
		gmem_read_file(path, buf, sizeof(buf));
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

TEST_F(host_access, userfaultfd)
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

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
