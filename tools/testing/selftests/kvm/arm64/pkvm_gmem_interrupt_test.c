// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd, and what comes between: signals, a SIGKILL or a stop in
 * the middle of something long, CPUs that go offline and come back, want of memory, and
 * suspend of the host as far as it has that.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <signal.h>
#include <linux/compiler.h>
#include <linux/falloc.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_VCPUS	3
/* [0, BIG) is converted, filled and punched as a whole; each vCPU has pages behind that. */
#define BIG		2048
#define OWN		128
#define NR_PAGES	(BIG + NR_VCPUS * OWN)

#define STAMP		0x57a3900000000000ULL

#define FIRST(vcpu)	(BIG + (vcpu)->id * OWN)

struct guest {
	struct pkvm_vm vm;
	int fd;
	char *mem;
};

static void guest_begin(struct guest *g)
{
	g->fd = pkvm_vm_create_gmem(&g->vm, NR_VCPUS, MEM_GPA, OFF(NR_PAGES),
				    GUEST_MEMFD_FLAG_MMAP, &g->mem);
}

static void guest_end(struct guest *g)
{
	pkvm_vm_destroy_gmem(&g->vm, g->fd, g->mem, OFF(NR_PAGES));
}

FIXTURE(interrupt) {
	struct guest g;
	struct pkvm_vcpu *vcpu;
	int kmsg;
};

FIXTURE_SETUP(interrupt)
{
	self->kmsg = gmem_kmsg_open();
	guest_begin(&self->g);
	self->vcpu = self->g.vm.vcpu;
}

FIXTURE_TEARDOWN(interrupt)
{
	guest_end(&self->g);
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* ---- Guests that work while something happens ---- */

struct worker {
	struct guest *g;
	struct pkvm_vcpu *vcpu;
	pthread_t thread;
	bool stop, done;
	u64 rounds, short_of_memory;
	int wrong;
};

#define note_wrong(me, ...) do {							\
	if (!(me)->wrong++)							\
		fprintf(stderr, "# vCPU %d: " __VA_ARGS__);			\
} while (0)

/* Until it is over, whatever the VMM has to do for it. */
static int finish_call(struct worker *me, int ret)
{
	while ((ret = pkvm_vcpu_handle(me->vcpu, ret, me->g->fd, MEM_GPA)) == -ENOMEM) {
		me->short_of_memory++;
		usleep(1000);
		ret = pkvm_vcpu_resume(me->vcpu);
	}
	if (ret)
		note_wrong(me, "%d, exit %u\n", me->vcpu->id, ret, me->vcpu->run->exit_reason);
	return ret;
}

static int guest_op(struct worker *me, u64 op, u64 first, u64 nr, u64 stamp)
{
	u64 args[] = { GPA(first), nr, stamp, 1, page };

	return finish_call(me, pkvm_vcpu_call(me->vcpu, op, args, 5, 5));
}

/* First touches, sharing and unsharing, content, giving up, and again from the start. */
static void one_round(struct worker *me)
{
	u64 first = FIRST(me->vcpu), stamp = STAMP + (me->rounds << 16);
	u64 pingpong[] = { GPA(first), 8, 4, 1, page }, *res = me->vcpu->res, i;
	u64 relinquish[] = { PKVM_HVC_RELINQUISH, GPA(first), OWN, 0 };

	if (guest_op(me, PKVM_OP_FILL, first, OWN, stamp))
		return;
	if (finish_call(me, pkvm_vcpu_call(me->vcpu, PKVM_OP_PINGPONG, pingpong, 5, 5)))
		return;
	if (res[0] != 4 || res[1] != 4 || res[2] || res[3] || res[4])
		note_wrong(me, "%lu shared, %lu unshared, %lu refused, %lu odd, %lu torn\n",
		      me->vcpu->id, (unsigned long)res[0], (unsigned long)res[1],
		      (unsigned long)res[2], (unsigned long)res[3], (unsigned long)res[4]);
	/* The first page has the ping-pong's own stamp. */
	if (!guest_op(me, PKVM_OP_CHECK, first + 1, OWN - 1, stamp + 1) && res[0])
		note_wrong(me, "%lu pages lost what they held\n", me->vcpu->id,
		      (unsigned long)res[0]);
	for (i = 0; i < OWN && !me->wrong; i += res[1]) {
		relinquish[1] = GPA(first + i);
		relinquish[2] = OWN - i;
		if (finish_call(me, pkvm_vcpu_call(me->vcpu, PKVM_OP_HVC, relinquish, 4, 4)))
			return;
		if (res[0] || !res[1] || res[1] > OWN - i)
			note_wrong(me, "RELINQUISH of %lu: %ld, %lu\n", me->vcpu->id,
			      (unsigned long)(OWN - i), (long)res[0], (unsigned long)res[1]);
	}
}

static void *work(void *arg)
{
	struct worker *me = arg;

	do {
		one_round(me);
		me->rounds++;
	} while (!READ_ONCE(me->stop) && !me->wrong);
	WRITE_ONCE(me->done, true);
	return NULL;
}

static void start_work(struct guest *g, struct worker *w)
{
	int i;

	memset(w, 0, NR_VCPUS * sizeof(*w));
	for (i = 0; i < NR_VCPUS; i++) {
		w[i].g = g;
		w[i].vcpu = &g->vm.vcpu[i];
		TEST_ASSERT(!pthread_create(&w[i].thread, NULL, work, &w[i]), "thread");
	}
}

static void end_work(struct __test_metadata *_metadata, struct worker *w, const char *what)
{
	u64 rounds = 0, short_of_memory = 0;
	int i;

	for (i = 0; i < NR_VCPUS; i++)
		WRITE_ONCE(w[i].stop, true);
	for (i = 0; i < NR_VCPUS; i++) {
		pthread_join(w[i].thread, NULL);
		EXPECT_EQ(0, w[i].wrong);
		rounds += w[i].rounds;
		short_of_memory += w[i].short_of_memory;
	}
	TH_LOG("%s: %ju rounds, %ju times without memory", what, (uintmax_t)rounds,
	       (uintmax_t)short_of_memory);
}

/* ---- Signals ---- */

static volatile sig_atomic_t nr_signals;

static void on_signal(int sig)
{
	nr_signals++;
}

static void catch_signal(int sig)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigaction(sig, &sa, NULL);
}

/* Every vCPU is thrown out of the guest again and again. */
TEST_F_TIMEOUT(interrupt, signals_to_vcpus, 120)
{
	struct worker w[NR_VCPUS];
	int i, n;

	catch_signal(SIGUSR1);
	nr_signals = 0;
	start_work(&self->g, w);
	for (n = 0; n < 2000 || READ_ONCE(nr_signals) < 200; n++) {
		for (i = 0; i < NR_VCPUS; i++) {
			if (!READ_ONCE(w[i].done))
				pthread_kill(w[i].thread, SIGUSR1);
		}
		usleep(n % 700);
		if (w[0].wrong || w[1].wrong || w[2].wrong)
			break;
	}
	end_work(_metadata, w, "signals");
	TH_LOG("%d signals came", (int)nr_signals);
}

/* Something long, which happens to the first BIG pages. */
enum op { OP_PRIVATE, OP_SHARED, OP_ALLOCATE, OP_PUNCH, NR_OPS };

static const char * const op_names[NR_OPS] = {
	"SET PRIVATE", "SET 0", "fallocate", "PUNCH_HOLE",
};

/* Pages on their way to the LRU lists may be held for a moment, also by a CPU that goes. */
static int make_private(struct guest *g)
{
	int ret, i;

	for (i = 0; i < 500; i++) {
		ret = gmem_set_attr(g->fd, 0, OFF(BIG), GMEM_PRIVATE);
		if (ret != -EAGAIN)
			break;
		usleep(10000);
	}
	return ret;
}

static int do_op(struct guest *g, enum op op)
{
	switch (op) {
	case OP_PRIVATE:
		return make_private(g);
	case OP_SHARED:
		return gmem_set_attr(g->fd, 0, OFF(BIG), GMEM_SHARED);
	case OP_ALLOCATE:
		return fallocate(g->fd, FALLOC_FL_KEEP_SIZE, 0, OFF(BIG)) ? -errno : 0;
	default:
		return gmem_punch(g->fd, 0, OFF(BIG));
	}
}

/* Everything there, shared, and with content; or a hole for fallocate. */
static void prepare_op(struct guest *g, enum op op)
{
	u64 n, val;

	TEST_ASSERT(!gmem_set_attr(g->fd, 0, OFF(BIG), GMEM_SHARED), "to shared");
	if (op == OP_ALLOCATE) {
		TEST_ASSERT(!gmem_punch(g->fd, 0, OFF(BIG)), "punch");
		return;
	}
	for (n = 0; n < BIG; n++) {
		/* What is there is there. */
		if (gmem_host_read64(g->mem + OFF(n), &val) || val != STAMP + n)
			gmem_host_set64(g->mem + OFF(n), STAMP + n);
	}
	if (op == OP_SHARED)
		TEST_ASSERT(!make_private(g), "to private");
}

static u64 pages_in_memory(struct guest *g)
{
	struct kvm_memory_attributes2 attr;
	u64 off, nr = 0;

	for (off = 0; off < OFF(BIG); off += attr.size) {
		TEST_ASSERT(!gmem_get_attr(g->fd, off, OFF(BIG) - off, &attr), "GET");
		if (attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED)
			nr += attr.size / page;
	}
	return nr;
}

/* All or nothing, whatever interrupted it; holes may be anywhere. */
static void judge_op(struct __test_metadata *_metadata, struct guest *g, enum op op)
{
	struct kvm_memory_attributes2 attr;
	u64 n, val, wrong = 0, want = gmem_attr_of(g->fd, 0);

	for (n = 0; n < BIG; n += attr.size / page) {
		EXPECT_EQ(0, gmem_get_attr(g->fd, OFF(n), OFF(BIG - n), &attr));
		EXPECT_EQ(want, attr.attributes);
	}
	EXPECT_TRUE(op == OP_PRIVATE || op == OP_SHARED || !want);
	if (want)
		EXPECT_EQ(0, gmem_set_attr(g->fd, 0, OFF(BIG), GMEM_SHARED));
	for (n = 0; n < BIG; n++) {
		val = gmem_host_get64(g->mem + OFF(n));
		if (op == OP_PRIVATE || op == OP_SHARED)
			wrong += val != STAMP + n;
		else if (op == OP_ALLOCATE)
			wrong += val != 0;
		else
			wrong += val != 0 && val != STAMP + n;
	}
	EXPECT_EQ(0, wrong);
}

static u64 time_of(struct guest *g, enum op op)
{
	u64 start;

	prepare_op(g, op);
	start = gmem_now_us();
	TEST_ASSERT(!do_op(g, op), "%s", op_names[op]);
	return gmem_now_us() - start;
}

#define MOMENTS		5

/* One signal, at different moments of it. */
TEST_F_TIMEOUT(interrupt, signals_to_long_calls, 120)
{
	struct itimerval timer = {};
	int op, m, ret, times;
	u64 us;

	catch_signal(SIGALRM);
	nr_signals = 0;
	for (op = 0; op < NR_OPS; op++) {
		us = time_of(&self->g, op);
		for (m = 1; m < MOMENTS; m++) {
			prepare_op(&self->g, op);
			timer.it_value.tv_usec = us * m / MOMENTS % 1000000 + 1;
			timer.it_value.tv_sec = us * m / MOMENTS / 1000000;
			ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
			ret = do_op(&self->g, op);
			/* Only fallocate may be told to go on by itself. */
			for (times = 0; op == OP_ALLOCATE && ret == -EINTR && times < 10; times++)
				ret = do_op(&self->g, op);
			timer.it_value.tv_usec = timer.it_value.tv_sec = 0;
			setitimer(ITIMER_REAL, &timer, NULL);
			EXPECT_EQ(0, ret)
				TH_LOG("%s, %d", op_names[op], m);
			EXPECT_EQ(op == OP_PUNCH ? 0 : BIG, pages_in_memory(&self->g));
			judge_op(_metadata, &self->g, op);
		}
		TH_LOG("%s takes %ju us", op_names[op], (uintmax_t)us);
	}
	EXPECT_LT(0, nr_signals);
	TH_LOG("%d signals came", (int)nr_signals);
}

/* The same, and who calls is killed, or stopped for a while. */
static void send_to_long_calls(struct __test_metadata *_metadata, struct guest *g, int sig)
{
	int op, m, status, socks[2];
	char c = 0;
	pid_t pid;
	u64 us;

	for (op = 0; op < NR_OPS; op++) {
		us = time_of(g, op);
		for (m = 0; m < MOMENTS; m++) {
			prepare_op(g, op);
			ASSERT_EQ(0, pipe(socks));
			pid = fork();
			ASSERT_LE(0, pid);
			if (!pid) {
				prctl(PR_SET_PDEATHSIG, SIGKILL);
				if (write(socks[1], &c, 1) != 1)
					_exit(99);
				_exit(-do_op(g, op));
			}
			EXPECT_EQ(1, read(socks[0], &c, 1));
			usleep(us * m / MOMENTS);
			kill(pid, sig);
			if (sig == SIGSTOP) {
				usleep(us / 4);
				kill(pid, SIGCONT);
			}
			EXPECT_EQ(pid, waitpid(pid, &status, 0));
			if (sig == SIGSTOP && !(op == OP_ALLOCATE && WEXITSTATUS(status) == EINTR))
				EXPECT_EQ(0, status);
			close(socks[0]);
			close(socks[1]);
			judge_op(_metadata, g, op);
		}
	}
}

TEST_F_TIMEOUT(interrupt, killed_in_long_calls, 120)
{
	send_to_long_calls(_metadata, &self->g, SIGKILL);
}

TEST_F_TIMEOUT(interrupt, stopped_in_long_calls, 120)
{
	send_to_long_calls(_metadata, &self->g, SIGSTOP);
}

/* ---- CPUs that come and go ---- */

#define CPUS		"/sys/devices/system/cpu"
#define CYCLES		3

struct plugger {
	pthread_t thread;
	bool stop;
	int cycles, cpus, failed;
};

static int set_online(int cpu, bool online)
{
	char dir[64];

	snprintf(dir, sizeof(dir), CPUS "/cpu%d", cpu);
	return gmem_write_to(dir, "online", online ? "1" : "0");
}

/* A cycle: each of the CPUs, the first one too if it can go, was away and has come back. */
static void *plug(void *arg)
{
	struct plugger *p = arg;
	int cpu, ret, nr = sysconf(_SC_NPROCESSORS_CONF);

	while (!READ_ONCE(p->stop)) {
		for (cpu = 0; cpu < nr && !READ_ONCE(p->stop); cpu++) {
			/* EBUSY: somebody else keeps hotplug off for a moment. */
			ret = set_online(cpu, false);
			if (ret && ret != -EBUSY && ret != -ENOENT && ret != -EPERM)
				p->failed++;
			if (ret)
				continue;
			p->cpus++;
			while ((ret = set_online(cpu, true)) == -EBUSY)
				;
			if (ret)
				p->failed++;
		}
		WRITE_ONCE(p->cycles, p->cycles + 1);
	}
	return NULL;
}

static void start_plugging(struct plugger *p)
{
	memset(p, 0, sizeof(*p));
	TEST_ASSERT(!pthread_create(&p->thread, NULL, plug, p), "thread");
}

static void end_plugging(struct __test_metadata *_metadata, struct plugger *p)
{
	WRITE_ONCE(p->stop, true);
	pthread_join(p->thread, NULL);
	EXPECT_EQ(0, p->failed);
	EXPECT_LT(0, p->cpus);
	EXPECT_EQ(sysconf(_SC_NPROCESSORS_CONF), sysconf(_SC_NPROCESSORS_ONLN));
	TH_LOG("%d CPUs went and came back", p->cpus);
}

static bool cpus_can_go(void)
{
	return sysconf(_SC_NPROCESSORS_ONLN) > 1 && !access(CPUS "/cpu1/online", W_OK);
}

static bool all_well(struct worker *w)
{
	int i, wrong = 0;

	for (i = 0; i < NR_VCPUS; i++)
		wrong += READ_ONCE(w[i].wrong);
	return !wrong;
}

TEST_F_TIMEOUT(interrupt, cpus_go_under_vcpus, 180)
{
	struct worker w[NR_VCPUS];
	struct plugger p;

	if (!cpus_can_go())
		SKIP(return, "no second CPU that can go");
	start_work(&self->g, w);
	start_plugging(&p);
	while (READ_ONCE(p.cycles) < CYCLES && all_well(w))
		usleep(1000);
	end_plugging(_metadata, &p);
	end_work(_metadata, w, "hotplug");
}

TEST_F_TIMEOUT(interrupt, cpus_go_under_long_calls, 180)
{
	struct plugger p;
	int op, times = 0;

	if (!cpus_can_go())
		SKIP(return, "no second CPU that can go");
	start_plugging(&p);
	while (READ_ONCE(p.cycles) < CYCLES || times < NR_OPS) {
		op = times++ % NR_OPS;
		prepare_op(&self->g, op);
		EXPECT_EQ(0, do_op(&self->g, op));
		judge_op(_metadata, &self->g, op);
	}
	end_plugging(_metadata, &p);
	TH_LOG("%d long calls", times);
}

TEST_F_TIMEOUT(interrupt, cpus_go_under_vm_lives, 180)
{
	struct worker w = {};
	struct plugger p;
	struct guest g;
	int lives = 0;

	if (!cpus_can_go())
		SKIP(return, "no second CPU that can go");
	start_plugging(&p);
	while ((READ_ONCE(p.cycles) < CYCLES || lives < 4) && !w.wrong) {
		guest_begin(&g);
		w.g = &g;
		w.vcpu = &g.vm.vcpu[lives % NR_VCPUS];
		one_round(&w);
		guest_op(&w, PKVM_OP_FILL, 0, BIG / 4, STAMP);
		guest_end(&g);
		lives++;
	}
	end_plugging(_metadata, &p);
	EXPECT_EQ(0, w.wrong);
	TH_LOG("%d lives", lives);
}

/* ---- Want of memory ---- */

#define CGROUPS		"/sys/fs/cgroup"

static void never_kill_me(void)
{
	gmem_write_to("/proc/self", "oom_score_adj", "-1000");
}

/*
 * A VMM in a memory cgroup of its own. It says how far it is by semaphores and not by a
 * socket: anything else takes memory, and then it would be this process that is stuck.
 */
struct cage {
	char dir[64];
	sem_t ask, answer;
	u64 ooms;			/* until it was answered */
};

static struct cage *cage_open(void)
{
	struct cage *c = mmap(NULL, sizeof(*c), PROT_READ | PROT_WRITE,
			      MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	TEST_ASSERT(c != MAP_FAILED, "mmap: errno %d", errno);
	sem_init(&c->ask, 1, 0);
	sem_init(&c->answer, 1, 0);
	snprintf(c->dir, sizeof(c->dir), CGROUPS "/interrupt%d", getpid());
	gmem_write_to(CGROUPS, "cgroup.subtree_control", "+memory");
	if (mkdir(c->dir, 0700))
		return NULL;
	if (!gmem_write_to(c->dir, "memory.max", "max"))
		return c;
	rmdir(c->dir);
	return NULL;
}

static void cage_enter(struct cage *c, struct guest *g)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	never_kill_me();
	TEST_ASSERT(!gmem_write_to(c->dir, "cgroup.procs", "0"), "cgroup.procs");
	guest_begin(g);
	guest_fill(&g->vm.vcpu[0], GPA(BIG), OWN, STAMP, 1, page);
	TEST_ASSERT(!guest_check(&g->vm.vcpu[1], GPA(BIG), OWN, STAMP, 1, page), "content");
	/* Whatever this program needs is there; the guest's file cannot be mapped now. */
	mlockall(MCL_CURRENT);
}

static void cage_ask(struct cage *c)
{
	sem_post(&c->ask);
	while (sem_wait(&c->answer))
		;
}

static u64 cage_read(struct cage *c, const char *file, const char *name)
{
	u64 val;

	TEST_ASSERT(gmem_read_field(c->dir, file, name, &val), "no %s%s", file, name);
	return val;
}

/*
 * Runs @vmm there, and returns its status at the end. Each time that it asks, the limit goes to
 * @more pages above what it has. What CPUs hold in advance for it goes back when the limit is
 * below that.
 */
static int cage_run(struct __test_metadata *_metadata, struct cage *c,
		    void (*vmm)(struct cage *c), u64 more)
{
	char max[32];
	int status;
	pid_t pid;

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	if (!pid)
		vmm(c);
	while (!waitpid(pid, &status, WNOHANG)) {
		if (sem_trywait(&c->ask)) {
			usleep(1000);
			continue;
		}
		snprintf(max, sizeof(max), "%lu", cage_read(c, "memory.current", "") - page);
		EXPECT_EQ(0, gmem_write_to(c->dir, "memory.max", max));
		c->ooms = cage_read(c, "memory.events", "oom ");
		snprintf(max, sizeof(max), "%lu",
			 cage_read(c, "memory.current", "") + OFF(more));
		EXPECT_EQ(0, gmem_write_to(c->dir, "memory.max", max));
		sem_post(&c->answer);
	}
	return status;
}

static void vmm_without_memory(struct cage *c)
{
	u64 args[] = { GPA(0), BIG, STAMP, 1, page };
	struct pkvm_vcpu *vcpu;
	int ret, refused = 0;
	struct guest g;

	cage_enter(c, &g);
	vcpu = &g.vm.vcpu[0];
	cage_ask(c);
	ret = pkvm_vcpu_call(vcpu, PKVM_OP_FILL, args, 5, 1);
	while (ret == -ENOMEM) {
		refused++;
		/* The others go on with what they have. */
		TEST_ASSERT(!guest_check(&g.vm.vcpu[1], GPA(BIG), OWN, STAMP, 1, page),
			    "what it had is lost");
		/* Trying again does no harm. */
		ret = pkvm_vcpu_resume(vcpu);
		if (ret != -ENOMEM)
			continue;
		cage_ask(c);
		ret = pkvm_vcpu_resume(vcpu);
	}
	TEST_ASSERT(!ret, "KVM_RUN: %d", ret);
	TEST_ASSERT(!guest_check(vcpu, GPA(0), BIG, STAMP, 1, page), "content");
	TEST_ASSERT(!guest_check(vcpu, GPA(BIG), OWN, STAMP, 1, page), "content before");
	guest_end(&g);
	_exit(refused);
}

TEST_F_TIMEOUT(interrupt, cgroup_that_is_full, 120)
{
	struct cage *c = cage_open();
	int status;

	if (!c)
		SKIP(return, "no memory cgroups here");
	status = cage_run(_metadata, c, vmm_without_memory, BIG / 4);
	EXPECT_TRUE(WIFEXITED(status));
	EXPECT_LE(2, WEXITSTATUS(status));
	EXPECT_GE(8, WEXITSTATUS(status));
	TH_LOG("%d times without memory", WEXITSTATUS(status));
	EXPECT_EQ(0, rmdir(c->dir));
}

static void vmm_with_little_memory(struct cage *c)
{
	struct guest g;

	cage_enter(c, &g);
	cage_ask(c);
	guest_write64(&g.vm.vcpu[0], GPA(0), STAMP);
	_exit(0);
}

/* A fault takes what is around only if there is enough: nobody is killed for that. */
TEST_F_TIMEOUT(interrupt, cgroup_with_room_for_the_fault, 120)
{
	struct cage *c = cage_open();
	int status;

	if (!c)
		SKIP(return, "no memory cgroups here");
	status = cage_run(_metadata, c, vmm_with_little_memory, 24);
	EXPECT_EQ(0, status);
	EXPECT_EQ(c->ooms, cage_read(c, "memory.events", "oom "));
	EXPECT_EQ(0, rmdir(c->dir));
}

/* Takes nearly all the memory there is, then, told to, the rest, until it is killed for that. */
static void hog(int ready, int go)
{
	const size_t size = 4 << 20;
	bool going = false;
	char *mem, c = 0;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (gmem_write_to("/proc/self", "oom_score_adj", "1000"))
		_exit(1);
	for (;;) {
		if (!going && gmem_meminfo_kb("MemFree") < 64 << 10) {
			if (write(ready, &c, 1) != 1 || read(go, &c, 1) != 1)
				_exit(3);
			going = true;
		}
		mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		if (mem == MAP_FAILED)
			_exit(2);
		madvise(mem, size, MADV_HUGEPAGE);
		madvise(mem, size, MADV_POPULATE_WRITE);
	}
}

TEST_F_TIMEOUT(interrupt, host_without_memory, 180)
{
	struct worker w[NR_VCPUS];
	int ready[2], go[2], status;
	pid_t pid;
	char c;

	never_kill_me();
	ASSERT_EQ(0, pipe(ready));
	ASSERT_EQ(0, pipe(go));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		hog(ready[1], go[0]);
	close(ready[1]);
	ASSERT_EQ(1, read(ready[0], &c, 1));
	start_work(&self->g, w);
	EXPECT_EQ(1, write(go[1], &c, 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	end_work(_metadata, w, "OOM");
	EXPECT_TRUE(WIFSIGNALED(status))
		TH_LOG("hog: %#x", status);
}

/* ---- Suspend ---- */

#define POWER		"/sys/power"

/*
 * The vCPUs are frozen wherever they are. Devices too, if PKVM_SUSPEND says so: not every
 * machine that the tests run on gets its own back. What comes after devices has to be woken
 * up by something, which an emulated machine does not have.
 */
TEST_F_TIMEOUT(interrupt, host_is_suspended, 120)
{
	static const char * const levels[] = { "freezer", "devices", "platform" };
	size_t nr_levels = getenv("PKVM_SUSPEND") ? ARRAY_SIZE(levels) : 1;
	struct pkvm_vcpu *vcpu = &self->vcpu[1];
	struct worker w[NR_VCPUS];
	char delay[16] = "";
	size_t i;
	int fd;

	if (access(POWER "/pm_test", W_OK) || gmem_write_to(POWER, "pm_test", levels[0]))
		SKIP(return, "no CONFIG_PM_DEBUG, or no suspend");
	fd = open("/sys/module/suspend/parameters/pm_test_delay", O_RDWR | O_CLOEXEC);
	if (fd >= 0) {
		EXPECT_LT(0, read(fd, delay, sizeof(delay) - 1));
		EXPECT_EQ(1, pwrite(fd, "1", 1, 0));
	}

	guest_fill(vcpu, GPA(0), 64, STAMP, 1, page);
	EXPECT_EQ(0, guest_share(vcpu, GPA(32), 8, NULL));
	for (i = 0; i < nr_levels; i++) {
		start_work(&self->g, w);
		EXPECT_EQ(0, gmem_write_to(POWER, "pm_test", levels[i]));
		EXPECT_EQ(0, gmem_write_to(POWER, "state", "freeze"))
			TH_LOG("%s", levels[i]);
		end_work(_metadata, w, levels[i]);
		EXPECT_EQ(0, guest_check(vcpu, GPA(0), 64, STAMP, 1, page));
		EXPECT_EQ(STAMP + 33, gmem_host_get64(self->g.mem + OFF(33)));
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(self->g.fd, OFF(39)));
		EXPECT_EQ(-EPERM, gmem_set_attr(self->g.fd, 0, page, GMEM_SHARED));
	}
	EXPECT_EQ(0, guest_unshare(vcpu, GPA(32), 8, NULL));
	EXPECT_EQ(0, guest_check(vcpu, GPA(0), 64, STAMP, 1, page));

	gmem_write_to(POWER, "pm_test", "none");
	if (fd >= 0) {
		EXPECT_LT(0, pwrite(fd, delay, strlen(delay), 0));
		close(fd);
	}
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
