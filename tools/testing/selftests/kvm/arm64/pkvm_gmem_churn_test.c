// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd live and die, many of them, several at a time, some by
 * SIGKILL at any moment: is all of the memory there afterwards, EL2's too?
 *
 * usage: pkvm_gmem_churn_test [--lives N] [--seed S] [--first K] [--jobs J]
 *
 * The lives are drawn from the seed and their number: "--seed S --first K --lives 1
 * --jobs 1" is the K-th one of seed S again.
 *
 * What is compared is not before and after, because caches grow to begin with, but the
 * state after one half of the lives and after all of them. A page lost per life is more
 * than twice what the test puts up with.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <time.h>
#include <linux/compiler.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define MAX_JOBS	16
/* The memory is looked at after each of these. */
#define ROUNDS		8
/* Enough for a page lost per life to stand out of what comes and goes by itself. */
#define MIN_LIVES	160

#define CGROUP_ROOT	"/sys/fs/cgroup"

static u64 lives = 240, seed, first_life;
static int jobs;

struct shared {
	u64 next;			/* the next life to be lived */
	u64 end;
	u64 killed, left, usual;	/* how many ended how */
	u64 pages;			/* that guests were given */
	u64 at[MAX_JOBS];		/* what each worker is at */
	int failed;
};

static struct shared *shared;

static u64 now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000000ULL + t.tv_nsec / 1000;
}

/* splitmix64: one stream for each life. */
static u64 draw(u64 *state, u64 below)
{
	u64 z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return (z ^ z >> 31) % below;
}

/* ---- One life ---- */

struct life {
	u64 rnd;
	u64 stamp;
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	char *mem;
	bool stuck;			/* the vCPU cannot go on */
	/* Parts of the file: [0, owned) stays the guest's, and so on, up to nr. */
	u64 owned, shared, back, dropped, nr;
};

static void begin(struct life *l)
{
	bool init_shared = draw(&l->rnd, 2);
	u64 flags = GUEST_MEMFD_FLAG_MMAP | (init_shared ? GUEST_MEMFD_FLAG_INIT_SHARED : 0);

	l->owned = 1 + draw(&l->rnd, 16);
	l->shared = l->owned + draw(&l->rnd, 16);
	l->back = l->shared + draw(&l->rnd, 16);
	l->dropped = l->back + draw(&l->rnd, 16);
	l->nr = l->dropped + 1 + draw(&l->rnd, 32);
	l->stamp = draw(&l->rnd, ~0ULL) & ~0xffULL;

	pkvm_vm_create(&l->vm, 1 + draw(&l->rnd, 2), PKVM_VM_PROTECTED);
	l->vcpu = &l->vm.vcpu[draw(&l->rnd, l->vm.nr_vcpus)];
	l->fd = gmem_create(l->vm.fd, OFF(l->nr), flags);
	TEST_ASSERT(l->fd >= 0, "guest_memfd: %d", l->fd);
	l->mem = gmem_map(l->fd, OFF(l->nr));
	TEST_ASSERT(!pkvm_slot_gmem(&l->vm, 0, MEM_GPA, OFF(l->nr), l->fd, 0), "slot");
	if (!init_shared)
		return;
	gmem_host_set64(l->mem + OFF(l->nr - 1), l->stamp);
	TEST_ASSERT(!gmem_set_attr(l->fd, 0, OFF(l->nr), GMEM_PRIVATE), "to private");
	TEST_ASSERT(guest_read64(l->vcpu, GPA(l->nr - 1)) == l->stamp, "what the host wrote");
}

/* A host reference that nobody asked for may delay an UNSHARE: run again. */
static void must_hvc(struct life *l, u64 func, u64 first, u64 end)
{
	u64 args[] = { func, GPA(first), end - first, 0 };
	int ret;

	while (args[2]) {
		ret = pkvm_vcpu_call(l->vcpu, PKVM_OP_HVC, args, 4, 4);
		ret = pkvm_vcpu_handle(l->vcpu, ret, l->fd, MEM_GPA);
		TEST_ASSERT(!ret && !l->vcpu->res[0] && l->vcpu->res[1] &&
			    l->vcpu->res[1] <= args[2], "call %#lx: %d, %ld of %lu",
			    (unsigned long)func, ret, (long)l->vcpu->res[0],
			    (unsigned long)args[2]);
		args[1] += OFF(l->vcpu->res[1]);
		args[2] -= l->vcpu->res[1];
	}
}

static void check_guest(struct life *l, u64 first, u64 end)
{
	TEST_ASSERT(!guest_check(l->vcpu, GPA(first), end - first, l->stamp + first, 1, page),
		    "pages %lu to %lu", (unsigned long)first, (unsigned long)end);
}

static void live(struct life *l)
{
	u64 n, val;

	guest_fill(l->vcpu, GPA(0), l->dropped, l->stamp, 1, page);
	must_hvc(l, PKVM_HVC_SHARE, l->owned, l->back);
	for (n = l->owned; n < l->back; n++)
		TEST_ASSERT(gmem_host_get64(l->mem + OFF(n)) == l->stamp + n, "page %lu",
			    (unsigned long)n);
	must_hvc(l, PKVM_HVC_UNSHARE, l->shared, l->back);
	must_hvc(l, PKVM_HVC_RELINQUISH, l->back, l->dropped);
	check_guest(l, 0, l->back);

	if (l->back < l->dropped && draw(&l->rnd, 2))
		TEST_ASSERT(guest_read64(l->vcpu, GPA(l->back)) != l->stamp + l->back,
			    "a relinquished page has come back");
	if (draw(&l->rnd, 4) == 0) {
		n = draw(&l->rnd, l->nr);
		TEST_ASSERT(!gmem_punch(l->fd, OFF(n), page), "punch");
		l->stuck = n < l->back;
		TEST_ASSERT(!l->stuck || __guest_read64(l->vcpu, GPA(n), &val) == -EHWPOISON,
			    "punched page");
	} else if (l->owned < l->shared && draw(&l->rnd, 2)) {
		TEST_ASSERT(!gmem_set_attr(l->fd, OFF(l->owned), page, GMEM_PRIVATE), "give up");
	}
	__atomic_add_fetch(&shared->pages, l->back + 1, __ATOMIC_RELAXED);
}

static void end(struct life *l)
{
	bool done[5] = {};
	int left, part;

	if (draw(&l->rnd, 4) == 0 && !l->stuck)
		TEST_ASSERT(guest_off(l->vcpu) == PKVM_STOP_OFF, "power-off");
	for (left = 5; left; ) {
		part = draw(&l->rnd, 5);
		if (done[part])
			continue;
		done[part] = true;
		left--;
		if (part == 0)
			pkvm_vm_close_fd(&l->vm);
		else if (part == 1)
			pkvm_vm_close_vcpus(&l->vm);
		else if (part == 2)
			pkvm_vm_close_code(&l->vm);
		else if (part == 3)
			close(l->fd);
		else
			munmap(l->mem, OFF(l->nr));
	}
}

static void whole_life(struct life *l)
{
	begin(l);
	live(l);
	end(l);
}

/* ---- How it is lived ---- */

static u64 life_us = 30000;

/* In a process of its own, which goes while the VM is there. */
static bool life_in_child(struct life *l, bool kill_it)
{
	int status;
	pid_t pid;

	pid = fork();
	TEST_ASSERT(pid >= 0, "fork: errno %d", errno);
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		begin(l);
		live(l);
		if (!kill_it)
			_exit(0);
		end(l);
		for (;;)
			pause();
	}
	if (kill_it) {
		/* Any moment is right, also that after the end. */
		usleep(draw(&l->rnd, 2 * life_us));
		kill(pid, SIGKILL);
	}
	TEST_ASSERT(waitpid(pid, &status, 0) == pid, "wait: errno %d", errno);
	if (WIFSIGNALED(status))
		return kill_it && WTERMSIG(status) == SIGKILL;
	return !kill_it && !WEXITSTATUS(status);
}

static void nth_life(u64 n)
{
	struct life l = { .rnd = seed ^ n << 20 };
	u64 start = now_us();
	bool ok;

	switch (draw(&l.rnd, 8)) {
	case 0:
	case 1:
		ok = life_in_child(&l, true);
		__atomic_add_fetch(&shared->killed, 1, __ATOMIC_RELAXED);
		break;
	case 2:
		ok = life_in_child(&l, false);
		__atomic_add_fetch(&shared->left, 1, __ATOMIC_RELAXED);
		break;
	default:
		whole_life(&l);
		ok = true;
		life_us = (3 * life_us + now_us() - start) / 4;
		__atomic_add_fetch(&shared->usual, 1, __ATOMIC_RELAXED);
		break;
	}
	if (!ok)
		_exit(KSFT_FAIL);
}

static void worker(int me)
{
	u64 n;

	while (!READ_ONCE(shared->failed)) {
		n = __atomic_fetch_add(&shared->next, 1, __ATOMIC_SEQ_CST);
		if (n >= shared->end)
			break;
		shared->at[me] = n;
		nth_life(n);
	}
}

/* ---- What is there ---- */

enum figure {
	FREE,			/* MemFree and per-CPU lists */
	SLAB,			/* of the whole machine */
	UNRECLAIMABLE,
	SECONDARY,		/* stage-2 tables of guests */
	CG_FILE,		/* what is still charged to those who are gone: guest memory */
	CG_KERNEL,		/* whatever the kernel took, and EL2's VMs, vCPUs and tables */
	CG_SECONDARY,
	CG_SLAB,
	NR_FIGURES,
};

static const struct {
	const char *name;
	/* What a life may cost, and what comes and goes, in bytes. */
	u64 per_life, noise;
} figures[NR_FIGURES] = {
	[FREE]		= { "free",		512, 128 << 10 },
	[SLAB]		= { "slab",		64, 128 << 10 },
	[UNRECLAIMABLE]	= { "unreclaimable",	64, 128 << 10 },
	[SECONDARY]	= { "stage-2 tables",	16, 0 },
	[CG_FILE]	= { "charged: file",	16, 0 },
	/* Charged in advance, and taken back when it pleases the CPUs. */
	[CG_KERNEL]	= { "charged: kernel",	512, 64 << 10 },
	[CG_SECONDARY]	= { "charged: stage-2",	16, 0 },
	[CG_SLAB]	= { "charged: slab",	16, 64 << 10 },
};

static char cgroup[64];

/* A line of memory.stat; 0 where there is no such cgroup. */
static u64 cgroup_stat(const char *name)
{
	char path[160], line[128];
	size_t len = strlen(name);
	u64 val = 0;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		if (!strncmp(line, name, len) && line[len] == ' ')
			val = strtoull(line + len, NULL, 10);
	}
	if (f)
		fclose(f);
	return val;
}

/* All that is charged to those who are gone, for whoever looks for what is lost. */
static void print_cgroup(void)
{
	char path[160], line[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.stat", cgroup);
	f = fopen(path, "r");
	while (f && fgets(line, sizeof(line), f)) {
		/* The first lines are amounts, then come counts of events. */
		if (!strncmp(line, "workingset", 10))
			break;
		if (strcmp(strchrnul(line, ' '), " 0\n"))
			printf("# charged: %s", line);
	}
	if (f)
		fclose(f);
	fflush(stdout);
}

static void cgroup_open(void)
{
	char dir[sizeof(cgroup)];

	snprintf(dir, sizeof(dir), CGROUP_ROOT "/lives%d", getpid());
	gmem_write_to(CGROUP_ROOT, "cgroup.subtree_control", "+memory");
	if (mkdir(dir, 0700))
		return;
	memcpy(cgroup, dir, sizeof(dir));
	if (!cgroup_stat("file") && access(CGROUP_ROOT "/memory.stat", R_OK)) {
		rmdir(cgroup);
		cgroup[0] = '\0';
	}
}

/* More is worse, for all of them. */
static void look(u64 *now)
{
	now[FREE] = (gmem_meminfo_kb("MemTotal") - gmem_free_kb()) << 10;
	now[SLAB] = gmem_meminfo_kb("Slab") << 10;
	now[UNRECLAIMABLE] = gmem_meminfo_kb("SUnreclaim") << 10;
	now[SECONDARY] = gmem_meminfo_kb("SecPageTables") << 10;
	now[CG_FILE] = cgroup_stat("file");
	now[CG_KERNEL] = cgroup_stat("kernel");
	now[CG_SECONDARY] = cgroup_stat("sec_pagetables");
	now[CG_SLAB] = cgroup_stat("slab");
}

/* 4: from now on without a line in the kernel log. */
static void drop_caches(void)
{
	gmem_write_to("/proc/sys/vm", "drop_caches", "4");
	gmem_write_to("/proc/sys/vm", "drop_caches", "3");
}

/* What the dead leave is freed behind their backs: until nothing gets better any more. */
static void settle(u64 *best)
{
	u64 now[NR_FIGURES];
	int i, f, quiet = 0;

	drop_caches();
	look(best);
	for (i = 0; i < 100 && quiet < 3; i++) {
		usleep(50000);
		if (i % 4 == 0)
			drop_caches();
		look(now);
		quiet++;
		for (f = 0; f < NR_FIGURES; f++) {
			if (now[f] >= best[f])
				continue;
			if (best[f] - now[f] > 16384)
				quiet = 0;
			best[f] = now[f];
		}
	}
}

static void print_figures(u64 done, const u64 *now)
{
	char line[300];
	int f, n = 0;

	for (f = 0; f < NR_FIGURES; f++)
		n += snprintf(line + n, sizeof(line) - n, ", %s %lu", figures[f].name,
			      (unsigned long)((f == FREE ? (gmem_meminfo_kb("MemTotal") << 10) - now[f] :
					       now[f]) >> 10));
	printf("# %lu lives; kB:%s\n", (unsigned long)done, line + 1);
	fflush(stdout);
}

/* ---- The test ---- */

static int run_round(u64 end)
{
	pid_t pid[MAX_JOBS];
	int i, status, bad = 0;

	shared->end = end;
	for (i = 0; i < jobs; i++) {
		pid[i] = fork();
		TEST_ASSERT(pid[i] >= 0, "fork: errno %d", errno);
		if (pid[i])
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (cgroup[0])
			gmem_write_to(cgroup, "cgroup.procs", "0");
		worker(i);
		_exit(0);
	}
	for (i = 0; i < jobs; i++) {
		if (waitpid(pid[i], &status, 0) == pid[i] && !status)
			continue;
		bad++;
		shared->failed = 1;
		printf("# worker %d ended with status %#x; --seed %#lx --first %lu --lives 1 --jobs 1\n",
		       i, status, (unsigned long)seed, (unsigned long)shared->at[i]);
	}
	shared->next = end;
	return bad;
}

/* The least of some rounds: what is not lost shows in one of them. */
static u64 least(u64 (*seen)[NR_FIGURES], int from, int to, int f)
{
	u64 min = ~0ULL;

	for (; from <= to; from++)
		min = seen[from][f] < min ? seen[from][f] : min;
	return min;
}

static void judge(struct __test_metadata *_metadata, u64 (*seen)[NR_FIGURES])
{
	u64 between = lives / 2, early, late, limit;
	int f;

	for (f = 0; f < NR_FIGURES; f++) {
		/* Rounds 1-3 and 5-7: half of the lives are between them. */
		early = least(seen, 1, ROUNDS / 2 - 1, f);
		late = least(seen, ROUNDS / 2 + 1, ROUNDS - 1, f);
		limit = early + figures[f].noise + between * figures[f].per_life;
		/* In the first of its lives the host fills caches of its own. */
		if (f < SECONDARY && lives < 2000)
			limit += 512 << 10;
		/* Where KASAN keeps what was freed, only what is charged tells. */
		if (f < SECONDARY && gmem_free_slack_kb() > 4096)
			limit += gmem_free_slack_kb() << 10;
		EXPECT_LE(late, limit)
			TH_LOG("%s: %ju kB more after %ju lives", figures[f].name,
			       (uintmax_t)(late - early) >> 10, (uintmax_t)between);
	}
}

FIXTURE(churn) {
	int kmsg;
};

FIXTURE_SETUP(churn)
{
	self->kmsg = gmem_kmsg_open();
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, shared);
	shared->next = first_life;
	cgroup_open();
}

FIXTURE_TEARDOWN(churn)
{
	if (cgroup[0])
		EXPECT_EQ(0, rmdir(cgroup));
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

/* The harness wants a limit of time; this program does as many lives as it is told to. */
TEST_F_TIMEOUT(churn, all_of_it_comes_back, 6 * 3600)
{
	u64 seen[ROUNDS][NR_FIGURES], start, us = 0;
	int i;

	for (i = 0; i < ROUNDS && !shared->failed; i++) {
		start = now_us();
		EXPECT_EQ(0, run_round(first_life + lives * (i + 1) / ROUNDS));
		us += now_us() - start;
		settle(seen[i]);
		print_figures(lives * (i + 1) / ROUNDS, seen[i]);
	}
	print_cgroup();
	TH_LOG("%ju lives in %ju s, %d at a time: %ju killed, %ju left open, %ju MiB given",
	       (uintmax_t)lives, (uintmax_t)us / 1000000, jobs, (uintmax_t)shared->killed,
	       (uintmax_t)shared->left, (uintmax_t)OFF(shared->pages) >> 20);
	if (lives < MIN_LIVES)
		TH_LOG("too few lives to tell a leak");
	else if (!shared->failed)
		judge(_metadata, seen);
}

static void explain(const char *name)
{
	printf("usage: %s [--lives N] [--seed S] [--first K] [--jobs J]\n", name);
	exit(KSFT_FAIL);
}

static void read_options(int argc, char **argv)
{
	static const struct option options[] = {
		{ "lives", required_argument, NULL, 'n' },
		{ "seed", required_argument, NULL, 's' },
		{ "first", required_argument, NULL, 'f' },
		{ "jobs", required_argument, NULL, 'j' },
		{}
	};
	int c;

	seed = now_us();
	jobs = sysconf(_SC_NPROCESSORS_ONLN) + 1;
	while ((c = getopt_long(argc, argv, "n:s:f:j:", options, NULL)) >= 0) {
		if (c == 'n')
			lives = strtoull(optarg, NULL, 0);
		else if (c == 's')
			seed = strtoull(optarg, NULL, 0);
		else if (c == 'f')
			first_life = strtoull(optarg, NULL, 0);
		else if (c == 'j')
			jobs = strtoul(optarg, NULL, 0);
		else
			explain(argv[0]);
	}
	if (optind != argc || jobs < 1)
		explain(argv[0]);
	/* The harness reads options, too: there are none left. */
	optind = 1;
	jobs = jobs < MAX_JOBS ? jobs : MAX_JOBS;
}

int main(int argc, char **argv)
{
	page = getpagesize();
	read_options(argc, argv);
	pkvm_require_gmem();
	printf("# seed %#lx\n", (unsigned long)seed);
	fflush(stdout);
	return test_harness_run(1, argv);
}
