// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd whose file is in another process, too: a VMM lets go of its
 * parts and is killed, and the other one punches, in every order. What the guest kept for
 * itself is never seen by anybody, what it shared stays.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_PAGES	64
/* 0-15 are the guest's own, 16-23 it shares, 24-31 a running vCPU shares and unshares. */
#define FIRST_SHARED	16
#define FIRST_BUSY	24
#define FIRST_OTHER	32
/* The other process punches one of each. */
#define PUNCHED_OWN	5
#define PUNCHED_SHARED	20

#define SECRET		0x5ec4e70000000000ULL
#define PUBLIC		0x7070000000000000ULL

/* ---- The VMM, in a process of its own ---- */

struct vmm {
	struct pkvm_vm vm;
	int fd;
	char *mem;
	pthread_t thread;
	bool running;
};

static void *run_for_ever(void *arg)
{
	u64 args[] = { GPA(FIRST_BUSY), 8, 1ULL << 60, 1, page };

	pkvm_vcpu_call(arg, PKVM_OP_PINGPONG, args, 5, 5);
	return NULL;
}

static void vmm_begin(struct vmm *v, bool running)
{
	struct pkvm_vcpu *vcpu = v->vm.vcpu;

	v->fd = pkvm_vm_create_gmem(&v->vm, 2, MEM_GPA, OFF(NR_PAGES), GUEST_MEMFD_FLAG_MMAP,
				    &v->mem);
	guest_fill(vcpu, GPA(0), FIRST_SHARED, SECRET, 1, page);
	guest_fill(vcpu, GPA(FIRST_SHARED), FIRST_BUSY - FIRST_SHARED, PUBLIC, 1, page);
	TEST_ASSERT(!guest_share(vcpu, GPA(FIRST_SHARED), FIRST_BUSY - FIRST_SHARED, NULL),
		    "share");
	v->running = running;
	if (running)
		TEST_ASSERT(!pthread_create(&v->thread, NULL, run_for_ever, &v->vm.vcpu[1]),
			    "thread");
}

enum op { CLOSE_FILE, CLOSE_VM, CLOSE_VCPUS, UNMAP, NR_VMM_OPS, PUNCH = NR_VMM_OPS, KILL, NR_OPS };

static const char op_letters[] = "fvumPK";

/* A running vCPU's structure stays mapped: its descriptor goes under its feet. */
static void close_vcpus(struct vmm *v)
{
	int i;

	if (!v->running) {
		pkvm_vm_close_vcpus(&v->vm);
		return;
	}
	for (i = 0; i < v->vm.nr_vcpus; i++)
		close(v->vm.vcpu[i].fd);
}

static int vmm_op(struct vmm *v, enum op op)
{
	int ret = 0;

	switch (op) {
	case CLOSE_FILE:
		ret = close(v->fd);
		break;
	case CLOSE_VM:
		/* A slot of a guest that has run does not go. */
		ret = gmem_set_slot(v->vm.fd, 0, MEM_GPA, 0, NULL, v->fd, 0) == -EPERM ? 0 : 1;
		pkvm_vm_close_fd(&v->vm);
		pkvm_vm_close_code(&v->vm);
		break;
	case CLOSE_VCPUS:
		close_vcpus(v);
		break;
	default:
		ret = munmap(v->mem, OFF(NR_PAGES));
		break;
	}
	return ret;
}

static void vmm_process(int sock, bool running)
{
	struct vmm v;
	int ret;
	char op;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	vmm_begin(&v, running);
	TEST_ASSERT(write(sock, &v.fd, sizeof(v.fd)) == sizeof(v.fd), "hello");
	while (read(sock, &op, 1) == 1) {
		ret = op == 's' ? gmem_send_fd(sock, v.fd) : vmm_op(&v, op);
		if (op != 's')
			TEST_ASSERT(write(sock, &ret, sizeof(ret)) == sizeof(ret), "answer");
	}
	_exit(0);
}

/* ---- The other process, which is the test ---- */

struct heir {
	pid_t vmm;
	int sock, fd;
	char *mem;
	bool punched;
};

/* By a message, or by taking it. */
static int take_file(struct heir *h, int theirs, bool by_pidfd)
{
	int pidfd, fd;
	char c = 's';

	if (!by_pidfd) {
		TEST_ASSERT(write(h->sock, &c, 1) == 1, "command");
		return gmem_recv_fd(h->sock);
	}
	pidfd = syscall(__NR_pidfd_open, h->vmm, 0);
	TEST_ASSERT(pidfd >= 0, "pidfd_open: errno %d", errno);
	fd = syscall(__NR_pidfd_getfd, pidfd, theirs, 0);
	close(pidfd);
	return fd;
}

static void heir_begin(struct heir *h, bool by_pidfd, bool running)
{
	int socks[2], theirs = -1;

	memset(h, 0, sizeof(*h));
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM, 0, socks), "socketpair");
	h->vmm = fork();
	TEST_ASSERT(h->vmm >= 0, "fork: errno %d", errno);
	if (!h->vmm) {
		close(socks[0]);
		vmm_process(socks[1], running);
	}
	close(socks[1]);
	h->sock = socks[0];
	TEST_ASSERT(read(h->sock, &theirs, sizeof(theirs)) == sizeof(theirs), "VMM");
	h->fd = take_file(h, theirs, by_pidfd);
	TEST_ASSERT(h->fd >= 0, "the file: %d, errno %d", h->fd, errno);
	h->mem = gmem_map(h->fd, OFF(NR_PAGES));
}

static int do_op(struct heir *h, enum op op)
{
	char c = op;
	int ret = 0;

	switch (op) {
	case KILL:
		kill(h->vmm, SIGKILL);
		return waitpid(h->vmm, NULL, 0) == h->vmm ? 0 : -ECHILD;
	case PUNCH:
		h->punched = true;
		ret = gmem_punch(h->fd, OFF(PUNCHED_OWN), page);
		return ret ?: gmem_punch(h->fd, OFF(PUNCHED_SHARED), page);
	default:
		if (write(h->sock, &c, 1) != 1 || read(h->sock, &ret, sizeof(ret)) != sizeof(ret))
			return -EPIPE;
		return ret;
	}
}

static void expect_page(struct __test_metadata *_metadata, struct heir *h, int n, u64 want)
{
	u64 val = ~0ULL;

	EXPECT_EQ(0, gmem_host_read64(h->mem + OFF(n), &val));
	EXPECT_EQ(want, val)
		TH_LOG("page %d", n);
}

static u64 shared_content(struct heir *h, int n)
{
	return h->punched && n == PUNCHED_SHARED ? 0 : PUBLIC + n - FIRST_SHARED;
}

/* Whatever has gone already: the private is private, the shared is shared. */
static void expect_alive(struct __test_metadata *_metadata, struct heir *h, bool alive)
{
	u64 val;
	int n;

	for (n = 0; n < FIRST_SHARED; n++)
		EXPECT_EQ(SIGBUS, gmem_host_read64(h->mem + OFF(n), &val));
	for (n = FIRST_SHARED; n < FIRST_BUSY; n++)
		expect_page(_metadata, h, n, shared_content(h, n));
	if (alive)
		EXPECT_EQ(-EPERM, gmem_set_attr(h->fd, 0, page, GMEM_SHARED));
}

static void expect_dead(struct __test_metadata *_metadata, struct heir *h)
{
	u64 word;
	int n;

	expect_alive(_metadata, h, false);
	EXPECT_EQ(0, gmem_set_attr(h->fd, 0, OFF(NR_PAGES), GMEM_SHARED));
	for (n = 0; n < FIRST_SHARED; n++) {
		for (word = 0; word < page; word += page / 8)
			EXPECT_EQ(0, gmem_host_get64(h->mem + OFF(n) + word));
	}
	for (n = FIRST_SHARED; n < FIRST_BUSY; n++)
		expect_page(_metadata, h, n, shared_content(h, n));
	for (n = 0; n < NR_PAGES; n++)
		gmem_host_set64(h->mem + OFF(n), n);
	EXPECT_EQ(0, gmem_set_attr(h->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
}

static void heir_end(struct heir *h)
{
	munmap(h->mem, OFF(NR_PAGES));
	close(h->fd);
	close(h->sock);
}

struct tally {
	int kmsg;
	unsigned int nr;
};

FIXTURE(teardown_orders) {
	struct tally t;
};

FIXTURE_SETUP(teardown_orders)
{
	self->t.kmsg = gmem_kmsg_open();
	/* A process of its own that is killed: its answers must not kill this one. */
	signal(SIGPIPE, SIG_IGN);
}

FIXTURE_TEARDOWN(teardown_orders)
{
	EXPECT_EQ(0, gmem_kmsg_bad(self->t.kmsg));
	close(self->t.kmsg);
}

static void one_order(struct __test_metadata *_metadata, struct tally *t,
		      const enum op *order, int len)
{
	char name[NR_OPS + 1] = "";
	bool killed = false;
	struct heir h;
	int i;

	/* How the file was handed on, and whether a vCPU runs: four ways in turn. */
	t->nr++;
	if (t->nr % 2 && !getenv("PKVM_ALL_ORDERS"))
		return;
	for (i = 0; i < len; i++)
		name[i] = op_letters[order[i]];
	heir_begin(&h, t->nr & 2, t->nr & 4);
	for (i = 0; i < len; i++) {
		EXPECT_EQ(0, do_op(&h, order[i]))
			TH_LOG("%s, step %d", name, i);
		killed |= order[i] == KILL;
		expect_alive(_metadata, &h, !killed);
	}
	expect_dead(_metadata, &h);
	heir_end(&h);
	ASSERT_EQ(0, gmem_kmsg_bad(t->kmsg))
		TH_LOG("%s", name);
}

/* All that begin with these, or every second one; who is killed does nothing any more. */
static void all_orders(struct __test_metadata *_metadata, struct tally *t,
		       enum op *order, int len, unsigned int done)
{
	unsigned int op;

	if ((done & (1 << PUNCH)) && (done & (1 << KILL))) {
		one_order(_metadata, t, order, len);
		return;
	}
	for (op = 0; op < NR_OPS; op++) {
		if ((done & (1 << op)) || (op < NR_VMM_OPS && (done & (1 << KILL))))
			continue;
		order[len] = op;
		all_orders(_metadata, t, order, len + 1, done | 1 << op);
	}
}

TEST_F_TIMEOUT(teardown_orders, of_a_vmm_and_its_heir, 300)
{
	u64 before = gmem_settled_free_kb(~0ULL >> 1), after, slack = gmem_free_slack_kb();
	enum op order[NR_OPS];

	all_orders(_metadata, &self->t, order, 0, 0);
	after = gmem_settled_free_kb(before - slack);
	EXPECT_LT(before, after + slack)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
	TH_LOG("%u orders", self->t.nr);
}

/* The last reference goes with somebody who is not the VMM: the guest hears of it. */
static void last_reference(struct __test_metadata *_metadata, bool in_flight)
{
	struct vmm v;
	int socks[2], fd;
	u64 val;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
	vmm_begin(&v, false);
	EXPECT_EQ(0, gmem_send_fd(socks[0], v.fd));
	close(v.fd);
	munmap(v.mem, OFF(NR_PAGES));
	/* Nobody has it but the message; a guest does not mind. */
	EXPECT_EQ(0, guest_check(v.vm.vcpu, GPA(0), FIRST_SHARED, SECRET, 1, page));
	guest_fill(v.vm.vcpu, GPA(FIRST_OTHER), 8, SECRET, 1, page);
	EXPECT_EQ(0, guest_share(v.vm.vcpu, GPA(FIRST_OTHER), 1, NULL));
	if (!in_flight) {
		fd = gmem_recv_fd(socks[1]);
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(fd, OFF(FIRST_OTHER)));
		EXPECT_EQ(-EPERM, gmem_set_attr(fd, 0, page, GMEM_SHARED));
		close(fd);
	}
	close(socks[0]);
	close(socks[1]);
	EXPECT_EQ(-EHWPOISON, __guest_read64(&v.vm.vcpu[0], GPA(0), &val));
	EXPECT_EQ(-EHWPOISON, __guest_read64(&v.vm.vcpu[1], GPA(FIRST_SHARED), &val));
	pkvm_vm_destroy(&v.vm);
}

TEST_F(teardown_orders, last_reference_is_anothers)
{
	last_reference(_metadata, false);
}

TEST_F(teardown_orders, last_reference_is_in_a_message)
{
	last_reference(_metadata, true);
}

/* The file is in a message that nobody reads, and its VMM is gone. */
TEST_F_TIMEOUT(teardown_orders, message_outlives_the_vmm, 120)
{
	u64 before = 0, after, slack = gmem_free_slack_kb();
	int socks[2], status, i, fd;
	struct heir h = {};
	pid_t pid;

	for (i = 0; i < 24; i++) {
		if (i == 4)
			before = gmem_settled_free_kb(~0ULL >> 1);
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, socks));
		pid = fork();
		ASSERT_LE(0, pid);
		if (!pid) {
			struct vmm v;

			vmm_begin(&v, i & 1);
			_exit(gmem_send_fd(socks[0], v.fd) ? 1 : 0);
		}
		EXPECT_EQ(pid, waitpid(pid, &status, 0));
		EXPECT_EQ(0, status);
		if (i & 2) {
			fd = gmem_recv_fd(socks[1]);
			ASSERT_LE(0, fd);
			h.fd = fd;
			h.mem = gmem_map(fd, OFF(NR_PAGES));
			expect_dead(_metadata, &h);
			munmap(h.mem, OFF(NR_PAGES));
			close(fd);
		}
		close(socks[0]);
		close(socks[1]);
	}
	after = gmem_settled_free_kb(before - slack);
	EXPECT_LT(before, after + slack)
		TH_LOG("%ju kB free before, %ju after", (uintmax_t)before, (uintmax_t)after);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
