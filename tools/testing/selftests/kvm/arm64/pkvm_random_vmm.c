// SPDX-License-Identifier: GPL-2.0-only
/*
 * A protected VM in a process of its own, for the random tester.
 *
 * The process makes the VM and its file, hands the file to its parent, and lends it a thread
 * for each vCPU. So the parent can end the VM as the kernel ends it, by the end of a process,
 * keep the file and look at what is left. The program is executed anew for it: nothing of the
 * parent's, mappings of other files above all, is inherited.
 */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <linux/compiler.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "pkvm_random.h"

/* Longer than any answer takes on the slowest machine. */
#define PATIENCE_S	180

size_t rnd_page = 4096;

const char *const rnd_call_names[RND_NR_CALLS] = {
	"share", "unshare", "relinquish", "meminfo", "other",
};

void rnd_seed(struct rnd *r, u64 seed, u64 stream)
{
	u64 z = seed + (stream + 1) * 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	r->state = (z ^ z >> 31) | 1;
}

u32 rnd_below(struct rnd *r, u32 limit)
{
	r->state ^= r->state << 13;
	r->state ^= r->state >> 7;
	r->state ^= r->state << 17;
	return (u32)(r->state >> 32) % limit;
}

void rnd_count_call(struct rnd_stats *stats, u64 func)
{
	switch (func) {
	case PKVM_HVC_SHARE:
		stats->calls[RND_SHARE]++;
		break;
	case PKVM_HVC_UNSHARE:
		stats->calls[RND_UNSHARE]++;
		break;
	case PKVM_HVC_RELINQUISH:
		stats->calls[RND_RELINQUISH]++;
		break;
	case PKVM_HVC_MEMINFO:
		stats->calls[RND_MEMINFO]++;
		break;
	default:
		stats->calls[RND_OTHER]++;
		break;
	}
}

void rnd_add_stats(struct rnd_stats *to, const struct rnd_stats *from)
{
	u64 *t = (u64 *)to;
	const u64 *f = (const u64 *)from;

	for (size_t i = 0; i < sizeof(*to) / sizeof(u64); i++)
		t[i] += f[i];
}

/* ---- The host's look at a page ---- */

static __thread u64 fill_value, check_first;
static __thread u32 check_differ;

static void clean_line(void *addr)
{
#ifdef __aarch64__
	asm volatile("dc civac, %0" :: "r" (addr) : "memory");
#endif
}

static void do_fill(void *page)
{
	u64 *word = page;

	for (int i = 0; i < PKVM_CMD_LINES; i++, word += PKVM_CMD_LINE / 8) {
		WRITE_ONCE(*word, fill_value);
		clean_line(word);
	}
}

static void do_check(void *page)
{
	u64 *word = page;

	check_differ = 0;
	for (int i = 0; i < PKVM_CMD_LINES; i++, word += PKVM_CMD_LINE / 8) {
		/* A load first: a fault of the cache operation may not be reported. */
		u64 val = READ_ONCE(*word);

		clean_line(word);
		val = READ_ONCE(*word);
		if (!i)
			check_first = val;
		check_differ += val != check_first;
	}
}

int rnd_host_fill(char *page, u64 val)
{
	fill_value = val;
	return gmem_try(do_fill, page);
}

int rnd_host_check(char *page, u64 *val, u32 *differ)
{
	int sig = gmem_try(do_check, page);

	*val = check_first;
	*differ = check_differ;
	return sig;
}

/* ---- Between parent and child ---- */

static long futex(u32 *addr, int op, u32 val, const struct timespec *timeout)
{
	return syscall(__NR_futex, addr, op, val, timeout, NULL, 0);
}

static void pass_turn(struct rnd_mail *mail)
{
	__atomic_add_fetch(&mail->turn, 1, __ATOMIC_SEQ_CST);
	futex(&mail->turn, FUTEX_WAKE, 1, NULL);
}

/* False when it takes longer than a second. */
static bool wait_turn(struct rnd_mail *mail, u32 mine)
{
	struct timespec second = { .tv_sec = 1 };
	u32 turn = __atomic_load_n(&mail->turn, __ATOMIC_SEQ_CST);

	if (turn % 2 != mine)
		futex(&mail->turn, FUTEX_WAIT, turn, &second);
	return __atomic_load_n(&mail->turn, __ATOMIC_SEQ_CST) % 2 == mine;
}

/* ---- The child ---- */

struct vcpu_thread {
	pthread_t thread;
	struct rnd_shared *shm;
	struct pkvm_vcpu *vcpu;
	struct pkvm_cmd *list;
	int fd;
};

static struct pkvm_vm vm;

static void flush_list(struct pkvm_cmd *list, u32 nr)
{
	for (u32 i = 0; i < nr; i++)
		clean_line(&list[i]);
#ifdef __aarch64__
	asm volatile("dsb sy" ::: "memory");
#endif
}

int rnd_run_list(struct rnd_shared *shm, struct pkvm_vcpu *vcpu, struct pkvm_cmd *list, u32 nr)
{
	u64 gpa = RND_LIST_GPA + vcpu->id * rnd_page;
	struct rnd_stats *stats = &shm->stats[vcpu->id];

	for (u32 i = 0; i < nr; i++) {
		if (list[i].op == PKVM_CMD_HVC)
			rnd_count_call(stats, list[i].arg[0]);
		else
			stats->accesses++;
	}
	stats->batches++;
	flush_list(list, nr);
	return pkvm_vcpu_batch(vcpu, gpa, nr);
}

static void note_exit(struct rnd_mail *mail, struct pkvm_vcpu *vcpu, int ret)
{
	mail->ret = ret;
	mail->exit_reason = vcpu->run->exit_reason;
	mail->fault_flags = vcpu->run->memory_fault.flags;
	mail->fault_gpa = vcpu->run->memory_fault.gpa;
	mail->fault_size = vcpu->run->memory_fault.size;
}

static void serve(struct vcpu_thread *t, struct rnd_mail *mail)
{
	int ret;

	switch (mail->request) {
	case RND_REQ_BATCH:
		memcpy(t->list, mail->cmd, mail->nr * sizeof(*t->list));
		ret = rnd_run_list(t->shm, t->vcpu, t->list, mail->nr);
		break;
	case RND_REQ_RESUME:
		ret = pkvm_vcpu_resume(t->vcpu);
		break;
	case RND_REQ_SKIP:
		ret = pkvm_vcpu_skip(t->vcpu);
		break;
	case RND_REQ_SLOT:
		mail->ret = pkvm_slot_gmem(&vm, 0, RND_MEM_GPA, 0, -1, 0);
		return;
	default:
		rnd_concurrent_vcpu(t->shm, t->vcpu, t->list, t->fd);
		mail->ret = 0;
		return;
	}
	if (ret < 0)
		t->shm->stats[t->vcpu->id].exits++;
	flush_list(t->list, mail->nr);
	memcpy(mail->cmd, t->list, mail->nr * sizeof(*t->list));
	note_exit(mail, t->vcpu, ret);
}

static void *vcpu_loop(void *arg)
{
	struct vcpu_thread *t = arg;
	struct rnd_mail *mail = &t->shm->mail[t->vcpu->id];

	while (!READ_ONCE(t->shm->stop)) {
		if (!wait_turn(mail, 1))
			continue;
		if (READ_ONCE(t->shm->stop))
			break;
		serve(t, mail);
		pass_turn(mail);
	}
	return NULL;
}

/* The pages that hold the lists: the guest gives them to the host by itself. */
static struct pkvm_cmd *share_lists(u32 nr_vcpus)
{
	u64 size = nr_vcpus * rnd_page;
	int fd = gmem_create(vm.fd, size, GUEST_MEMFD_FLAG_MMAP);
	void *list;

	TEST_ASSERT(fd >= 0, "file for the lists: %d", fd);
	TEST_ASSERT(!pkvm_slot_gmem(&vm, RND_LIST_SLOT, RND_LIST_GPA, size, fd, 0), "slot");
	TEST_ASSERT(guest_hvc_all(&vm.vcpu[0], PKVM_HVC_SHARE, RND_LIST_GPA, nr_vcpus) > 0,
		    "the lists are not shared");
	list = gmem_map(fd, size);
	close(fd);
	return list;
}

static int make_memory(struct rnd_shared *shm, bool readd)
{
	u64 size = RND_OFF(shm->nr_pages);
	int fd = gmem_create(vm.fd, size, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);

	TEST_ASSERT(fd >= 0, "guest_memfd: %d", fd);
	TEST_ASSERT(!pkvm_slot_gmem(&vm, 0, RND_MEM_GPA, size, fd, 0), "slot");
	if (readd) {
		TEST_ASSERT(!pkvm_slot_gmem(&vm, 0, RND_MEM_GPA, 0, -1, 0), "slot delete");
		TEST_ASSERT(!pkvm_slot_gmem(&vm, 0, RND_MEM_GPA, size, fd, 0), "slot again");
	}
	return fd;
}

int rnd_vmm_main(int shm_fd, int sock)
{
	struct vcpu_thread threads[SPEC_VCPUS];
	struct pkvm_cmd *list;
	struct rnd_shared *shm;
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	rnd_page = getpagesize();
	/* All else that may have come along, a pipe with a page in it for example. */
	syscall(__NR_close_range, (sock > shm_fd ? sock : shm_fd) + 1, ~0U, 0);
	shm = mmap(NULL, sizeof(*shm), PROT_READ | PROT_WRITE, MAP_SHARED, shm_fd, 0);
	TEST_ASSERT(shm != MAP_FAILED, "shared memory: errno %d", errno);

	pkvm_vm_create(&vm, shm->nr_vcpus, PKVM_VM_PROTECTED | PKVM_VM_VGIC);
	fd = make_memory(shm, shm->seed & 1);
	list = share_lists(shm->nr_vcpus);
	for (u32 i = 0; i < shm->nr_vcpus; i++) {
		threads[i] = (struct vcpu_thread) {
			.shm = shm, .vcpu = &vm.vcpu[i], .fd = -1,
			.list = (void *)list + i * rnd_page,
		};
		/* The parent's file is the only one, but for vCPUs that answer their exits. */
		if (shm->nr_pages > SPEC_GFNS)
			threads[i].fd = fd;
		TEST_ASSERT(!pthread_create(&threads[i].thread, NULL, vcpu_loop, &threads[i]),
			    "thread");
	}
	TEST_ASSERT(!gmem_send_fd(sock, fd), "no file for the parent");
	if (shm->nr_pages <= SPEC_GFNS)
		close(fd);
	for (u32 i = 0; i < shm->nr_vcpus; i++)
		pthread_join(threads[i].thread, NULL);
	return 0;
}

/* ---- The parent ---- */

static void exec_child(int shm_fd, int sock)
{
	char *const argv[] = { "pkvm_gmem_random", "--vmm", NULL };
	int a = fcntl(shm_fd, F_DUPFD, 10), b = fcntl(sock, F_DUPFD, 10);

	/* The library says a word to standard output before main(). */
	if (dup2(open("/dev/null", O_WRONLY), 1) == 1 && dup2(a, 3) == 3 && dup2(b, 4) == 4)
		execv("/proc/self/exe", argv);
	_exit(127);
}

const char *rnd_vmm_start(struct rnd_vmm *vmm, u32 nr_vcpus, u32 nr_pages, u64 seed, u64 life,
			  bool readd)
{
	int socks[2];

	vmm->shm_fd = memfd_create("pkvm_gmem_random", MFD_CLOEXEC);
	TEST_ASSERT(vmm->shm_fd >= 0 && !ftruncate(vmm->shm_fd, sizeof(*vmm->shm)),
		    "memfd: errno %d", errno);
	vmm->shm = mmap(NULL, sizeof(*vmm->shm), PROT_READ | PROT_WRITE, MAP_SHARED,
			vmm->shm_fd, 0);
	TEST_ASSERT(vmm->shm != MAP_FAILED, "mmap: errno %d", errno);
	vmm->shm->nr_vcpus = nr_vcpus;
	vmm->shm->nr_pages = vmm->nr_pages = nr_pages;
	vmm->shm->seed = seed << 1 | readd;
	vmm->shm->life = life;
	TEST_ASSERT(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, socks), "socketpair");

	vmm->pid = fork();
	TEST_ASSERT(vmm->pid >= 0, "fork: errno %d", errno);
	if (!vmm->pid)
		exec_child(vmm->shm_fd, socks[1]);
	close(socks[1]);
	vmm->fd = gmem_recv_fd(socks[0]);
	close(socks[0]);
	if (vmm->fd < 0)
		return "a VM could not be made";
	fcntl(vmm->fd, F_SETFD, FD_CLOEXEC);
	vmm->mem = gmem_map(vmm->fd, RND_OFF(nr_pages));
	madvise(vmm->mem, RND_OFF(nr_pages), MADV_DONTFORK);
	return NULL;
}

static const char *reap(struct rnd_vmm *vmm, bool killed)
{
	int status, got = waitpid(vmm->pid, &status, 0);

	vmm->pid = 0;
	if (got < 0)
		return "a VMM is not there to be waited for";
	if (killed && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
		return NULL;
	return WIFEXITED(status) && !WEXITSTATUS(status) ? NULL : "a VMM has failed";
}

const char *rnd_vmm_end(struct rnd_vmm *vmm, bool kill_it)
{
	const char *problem;

	if (!vmm->pid)
		return NULL;
	if (kill_it) {
		kill(vmm->pid, SIGKILL);
	} else {
		WRITE_ONCE(vmm->shm->stop, 1);
		/* Each of them has its turn: the last one. */
		for (u32 i = 0; i < vmm->shm->nr_vcpus; i++) {
			if (vmm->shm->mail[i].turn % 2 == 0)
				pass_turn(&vmm->shm->mail[i]);
		}
	}
	problem = reap(vmm, kill_it);
	munmap(vmm->shm, sizeof(*vmm->shm));
	close(vmm->shm_fd);
	vmm->shm = NULL;
	return problem;
}

void rnd_vmm_close(struct rnd_vmm *vmm)
{
	if (vmm->fd < 0)
		return;
	munmap(vmm->mem, RND_OFF(vmm->nr_pages));
	close(vmm->fd);
	vmm->fd = -1;
}

void rnd_vmm_post(struct rnd_vmm *vmm, u32 vcpu, enum rnd_request request)
{
	vmm->shm->mail[vcpu].request = request;
	pass_turn(&vmm->shm->mail[vcpu]);
}

const char *rnd_vmm_wait(struct rnd_vmm *vmm, u32 vcpu)
{
	siginfo_t info = {};

	for (int i = 0; i < PATIENCE_S; i++) {
		if (wait_turn(&vmm->shm->mail[vcpu], 0))
			return NULL;
		if (!waitid(P_PID, vmm->pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return vmm->shm->problem[0] ? vmm->shm->problem : "a VMM has ended";
	}
	return "a vCPU does not come back";
}

const char *rnd_vmm_ask(struct rnd_vmm *vmm, u32 vcpu, enum rnd_request request)
{
	rnd_vmm_post(vmm, vcpu, request);
	return rnd_vmm_wait(vmm, vcpu);
}
