// SPDX-License-Identifier: GPL-2.0-only
/*
 * Accesses to guest memory by host userspace, which may end in a signal, and by the kernel on
 * its behalf; and the page frame behind an address.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include "guest_memfd_util.h"

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
	ret = gmem_ret(write(fds[1], addr, 8));
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
	ret = gmem_ret(read(fds[0], addr, sizeof(val)));
	close(fds[0]);
	close(fds[1]);
	return ret == sizeof(val) ? 0 : ret;
}

int gmem_process_vm_read(pid_t pid, const void *addr, u64 *val)
{
	struct iovec to = { val, sizeof(*val) };
	struct iovec from = { (void *)addr, sizeof(*val) };
	int ret = gmem_ret(process_vm_readv(pid, &to, 1, &from, 1, 0));

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
	ret = gmem_ret(write(fd, addr, len));
	close(fd);
	/* guest_memfd leaves the page where it is, which counts as not recovered. */
	return ret == -EBUSY || ret > 0 ? 0 : ret;
}
