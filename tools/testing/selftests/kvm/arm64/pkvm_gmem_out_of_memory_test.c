// SPDX-License-Identifier: GPL-2.0-only
/*
 * Protected VMs on guest_memfd, out of memory: each call of the VMM's and the guest's is made
 * again and again, with the first allocation on its way failing, then the second, and so
 * on, until it comes to its end without one that fails.
 *
 * Each time the call gets ENOMEM or works all the same; if it failed, nothing has changed,
 * and trying again works. Whole lives are in pkvm_gmem_out_of_memory_vm_test.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <sys/mman.h>

#include "gmem_test.h"
#include "fail_nth.h"
#include "pkvm_guest.h"

/* One last-level table for each of these, so that a fault has to pay for one. */
#define AREA		512
#define NR_AREAS	256
#define NR_PAGES	(AREA * NR_AREAS)
/* More allocations than this nothing here needs. */
#define LIMIT		(NR_AREAS - 1)

#define STAMP		0x57a3900000000000ULL

/* ---- A guest, and what is done with it ---- */

struct world {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;
	int fd;
	char *mem;
	int kmsg;
	int pipe[2];
	/* What is at hand: which page, and how many. */
	u64 n, nr;
	u64 attr;
	u32 slot;
	int file;
	unsigned int allocations, refused;
};

FIXTURE(out_of_memory) {
	struct world w;
};

FIXTURE_SETUP(out_of_memory)
{
	self->w.kmsg = gmem_kmsg_open();
	fail_nth_open();
	ASSERT_EQ(0, pipe(self->w.pipe));

	self->w.fd = pkvm_vm_create_gmem(&self->w.vm, 1, MEM_GPA, OFF(NR_PAGES),
					 GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED,
					 &self->w.mem);
	self->w.vcpu = self->w.vm.vcpu;
}

FIXTURE_TEARDOWN(out_of_memory)
{
	pkvm_vm_destroy_gmem(&self->w.vm, self->w.fd, self->w.mem, OFF(NR_PAGES));
	EXPECT_EQ(0, gmem_kmsg_bad(self->w.kmsg));
	close(self->w.kmsg);
}

struct act {
	const char *name;
	/* Not part of what fails: make something that it can be done to. */
	void (*prepare)(struct __test_metadata *_metadata, struct world *w);
	int (*act)(struct world *w);
	/* After a failure; NULL: do the same again. */
	int (*again)(struct world *w);
	/* Nothing has changed, everything has. */
	void (*before)(struct __test_metadata *_metadata, struct world *w);
	void (*after)(struct __test_metadata *_metadata, struct world *w);
	/* Failure is not allowed: memory is what it gives back. */
	bool must_work;
};

/* The attempt whose n-th allocation fails; false if there are not so many. */
static bool attempt(struct __test_metadata *_metadata, struct world *w, const struct act *a,
		    unsigned int n)
{
	bool hit;
	int ret;

	if (a->prepare)
		a->prepare(_metadata, w);
	fail_nth(n);
	ret = a->act(w);
	hit = fail_nth_end();
	w->allocations += hit;
	if (ret && hit && !a->must_work) {
		w->refused++;
		EXPECT_EQ(-ENOMEM, ret)
			TH_LOG("%s, allocation %u", a->name, n);
		if (a->before)
			a->before(_metadata, w);
		ret = (a->again ?: a->act)(w);
	}
	EXPECT_EQ(0, ret)
		TH_LOG("%s, allocation %u: %s", a->name, n, hit ? "failed" : "there is none");
	if (!ret && a->after)
		a->after(_metadata, w);
	return hit;
}

static void every_allocation(struct __test_metadata *_metadata, struct world *w,
			     const struct act *a)
{
	unsigned int n;

	for (n = 1; n <= LIMIT; n++) {
		if (!attempt(_metadata, w, a, n))
			break;
	}
	EXPECT_GE(LIMIT, n)
		TH_LOG("%s: there is no end", a->name);
}

static void report(struct __test_metadata *_metadata, struct world *w, const char *name)
{
	TH_LOG("%s: %u allocations failed, and %u calls for that", name, w->allocations,
	       w->refused);
	w->allocations = w->refused = 0;
}

static int resume(struct world *w)
{
	return pkvm_vcpu_resume(w->vcpu);
}

/* The attributes of the whole file, as a sum that says which run is where. */
static u64 attributes(struct world *w)
{
	struct kvm_memory_attributes2 attr;
	u64 off = 0, sum = 0;

	while (off < OFF(NR_PAGES)) {
		TEST_ASSERT(!gmem_get_attr(w->fd, off, OFF(NR_PAGES) - off, &attr), "GET");
		sum = sum * 31 + attr.size * 7 + (attr.attributes ? 3 : 5);
		off += attr.size;
		/* Where pages are does not count. */
		while (off < OFF(NR_PAGES)) {
			u64 was = attr.attributes;

			TEST_ASSERT(!gmem_get_attr(w->fd, off, OFF(NR_PAGES) - off, &attr), "GET");
			if (attr.attributes != was)
				break;
			sum += attr.size * 7;
			off += attr.size;
		}
	}
	return sum;
}

static void make_private(struct __test_metadata *_metadata, struct world *w)
{
	ASSERT_EQ(0, gmem_set_attr(w->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE));
}

/* ---- The guest's accesses and calls ---- */

/* A page in an area of its own, between others that are there and not there. */
static void prepare_touch(struct __test_metadata *_metadata, struct world *w)
{
	w->n += AREA;
	ASSERT_EQ(0, gmem_set_attr(w->fd, OFF(w->n), OFF(64), GMEM_SHARED));
	gmem_host_set64(w->mem + OFF(w->n + 2), STAMP + w->n);
	gmem_host_set64(w->mem + OFF(w->n + 4), STAMP + w->n);
	ASSERT_EQ(0, gmem_set_attr(w->fd, OFF(w->n), OFF(64), GMEM_PRIVATE));
}

static int act_touch(struct world *w)
{
	u64 val;

	return __guest_read64(w->vcpu, GPA(w->n + 3), &val);
}

static void before_touch(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(w->fd, OFF(w->n + 3)));
}

static void after_touch(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(0, w->vcpu->res[0]);
	EXPECT_EQ(STAMP + w->n, guest_read64(w->vcpu, GPA(w->n + 2)));
	EXPECT_EQ(STAMP + w->n, guest_read64(w->vcpu, GPA(w->n + 4)));
	EXPECT_EQ(0, guest_check(w->vcpu, GPA(w->n + 5), 59, 0, 0, page));
	guest_write64(w->vcpu, GPA(w->n + 3), STAMP);
	EXPECT_EQ(STAMP, guest_read64(w->vcpu, GPA(w->n + 3)));
	EXPECT_EQ(0, gmem_punch(w->fd, OFF(w->n), OFF(AREA)));
}

TEST_F_TIMEOUT(out_of_memory, first_touch, 120)
{
	const struct act touch = {
		"the guest's first touch", prepare_touch, act_touch, resume, before_touch,
		after_touch,
	};

	make_private(_metadata, &self->w);
	guest_write64(self->w.vcpu, GPA(0), STAMP);
	every_allocation(_metadata, &self->w, &touch);
	EXPECT_LT(0, self->w.refused);
	EXPECT_EQ(STAMP, guest_read64(self->w.vcpu, GPA(0)));
	report(_metadata, &self->w, touch.name);
}

static int call(struct world *w, u64 func)
{
	int ret = __guest_hvc(w->vcpu, func, GPA(w->n), w->nr, 0);

	return ret ?: w->vcpu->res[0] || w->vcpu->res[1] != w->nr ? -EPROTO : 0;
}

static int call_again(struct world *w)
{
	int ret = pkvm_vcpu_resume(w->vcpu);

	return ret ?: w->vcpu->res[0] || w->vcpu->res[1] != w->nr ? -EPROTO : 0;
}

static int act_share(struct world *w)
{
	return call(w, PKVM_HVC_SHARE);
}

static int act_unshare(struct world *w)
{
	return call(w, PKVM_HVC_UNSHARE);
}

static int act_relinquish(struct world *w)
{
	return call(w, PKVM_HVC_RELINQUISH);
}

/* With a gap before it: each change of an attribute makes new runs. */
static void prepare_owned(struct __test_metadata *_metadata, struct world *w)
{
	w->n += 22;
	guest_fill(w->vcpu, GPA(w->n), w->nr, STAMP + w->n, 1, page);
}

static void expect_owned(struct __test_metadata *_metadata, struct world *w)
{
	u64 val, i;

	for (i = 0; i < w->nr; i++) {
		EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(w->fd, OFF(w->n + i)));
		EXPECT_EQ(SIGBUS, gmem_host_read64(w->mem + OFF(w->n + i), &val));
		EXPECT_EQ(-EPERM, gmem_set_attr(w->fd, OFF(w->n + i), page, GMEM_SHARED));
	}
}

static void expect_shared(struct __test_metadata *_metadata, struct world *w)
{
	u64 i;

	for (i = 0; i < w->nr; i++) {
		EXPECT_EQ(GMEM_SHARED, gmem_attr_of(w->fd, OFF(w->n + i)));
		EXPECT_EQ(STAMP + w->n + i, gmem_host_get64(w->mem + OFF(w->n + i)));
	}
}

static void after_share(struct __test_metadata *_metadata, struct world *w)
{
	expect_shared(_metadata, w);
	EXPECT_EQ(0, guest_check(w->vcpu, GPA(w->n), w->nr, STAMP + w->n, 1, page));
}

static void prepare_shared(struct __test_metadata *_metadata, struct world *w)
{
	prepare_owned(_metadata, w);
	ASSERT_EQ(0, act_share(w));
	/* Mapped, too. */
	expect_shared(_metadata, w);
}

static void after_unshare(struct __test_metadata *_metadata, struct world *w)
{
	expect_owned(_metadata, w);
	EXPECT_EQ(0, guest_check(w->vcpu, GPA(w->n), w->nr, STAMP + w->n, 1, page));
}

static void after_relinquish(struct __test_metadata *_metadata, struct world *w)
{
	u64 i, val;

	for (i = 0; i < w->nr; i++) {
		EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(w->fd, OFF(w->n + i)));
		EXPECT_FALSE(gmem_populated(w->fd, OFF(w->n + i)));
		EXPECT_EQ(SIGBUS, gmem_host_read64(w->mem + OFF(w->n + i), &val));
	}
	EXPECT_EQ(0, guest_check(w->vcpu, GPA(w->n), w->nr, 0, 0, page));
}

/* With one page and with many, each so often that the tree grows. */
static void calls(struct __test_metadata *_metadata, struct world *w, const struct act *a)
{
	int i;

	make_private(_metadata, w);
	for (i = 0; i < 24; i++) {
		w->nr = i % 4 == 3 ? 20 : 1;
		every_allocation(_metadata, w, a);
	}
	EXPECT_LT(0, w->allocations);
	report(_metadata, w, a->name);
}

TEST_F_TIMEOUT(out_of_memory, share, 120)
{
	const struct act share = {
		"SHARE", prepare_owned, act_share, call_again, expect_owned, after_share,
	};

	calls(_metadata, &self->w, &share);
}

TEST_F_TIMEOUT(out_of_memory, unshare, 120)
{
	const struct act unshare = {
		"UNSHARE", prepare_shared, act_unshare, call_again, expect_shared, after_unshare,
	};

	calls(_metadata, &self->w, &unshare);
}

TEST_F_TIMEOUT(out_of_memory, relinquish, 120)
{
	const struct act relinquish = {
		"RELINQUISH", prepare_owned, act_relinquish, call_again, expect_owned,
		after_relinquish,
	};

	calls(_metadata, &self->w, &relinquish);
}

static void prepare_untouched(struct __test_metadata *_metadata, struct world *w)
{
	w->n += AREA;
}

static void before_share_of_untouched(struct __test_metadata *_metadata, struct world *w)
{
	u64 val;

	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(w->fd, OFF(w->n)));
	EXPECT_EQ(SIGBUS, gmem_host_read64(w->mem + OFF(w->n), &val));
}

static void after_share_of_untouched(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(GMEM_SHARED, gmem_attr_of(w->fd, OFF(w->n)));
	EXPECT_EQ(0, gmem_host_get64(w->mem + OFF(w->n)));
	guest_write64(w->vcpu, GPA(w->n), STAMP);
	EXPECT_EQ(STAMP, gmem_host_get64(w->mem + OFF(w->n)));
	EXPECT_EQ(0, gmem_punch(w->fd, OFF(w->n), OFF(AREA)));
}

TEST_F_TIMEOUT(out_of_memory, share_of_a_page_that_is_not_mapped, 120)
{
	const struct act share = {
		"SHARE of a page that is not mapped", prepare_untouched, act_share, call_again,
		before_share_of_untouched, after_share_of_untouched,
	};

	make_private(_metadata, &self->w);
	self->w.nr = 1;
	every_allocation(_metadata, &self->w, &share);
	EXPECT_LT(0, self->w.refused);
	report(_metadata, &self->w, share.name);
}

/* ---- The VMM's calls ---- */

static u64 sum_before;

static void prepare_set(struct __test_metadata *_metadata, struct world *w)
{
	w->attr ^= GMEM_PRIVATE;
	if (w->attr) {
		w->n += 3 * w->nr;
		gmem_host_set64(w->mem + OFF(w->n), STAMP + w->n);
	}
	sum_before = attributes(w);
}

static int act_set(struct world *w)
{
	u64 err = GMEM_NO_OFFSET;
	int ret = gmem_set_attr_err(w->fd, OFF(w->n), OFF(w->nr), w->attr, &err);

	return ret == -ENOMEM && err != OFF(w->n) ? -EPROTO : ret;
}

static void before_set(struct __test_metadata *_metadata, struct world *w)
{
	u64 val = 0;

	EXPECT_EQ(sum_before, attributes(w));
	EXPECT_EQ(w->attr ? 0 : SIGBUS, gmem_host_read64(w->mem + OFF(w->n), &val));
	EXPECT_EQ(w->attr ? STAMP + w->n : 0, val);
}

static void after_set(struct __test_metadata *_metadata, struct world *w)
{
	struct kvm_memory_attributes2 attr;
	u64 val = 0;

	EXPECT_EQ(0, gmem_get_attr(w->fd, OFF(w->n), page, &attr));
	EXPECT_EQ(w->attr, attr.attributes);
	EXPECT_EQ(w->attr ? SIGBUS : 0, gmem_host_read64(w->mem + OFF(w->n), &val));
	EXPECT_EQ(w->attr ? 0 : w->nr == 1 ? STAMP + w->n : val, val);
}

/* A page of each three goes to private, then back: splits, and merges. */
TEST_F_TIMEOUT(out_of_memory, set_attributes, 120)
{
	const struct act set = {
		"SET_MEMORY_ATTRIBUTES2", prepare_set, act_set, NULL, before_set, after_set,
	};
	int i;

	self->w.nr = 1;
	for (i = 0; i < 60; i++)
		every_allocation(_metadata, &self->w, &set);
	EXPECT_LT(0, self->w.refused);
	report(_metadata, &self->w, set.name);
}

static void prepare_merge(struct __test_metadata *_metadata, struct world *w)
{
	u64 i;

	/* A board of 200 fields; the call takes 60 of them from its middle. */
	for (i = 0; i < 200; i += 2)
		ASSERT_EQ(0, gmem_set_attr(w->fd, OFF(w->n + i), page, GMEM_PRIVATE));
	for (i = 1; i < 200; i += 2)
		gmem_host_set64(w->mem + OFF(w->n + i), STAMP + i);
	w->n += 71;
	sum_before = attributes(w);
}

static void before_merge(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(sum_before, attributes(w));
	EXPECT_EQ(STAMP + 71, gmem_host_get64(w->mem + OFF(w->n)));
}

static void after_merge(struct __test_metadata *_metadata, struct world *w)
{
	struct kvm_memory_attributes2 attr;
	u64 i;

	for (i = 0; i < w->nr; i++)
		EXPECT_EQ(w->attr, gmem_attr_of(w->fd, OFF(w->n + i)));
	w->n -= 71;
	for (i = 1; i < 200; i++)
		EXPECT_EQ(0, gmem_get_attr(w->fd, OFF(w->n + i), page, &attr));
	EXPECT_EQ(0, gmem_set_attr(w->fd, OFF(w->n), OFF(200), GMEM_SHARED));
	for (i = 1; i < 200; i += 2)
		EXPECT_EQ(STAMP + i, gmem_host_get64(w->mem + OFF(w->n + i)));
}

TEST_F_TIMEOUT(out_of_memory, set_attributes_of_many_runs, 120)
{
	const struct act merge = {
		"SET over many runs", prepare_merge, act_set, NULL, before_merge, after_merge,
	};

	self->w.nr = 60;
	self->w.attr = GMEM_SHARED;
	every_allocation(_metadata, &self->w, &merge);
	self->w.attr = GMEM_PRIVATE;
	every_allocation(_metadata, &self->w, &merge);
	report(_metadata, &self->w, merge.name);
}

static int act_get(struct world *w)
{
	struct kvm_memory_attributes2 attr;

	return gmem_get_attr(w->fd, 0, OFF(NR_PAGES), &attr);
}

/* Reading needs no memory. */
TEST_F(out_of_memory, get_attributes)
{
	const struct act get = { "GET_MEMORY_ATTRIBUTES2", .act = act_get, .must_work = true };

	every_allocation(_metadata, &self->w, &get);
	report(_metadata, &self->w, get.name);
}

static void prepare_hole(struct __test_metadata *_metadata, struct world *w)
{
	w->n += AREA;
	EXPECT_FALSE(gmem_populated(w->fd, OFF(w->n)));
}

static int act_host_touch(struct world *w)
{
	u64 val;

	/* The kernel goes on trying: userspace has nowhere to be told. */
	return gmem_host_read64(w->mem + OFF(w->n), &val) ?: val ? -EPROTO : 0;
}

static void after_host_touch(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_TRUE(gmem_populated(w->fd, OFF(w->n)));
	gmem_host_set64(w->mem + OFF(w->n), STAMP);
	EXPECT_EQ(STAMP, gmem_host_get64(w->mem + OFF(w->n)));
}

TEST_F(out_of_memory, host_fault)
{
	const struct act touch = {
		"a host's access", prepare_hole, act_host_touch, .after = after_host_touch,
		.must_work = true,
	};

	every_allocation(_metadata, &self->w, &touch);
	EXPECT_LT(0, self->w.allocations);
	report(_metadata, &self->w, touch.name);
}

/* In the kernel the same access is EFAULT. */
static int act_kernel_touch(struct world *w)
{
	int ret = write(w->pipe[1], w->mem + OFF(w->n), 8);

	return ret == 8 ? 0 : errno == EFAULT ? -ENOMEM : -errno;
}

static void after_kernel_touch(struct __test_metadata *_metadata, struct world *w)
{
	u64 val = 1;

	EXPECT_EQ(8, read(w->pipe[0], &val, 8));
	EXPECT_EQ(0, val);
	after_host_touch(_metadata, w);
}

TEST_F(out_of_memory, host_fault_in_a_system_call)
{
	const struct act touch = {
		"a system call's access", prepare_hole, act_kernel_touch,
		.after = after_kernel_touch,
	};

	every_allocation(_metadata, &self->w, &touch);
	EXPECT_LT(0, self->w.allocations);
	report(_metadata, &self->w, touch.name);
}

static int act_fallocate(struct world *w)
{
	return fallocate(w->fd, FALLOC_FL_KEEP_SIZE, OFF(w->n), OFF(8)) ? -errno : 0;
}

static void after_fallocate(struct __test_metadata *_metadata, struct world *w)
{
	u64 i;

	for (i = 0; i < 8; i++) {
		EXPECT_TRUE(gmem_populated(w->fd, OFF(w->n + i)));
		EXPECT_EQ(0, gmem_host_get64(w->mem + OFF(w->n + i)));
	}
}

TEST_F(out_of_memory, fallocate)
{
	const struct act allocate = {
		"fallocate", prepare_hole, act_fallocate, .after = after_fallocate,
	};

	every_allocation(_metadata, &self->w, &allocate);
	EXPECT_LT(0, self->w.refused);
	report(_metadata, &self->w, allocate.name);
}

static int act_punch(struct world *w)
{
	return gmem_punch(w->fd, OFF(w->n), OFF(w->nr));
}

static void prepare_to_punch(struct __test_metadata *_metadata, struct world *w)
{
	w->n += 22;
	guest_fill(w->vcpu, GPA(w->n), w->nr + 1, STAMP + w->n, 1, page);
	ASSERT_EQ(0, guest_share(w->vcpu, GPA(w->n + 1), 1, NULL));
	EXPECT_EQ(STAMP + w->n + 1, gmem_host_get64(w->mem + OFF(w->n + 1)));
}

static void after_punch(struct __test_metadata *_metadata, struct world *w)
{
	u64 i;

	for (i = 0; i < w->nr; i++) {
		EXPECT_FALSE(gmem_populated(w->fd, OFF(w->n + i)));
		EXPECT_EQ(i == 1 ? GMEM_SHARED : GMEM_PRIVATE,
			  gmem_attr_of(w->fd, OFF(w->n + i)));
		EXPECT_EQ(PKVM_INVALID_PARAMETER, guest_share(w->vcpu, GPA(w->n + i), 1, NULL));
	}
	EXPECT_EQ(0, gmem_host_get64(w->mem + OFF(w->n + 1)));
	EXPECT_EQ(STAMP + w->n + w->nr, guest_read64(w->vcpu, GPA(w->n + w->nr)));
}

/* Always succeeds. */
TEST_F_TIMEOUT(out_of_memory, punch_hole, 120)
{
	const struct act punch = {
		"PUNCH_HOLE", prepare_to_punch, act_punch, .after = after_punch,
		.must_work = true,
	};
	int i;

	make_private(_metadata, &self->w);
	for (i = 0; i < 24; i++) {
		self->w.nr = i % 4 == 3 ? 20 : 2;
		every_allocation(_metadata, &self->w, &punch);
	}
	report(_metadata, &self->w, punch.name);
}

/* ---- Files and slots ---- */

static int act_create(struct world *w)
{
	w->file = gmem_create(w->vm.fd, OFF(16), GUEST_MEMFD_FLAG_MMAP);
	return w->file < 0 ? w->file : 0;
}

static void after_create(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(GMEM_PRIVATE, gmem_attr_of(w->file, 0));
	EXPECT_EQ(0, gmem_set_attr(w->file, OFF(3), page, GMEM_SHARED));
	EXPECT_EQ(0, close(w->file));
}

TEST_F(out_of_memory, create_guest_memfd)
{
	const struct act create = {
		"CREATE_GUEST_MEMFD", .act = act_create, .after = after_create,
	};

	every_allocation(_metadata, &self->w, &create);
	EXPECT_LT(0, self->w.refused);
	report(_metadata, &self->w, create.name);
}

#define SLOT_GPA	0x200000000ULL

static int act_add_slot(struct world *w)
{
	return pkvm_slot_gmem(&w->vm, 1, SLOT_GPA, OFF(13), w->file, OFF(2));
}

static int act_delete_slot(struct world *w)
{
	return gmem_set_slot(w->vm.fd, 1, SLOT_GPA, 0, NULL, w->file, OFF(2));
}

static void prepare_slot(struct __test_metadata *_metadata, struct world *w)
{
	ASSERT_EQ(0, act_add_slot(w));
}

/* It is there: the file's offsets are taken. */
static void expect_slot(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(-EEXIST, pkvm_slot_gmem(&w->vm, 2, SLOT_GPA + OFF(64), page, w->file, OFF(14)));
	EXPECT_EQ(-EEXIST, pkvm_slot_gmem(&w->vm, 2, SLOT_GPA + OFF(64), page, w->file, OFF(2)));
}

static void expect_no_slot(struct __test_metadata *_metadata, struct world *w)
{
	EXPECT_EQ(0, pkvm_slot_gmem(&w->vm, 2, SLOT_GPA, OFF(16), w->file, 0));
	EXPECT_EQ(0, gmem_set_slot(w->vm.fd, 2, SLOT_GPA, 0, NULL, w->file, 0));
}

static void after_add_slot(struct __test_metadata *_metadata, struct world *w)
{
	expect_slot(_metadata, w);
	EXPECT_EQ(0, act_delete_slot(w));
}

TEST_F(out_of_memory, memslots)
{
	const struct act add = {
		"making a slot", .act = act_add_slot, .before = expect_no_slot,
		.after = after_add_slot,
	};
	const struct act delete = {
		"deleting a slot", .prepare = prepare_slot, .act = act_delete_slot,
		.before = expect_slot, .after = expect_no_slot,
	};

	ASSERT_EQ(0, act_create(&self->w));
	every_allocation(_metadata, &self->w, &add);
	EXPECT_LT(0, self->w.refused);
	report(_metadata, &self->w, add.name);
	every_allocation(_metadata, &self->w, &delete);
	report(_metadata, &self->w, delete.name);
	close(self->w.file);
}

int main(int argc, char **argv)
{
	int ret;

	page = getpagesize();
	pkvm_require_gmem();
	fail_nth_require();
	ret = test_harness_run(argc, argv);
	fail_nth_restore();
	return ret;
}
