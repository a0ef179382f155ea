// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest's vCPU on its own, in the concurrent mode of the random tester: see
 * pkvm_random_concurrent.c.
 *
 * It makes up batches of commands: some for pages of its own, of which it knows what each call
 * must answer and what they contain, and some for pages that everybody is at.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <linux/compiler.h>

#include "pkvm_random.h"

#define ANYBODYS	RND_ANYBODYS
#define SECRET		RND_SECRET
#define OPEN		RND_OPEN
#define MARK		RND_MARK
#define GROUP		4	/* own pages that are one thing to a round */
#define GROUPS		3	/* of them in a round */

struct roam {
	struct rnd_shared *shm;
	struct pkvm_vcpu *vcpu;
	struct rnd rnd;
	struct pkvm_cmd *list;
	int fd;
	u32 nr, first, end;	/* commands; own pages */
	u64 val[RND_CONCURRENT_PAGES];	/* content, as far as a round has been judged */
	u64 stamp;
	/* What each command of a round must lead to. */
	struct expect {
		u8 what;
		u8 nr;
		u16 page;
	} expect[RND_MAX_CMDS];
};

enum { ANY, ODD, FILLED, CONTENT, SHARED, UNSHARED, GIVEN_UP, REFUSED, FIRST, FIRST_SHARED,
	NOTHING };

static void fail(struct roam *r, const char *what, u32 page, u64 got, u64 want)
{
	snprintf(r->shm->problem, sizeof(r->shm->problem),
		 "vCPU %d: %s, page %u: %#lx, not %#lx", r->vcpu->id, what, page,
		 (unsigned long)got, (unsigned long)want);
	fprintf(stderr, "# %s\n", r->shm->problem);
	exit(KSFT_FAIL);
}

static void add(struct roam *r, u8 what, u32 page, u32 nr, struct pkvm_cmd cmd)
{
	if (r->nr == RND_MAX_CMDS)
		return;
	r->expect[r->nr] = (struct expect) { what, nr, page };
	r->list[r->nr++] = cmd;
}

static void add_call(struct roam *r, u8 what, u64 func, u32 page, u32 nr)
{
	add(r, what, page, nr, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, RND_GPA(page), nr } });
}

static void add_fill(struct roam *r, u32 page, u64 val)
{
	r->shm->own.val[page] = val;
	add(r, FILLED, page, 1, (struct pkvm_cmd) { PKVM_CMD_FILL, { RND_GPA(page), val } });
}

static void add_check(struct roam *r, u8 what, u32 page)
{
	add(r, what, page, 1, (struct pkvm_cmd) { PKVM_CMD_CHECK, { RND_GPA(page) } });
}

static u64 new_value(struct roam *r, u64 mark)
{
	return mark | (++r->stamp & 0xffffffff) << 8 | r->vcpu->id;
}

/* Pages of one kind within a group, from a random one on. */
static u32 choose_run(struct roam *r, u32 group, u32 *nr)
{
	u32 at = rnd_below(&r->rnd, GROUP), n = 1, page = group + at;
	u8 is = r->shm->own.is[page];

	while (at + n < GROUP && r->shm->own.is[page + n] == is && rnd_below(&r->rnd, 4))
		n++;
	*nr = n;
	return page;
}

static void plan_owned(struct roam *r, u32 page, u32 nr)
{
	u32 what = rnd_below(&r->rnd, 8);

	for (u32 i = 0; i < nr; i++) {
		add_check(r, CONTENT, page + i);
		if (what < 4)
			add_fill(r, page + i, new_value(r, OPEN));
		else
			add_fill(r, page + i, new_value(r, SECRET));
	}
	if (what < 4)
		add_call(r, SHARED, PKVM_HVC_SHARE, page, nr);
	else if (what == 4)
		add_call(r, GIVEN_UP, PKVM_HVC_RELINQUISH, page, nr);
	else if (what == 5)
		add_call(r, REFUSED, PKVM_HVC_UNSHARE, page, nr);
}

static void plan_shared(struct roam *r, u32 page, u32 nr)
{
	switch (rnd_below(&r->rnd, 8)) {
	case 0:
		add_call(r, REFUSED, PKVM_HVC_SHARE, page, nr);
		break;
	case 1:
		add_call(r, REFUSED, PKVM_HVC_RELINQUISH, page, nr);
		break;
	case 2:
		for (u32 i = 0; i < nr; i++)
			add_fill(r, page + i, new_value(r, OPEN));
		break;
	default:
		for (u32 i = 0; i < nr; i++)
			add_check(r, CONTENT, page + i);
		add_call(r, UNSHARED, PKVM_HVC_UNSHARE, page, nr);
		break;
	}
}

/* Where the guest has nothing, or what came along with a neighbour: zeros. */
static void plan_gone(struct roam *r, u32 page, u32 nr)
{
	switch (rnd_below(&r->rnd, 4)) {
	case 0:
		add_call(r, FIRST_SHARED, PKVM_HVC_SHARE, page, nr);
		break;
	case 1:
		add_call(r, NOTHING, PKVM_HVC_RELINQUISH, page, nr);
		break;
	default:
		for (u32 i = 0; i < nr; i++)
			add_check(r, FIRST, page + i);
		break;
	}
}

static void plan_own(struct roam *r, u32 group)
{
	u32 nr, page = choose_run(r, r->first + group * GROUP, &nr);

	switch (r->shm->own.is[page]) {
	case RND_OWNED:
		plan_owned(r, page, nr);
		break;
	case RND_SHARED:
		plan_shared(r, page, nr);
		break;
	default:
		plan_gone(r, page, nr);
		break;
	}
}

static void plan_odd(struct roam *r)
{
	static const u64 calls[] = { PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_RELINQUISH };
	u64 gpa = RND_GPA(rnd_below(&r->rnd, ANYBODYS)), func = calls[rnd_below(&r->rnd, 3)];

	switch (rnd_below(&r->rnd, 6)) {
	case 0:
		add(r, ODD, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, gpa + 8, 1 } });
		break;
	case 1:
		add(r, ODD, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, gpa, 1ULL << 52 } });
		break;
	case 2:
		add(r, ODD, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, -rnd_page, 2 } });
		break;
	case 3:
		add(r, ODD, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, gpa, 1, 1 } });
		break;
	case 4:
		add(r, ODD, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { func, 0x70000000, 3 } });
		break;
	default:
		add(r, ANY, 0, 0, (struct pkvm_cmd) { PKVM_CMD_HVC, { PKVM_HVC_MEMINFO } });
		break;
	}
}

static void plan_anybodys(struct roam *r)
{
	static const u64 calls[] = { PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_UNSHARE,
				     PKVM_HVC_RELINQUISH };
	u32 page = rnd_below(&r->rnd, ANYBODYS);
	u32 nr = 1 + rnd_below(&r->rnd, rnd_below(&r->rnd, 16) ? 4 : ANYBODYS - page);

	if (nr > ANYBODYS - page)
		nr = ANYBODYS - page;
	switch (rnd_below(&r->rnd, 8)) {
	case 0:
		add(r, ANY, page, 1, (struct pkvm_cmd) { PKVM_CMD_CHECK, { RND_GPA(page) } });
		break;
	case 1:
		add(r, ANY, page, 1, (struct pkvm_cmd) {
			PKVM_CMD_FILL, { RND_GPA(page), new_value(r, OPEN) } });
		break;
	case 2:
		plan_odd(r);
		break;
	default:
		add_call(r, ANY, calls[rnd_below(&r->rnd, 4)], page, nr);
		break;
	}
}

/* A group is planned for once: what a command leads to is known when the round is over. */
static void plan(struct roam *r)
{
	u32 groups = (r->end - r->first) / GROUP, first = rnd_below(&r->rnd, groups);

	r->nr = 0;
	for (u32 i = 0; i < GROUPS; i++) {
		plan_own(r, (first + i) % groups);
		for (u32 j = 0; j < 12; j++)
			plan_anybodys(r);
	}
}

static void set(struct roam *r, u32 page, u32 nr, enum rnd_page_is is)
{
	memset(&r->shm->own.is[page], is, nr);
}

static void judge_call(struct roam *r, const struct expect *e, const struct pkvm_cmd *cmd)
{
	s64 r0 = cmd->res[0];
	u64 done = cmd->res[1];

	if (e->what == REFUSED || e->what == ODD) {
		if (r0 != PKVM_INVALID_PARAMETER)
			fail(r, "a call that must be refused", e->page, r0, PKVM_INVALID_PARAMETER);
		return;
	}
	if (e->what == ANY && r0 == PKVM_INVALID_PARAMETER)
		return;
	if (r0 || !done || done > cmd->arg[2])
		fail(r, "a call's R0, R1", e->page, r0 ?: done, cmd->arg[2]);
	if ((e->what == SHARED || e->what == GIVEN_UP) && done != e->nr)
		fail(r, "granules done", e->page, done, e->nr);
	if (e->what == SHARED || e->what == FIRST_SHARED)
		set(r, e->page, done, RND_SHARED);
	else if (e->what == UNSHARED)
		set(r, e->page, done, RND_OWNED);
	else if (e->what == GIVEN_UP)
		set(r, e->page, done, RND_GONE);
	for (u32 i = 0; i < done && (e->what == GIVEN_UP || e->what == FIRST_SHARED); i++)
		r->shm->own.val[e->page + i] = r->val[e->page + i] = 0;
}

/* In the order in which they were done: a value that was filled later is not there yet. */
static void judge(struct roam *r)
{
	for (u32 i = 0; i < r->nr; i++) {
		const struct expect *e = &r->expect[i];
		const struct pkvm_cmd *cmd = &r->list[i];

		if (cmd->op == PKVM_CMD_HVC && cmd->arg[0] == PKVM_HVC_MEMINFO) {
			if (cmd->res[0] != rnd_page)
				fail(r, "MEMINFO", 0, cmd->res[0], rnd_page);
		} else if (cmd->op == PKVM_CMD_HVC) {
			judge_call(r, e, cmd);
		} else if (e->what == FILLED) {
			r->val[e->page] = cmd->arg[1];
		} else if (e->what == CONTENT || e->what == FIRST) {
			if (cmd->res[0] != r->val[e->page] || cmd->res[1])
				fail(r, "content", e->page, cmd->res[0], r->val[e->page]);
			if (e->what == FIRST)
				set(r, e->page, 1, RND_OWNED);
		} else if (e->what == ANY && cmd->op == PKVM_CMD_CHECK &&
			   MARK(cmd->res[0]) == SECRET) {
			fail(r, "a secret in the wrong place", e->page, cmd->res[0], 0);
		}
	}
}

/* The command is passed over: whoever looks at its result finds nothing in it. */
static int skip(struct roam *r)
{
	int ret = pkvm_vcpu_skip(r->vcpu);
	u64 left = r->vcpu->left;

	if (!left || left > r->nr)
		fail(r, "what a skipped batch has left", 0, left, r->nr);
	r->list[r->nr - left].op = PKVM_CMD_NOP;
	return ret;
}

/* What stopped the batch: answered as a VMM does, or the command is passed over. */
static int answer_exit(struct roam *r, int ret)
{
	struct kvm_run *run = r->vcpu->run;
	u64 page = (run->memory_fault.gpa - RND_MEM_GPA) / rnd_page;
	int err;

	r->shm->stats[r->vcpu->id].exits++;
	if (run->exit_reason != KVM_EXIT_MEMORY_FAULT || page >= r->shm->nr_pages)
		fail(r, "exit", page, run->exit_reason, KVM_EXIT_MEMORY_FAULT);
	if (ret == -EHWPOISON) {
		if (page >= ANYBODYS)
			fail(r, "a page is destroyed", page, ret, 0);
		return skip(r);
	}
	if (ret != -EFAULT || run->memory_fault.flags != KVM_MEMORY_EXIT_FLAG_PRIVATE)
		fail(r, "exit's flags or KVM_RUN", page, run->memory_fault.flags, ret);
	err = gmem_set_attr(r->fd, RND_OFF(page), rnd_page, GMEM_PRIVATE);
	if (err && err != -EAGAIN)
		fail(r, "to private", page, err, 0);
	/* Somebody holds it. For what is anybody's there is no need to wait. */
	if (err && page < ANYBODYS)
		return skip(r);
	if (err)
		usleep(1000);
	return pkvm_vcpu_resume(r->vcpu);
}

static void forget_list(struct pkvm_cmd *list, u32 nr)
{
#ifdef __aarch64__
	for (u32 i = 0; i < nr; i++)
		asm volatile("dc civac, %0" :: "r" (&list[i]) : "memory");
	asm volatile("dsb sy" ::: "memory");
#endif
}

static void round_of(struct roam *r)
{
	int ret;

	/* What is planned to be written is noted at once: until it is done, this counts. */
	memcpy(r->val, r->shm->own.val, sizeof(r->val));
	plan(r);
	ret = rnd_run_list(r->shm, r->vcpu, r->list, r->nr);
	while (ret < 0)
		ret = answer_exit(r, ret);
	if (ret)
		fail(r, "the guest", 0, ret, 0);
	forget_list(r->list, r->nr);
	judge(r);
}

void rnd_concurrent_vcpu(struct rnd_shared *shm, struct pkvm_vcpu *vcpu,
			 struct pkvm_cmd *list, int fd)
{
	u32 share = (shm->nr_pages - ANYBODYS) / shm->nr_vcpus / GROUP * GROUP;
	struct roam r = {
		.shm = shm, .vcpu = vcpu, .list = list, .fd = fd,
		.first = ANYBODYS + vcpu->id * share, .end = ANYBODYS + (vcpu->id + 1) * share,
	};

	rnd_seed(&r.rnd, shm->seed ^ shm->life << 16, shm->mail[vcpu->id].nr + vcpu->id);
	r.stamp = (u64)shm->mail[vcpu->id].nr << 20;
	while (!READ_ONCE(shm->stop) && !READ_ONCE(shm->pause))
		round_of(&r);
}
