// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every state that two guests, two pages and a host can get into, and every operation with
 * every class of argument in each of them: EL2's logic against the specification.
 *
 * The states are found by breadth-first search from the empty machine. In each the real EL2
 * is given the state in its own tables (in several shapes), does the operation, and what its
 * tables say then is compared with spec_step(). The specification itself must keep its
 * invariants, and must not leak. A second search does the same with an honest host kernel:
 * each of its operations is a number of operations on EL2, which the real one follows.
 *
 * What pages contain does not change what happens: it is painted anew by who has the page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <asm/kvm_pkvm_gmem.h>

#include "el2.h"
#include <nvhe/page_rules.h>

#define MAX_STATES	(1 << 21)
#define HASH_SIZE	(1 << 22)

struct node {
	struct spec state;
	unsigned int parent;
	struct spec_op op;
};

static struct node *nodes;
static unsigned int *hash_table;
static unsigned int nr_nodes, failures;
static unsigned long nr_checks, nr_assertions, per_kind[SPEC_NR_KINDS];
static struct spec_op ops[4096];
static unsigned int nr_ops;

static unsigned int hash(const struct spec *s)
{
	uint64_t words[(sizeof(*s) + 7) / 8] = {};
	uint64_t h = 0;

	memcpy(words, s, sizeof(*s));
	for (size_t i = 0; i < ARRAY_SIZE(words); i++)
		h = ((h << 5 | h >> 59) ^ words[i]) * 0x9e3779b97f4a7c15;
	return (h ^ h >> 32) & (HASH_SIZE - 1);
}

/* Content that says whose it is, so that a page with the wrong one is seen. */
static void paint(struct spec *s)
{
	for (unsigned int i = 0; i < SPEC_FRAMES; i++) {
		s->frame[i].data = 0x10 + i;
		s->frame[i].secret = false;
	}
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < SPEC_GFNS; i++) {
			struct spec_entry *e = &s->guest[g].entry[i];

			if (!pkvm_guest_has_page(e->state))
				continue;
			s->frame[e->pfn].data = 0x80 + 0x10 * g + i;
			s->frame[e->pfn].secret = e->state == PKVM_PAGE_OWNED;
		}
	}
}

static void add(const struct spec *s, unsigned int parent, const struct spec_op *op)
{
	struct spec state = *s;
	unsigned int h;

	paint(&state);
	/* Most operations are refused. */
	if (op && !memcmp(&nodes[parent].state, &state, sizeof(state)))
		return;
	for (h = hash(&state); hash_table[h]; h = (h + 1) & (HASH_SIZE - 1)) {
		if (!memcmp(&nodes[hash_table[h] - 1].state, &state, sizeof(state)))
			return;
	}
	if (nr_nodes == MAX_STATES) {
		printf("more than %u states\n", nr_nodes);
		exit(1);
	}
	nodes[nr_nodes] = (struct node) { state, parent, op ? *op : (struct spec_op) {} };
	hash_table[h] = ++nr_nodes;
}

static void print_path(unsigned int n)
{
	if (!n)
		return;
	print_path(nodes[n].parent);
	printf("    ");
	spec_print_op(&nodes[n].op);
}

static void fail(const char *what, unsigned int n, const struct spec_op *op,
		 const struct spec *want)
{
	if (failures++ >= 5)
		return;
	printf("FAIL: %s\n  after:\n", what);
	print_path(n);
	printf("  operation: ");
	spec_print_op(op);
	printf("  must become:\n");
	spec_print(want);
}

static bool same_result(const struct spec_result *a, const struct spec_result *b)
{
	return a->ret == b->ret && a->r0 == b->r0 && a->r1 == b->r1 &&
	       a->answered == b->answered && a->left == b->left;
}

/* Both have done an operation on EL2. Returns what is wrong. */
static const char *follow(const struct spec *s, const struct spec_result *want,
			  const struct spec_result *got)
{
	static char message[256];

	nr_assertions += 2;
	if (!same_result(want, got)) {
		snprintf(message, sizeof(message),
			 "result %ld {%lx, %lx} answered %d left %d, not %ld {%lx, %lx} %d %d",
			 got->ret, got->r0, got->r1, got->answered, got->left,
			 want->ret, want->r0, want->r1, want->answered, want->left);
		return message;
	}
	return el2_compare(s);
}

static void check_el2(unsigned int n, const struct spec_op *op, unsigned int shape)
{
	struct spec_result got, want = {};
	struct spec s = nodes[n].state;
	const char *what;

	el2_load(&s, shape);
	el2_step(op, &got);
	if (spec_asks(op))
		want.ret = got.ret;
	spec_step(&s, op, &want);

	nr_checks++;
	per_kind[op->kind]++;
	what = follow(&s, &want, &got);
	if (!what)
		what = spec_violation(&s);
	if (!what)
		what = spec_step_violation(&nodes[n].state, &s);
	if (!what && spec_leaks(&nodes[n].state, op))
		what = "the host sees what it must not know";
	if (what)
		fail(what, n, op, &s);
	else
		add(&s, n, op);
}

static void add_op(struct spec_op op)
{
	if (nr_ops == ARRAY_SIZE(ops))
		abort();
	ops[nr_ops++] = op;
}

static void add_guest_ops(uint8_t g)
{
	static const uint16_t nrs[] = { 0, 1, 2, PKVM_DONATE_MAX_PAGES + 1, SPEC_NR_HUGE };
	static const uint16_t gfns[] = { 0, 1, 2, SPEC_GFN_LIMIT };
	static const uint16_t pfns[] = { 0, 1, SPEC_PFN_HYP, SPEC_PFN_NONE, SPEC_PFN_LIMIT };

	for (uint8_t k = SPEC_HOST_INIT_VM; k <= SPEC_HOST_FINALIZE_TEARDOWN_VM; k++)
		add_op((struct spec_op) { .kind = k, .guest = g });
	add_op((struct spec_op) { .kind = SPEC_HOST_ENTER_GUEST, .guest = g });
	for (unsigned int n = 0; n < 5; n++) {
		add_op((struct spec_op) { .kind = SPEC_HOST_COMPLETE, .guest = g, .nr = nrs[n] });
		for (unsigned int f = 0; f < 4; f++) {
			struct spec_op op = { .guest = g, .gfn = gfns[f], .nr = nrs[n] };

			/* Outside it matters little how long it is. */
			if (gfns[f] >= SPEC_GFNS && nrs[n] != 1 && nrs[n] != SPEC_NR_HUGE)
				continue;
			for (uint8_t k = SPEC_GUEST_SHARE; k <= SPEC_GUEST_GUARD; k++) {
				op.kind = k;
				add_op(op);
			}
			op.kind = SPEC_HOST_RECLAIM_GUEST;
			add_op(op);
			op.flags = SPEC_MEMORY_ERROR;
			add_op(op);
			op.flags = 0;
			op.kind = SPEC_HOST_DONATE_GUEST;
			for (op.pfn = 0; op.pfn < 5; op.pfn++) {
				struct spec_op donate = op;

				donate.pfn = pfns[op.pfn];
				add_op(donate);
			}
		}
	}
	for (unsigned int f = 0; f < 4; f++) {
		add_op((struct spec_op) { .kind = SPEC_GUEST_WRITE, .guest = g, .gfn = gfns[f],
					  .val = 0x77 });
		for (uint16_t p = 0; p < 2; p++)
			add_op((struct spec_op) { .kind = SPEC_HOST_DONATE_PINNED, .guest = g,
						  .pfn = p, .gfn = gfns[f] });
	}
	/* Flags, where nothing else is wrong. */
	add_op((struct spec_op) { SPEC_HOST_DONATE_GUEST, g, .flags = SPEC_NO_TABLES, .nr = 1 });
	add_op((struct spec_op) { SPEC_HOST_DONATE_GUEST, g, .flags = SPEC_NOT_LOADED, .nr = 1 });
	add_op((struct spec_op) { SPEC_HOST_COMPLETE, g, .flags = SPEC_NOT_LOADED, .nr = 1 });
	for (uint8_t k = SPEC_GUEST_SHARE; k <= SPEC_GUEST_GUARD; k++) {
		add_op((struct spec_op) { k, g, .flags = SPEC_MISALIGNED, .nr = 1 });
		add_op((struct spec_op) { k, g, .flags = SPEC_RESERVED, .nr = 1 });
	}
	for (uint16_t nr = 1; nr <= 2; nr++)
		add_op((struct spec_op) { SPEC_GUEST_GUARD, g, .flags = SPEC_NO_TABLES, .nr = nr,
					  .val = 1 });
	add_op((struct spec_op) { SPEC_GUEST_ENROLL, g });
	add_op((struct spec_op) { SPEC_GUEST_ENROLL, g, .nr = 1 });
	add_op((struct spec_op) { SPEC_GUEST_ENROLL, g, .flags = SPEC_RESERVED });
}

static void add_frame_ops(void)
{
	static const uint16_t nrs[] = { 0, 1, 2, 3, SPEC_NR_HUGE };

	for (uint16_t pfn = 0; pfn <= SPEC_PFN_NONE; pfn++) {
		for (uint8_t k = SPEC_HOST_SHARE_HYP; k <= SPEC_HOST_WRITE; k++)
			add_op((struct spec_op) { .kind = k, .pfn = pfn, .val = 0x66 });
		add_op((struct spec_op) { .kind = SPEC_HOST_PAGE_OWNER, .pfn = pfn });
		for (unsigned int n = 0; n < 5; n++)
			add_op((struct spec_op) { .kind = SPEC_HOST_TEST_ACCESS, .pfn = pfn,
						  .nr = nrs[n] });
	}
	add_op((struct spec_op) { .kind = SPEC_HOST_TEST_ACCESS, .pfn = SPEC_PFN_LIMIT, .nr = 1 });
}

/* The two guests wait one at a time: what one waits for is nothing to the other. */
static bool explored(const struct spec *s, const struct spec_op *op)
{
	/* Only a guest that is alone has devices: they are nothing to another. */
	if (op->kind == SPEC_GUEST_ENROLL && s->guest[!op->guest].life != SPEC_NO_VM)
		return false;
	if (op->kind == SPEC_HOST_INIT_VM && s->guest[!op->guest].enrolled)
		return false;
	if (op->kind < SPEC_GUEST_SHARE || op->kind > SPEC_GUEST_GUARD)
		return true;
	return s->guest[!op->guest].record[0].op == SPEC_REQ_NONE;
}

static void search_el2(void)
{
	struct spec s;

	for (uint8_t g = 0; g < SPEC_GUESTS; g++)
		add_guest_ops(g);
	add_frame_ops();

	spec_init(&s);
	add(&s, 0, NULL);
	for (unsigned int n = 0; n < nr_nodes && failures < 5; n++) {
		for (unsigned int o = 0; o < nr_ops; o++) {
			if (explored(&nodes[n].state, &ops[o]))
				check_el2(n, &ops[o], (n + o) % 8);
		}
	}
	printf("any host: %u states, %u operations, %lu checks\n", nr_nodes, nr_ops, nr_checks);
}

/* With an honest host kernel */

static const char *follow_error;
static struct spec_result el2_result;

static void before(const struct spec_op *op, struct spec_result *r)
{
	el2_step(op, &el2_result);
	if (spec_asks(op))
		r->ret = el2_result.ret;
}

static void after(const struct spec *s, const struct spec_op *op, const struct spec_result *r)
{
	(void)op;
	if (!follow_error)
		follow_error = follow(s, r, &el2_result);
}

static const struct spec_follower follower = { before, after };

static void check_host(unsigned int n, const struct spec_op *op)
{
	struct spec s = nodes[n].state;
	struct spec_result r = {};
	const char *what;

	follow_error = NULL;
	el2_load(&s, (n + op->gfn) % 8);
	spec_follower = &follower;
	spec_step(&s, op, &r);
	spec_follower = NULL;

	nr_checks++;
	per_kind[op->kind]++;
	nr_assertions++;
	what = follow_error ? follow_error : spec_host_violation(&s);
	if (!what)
		what = spec_step_violation(&nodes[n].state, &s);
	if (!what && spec_leaks(&nodes[n].state, op))
		what = "the host sees what it must not know";
	if (what)
		fail(what, n, op, &s);
	else
		add(&s, n, op);
}

/*
 * All of it for one guest; then with a second one, which is there to want the first one's
 * pages, and without what makes no difference to that.
 */
static bool host_op_wanted(uint8_t kind, uint8_t g, unsigned int guests)
{
	if (guests == 1)
		return true;
	if ((kind >= SPEC_SYS_GET_REFERENCE && kind <= SPEC_SYS_MEMORY_FAILURE) ||
	    kind >= SPEC_SYS_GUEST_GUARD)
		return false;
	return !g || (kind != SPEC_SYS_CONVERT && kind != SPEC_SYS_USER_TOUCH &&
		      kind != SPEC_SYS_GUEST_SHARE && kind != SPEC_SYS_GUEST_UNSHARE);
}

static void add_host_ops(uint8_t g, unsigned int guests)
{
	uint16_t gfns = g ? 1 : SPEC_GFNS;

	for (uint8_t k = SPEC_SYS_CREATE; k < SPEC_NR_KINDS; k++) {
		for (uint16_t i = 0; host_op_wanted(k, g, guests) && i < gfns * gfns; i++) {
			struct spec_op op = { k, g, .pfn = i / gfns, .gfn = i / gfns,
					      .nr = i % gfns + 1, .val = 0x55 };

			add_op(op);
			op.flags = SPEC_PRIVATE;
			if (k == SPEC_SYS_CONVERT)
				add_op(op);
			op.flags = SPEC_NO_TABLES;
			if (k == SPEC_SYS_GUEST_GUARD)
				add_op(op);
			op = (struct spec_op) { k, g };
			if (k == SPEC_SYS_GUEST_ENROLL && !i)
				add_op(op);
		}
	}
}

static void search_host(unsigned int guests)
{
	struct spec s;

	memset(hash_table, 0, HASH_SIZE * sizeof(*hash_table));
	nr_nodes = nr_ops = nr_checks = 0;
	for (uint8_t g = 0; g < guests; g++)
		add_host_ops(g, guests);

	spec_init(&s);
	add(&s, 0, NULL);
	for (unsigned int n = 0; n < nr_nodes && failures < 5; n++) {
		for (unsigned int o = 0; o < nr_ops; o++)
			check_host(n, &ops[o]);
	}
	printf("an honest host, %u guests: %u states, %u operations, %lu checks\n", guests,
	       nr_nodes, nr_ops, nr_checks);
}

int main(void)
{
	struct timespec start, end;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	nodes = malloc(MAX_STATES * sizeof(*nodes));
	setvbuf(stdout, NULL, _IOLBF, 0);
	hash_table = calloc(HASH_SIZE, sizeof(*hash_table));
	if (!nodes || !hash_table)
		return 1;

	search_el2();
	for (unsigned int guests = 1; !failures && guests <= SPEC_GUESTS; guests++)
		search_host(guests);
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	for (unsigned int k = 0; k < SPEC_NR_KINDS; k++)
		printf("  %-28s %10lu\n", spec_kind_names[k], per_kind[k]);
	printf("%lu assertions, %u failed, %.1f s of CPU time\n", nr_assertions, failures,
	       end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9);
	return failures ? 1 : 0;
}
