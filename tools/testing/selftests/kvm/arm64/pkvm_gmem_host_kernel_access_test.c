// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's kernel reaches for pages that a protected guest owns: through its own view of
 * memory, and by moving or taking memory away. It gets zeros or an error, never the content;
 * what it does is logged and no bug, and the guest goes on.
 */
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <linux/mempolicy.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "pkvm_host_access.h"

/* From <linux/kernel-page-flags.h>. */
#define KPF_BUDDY	10
#define KPF_HWPOISON	19

/* ---- The kernel's own view of memory ---- */

/*
 * Where /proc/kcore shows a physical address, 0 if nowhere. Of several segments the largest:
 * that of the kernel's image has holes where memory was freed, which may be the guest's now.
 */
static u64 kcore_offset(int fd, u64 phys)
{
	u64 offset = 0, size = 0;
	Elf64_Ehdr head;
	Elf64_Phdr seg;
	int i;

	if (pread(fd, &head, sizeof(head), 0) != sizeof(head))
		return 0;
	for (i = 0; i < head.e_phnum; i++) {
		if (pread(fd, &seg, sizeof(seg), head.e_phoff + i * sizeof(seg)) != sizeof(seg))
			return 0;
		if (seg.p_type == PT_LOAD && seg.p_paddr != -1ULL && phys >= seg.p_paddr &&
		    phys - seg.p_paddr < seg.p_memsz && seg.p_memsz > size) {
			offset = seg.p_offset + phys - seg.p_paddr;
			size = seg.p_memsz;
		}
	}
	return offset;
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

TEST_F(host_access, kcore)
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
static int reports(FIXTURE_DATA(host_access) * self, int n)
{
	char phys[32], gfn[32];

	snprintf(phys, sizeof(phys), "%lx", (unsigned long)(self->pfn[n] * page));
	snprintf(gfn, sizeof(gfn), "gfn 0x%lx", (unsigned long)(GPA(n) / page));
	return log_lines(self->log, phys, gfn);
}

/* Touches page @n until that is reported: the kernel makes few reports at a time. */
static int first_reports(FIXTURE_DATA(host_access) * self, int fd, int n)
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
TEST_F_TIMEOUT(host_access, kcore_is_logged_once, 120)
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
TEST_F_TIMEOUT(host_access, kcore_of_everything, 300)
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

TEST_F(host_access, what_proc_says_of_the_page)
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
TEST_F_TIMEOUT(host_access, bug_of_the_kernel, 120)
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

static void expect_same_frames(struct __test_metadata *_metadata, FIXTURE_DATA(host_access) * self)
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

TEST_F_TIMEOUT(host_access, compaction, 120)
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
		if (gmem_write_file("/proc/sys/vm/compact_memory", "1"))
			SKIP(break, "no compaction in this kernel");
		expect_same_frames(_metadata, self);
	}
	munmap(holes, chunk);
}

TEST_F(host_access, dropped_caches)
{
	int i;

	EXPECT_EQ(0, gmem_write_file("/proc/sys/vm/drop_caches", "3"));
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
	return gmem_write_file(path, addr);
}

TEST_F(host_access, soft_offline)
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

TEST_F_TIMEOUT(host_access, memory_offline, 200)
{
	struct sigaction sa = { .sa_handler = be_woken };
	char path[96], buf[64];
	u64 block;
	int ret;

	gmem_read_file("/sys/devices/system/memory/block_size_bytes", buf, sizeof(buf));
	block = strtoull(buf, NULL, 16);
	if (!self->pfn[0] || !block)
		SKIP(return, "no memory blocks, or no page frame numbers");
	snprintf(path, sizeof(path), "/sys/devices/system/memory/memory%lu/state",
		 (unsigned long)(self->pfn[PAGE] * page / block));

	/* An attempt that goes on for ever is ended by a signal, which is no refusal. */
	sigaction(SIGALRM, &sa, NULL);
	alarm(60);
	ret = gmem_write_file(path, "offline");
	alarm(0);
	if (ret == -ENOENT)
		SKIP(return, "no memory blocks to be offlined");
	EXPECT_GT(0, ret);
	EXPECT_NE(-EINTR, ret);
	gmem_read_file(path, buf, sizeof(buf));
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
TEST_F(host_access, moved_pages)
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
static int frames_in(FIXTURE_DATA(host_access) * self, const char *mem, u64 size)
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
TEST_F_TIMEOUT(host_access, memory_is_normal_afterwards, 300)
{
	const u64 size = 32 << 20;
	u64 off, before, val, cpu0 = 1;
	int vm, fd, i;
	char *mem;

	fd = kcore_open(self->pfn);
	for (i = 0; fd >= 0 && i < NR_SECRET; i++)
		kcore_read(fd, self->pfn[i], NULL);
	gmem_write_file("/proc/sys/vm/compact_memory", "1");
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
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
