// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd: several vCPUs and host threads at the same pages.
 * Whatever the order, each of them sees only what the contract allows, and in the
 * end host, guest and hypervisor agree about every page.
 */
#include <errno.h>
#include <pthread.h>
#include <linux/compiler.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "pkvm_guest.h"

#define NR_PAGES	1024
#define ROUNDS		300

FIXTURE(smp) {
	struct pkvm_vm vm;
	int fd;
	char *mem;
	int kmsg;
};

FIXTURE_VARIANT(smp) {
	int nr_vcpus;
};

FIXTURE_VARIANT_ADD(smp, two) {
	.nr_vcpus = 2,
};

FIXTURE_VARIANT_ADD(smp, four) {
	.nr_vcpus = 4,
};

FIXTURE_SETUP(smp)
{
	self->kmsg = gmem_kmsg_open();
	self->fd = pkvm_vm_create_gmem(&self->vm, variant->nr_vcpus, MEM_GPA, OFF(NR_PAGES),
				       GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
				       &self->mem);
}

FIXTURE_TEARDOWN(smp)
{
	pkvm_vm_destroy_gmem(&self->vm, self->fd, self->mem, OFF(NR_PAGES));
	EXPECT_EQ(0, gmem_kmsg_bad(self->kmsg));
	close(self->kmsg);
}

static void all_private(FIXTURE_DATA(smp) * self)
{
	TEST_ASSERT(!gmem_set_attr(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE),
		    "to private");
}

/* One command on one vCPU, with the VMM's answer to memory faults. */
struct job {
	pthread_t thread;
	struct pkvm_vcpu *vcpu;
	int fd;
	u64 op;
	u64 args[PKVM_NR_ARGS];
	int nr_res;
	int ret;
};

static void *run_job(void *arg)
{
	struct job *job = arg;
	int ret;

	ret = pkvm_vcpu_call(job->vcpu, job->op, job->args, PKVM_NR_ARGS, job->nr_res);
	job->ret = pkvm_vcpu_handle(job->vcpu, ret, job->fd, MEM_GPA);
	return NULL;
}

static void start_job(FIXTURE_DATA(smp) * self, struct job *job, int vcpu, u64 op,
		      u64 a0, u64 a1, u64 a2, u64 a3, u64 a4, int nr_res)
{
	*job = (struct job) {
		.vcpu = &self->vm.vcpu[vcpu],
		.fd = self->fd,
		.op = op,
		.args = { a0, a1, a2, a3, a4 },
		.nr_res = nr_res,
	};
	TEST_ASSERT(!pthread_create(&job->thread, NULL, run_job, job), "thread");
}

/* A host thread that is in the way: reads, writes, converts, punches. */
struct nuisance {
	pthread_t thread;
	char *mem;
	int fd;
	int first, count;
	bool convert, punch;
	bool stop;
	u64 values, buses, signals, odd;
};

static void *be_a_nuisance(void *arg)
{
	struct nuisance *n = arg;
	int i, ret;
	u64 val;

	for (i = 0; !READ_ONCE(n->stop); i++) {
		u64 off = OFF(n->first + i % n->count);

		/* The second word is nobody's: writing to it disturbs no stamp. */
		ret = i & 1 ? gmem_host_read64(n->mem + off, &val) :
			      gmem_host_write64(n->mem + off + 8, i);
		if (!ret)
			n->values++;
		else if (ret == SIGBUS)
			n->buses++;
		else
			n->signals++;

		if (n->convert) {
			ret = gmem_set_attr(n->fd, off, page,
					    i & 1 ? GMEM_PRIVATE : GMEM_SHARED);
			if (ret && ret != -EAGAIN && ret != -EPERM)
				n->odd++;
		}
		if (n->punch && i % 64 == 0 && gmem_punch(n->fd, off, page))
			n->odd++;
	}
	return NULL;
}

static void start_nuisance(FIXTURE_DATA(smp) * self, struct nuisance *n, int first,
			   int count, bool convert, bool punch)
{
	*n = (struct nuisance) {
		.mem = self->mem, .fd = self->fd, .first = first, .count = count,
		.convert = convert, .punch = punch,
	};
	TEST_ASSERT(!pthread_create(&n->thread, NULL, be_a_nuisance, n), "thread");
	/* The guests begin when it has: otherwise it may come when they are done. */
	while (!READ_ONCE(n->values) && !READ_ONCE(n->buses) && !READ_ONCE(n->signals))
		usleep(1000);
}

#define END_NUISANCE(n) do {						\
	WRITE_ONCE((n)->stop, true);					\
	pthread_join((n)->thread, NULL);				\
	EXPECT_EQ(0, (n)->signals);					\
	EXPECT_EQ(0, (n)->odd);						\
	TH_LOG("host: %ju accesses, %ju SIGBUS", (uintmax_t)(n)->values,	\
	       (uintmax_t)(n)->buses);					\
} while (0)

/* What the host may have is what the guest gives: both say the same of each page. */
static void expect_agreement(struct __test_metadata *_metadata,
			     FIXTURE_DATA(smp) * self, int first, int count)
{
	int i, host;
	s64 guest;
	u64 val;

	for (i = first; i < first + count; i++) {
		host = gmem_set_attr(self->fd, OFF(i), page, GMEM_SHARED);
		EXPECT_EQ(host ? SIGBUS : 0, gmem_host_read64(HVA(i), &val));
		guest = guest_unshare(&self->vm.vcpu[0], GPA(i), 1, NULL);
		if (host) {
			EXPECT_EQ(-EPERM, host);
			EXPECT_EQ(PKVM_INVALID_PARAMETER, guest);
		} else {
			EXPECT_EQ(PKVM_SUCCESS, guest);
		}
		EXPECT_EQ(SIGBUS, gmem_host_read64(HVA(i), &val));
		EXPECT_EQ(-EPERM, gmem_set_attr(self->fd, OFF(i), page, GMEM_SHARED));
	}
}

static void own_pages(struct __test_metadata *_metadata, FIXTURE_DATA(smp) * self,
		      int nr_vcpus, bool disturbed)
{
	struct job jobs[PKVM_MAX_VCPUS];
	struct nuisance n;
	int i;

	all_private(self);
	guest_fill(&self->vm.vcpu[0], GPA(0), 8 * nr_vcpus, 0, 0, page);
	for (i = 0; i < nr_vcpus; i++)
		start_job(self, &jobs[i], i, PKVM_OP_PINGPONG, GPA(8 * i), 8, ROUNDS, 1,
			  page, 5);
	if (disturbed)
		start_nuisance(self, &n, 0, 8 * nr_vcpus, false, false);

	for (i = 0; i < nr_vcpus; i++) {
		const u64 *res = self->vm.vcpu[i].res;

		pthread_join(jobs[i].thread, NULL);
		EXPECT_EQ(0, jobs[i].ret);
		EXPECT_EQ(ROUNDS, res[0]);
		EXPECT_EQ(ROUNDS, res[1]);
		EXPECT_EQ(0, res[2]);
		EXPECT_EQ(0, res[3]);
		EXPECT_EQ(0, res[4]);
		TH_LOG("vCPU %d: %ju busy exits", i, (uintmax_t)self->vm.vcpu[i].nr_faults);
	}
	if (disturbed)
		END_NUISANCE(&n);
	expect_agreement(_metadata, self, 0, 8 * nr_vcpus);
}

TEST_F_TIMEOUT(smp, each_its_own_pages, 180)
{
	own_pages(_metadata, self, variant->nr_vcpus, false);
}

TEST_F_TIMEOUT(smp, each_its_own_pages_and_a_host_that_touches, 180)
{
	own_pages(_metadata, self, variant->nr_vcpus, true);
}

static void same_page(struct __test_metadata *_metadata, FIXTURE_DATA(smp) * self,
		      int nr_vcpus, bool convert)
{
	struct job jobs[PKVM_MAX_VCPUS];
	u64 shared = 0, unshared = 0, refused = 0;
	struct nuisance n;
	int i, ret;

	all_private(self);
	guest_write64(&self->vm.vcpu[0], GPA(0), 0x77);
	start_nuisance(self, &n, 0, 1, convert, false);
	for (i = 0; i < nr_vcpus; i++)
		start_job(self, &jobs[i], i, PKVM_OP_PINGPONG, GPA(0), 1, ROUNDS, 0,
			  page, 5);
	for (i = 0; i < nr_vcpus; i++) {
		const u64 *res = self->vm.vcpu[i].res;

		pthread_join(jobs[i].thread, NULL);
		EXPECT_EQ(0, jobs[i].ret);
		EXPECT_EQ(2 * ROUNDS, res[0] + res[1] + res[2]);
		EXPECT_EQ(0, res[3]);
		shared += res[0];
		unshared += res[1];
		refused += res[2];
	}
	END_NUISANCE(&n);
	TH_LOG("%ju shared, %ju unshared, %ju refused", (uintmax_t)shared,
	       (uintmax_t)unshared, (uintmax_t)refused);

	/* Each success had a state to leave: they can only have taken turns. */
	EXPECT_TRUE(shared == unshared || shared == unshared + 1);
	ret = gmem_set_attr(self->fd, 0, page, GMEM_SHARED);
	EXPECT_EQ(shared == unshared ? -EPERM : 0, ret);
	EXPECT_EQ(0x77, guest_read64(&self->vm.vcpu[0], GPA(0)));
	expect_agreement(_metadata, self, 0, 1);
}

TEST_F_TIMEOUT(smp, all_the_same_page, 180)
{
	same_page(_metadata, self, variant->nr_vcpus, false);
}

TEST_F_TIMEOUT(smp, all_the_same_page_and_a_host_that_converts, 180)
{
	same_page(_metadata, self, variant->nr_vcpus, true);
}

TEST_F_TIMEOUT(smp, ranges_that_overlap, 180)
{
	struct job jobs[PKVM_MAX_VCPUS];
	struct nuisance n;
	int i, count = 4 * variant->nr_vcpus + 12;

	all_private(self);
	guest_fill(&self->vm.vcpu[0], GPA(0), count, 0x100, 1, page);
	start_nuisance(self, &n, 0, count, true, false);
	for (i = 0; i < variant->nr_vcpus; i++)
		start_job(self, &jobs[i], i, PKVM_OP_PINGPONG, GPA(4 * i), 16, ROUNDS, 0,
			  page, 5);
	for (i = 0; i < variant->nr_vcpus; i++) {
		pthread_join(jobs[i].thread, NULL);
		EXPECT_EQ(0, jobs[i].ret);
		EXPECT_EQ(0, self->vm.vcpu[i].res[3]);
	}
	END_NUISANCE(&n);
	EXPECT_EQ(0, guest_check(&self->vm.vcpu[0], GPA(0), count, 0x100, 1, page));
	expect_agreement(_metadata, self, 0, count);
}

TEST_F_TIMEOUT(smp, first_touch_by_all, 180)
{
	struct job jobs[PKVM_MAX_VCPUS];
	int i, n = variant->nr_vcpus;

	for (i = 0; i < NR_PAGES; i++)
		gmem_host_set64(HVA(i) + 64, 0x9000 + i);
	all_private(self);
	for (i = 0; i < n; i++)
		start_job(self, &jobs[i], i, PKVM_OP_FILL, GPA(0) + 8 * i, NR_PAGES,
			  0x10000 * (i + 1), 1, page, 1);
	for (i = 0; i < n; i++) {
		pthread_join(jobs[i].thread, NULL);
		EXPECT_EQ(0, jobs[i].ret);
	}

	/* Nobody's write went to a page that was not the one. */
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, guest_check(&self->vm.vcpu[n - 1 - i], GPA(0) + 8 * i, NR_PAGES,
					 0x10000 * (i + 1), 1, page));
	EXPECT_EQ(0, guest_check(&self->vm.vcpu[0], GPA(0) + 64, NR_PAGES, 0x9000, 1, page));
}

/* Every page begins shared: each first touch asks the VMM, while the host touches. */
TEST_F_TIMEOUT(smp, first_touch_of_shared_offsets, 180)
{
	struct job jobs[PKVM_MAX_VCPUS];
	int i, n = variant->nr_vcpus, count = 128;
	struct nuisance host;
	u64 faults = 0;

	for (i = 0; i < count; i++)
		gmem_host_set64(HVA(i) + 64, 0x9000 + i);
	start_nuisance(self, &host, 0, count, false, false);
	for (i = 0; i < n; i++)
		start_job(self, &jobs[i], i, PKVM_OP_FILL, GPA(0) + 16 + 8 * i, count,
			  0x10000 * (i + 1), 1, page, 1);
	for (i = 0; i < n; i++) {
		pthread_join(jobs[i].thread, NULL);
		EXPECT_EQ(0, jobs[i].ret);
		faults += self->vm.vcpu[i].nr_faults;
	}
	END_NUISANCE(&host);

	EXPECT_LE(count, faults);
	for (i = 0; i < n; i++)
		EXPECT_EQ(0, guest_check(&self->vm.vcpu[0], GPA(0) + 16 + 8 * i, count,
					 0x10000 * (i + 1), 1, page));
	EXPECT_EQ(0, guest_check(&self->vm.vcpu[0], GPA(0) + 64, count, 0x9000, 1, page));
}

/* Pages vanish under it: the guest goes on or is told so, and nothing else. */
TEST_F_TIMEOUT(smp, holes_under_running_vcpus, 180)
{
	struct job jobs[PKVM_MAX_VCPUS];
	struct nuisance host;
	int i, n = variant->nr_vcpus;

	all_private(self);
	guest_fill(&self->vm.vcpu[0], GPA(0), 16 * n, 0, 0, page);
	for (i = 0; i < n; i++)
		start_job(self, &jobs[i], i, PKVM_OP_PINGPONG, GPA(16 * i), 16, ROUNDS, 1,
			  page, 5);
	start_nuisance(self, &host, 0, 16 * n, true, true);
	for (i = 0; i < n; i++) {
		pthread_join(jobs[i].thread, NULL);
		EXPECT_TRUE(!jobs[i].ret || jobs[i].ret == -EHWPOISON);
		TH_LOG("vCPU %d: %d", i, jobs[i].ret);
	}
	END_NUISANCE(&host);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, pkvm_require_gmem);
}
