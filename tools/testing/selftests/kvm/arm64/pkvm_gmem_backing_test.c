// SPDX-License-Identifier: GPL-2.0-only
/*
 * What else a VM's memory can be, beside guest_memfd's being the whole of a protected one:
 * a protected VM on ordinary memory alone; both in one protected VM, to its end; and VMs that
 * are not protected, on both. The last need no pKVM: on a host without it they are all that
 * is tested.
 */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define GMEM_GPA	0x80000000ULL
#define HUGE		(2UL << 20)
#define NR_PAGES	520		/* more than one call can share */
#define NR_EACH		48		/* of each backing, where there are two */

enum memory_kind { ANON_SMALL, ANON_HUGE, SHARED_FILE };

/* Ordinary memory: 4 MiB, aligned to huge pages. @fd: of the file, or -1. */
static char *ordinary_memory(enum memory_kind kind, int *fd)
{
	char *area, *mem;

	*fd = -1;
	if (kind == SHARED_FILE) {
		*fd = syscall(__NR_memfd_create, "guest", 0);
		TEST_ASSERT(*fd >= 0 && !ftruncate(*fd, 2 * HUGE), "memfd: errno %d", errno);
	}
	area = mmap(NULL, 3 * HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	TEST_ASSERT(area != MAP_FAILED, "mmap: errno %d", errno);
	mem = (char *)(((u64)area + HUGE - 1) & ~(HUGE - 1));
	mem = mmap(mem, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_FIXED |
		   (*fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED), *fd, 0);
	TEST_ASSERT(mem != MAP_FAILED, "mmap: errno %d", errno);
	madvise(mem, 2 * HUGE, kind == ANON_HUGE ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	return mem;
}

static void fill(char *mem, u64 nr, u64 val)
{
	u64 i;

	for (i = 0; i < nr; i++)
		gmem_host_set64(mem + OFF(i), val + i);
}

/* How many pages of @nr do not begin with @val + @step * n. */
static u64 differ(const char *mem, u64 nr, u64 val, u64 step)
{
	u64 i, bad = 0, found;

	for (i = 0; i < nr; i++)
		bad += gmem_host_read64(mem + OFF(i), &found) || found != val + step * i;
	return bad;
}

/* ---- A protected VM on ordinary memory alone ---- */

FIXTURE(ordinary) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	char *mem;
	int fd;
	int kmsg;
};

FIXTURE_VARIANT(ordinary) {
	enum memory_kind kind;
};

FIXTURE_VARIANT_ADD(ordinary, small_pages) {
	.kind = ANON_SMALL,
};

FIXTURE_VARIANT_ADD(ordinary, huge_pages) {
	.kind = ANON_HUGE,
};

FIXTURE_VARIANT_ADD(ordinary, file) {
	.kind = SHARED_FILE,
};

FIXTURE_SETUP(ordinary)
{
	self->kmsg = gmem_kmsg_open();
	if (!pkvm_supported())
		SKIP(return, "no protected VMs here");
	self->mem = ordinary_memory(variant->kind, &self->fd);
	pkvm_vm_create(&self->vm, 2, PKVM_VM_PROTECTED | PKVM_VM_ANON_CODE);
	self->vcpu = self->vm.vcpu;
	ASSERT_EQ(0, pkvm_slot_anon(&self->vm, 0, GMEM_GPA, 2 * HUGE, self->mem));
}

FIXTURE_TEARDOWN(ordinary)
{
	if (self->mem) {
		pkvm_vm_destroy(&self->vm);
		munmap(self->mem, 2 * HUGE);
		if (self->fd >= 0)
			close(self->fd);
	}
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

TEST_F(ordinary, ranges)
{
	const u64 gpa = GMEM_GPA + HUGE - OFF(300);
	char *mem = self->mem + HUGE - OFF(300);
	u64 val, done;

	fill(mem, NR_PAGES, 0x100000);
	EXPECT_EQ(0, guest_check(&self->vcpu[1], gpa, NR_PAGES, 0x100000, 1, page));
	guest_fill(self->vcpu, gpa, NR_PAGES, 0x200000, 1, page);
	EXPECT_EQ(SIGSEGV, gmem_host_read64(mem, &val));
	EXPECT_EQ(SIGSEGV, gmem_host_write64(mem + OFF(NR_PAGES - 1), 1));

	/* As many calls as it takes, which is this backing's affair. */
	EXPECT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, gpa, NR_PAGES));
	EXPECT_EQ(0, differ(mem, NR_PAGES, 0x200000, 1));
	fill(mem, NR_PAGES, 0x300000);
	EXPECT_EQ(0, guest_check(self->vcpu, gpa, NR_PAGES, 0x300000, 1, page));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(self->vcpu, gpa, 1, &done));
	EXPECT_LT(0, guest_hvc_all(&self->vcpu[1], PKVM_HVC_UNSHARE, gpa, NR_PAGES));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_unshare(self->vcpu, gpa, 1, &done));
	EXPECT_EQ(SIGSEGV, gmem_host_read64(mem, &val));
	EXPECT_EQ(SIGSEGV, gmem_host_read64(mem + OFF(NR_PAGES - 1), &val));
	EXPECT_EQ(0, guest_check(self->vcpu, gpa, NR_PAGES, 0x300000, 1, page));
}

/* Pinned memory cannot be given up; asked all the same, the guest keeps what it has. */
TEST_F(ordinary, relinquish_is_refused)
{
	guest_write64(self->vcpu, GMEM_GPA, 0x11);
	EXPECT_EQ(PKVM_INVALID_PARAMETER,
		  guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GMEM_GPA, 1, 0, NULL));
	EXPECT_EQ(0x11, guest_read64(self->vcpu, GMEM_GPA));
	EXPECT_EQ(PKVM_SUCCESS, guest_share(self->vcpu, GMEM_GPA, 1, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER,
		  guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GMEM_GPA, 1, 0, NULL));
	EXPECT_EQ(0x11, gmem_host_get64(self->mem));
}

TEST_F(ordinary, end_of_the_vm)
{
	u64 locked = gmem_status_kb("VmLck"), pinned = gmem_status_kb("VmPin");

	guest_fill(self->vcpu, GMEM_GPA, NR_PAGES, 0x400000, 1, page);
	EXPECT_LT(0, guest_hvc_all(self->vcpu, PKVM_HVC_SHARE, GMEM_GPA, 100));
	/* It is pinned, and counted as such. */
	EXPECT_LT(locked + pinned, gmem_status_kb("VmLck") + gmem_status_kb("VmPin"));
	pkvm_vm_destroy(&self->vm);

	EXPECT_EQ(0, differ(self->mem, 100, 0x400000, 1));
	EXPECT_EQ(0, differ(self->mem + OFF(100), NR_PAGES - 100, 0, 0));
	fill(self->mem, NR_PAGES, 0x500000);
	EXPECT_EQ(0, differ(self->mem, NR_PAGES, 0x500000, 1));
	EXPECT_EQ(locked, gmem_status_kb("VmLck"));
	EXPECT_EQ(pinned, gmem_status_kb("VmPin"));
}

/* ---- Both in one protected VM ---- */

/*
 * In the guest's address space: a part of the file, ordinary memory, the rest of the file,
 * NR_EACH pages each, side by side.
 */
struct mixed {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd, other_fd;
	char *gmem, *other;
};

#define FILE_GPA(n)	(GMEM_GPA + OFF(n))
#define OTHER_GPA	(GMEM_GPA + OFF(NR_EACH))
#define REST_GPA	(GMEM_GPA + OFF(2 * NR_EACH))

static void mixed_begin(struct mixed *m, enum memory_kind kind)
{
	pkvm_vm_create(&m->vm, 2, PKVM_VM_PROTECTED);
	m->vcpu = m->vm.vcpu;
	m->fd = gmem_create(m->vm.fd, OFF(2 * NR_EACH), GUEST_MEMFD_FLAG_MMAP);
	TEST_ASSERT(m->fd >= 0, "guest_memfd: %d", m->fd);
	m->gmem = gmem_map(m->fd, OFF(2 * NR_EACH));
	m->other = ordinary_memory(kind, &m->other_fd);
	TEST_ASSERT(!pkvm_slot_gmem(&m->vm, 0, GMEM_GPA, OFF(NR_EACH), m->fd, 0) &&
		    !pkvm_slot_anon(&m->vm, 1, OTHER_GPA, OFF(NR_EACH), m->other) &&
		    !pkvm_slot_gmem(&m->vm, 2, REST_GPA, OFF(NR_EACH), m->fd, OFF(NR_EACH)),
		    "slots");
}

static void mixed_end(struct mixed *m)
{
	pkvm_vm_destroy(&m->vm);
	munmap(m->gmem, OFF(2 * NR_EACH));
	close(m->fd);
	munmap(m->other, 2 * HUGE);
	if (m->other_fd >= 0)
		close(m->other_fd);
}

FIXTURE(mixed) {
	struct mixed m;
	int kmsg;
};

FIXTURE_SETUP(mixed)
{
	self->kmsg = gmem_kmsg_open();
	if (!pkvm_supported() || !pkvm_gmem_supported())
		SKIP(return, "no protected VMs on guest_memfd here");
}

FIXTURE_TEARDOWN(mixed)
{
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* Calls that go from one backing into the next do what they can of each. */
TEST_F(mixed, ranges_over_both)
{
	struct mixed *m = &self->m;
	u64 val, done, i;

	mixed_begin(m, ANON_SMALL);
	fill(m->other, NR_EACH, 0x10);
	EXPECT_EQ(0, guest_check(m->vcpu, OTHER_GPA, NR_EACH, 0x10, 1, page));
	guest_fill(m->vcpu, GMEM_GPA, 3 * NR_EACH, 0x1000, 1, page);

	for (i = 0; i < 3; i++) {
		EXPECT_LT(0, guest_hvc_all(m->vcpu, PKVM_HVC_SHARE, GMEM_GPA, 3 * NR_EACH));
		EXPECT_EQ(0, differ(m->gmem, NR_EACH, 0x1000, 1));
		EXPECT_EQ(0, differ(m->other, NR_EACH, 0x1000 + NR_EACH, 1));
		EXPECT_EQ(0, differ(m->gmem + OFF(NR_EACH), NR_EACH, 0x1000 + 2 * NR_EACH, 1));

		EXPECT_LT(0, guest_hvc_all(&m->vcpu[1], PKVM_HVC_UNSHARE, GMEM_GPA,
					   3 * NR_EACH));
		EXPECT_EQ(SIGBUS, gmem_host_read64(m->gmem, &val));
		EXPECT_EQ(SIGSEGV, gmem_host_read64(m->other, &val));
		EXPECT_EQ(SIGBUS, gmem_host_read64(m->gmem + OFF(2 * NR_EACH - 1), &val));
		EXPECT_EQ(0, guest_check(m->vcpu, GMEM_GPA, 3 * NR_EACH, 0x1000, 1, page));
	}

	/* Each keeps to its own rules: one can be given up, the other cannot. */
	EXPECT_EQ(PKVM_SUCCESS, guest_hvc(m->vcpu, PKVM_HVC_RELINQUISH,
					  OTHER_GPA - OFF(4), 8, 0, &done));
	EXPECT_EQ(4, done);
	EXPECT_EQ(PKVM_INVALID_PARAMETER,
		  guest_hvc(m->vcpu, PKVM_HVC_RELINQUISH, OTHER_GPA, 4, 0, &done));
	EXPECT_EQ(0, guest_check(m->vcpu, OTHER_GPA - OFF(4), 4, 0, 0, page));
	EXPECT_EQ(0, guest_check(m->vcpu, OTHER_GPA, 2 * NR_EACH, 0x1000 + NR_EACH, 1, page));
	mixed_end(m);
}

/* The host's calls on the file: nothing of it reaches the other memory. */
TEST_F(mixed, file_alone_is_converted_and_punched)
{
	struct mixed *m = &self->m;
	u64 val;

	mixed_begin(m, ANON_HUGE);
	guest_fill(m->vcpu, GMEM_GPA, 3 * NR_EACH, 0x2000, 1, page);
	EXPECT_LT(0, guest_hvc_all(m->vcpu, PKVM_HVC_SHARE, OTHER_GPA - OFF(4), NR_EACH + 8));

	EXPECT_EQ(0, gmem_set_attr(m->fd, 0, OFF(2 * NR_EACH), GMEM_PRIVATE));
	EXPECT_EQ(SIGBUS, gmem_host_read64(m->gmem + OFF(NR_EACH), &val));
	EXPECT_EQ(0, differ(m->other, NR_EACH, 0x2000 + NR_EACH, 1));
	EXPECT_EQ(-EPERM, gmem_set_attr(m->fd, 0, OFF(NR_EACH), GMEM_SHARED));

	EXPECT_EQ(0, gmem_punch(m->fd, 0, OFF(NR_EACH)));
	EXPECT_EQ(-EHWPOISON, __guest_read64(m->vcpu, OTHER_GPA - OFF(1), &val));
	EXPECT_EQ(0, differ(m->other, NR_EACH, 0x2000 + NR_EACH, 1));
	EXPECT_EQ(0, guest_check(&m->vcpu[1], OTHER_GPA, 2 * NR_EACH, 0x2000 + NR_EACH, 1,
				 page));
	mixed_end(m);
}

enum end { END_KILLED, END_EXIT, END_FILE_FIRST, END_VM_FIRST, NR_ENDS };

/* Half of each part is shared; then the VM comes to its end. */
static void mixed_life(int sock, enum end end)
{
	struct mixed m;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	mixed_begin(&m, SHARED_FILE);
	guest_fill(m.vcpu, GMEM_GPA, 3 * NR_EACH, 0x3000, 1, page);
	for (i = 0; i < 3; i++)
		TEST_ASSERT(guest_hvc_all(m.vcpu, PKVM_HVC_SHARE, GMEM_GPA + OFF(i * NR_EACH),
					  NR_EACH / 2) > 0, "share");
	TEST_ASSERT(!gmem_send_fd(sock, m.fd) && !gmem_send_fd(sock, m.other_fd), "files");
	switch (end) {
	case END_KILLED:
		for (;;)
			pause();
	case END_FILE_FIRST:
		munmap(m.gmem, OFF(2 * NR_EACH));
		close(m.fd);
		munmap(m.other, 2 * HUGE);
		pkvm_vm_destroy(&m.vm);
		break;
	case END_VM_FIRST:
		mixed_end(&m);
		break;
	default:
		break;
	}
	_exit(0);
}

/* What was shared keeps its content, what was not reads as zero, and all of it is usable. */
static void expect_afterlife(struct __test_metadata *_metadata, char *mem, u64 val)
{
	EXPECT_EQ(0, differ(mem, NR_EACH / 2, val, 1));
	EXPECT_EQ(0, differ(mem + OFF(NR_EACH / 2), NR_EACH / 2, 0, 0));
	fill(mem, NR_EACH, ~val);
	EXPECT_EQ(0, differ(mem, NR_EACH, ~val, 1));
}

static void mixed_ends(struct __test_metadata *_metadata, enum end end)
{
	int socks[2], status, fd, other_fd;
	char *gmem, *other;
	pid_t pid;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		mixed_life(socks[1], end);
	close(socks[1]);
	fd = gmem_recv_fd(socks[0]);
	other_fd = gmem_recv_fd(socks[0]);
	ASSERT_LE(0, fd);
	ASSERT_LE(0, other_fd);
	if (end == END_KILLED)
		kill(pid, SIGKILL);
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(end == END_KILLED ? SIGKILL : 0, status);
	close(socks[0]);

	gmem = gmem_map(fd, OFF(2 * NR_EACH));
	other = mmap(NULL, OFF(NR_EACH), PROT_READ | PROT_WRITE, MAP_SHARED, other_fd, 0);
	ASSERT_NE(MAP_FAILED, other);
	EXPECT_EQ(0, gmem_set_attr(fd, 0, OFF(2 * NR_EACH), GMEM_SHARED));
	expect_afterlife(_metadata, gmem, 0x3000);
	expect_afterlife(_metadata, other, 0x3000 + NR_EACH);
	expect_afterlife(_metadata, gmem + OFF(NR_EACH), 0x3000 + 2 * NR_EACH);
	munmap(gmem, OFF(2 * NR_EACH));
	munmap(other, OFF(NR_EACH));
	close(fd);
	close(other_fd);
}

TEST_F_TIMEOUT(mixed, death_of_both, 120)
{
	enum end end;

	for (end = 0; end < NR_ENDS; end++)
		mixed_ends(_metadata, end);
}

TEST_F_TIMEOUT(mixed, memory_comes_back, 200)
{
	u64 before = 0, after, slack = gmem_free_slack_kb();
	int i;

	/* 15 lives of more than half a MiB; the first few fill caches. */
	for (i = 0; i < 20; i++) {
		if (i == 5)
			before = gmem_free_kb();
		mixed_begin(&self->m, i & 1 ? ANON_SMALL : ANON_HUGE);
		guest_fill(self->m.vcpu, GMEM_GPA, 3 * NR_EACH, 1, 1, page);
		EXPECT_LT(0, guest_hvc_all(self->m.vcpu, PKVM_HVC_SHARE,
					   OTHER_GPA - OFF(10), NR_EACH + 20));
		mixed_end(&self->m);
	}
	after = gmem_settled_free_kb(before - slack);
	EXPECT_LT(before, after + slack)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

/* ---- VMs that are not protected, with pKVM or without ---- */

FIXTURE(plain) {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	char *gmem, *anon;
	int kmsg;
};

#define ANON_GPA	0xa0000000ULL	/* aligned to huge pages, as its memory is */

FIXTURE_SETUP(plain)
{
	int none;

	self->kmsg = gmem_kmsg_open();
	pkvm_vm_create(&self->vm, 2, 0);
	self->vcpu = self->vm.vcpu;
	self->fd = gmem_create(self->vm.fd, OFF(NR_PAGES), GUEST_MEMFD_FLAG_MMAP |
			       GUEST_MEMFD_FLAG_INIT_SHARED);
	ASSERT_LE(0, self->fd);
	self->gmem = gmem_map(self->fd, OFF(NR_PAGES));
	self->anon = ordinary_memory(ANON_HUGE, &none);
	ASSERT_EQ(0, pkvm_slot_gmem(&self->vm, 0, GMEM_GPA, OFF(NR_PAGES), self->fd, 0));
	ASSERT_EQ(0, pkvm_slot_anon(&self->vm, 1, ANON_GPA, 2 * HUGE, self->anon));
}

FIXTURE_TEARDOWN(plain)
{
	pkvm_vm_destroy(&self->vm);
	munmap(self->gmem, OFF(NR_PAGES));
	munmap(self->anon, 2 * HUGE);
	close(self->fd);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* Host and guest use the same memory at the same time, whichever kind it is. */
TEST_F(plain, nothing_is_hidden)
{
	fill(self->gmem, NR_PAGES, 0x1000);
	fill(self->anon, NR_PAGES, 0x2000);
	EXPECT_EQ(0, guest_check(self->vcpu, GMEM_GPA, NR_PAGES, 0x1000, 1, page));
	EXPECT_EQ(0, guest_check(&self->vcpu[1], ANON_GPA, NR_PAGES, 0x2000, 1, page));
	guest_fill(&self->vcpu[1], GMEM_GPA, NR_PAGES, 0x3000, 1, page);
	guest_fill(self->vcpu, ANON_GPA, NR_PAGES, 0x4000, 1, page);
	EXPECT_EQ(0, differ(self->gmem, NR_PAGES, 0x3000, 1));
	EXPECT_EQ(0, differ(self->anon, NR_PAGES, 0x4000, 1));
	EXPECT_EQ(0, gmem_kernel_read(self->gmem));
	EXPECT_EQ(0, gmem_kernel_write(self->gmem));
	EXPECT_EQ(0, guest_read64(self->vcpu, GMEM_GPA));
}

/* There is no private memory, for neither side to ask for. */
TEST_F(plain, nothing_can_be_converted)
{
	struct kvm_memory_attributes2 attr;

	EXPECT_GE(0, gmem_check_cap(self->vm.fd, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES));
	guest_write64(self->vcpu, GMEM_GPA, 0x11);
	EXPECT_GT(0, guest_share(self->vcpu, GMEM_GPA, 1, NULL));
	EXPECT_GT(0, guest_unshare(self->vcpu, GMEM_GPA, 1, NULL));
	EXPECT_GT(0, guest_hvc(self->vcpu, PKVM_HVC_RELINQUISH, GMEM_GPA, 1, 0, NULL));
	EXPECT_EQ(0x11, guest_read64(self->vcpu, GMEM_GPA));
	EXPECT_EQ(-EINVAL, gmem_set_attr(self->fd, 0, page, GMEM_PRIVATE));
	if (!gmem_get_attr(self->fd, 0, OFF(NR_PAGES), &attr))
		EXPECT_EQ(GMEM_SHARED, attr.attributes);
	EXPECT_EQ(0x11, gmem_host_get64(self->gmem));
}

/* What the host takes away under the guest: zeroes at the next touch, of either kind. */
TEST_F(plain, memory_that_goes_and_comes)
{
	int status, i;
	pid_t pid;

	for (i = 0; i < 3; i++) {
		guest_fill(self->vcpu, GMEM_GPA, NR_PAGES, 0x5000, 1, page);
		guest_fill(self->vcpu, ANON_GPA, NR_PAGES, 0x6000, 1, page);
		EXPECT_EQ(0, gmem_punch(self->fd, OFF(5), OFF(NR_PAGES - 10)));
		EXPECT_EQ(0, madvise(self->anon + OFF(5), OFF(NR_PAGES - 10), MADV_DONTNEED));
		EXPECT_EQ(0, guest_check(&self->vcpu[1], GMEM_GPA, 5, 0x5000, 1, page));
		EXPECT_EQ(0, guest_check(&self->vcpu[1], GMEM_GPA + OFF(5), NR_PAGES - 10, 0, 0,
					 page));
		EXPECT_EQ(0, guest_check(&self->vcpu[1], ANON_GPA, 5, 0x6000, 1, page));
		EXPECT_EQ(0, guest_check(&self->vcpu[1], ANON_GPA + OFF(5), NR_PAGES - 10, 0, 0,
					 page));
	}

	/* A child shares the file and has its own copy of the rest. */
	guest_fill(self->vcpu, GMEM_GPA, 8, 0x7000, 1, page);
	guest_fill(self->vcpu, ANON_GPA, 8, 0x8000, 1, page);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		fill(self->gmem, 4, 0x9000);
		fill(self->anon, 4, 0xa000);
		_exit(0);
	}
	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, guest_check(self->vcpu, GMEM_GPA, 4, 0x9000, 1, page));
	EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, 8, 0x8000, 1, page));
	fill(self->anon, 4, 0xb000);
	EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, 4, 0xb000, 1, page));
}

/* Slots may be deleted and made again, after the VM has run; the memory is still there. */
TEST_F(plain, slots_that_go_and_come)
{
	u64 val;
	int i;

	for (i = 0; i < 3; i++) {
		guest_fill(self->vcpu, GMEM_GPA, NR_PAGES, 0x1100 + i, 1, page);
		guest_fill(self->vcpu, ANON_GPA, NR_PAGES, 0x2200 + i, 1, page);
		EXPECT_EQ(0, gmem_set_slot(self->vm.fd, 0, GMEM_GPA, 0, NULL, self->fd, 0));
		EXPECT_EQ(0, pkvm_slot_anon(&self->vm, 1, ANON_GPA, 0, self->anon));
		EXPECT_EQ(PKVM_STOP_OTHER, __guest_read64(self->vcpu, GMEM_GPA, &val));
		EXPECT_EQ(KVM_EXIT_MMIO, self->vcpu->run->exit_reason);
		EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));
		EXPECT_EQ(PKVM_STOP_OTHER, __guest_read64(self->vcpu, ANON_GPA, &val));
		EXPECT_EQ(0, pkvm_vcpu_resume(self->vcpu));

		/* At each other's place, and back. */
		EXPECT_EQ(0, pkvm_slot_gmem(&self->vm, 0, ANON_GPA, OFF(NR_PAGES), self->fd, 0));
		EXPECT_EQ(0, pkvm_slot_anon(&self->vm, 1, GMEM_GPA, 2 * HUGE, self->anon));
		EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, NR_PAGES, 0x1100 + i, 1, page));
		EXPECT_EQ(0, guest_check(self->vcpu, GMEM_GPA, NR_PAGES, 0x2200 + i, 1, page));
		EXPECT_EQ(0, gmem_set_slot(self->vm.fd, 0, ANON_GPA, 0, NULL, self->fd, 0));
		EXPECT_EQ(0, pkvm_slot_anon(&self->vm, 1, GMEM_GPA, 0, self->anon));
		EXPECT_EQ(0, pkvm_slot_gmem(&self->vm, 0, GMEM_GPA, OFF(NR_PAGES), self->fd, 0));
		EXPECT_EQ(0, pkvm_slot_anon(&self->vm, 1, ANON_GPA, 2 * HUGE, self->anon));
		EXPECT_EQ(0, guest_check(self->vcpu, GMEM_GPA, NR_PAGES, 0x1100 + i, 1, page));
		EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, NR_PAGES, 0x2200 + i, 1, page));
	}
}

TEST_F(plain, end_of_the_vm)
{
	guest_fill(self->vcpu, GMEM_GPA, NR_PAGES, 0x1230, 1, page);
	guest_fill(self->vcpu, ANON_GPA, NR_PAGES, 0x4560, 1, page);
	EXPECT_EQ(PKVM_STOP_OFF, guest_off(self->vcpu));
	pkvm_vm_destroy(&self->vm);
	EXPECT_EQ(0, differ(self->gmem, NR_PAGES, 0x1230, 1));
	EXPECT_EQ(0, differ(self->anon, NR_PAGES, 0x4560, 1));
	EXPECT_EQ(0, gmem_punch(self->fd, 0, OFF(NR_PAGES)));
	EXPECT_EQ(0, differ(self->gmem, NR_PAGES, 0, 0));
}

/* Guests of both types at the same time; the frames of one become the other's. */
TEST_F_TIMEOUT(plain, beside_protected_ones, 120)
{
	struct mixed m;
	u64 val;
	int i;

	if (!pkvm_supported() || !pkvm_gmem_supported())
		SKIP(return, "no protected VMs on guest_memfd here");
	for (i = 0; i < 4; i++) {
		mixed_begin(&m, ANON_SMALL);
		guest_fill(m.vcpu, GMEM_GPA, 3 * NR_EACH, 0x1000, 1, page);
		guest_fill(self->vcpu, GMEM_GPA, NR_PAGES, 0x2000 + i, 1, page);
		guest_fill(self->vcpu, ANON_GPA, NR_PAGES, 0x3000 + i, 1, page);
		EXPECT_EQ(SIGBUS, gmem_host_read64(m.gmem, &val));
		EXPECT_EQ(0, guest_check(m.vcpu, GMEM_GPA, 3 * NR_EACH, 0x1000, 1, page));
		EXPECT_EQ(0, differ(self->gmem, NR_PAGES, 0x2000 + i, 1));
		EXPECT_EQ(0, differ(self->anon, NR_PAGES, 0x3000 + i, 1));

		/* What is freed on one side is taken on the other. */
		EXPECT_EQ(0, gmem_punch(self->fd, 0, OFF(NR_PAGES)));
		EXPECT_EQ(0, madvise(self->anon, 2 * HUGE, MADV_DONTNEED));
		EXPECT_EQ(0, gmem_punch(m.fd, 0, page));
		EXPECT_EQ(-EHWPOISON, __guest_read64(m.vcpu, GMEM_GPA, &val));
		EXPECT_EQ(0, guest_check(self->vcpu, GMEM_GPA, NR_PAGES, 0, 0, page));
		mixed_end(&m);
		EXPECT_EQ(0, guest_check(self->vcpu, ANON_GPA, NR_PAGES, 0, 0, page));
	}
}

int main(int argc, char **argv)
{
	int fd = pkvm_vm_open(0);

	page = getpagesize();
	__TEST_REQUIRE(fd >= 0, "no VMs here: no KVM");
	close(fd);
	return test_harness_run(argc, argv);
}
