// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd: how pages, files, VMs and processes end, in every
 * order, and what is left of the guest's memory then.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_PAGES	1024

/* Which pages of the file become what in a "life". */
#define NR_PRIVATE	16		/* 0-15: written by the guest */
#define FIRST_SHARED	16		/* 16-23: and shared */
#define NR_SHARED	8
#define FIRST_DROPPED	24		/* 24-27: shared, the host gave up its access */
#define NR_DROPPED	4
#define FIRST_HOST	768		/* far from those: never touched */
#define NR_HOST		4

#define SECRET		0x5ec4e70000000000ULL
#define PUBLIC		0x7070000000000000ULL
#define HOST_OWN	0x4057000000000000ULL

/* How much free memory may be missing: see gmem_free_slack_kb(). */
#define SLACK_KB	gmem_free_slack_kb()

struct life {
	struct pkvm_vm vm;
	int fd;
	char *mem;
};

static void life_begin(struct life *l, int nr_vcpus)
{
	TEST_ASSERT(page, "page size not set");
	l->fd = pkvm_vm_create_gmem(&l->vm, nr_vcpus, MEM_GPA, OFF(NR_PAGES),
				    GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
				    &l->mem);
}

static void life_live(struct life *l)
{
	struct pkvm_vcpu *vcpu = &l->vm.vcpu[0];
	int i;

	for (i = 0; i < NR_HOST; i++)
		gmem_host_set64(l->mem + OFF(FIRST_HOST + i), HOST_OWN + i);
	TEST_ASSERT(!gmem_set_attr(l->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE), "to private");
	guest_fill(vcpu, GPA(0), NR_PRIVATE * page / 8, SECRET, 1, 8);
	guest_fill(vcpu, GPA(FIRST_SHARED), NR_SHARED + NR_DROPPED, PUBLIC, 1, page);
	TEST_ASSERT(guest_hvc_all(vcpu, PKVM_HVC_SHARE, GPA(FIRST_SHARED),
				  NR_SHARED + NR_DROPPED) > 0, "share");
	for (i = 0; i < NR_SHARED; i++)
		TEST_ASSERT(gmem_host_get64(l->mem + OFF(FIRST_SHARED + i)) == PUBLIC + i,
			    "shared content");
	TEST_ASSERT(!gmem_set_attr(l->fd, OFF(FIRST_DROPPED), OFF(NR_DROPPED),
				   GMEM_PRIVATE), "give up");
}

static void life_end(struct life *l)
{
	pkvm_vm_destroy(&l->vm);
	if (l->mem)
		munmap(l->mem, OFF(NR_PAGES));
	if (l->fd >= 0)
		close(l->fd);
	l->mem = NULL;
	l->fd = -1;
}

/*
 * What whoever still holds the file finds when the VM is gone. Returns the number
 * of things that are not as they should be.
 */
static int afterlife(int fd)
{
	char *mem;
	int bad = 0, i, ret;
	size_t w;
	u64 val;

	ret = gmem_set_attr(fd, 0, OFF(NR_PAGES), GMEM_SHARED);
	if (ret) {
		fprintf(stderr, "# all to shared after the VM's end: %d\n", ret);
		return 1;
	}

	mem = gmem_map(fd, OFF(NR_PAGES));
	for (i = 0; i < NR_PRIVATE; i++) {
		for (w = 0; w < page; w += 8) {
			if (!gmem_host_read64(mem + OFF(i) + w, &val) && !val)
				continue;
			fprintf(stderr, "# private page %d: %#lx at %#zx\n", i,
				(unsigned long)val, w);
			bad++;
			break;
		}
	}
	for (i = 0; i < NR_SHARED + NR_DROPPED; i++) {
		if (!gmem_host_read64(mem + OFF(FIRST_SHARED + i), &val) &&
		    val == PUBLIC + i)
			continue;
		fprintf(stderr, "# shared page %d: %#lx\n", i, (unsigned long)val);
		bad++;
	}
	for (i = 0; i < NR_HOST; i++) {
		if (!gmem_host_read64(mem + OFF(FIRST_HOST + i), &val) &&
		    val == HOST_OWN + i)
			continue;
		fprintf(stderr, "# host page %d: %#lx\n", i, (unsigned long)val);
		bad++;
	}

	/* And it is memory like any other. */
	for (i = 0; i < NR_PAGES; i++)
		bad += gmem_host_write64(mem + OFF(i), i) ? 1 : 0;
	munmap(mem, OFF(NR_PAGES));
	return bad;
}

FIXTURE(teardown) {
	struct life l;
	struct pkvm_vcpu *vcpu;
	int kmsg;
};

FIXTURE_SETUP(teardown)
{
	self->kmsg = gmem_kmsg_open();
	life_begin(&self->l, 4);
	self->vcpu = self->l.vm.vcpu;
}

FIXTURE_TEARDOWN(teardown)
{
	life_end(&self->l);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

#define EXPECT_DESTROYED(vcpu, n) do {					\
	u64 __v;							\
									\
	EXPECT_EQ(-EHWPOISON, __guest_read64(vcpu, GPA(n), &__v));	\
	EXPECT_EQ(KVM_EXIT_MEMORY_FAULT, (vcpu)->run->exit_reason);	\
	EXPECT_EQ(GPA(n), (vcpu)->run->memory_fault.gpa);		\
	/* It does not come back by trying again. */			\
	EXPECT_EQ(-EHWPOISON, pkvm_vcpu_resume(vcpu));			\
} while (0)

TEST_F(teardown, punch_of_what_the_guest_owns)
{
	struct life *l = &self->l;
	u64 val;

	life_live(l);
	EXPECT_EQ(0, gmem_punch(l->fd, OFF(3), page));
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(l->fd, OFF(3)));
	EXPECT_FALSE(gmem_populated(l->fd, OFF(3)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(l->mem + OFF(3), &val));

	/* The guest hears of it, on every vCPU, and is not given another page. */
	EXPECT_DESTROYED(&self->vcpu[0], 3);
	EXPECT_DESTROYED(&self->vcpu[1], 3);
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(&self->vcpu[2], GPA(3), 1, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_unshare(&self->vcpu[2], GPA(3), 1, NULL));

	/* Its neighbours are as they were. */
	EXPECT_EQ(0, guest_check(&self->vcpu[2], GPA(0), 3 * page / 8, SECRET, 1, 8));
	EXPECT_EQ(0, guest_check(&self->vcpu[2], GPA(4), 4 * page / 8,
				 SECRET + 4 * page / 8, 1, 8));

	/* The host may have the offset, and the guest still does not believe it. */
	EXPECT_EQ(0, gmem_set_attr(l->fd, OFF(3), page, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(l->mem + OFF(3)));
	gmem_host_set64(l->mem + OFF(3), SECRET + 3 * page / 8);
	EXPECT_DESTROYED(&self->vcpu[3], 3);
	EXPECT_EQ(0, gmem_set_attr(l->fd, OFF(3), page, GMEM_PRIVATE));
	EXPECT_EQ(-EHWPOISON, pkvm_vcpu_resume(&self->vcpu[3]));
}

/*
 * The guest hears of it; the page goes neither back to the host, which could read the
 * guest's content in it, nor anywhere else. The neighbours are as they were.
 */
TEST_F(teardown, memory_failure)
{
	struct life *l = &self->l;
	u64 owned = FIRST_SHARED, shared = FIRST_SHARED + 1, val, pfn;

	life_live(l);
	pfn = gmem_pfn(l->mem + OFF(owned));
	ASSERT_NE(0, pfn);
	EXPECT_EQ(0, guest_unshare(&self->vcpu[0], GPA(owned), 1, NULL));
	if (gmem_report_bad_memory(pfn) == -ENOENT)
		SKIP(return, "no hard_offline_page in this kernel");
	EXPECT_DESTROYED(&self->vcpu[0], owned);
	/* The host pretends that it is over: EL2 keeps the page, and so its content. */
	EXPECT_EQ(-EPERM, gmem_set_attr(l->fd, OFF(owned), page, GMEM_SHARED));
	EXPECT_EQ(SIGBUS, gmem_host_read64(l->mem + OFF(owned), &val));

	pfn = gmem_pfn(l->mem + OFF(shared));
	ASSERT_NE(0, pfn);
	EXPECT_EQ(0, gmem_report_bad_memory(pfn));
	EXPECT_DESTROYED(&self->vcpu[1], shared);

	EXPECT_EQ(PUBLIC + 2, guest_read64(&self->vcpu[2], GPA(FIRST_SHARED + 2)));
	EXPECT_EQ(PUBLIC + 2, gmem_host_get64(l->mem + OFF(FIRST_SHARED + 2)));
	EXPECT_EQ(0, guest_check(&self->vcpu[2], GPA(0), 3 * page / 8, SECRET, 1, 8));
}

TEST_F(teardown, punch_of_what_the_guest_shares)
{
	struct life *l = &self->l;
	u64 n = FIRST_SHARED;

	life_live(l);
	EXPECT_EQ(0, gmem_punch(l->fd, OFF(n), page));
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(l->fd, OFF(n)));
	EXPECT_EQ(0, gmem_host_get64(l->mem + OFF(n)));
	EXPECT_DESTROYED(&self->vcpu[0], n);
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_unshare(&self->vcpu[1], GPA(n), 1, NULL));
	EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(&self->vcpu[1], GPA(n), 1, NULL));
	EXPECT_EQ(PUBLIC + 1, guest_read64(&self->vcpu[1], GPA(n + 1)));
	EXPECT_EQ(PUBLIC + 1, gmem_host_get64(l->mem + OFF(n + 1)));
}

TEST_F(teardown, punch_of_what_nobody_touched)
{
	struct life *l = &self->l;

	life_live(l);
	EXPECT_EQ(0, gmem_punch(l->fd, OFF(FIRST_HOST), OFF(NR_HOST)));
	EXPECT_EQ(0, guest_read64(&self->vcpu[0], GPA(FIRST_HOST)));
	EXPECT_EQ(0, gmem_punch(l->fd, OFF(FIRST_HOST), OFF(NR_HOST)));
	EXPECT_DESTROYED(&self->vcpu[1], FIRST_HOST);
}

TEST_F(teardown, punch_of_everything)
{
	struct life *l = &self->l;

	life_live(l);
	EXPECT_EQ(0, gmem_punch(l->fd, 0, OFF(NR_PAGES)));
	EXPECT_DESTROYED(&self->vcpu[0], 0);
	EXPECT_DESTROYED(&self->vcpu[1], FIRST_SHARED);
	EXPECT_DESTROYED(&self->vcpu[2], FIRST_DROPPED);
	EXPECT_EQ(0, guest_read64(&self->vcpu[3], GPA(FIRST_HOST)));
	EXPECT_EQ(0, gmem_punch(l->fd, 0, OFF(NR_PAGES)));
}

TEST_F(teardown, punch_of_a_referenced_page)
{
	struct life *l = &self->l;
	struct gmem_pin pin;
	u64 n = FIRST_SHARED;

	life_live(l);
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, l->mem + OFF(n), page));
	EXPECT_EQ(0, gmem_punch(l->fd, OFF(n), page));
	EXPECT_DESTROYED(&self->vcpu[0], n);
	/* The reference outlives file and VM. */
	life_end(l);
	gmem_pin_drop(&pin);
}

TEST_F(teardown, reference_outlives_the_vm)
{
	struct life *l = &self->l;
	struct gmem_pin pin;
	u64 val = 0;

	life_live(l);
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE,
				   l->mem + OFF(FIRST_SHARED), page));
	life_end(l);
	/* It was shared: the pipe still has what the guest showed. */
	EXPECT_EQ(8, read(pin.fd[0], &val, sizeof(val)));
	EXPECT_EQ(PUBLIC, val);
	gmem_pin_drop(&pin);
}

TEST_F(teardown, file_keeps_its_vm)
{
	struct life *l = &self->l;
	char *mem = l->mem;
	u64 val, err;

	life_live(l);
	pkvm_vm_close_vcpus(&l->vm);
	pkvm_vm_close_fd(&l->vm);
	pkvm_vm_close_code(&l->vm);

	/* This process lives, so does the guest's claim. */
	EXPECT_EQ(-EPERM, gmem_set_attr_err(l->fd, 0, OFF(NR_PAGES), GMEM_SHARED, &err));
	EXPECT_EQ(0, err);
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem, &val));
	EXPECT_EQ(PUBLIC, gmem_host_get64(mem + OFF(FIRST_SHARED)));

	EXPECT_EQ(0, gmem_punch(l->fd, 0, page));
	EXPECT_EQ(0, gmem_set_attr(l->fd, 0, page, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(mem));

	/* A mapping is as good as a descriptor. */
	close(l->fd);
	l->fd = -1;
	EXPECT_EQ(SIGBUS, gmem_host_read64(mem + page, &val));
	EXPECT_EQ(PUBLIC, gmem_host_get64(mem + OFF(FIRST_SHARED)));
}

TEST_F(teardown, vm_that_never_ran)
{
	struct life *l = &self->l;

	gmem_host_set64(l->mem, 0x1234);
	EXPECT_EQ(0, gmem_set_attr(l->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_set_attr(l->fd, 0, OFF(NR_PAGES), GMEM_SHARED));
	EXPECT_EQ(0x1234, gmem_host_get64(l->mem));
	EXPECT_EQ(0, gmem_set_attr(l->fd, 0, page, GMEM_PRIVATE));
	EXPECT_EQ(0, gmem_punch(l->fd, 0, page));
}

enum part { PART_VM, PART_VCPUS, PART_FILE, PART_MAPPING, PART_CODE, NR_PARTS };

static void drop_part(struct life *l, enum part part)
{
	switch (part) {
	case PART_VM:
		pkvm_vm_close_fd(&l->vm);
		break;
	case PART_VCPUS:
		pkvm_vm_close_vcpus(&l->vm);
		break;
	case PART_FILE:
		close(l->fd);
		l->fd = -1;
		break;
	case PART_MAPPING:
		munmap(l->mem, OFF(NR_PAGES));
		l->mem = NULL;
		break;
	default:
		pkvm_vm_close_code(&l->vm);
		break;
	}
}

/* The n-th order of all. */
static void nth_order(unsigned int n, enum part *order)
{
	enum part left[NR_PARTS];
	int i, j, k;

	for (i = 0; i < NR_PARTS; i++)
		left[i] = i;
	for (i = 0; i < NR_PARTS; i++) {
		k = n % (NR_PARTS - i);
		n /= NR_PARTS - i;
		order[i] = left[k];
		for (j = k; j < NR_PARTS - 1; j++)
			left[j] = left[j + 1];
	}
}

TEST_F_TIMEOUT(teardown, teardown_in_every_order, 300)
{
	enum part order[NR_PARTS];
	struct life l;
	u64 before, after, val;
	unsigned int n;
	int i;

	life_end(&self->l);
	before = gmem_free_kb();
	for (n = 0; n < 120; n++) {
		nth_order(n, order);
		life_begin(&l, 2);
		life_live(&l);
		for (i = 0; i < NR_PARTS; i++) {
			drop_part(&l, order[i]);
			if (!l.mem)
				continue;
			EXPECT_EQ(SIGBUS, gmem_host_read64(l.mem + page, &val));
			EXPECT_EQ(0, gmem_host_read64(l.mem + OFF(FIRST_SHARED), &val));
			EXPECT_EQ(PUBLIC, val);
		}
		/* One log line for the order that shows it, not for all after it. */
		ASSERT_EQ(0, gmem_kmsg_bad(self->kmsg)) {
			TH_LOG("order %u: %d %d %d %d %d", n, order[0], order[1],
			       order[2], order[3], order[4]);
		}
	}
	after = gmem_settled_free_kb(before - SLACK_KB);
	EXPECT_LT(before, after + SLACK_KB)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

/* How a VMM goes. */
enum end { END_EXIT, END_KILLED_IDLE, END_KILLED_RUNNING, END_EXEC };

static void *run_for_ever(void *arg)
{
	struct pkvm_vcpu *vcpu = arg;
	u64 args[] = { GPA(200 + 8 * vcpu->id), 8, 1ULL << 60, 1, page };

	pkvm_vcpu_call(vcpu, PKVM_OP_PINGPONG, args, 5, 5);
	return NULL;
}

/* A VMM of its own process: lives, hands its file to @sock and ends. */
static void vmm_process(int sock, enum end end)
{
	pthread_t threads[4];
	struct life l;
	int i;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	life_begin(&l, 4);
	life_live(&l);
	if (end == END_KILLED_RUNNING) {
		for (i = 0; i < 4; i++)
			TEST_ASSERT(!pthread_create(&threads[i], NULL, run_for_ever, &l.vm.vcpu[i]),
				    "thread");
		usleep(50000);
	}
	TEST_ASSERT(!gmem_send_fd(sock, l.fd), "SCM_RIGHTS");
	switch (end) {
	case END_EXIT:
		_exit(0);
	case END_EXEC:
		/* A new image with all of the old one's descriptors. */
		fcntl(l.vm.fd, F_SETFD, 0);
		for (i = 0; i < l.vm.nr_vcpus; i++)
			fcntl(l.vm.vcpu[i].fd, F_SETFD, 0);
		execl("/proc/self/exe", "vmm", "--wait", NULL);
		_exit(1);
	default:
		for (;;)
			pause();
	}
}

static void vmm_ends(struct __test_metadata *_metadata, enum end end)
{
	int socks[2], fd, status, i;
	char *mem;
	pid_t pid;
	u64 val;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		close(socks[0]);
		vmm_process(socks[1], end);
	}
	close(socks[1]);
	fd = gmem_recv_fd(socks[0]);
	ASSERT_LE(0, fd);
	mem = gmem_map(fd, OFF(NR_PAGES));

	if (end == END_EXEC) {
		/* The address space goes, the VM's descriptors stay. */
		for (i = 0; i < 1000; i++) {
			if (!gmem_set_attr(fd, 0, page, GMEM_SHARED))
				break;
			usleep(10000);
		}
		EXPECT_GT(1000, i);
	}
	if (end == END_KILLED_IDLE || end == END_KILLED_RUNNING) {
		/* While it lives, this process sees what the VMM saw. */
		EXPECT_EQ(SIGBUS, gmem_host_read64(mem, &val));
		EXPECT_EQ(PUBLIC, gmem_host_get64(mem + OFF(FIRST_SHARED)));
		EXPECT_EQ(-EPERM, gmem_set_attr(fd, 0, page, GMEM_SHARED));
		kill(pid, SIGKILL);
	}
	if (end != END_EXEC) {
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		/* As it was meant to end, and not before. */
		EXPECT_EQ(end == END_EXIT ? 0 : SIGKILL, status);
	}

	/* Not by our mapping alone: the host gave it up, it has to take it back. */
	if (end != END_EXEC)
		EXPECT_EQ(SIGBUS, gmem_host_read64(mem, &val));
	EXPECT_EQ(PUBLIC, gmem_host_get64(mem + OFF(FIRST_SHARED)));
	EXPECT_EQ(0, afterlife(fd));

	if (end == END_EXEC) {
		kill(pid, SIGKILL);
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
	}
	munmap(mem, OFF(NR_PAGES));
	close(fd);
	close(socks[0]);
}

TEST_F(teardown, vmm_exits)
{
	vmm_ends(_metadata, END_EXIT);
}

TEST_F(teardown, vmm_is_killed)
{
	vmm_ends(_metadata, END_KILLED_IDLE);
}

TEST_F(teardown, vmm_is_killed_while_it_runs)
{
	vmm_ends(_metadata, END_KILLED_RUNNING);
}

TEST_F(teardown, vmm_execs)
{
	vmm_ends(_metadata, END_EXEC);
}

/* All descriptors, VM and vCPUs among them, go on in a forked process. */
TEST_F(teardown, vmm_forks_and_exits)
{
	int socks[2], status, bad = -1;
	pid_t pid, heir;
	char c = 0;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		struct life l;

		life_begin(&l, 2);
		life_live(&l);
		heir = fork();
		if (heir)
			_exit(heir < 0);

		/* The parent has been waited for when this comes. */
		TEST_ASSERT(read(socks[1], &c, 1) == 1, "no signal to go on");
		bad = afterlife(l.fd);
		TEST_ASSERT(write(socks[1], &bad, sizeof(bad)) == sizeof(bad), "report");
		_exit(0);
	}

	EXPECT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	close(socks[1]);
	EXPECT_EQ(1, write(socks[0], &c, 1));
	EXPECT_EQ(sizeof(bad), read(socks[0], &bad, sizeof(bad)));
	EXPECT_EQ(0, bad);
	close(socks[0]);
}

TEST_F_TIMEOUT(teardown, killed_at_any_moment, 300)
{
	u64 before = 0, after;
	unsigned int i;
	int socks[2], fd;
	pid_t pid;

	life_end(&self->l);
	for (i = 0; i < 40; i++) {
		/* The first few fill caches that nobody empties. */
		if (i == 5)
			before = gmem_free_kb();
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			close(socks[0]);
			vmm_process(socks[1], END_KILLED_RUNNING);
		}
		close(socks[1]);
		if (i & 1) {
			fd = gmem_recv_fd(socks[0]);
			usleep(i * 997 % 20000);
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
			EXPECT_EQ(0, afterlife(fd));
			close(fd);
		} else {
			usleep(i * 7919 % 200000);
			kill(pid, SIGKILL);
			waitpid(pid, NULL, 0);
		}
		close(socks[0]);
	}
	after = gmem_settled_free_kb(before - SLACK_KB);
	EXPECT_LT(before, after + SLACK_KB)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

TEST_F_TIMEOUT(teardown, memory_comes_back, 300)
{
	u64 before = 0, during = 0, after;
	struct life l;
	int i;

	life_end(&self->l);
	for (i = 0; i < 40; i++) {
		if (i == 5)
			before = gmem_free_kb();
		life_begin(&l, 2);
		life_live(&l);
		guest_fill(&l.vm.vcpu[1], GPA(40), 360, 1, 1, page);
		EXPECT_LT(0, guest_hvc_all(&l.vm.vcpu[0], PKVM_HVC_SHARE, GPA(100), 100));
		during = gmem_free_kb();
		life_end(&l);
	}
	after = gmem_settled_free_kb(before - SLACK_KB);
	/* 35 lives of 1.5 MiB each. */
	EXPECT_LT(before, after + SLACK_KB)
		TH_LOG("%ju kB free before, %ju with a VM, %ju after", (uintmax_t)before,
		       (uintmax_t)during, (uintmax_t)after);
}

/* Stands in for the program that a VMM turns into. */
static void __attribute__((constructor)) wait_for_the_end(int argc, char **argv)
{
	if (argc == 2 && !strcmp(argv[1], "--wait"))
		for (;;)
			pause();
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
