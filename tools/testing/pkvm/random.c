// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random lives of the abstract machine, which EL2's real logic has to follow step by step.
 *
 *	random [--seed N] [--steps N] [--save FILE]	make up lives; the same for the same seed
 *	random --replay FILE				do what a file says
 *	random --corpus DIR [--seed N]			write beginnings for a fuzzer
 *
 * A life is a row of struct spec_op, which is also what a file holds and what a fuzzer gives
 * (built with -DFUZZER this is a libFuzzer target). Any bytes are a life: fields are brought
 * into range. If the first operation is one of an honest host kernel then all of them are,
 * and its invariants are checked too; else they are anybody's, straight to EL2.
 *
 * Lives of an honest host kernel are also what the random tester on the emulated host makes and
 * replays (tools/testing/selftests/kvm/arm64/pkvm_gmem_random.c); random-guests has its sizes.
 *
 * A life that fails is made shorter as long as it still fails, printed, and saved.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "el2.h"

#define MAX_OPS		256
#define SAVE_FILE	"random-failure.ops"

static unsigned long nr_steps, nr_el2_steps, nr_succeeded;
static const char *problem;
static char message[256];

/* Bring a field into range; the greatest value has a meaning of its own. */
static uint16_t within(uint16_t value, uint16_t limit)
{
	return value == 0xffff ? value : value % limit;
}

static void normalise(struct spec_op *op, bool honest)
{
	/* What is in range stays what it is: a life that was saved is the same again. */
	if (honest && op->kind >= SPEC_SYS_CREATE)
		op->kind -= SPEC_SYS_CREATE;
	if (honest)
		op->kind = SPEC_SYS_CREATE + op->kind % (SPEC_NR_KINDS - SPEC_SYS_CREATE);
	else
		op->kind %= SPEC_NR_EL2_KINDS;
	op->guest %= SPEC_GUESTS;
	op->vcpu %= SPEC_VCPUS;
	op->pfn = within(op->pfn, SPEC_PFN_NONE + 1);
	op->gfn = within(op->gfn, SPEC_GFNS + 1);
	op->nr = within(op->nr, SPEC_GFNS + SPEC_GFNS / 4 + 1);
	op->val &= 0xff;
	if (!honest)
		return;
	op->flags &= op->kind < SPEC_SYS_GUEST_SHARE ? SPEC_PRIVATE :
						      SPEC_MISALIGNED | SPEC_RESERVED | SPEC_NO_TABLES;
	if (op->gfn > SPEC_GFNS)
		op->gfn = SPEC_GFNS;
}

static void check_result(const struct spec_result *want, const struct spec_result *got)
{
	if (problem || (want->ret == got->ret && want->r0 == got->r0 && want->r1 == got->r1 &&
			want->answered == got->answered && want->left == got->left))
		return;
	snprintf(message, sizeof(message),
		 "EL2 returned %ld {%lx, %lx} answered %d left %d, not %ld {%lx, %lx} %d %d",
		 (long)got->ret, got->r0, got->r1, got->answered, got->left,
		 (long)want->ret, want->r0, want->r1, want->answered, want->left);
	problem = message;
}

static struct spec_result el2_result;

static void before(const struct spec_op *op, struct spec_result *r)
{
	nr_el2_steps++;
	el2_step(op, &el2_result);
	if (spec_asks(op))
		r->ret = el2_result.ret;
}

static void after(const struct spec *s, const struct spec_op *op, const struct spec_result *r)
{
	(void)s;
	(void)op;
	check_result(r, &el2_result);
}

static const struct spec_follower follower = { before, after };

static void step_any(struct spec *s, const struct spec_op *op)
{
	struct spec_result want = {};
	struct spec old = *s;

	before(op, &want);
	spec_step(s, op, &want);
	nr_succeeded += want.ret >= 0 && (!want.answered || !want.r0);
	check_result(&want, &el2_result);
	if (!problem)
		problem = spec_violation(s);
	if (!problem)
		problem = spec_step_violation(&old, s);
}

static void step_honest(struct spec *s, const struct spec_op *op)
{
	struct spec_result r = {};

	spec_follower = &follower;
	spec_step(s, op, &r);
	spec_follower = NULL;
	nr_succeeded += r.ret >= 0 && (!r.answered || !r.r0);
	if (!problem)
		problem = spec_host_violation(s);
}

/* Returns at which operation it went wrong, or -1. */
static int live(const struct spec_op *ops, unsigned int nr, unsigned int shape)
{
	bool honest = nr && ops[0].kind >= SPEC_SYS_CREATE;
	struct spec s;

	spec_init(&s);
	el2_load(&s, shape);
	problem = NULL;
	for (unsigned int i = 0; i < nr; i++) {
		nr_steps++;
		if (honest)
			step_honest(&s, &ops[i]);
		else
			step_any(&s, &ops[i]);
		if (!problem)
			problem = el2_compare(&s);
		if (problem)
			return i;
	}
	return -1;
}

/* Without one operation after the other, as long as it still goes wrong. */
static unsigned int shrink(struct spec_op *ops, unsigned int nr, unsigned int shape)
{
	struct spec_op fewer[MAX_OPS];

	for (unsigned int chunk = nr / 2; chunk; chunk /= 2) {
		for (unsigned int at = 0; at + chunk <= nr;) {
			int last;

			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + chunk, (nr - at - chunk) * sizeof(*ops));
			/* The first one says what kind of host it is. */
			last = nr == chunk || (fewer[0].kind >= SPEC_SYS_CREATE) !=
					      (ops[0].kind >= SPEC_SYS_CREATE) ?
			       -1 : live(fewer, nr - chunk, shape);
			if (last < 0) {
				at += chunk;
				continue;
			}
			nr = last + 1;
			memcpy(ops, fewer, nr * sizeof(*ops));
		}
	}
	return nr;
}

static void save(const char *path, const struct spec_op *ops, unsigned int nr)
{
	FILE *f = fopen(path, "wb");

	if (!f || fwrite(ops, sizeof(*ops), nr, f) != nr || fclose(f))
		perror(path);
}

static void report(struct spec_op *ops, unsigned int nr, unsigned int shape, const char *path)
{
	nr = shrink(ops, nr, shape);
	live(ops, nr, shape);
	printf("FAIL: %s\n", problem ? problem : "not again");
	for (unsigned int i = 0; i < nr; i++) {
		printf("  ");
		spec_print_op(&ops[i]);
	}
	save(path, ops, nr);
	printf("replay with: --replay %s\n", path);
}

static unsigned int take(struct spec_op *ops, const uint8_t *data, size_t size)
{
	unsigned int nr = size / sizeof(*ops) < MAX_OPS ? size / sizeof(*ops) : MAX_OPS;
	bool honest;

	if (!nr)
		return 0;
	memcpy(ops, data, nr * sizeof(*ops));
	honest = ops[0].kind % SPEC_NR_KINDS >= SPEC_SYS_CREATE;
	for (unsigned int i = 0; i < nr; i++)
		normalise(&ops[i], honest);
	return nr;
}

#ifdef FUZZER
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec_op ops[MAX_OPS];
	unsigned int nr = take(ops, data, size);

	if (live(ops, nr, nr % 8) >= 0) {
		report(ops, nr, nr % 8, SAVE_FILE);
		abort();
	}
	return 0;
}
#else

static uint64_t rng;

static uint32_t rnd(uint32_t limit)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (rng >> 32) % limit;
}

/* Mostly what can succeed: small ranges, few flags, few ends of VMs. */
static struct spec_op any_op(bool honest)
{
	struct spec_op op = {
		.guest = rnd(SPEC_GUESTS), .vcpu = rnd(SPEC_VCPUS),
		.flags = rnd(16) ? 0 : rnd(64), .pfn = rnd(SPEC_FRAMES), .gfn = rnd(SPEC_GFNS),
		.nr = 1 + rnd(rnd(4) ? 3 : SPEC_GFNS), .val = 1 + rnd(255),
	};

	do {
		op.kind = honest ? SPEC_SYS_CREATE + rnd(SPEC_NR_KINDS - SPEC_SYS_CREATE) :
				   rnd(SPEC_NR_EL2_KINDS);
	} while ((op.kind == SPEC_HOST_START_TEARDOWN_VM || op.kind == SPEC_SYS_DESTROY_VM ||
		  op.kind == SPEC_SYS_CLOSE_FILE || op.kind == SPEC_SYS_MEMORY_FAILURE) &&
		 rnd(20));
	if (op.kind == SPEC_HOST_RECLAIM_GUEST && rnd(10))
		op.flags &= ~SPEC_MEMORY_ERROR;
	/* Mostly with success: nobody guards who has not enrolled. */
	if (op.kind == SPEC_GUEST_ENROLL || op.kind == SPEC_SYS_GUEST_ENROLL) {
		op.gfn = op.nr = 0;
		op.flags &= SPEC_RESERVED;
	}
	if (honest)
		op.flags = rnd(2) ? SPEC_PRIVATE : rnd(16) ? 0 : SPEC_MISALIGNED;
	if (op.kind == SPEC_HOST_COMPLETE)
		op.nr = rnd(8) ? rnd(3) : op.nr;
	switch (rnd(64)) {
	case 0:
		op.pfn = rnd(0x10000);
		break;
	case 1:
		op.gfn = rnd(0x10000);
		break;
	case 2:
		op.nr = rnd(0x10000);
		break;
	case 3:
		op.nr = SPEC_NR_HUGE;
		break;
	}
	normalise(&op, honest);
	return op;
}

static unsigned int make_life(struct spec_op *ops)
{
	bool honest = rnd(3) == 0;

	for (unsigned int i = 0; i < MAX_OPS; i++)
		ops[i] = any_op(honest);
	/* There is somebody to talk to. */
	for (unsigned int g = 0; g < SPEC_GUESTS; g++)
		ops[g] = (struct spec_op) { honest ? SPEC_SYS_CREATE : SPEC_HOST_INIT_VM, g };
	return MAX_OPS;
}

static int replay(const char *path)
{
	uint8_t data[MAX_OPS * sizeof(struct spec_op)];
	struct spec_op ops[MAX_OPS];
	FILE *f = fopen(path, "rb");
	unsigned int nr;
	int failed = 0;

	if (!f) {
		perror(path);
		return 2;
	}
	nr = take(ops, data, fread(data, 1, sizeof(data), f));
	fclose(f);
	for (unsigned int shape = 0; shape < 8; shape++) {
		int at = live(ops, nr, shape);

		if (at >= 0)
			printf("FAIL: %s, after operation %d, tables %u\n", problem, at, shape);
		failed |= at >= 0;
	}
	printf("%s: %u operations, %s\n", path, nr, failed ? "FAIL" : "ok");
	return failed;
}

static int corpus(const char *dir)
{
	struct spec_op ops[MAX_OPS];
	char path[4096];

	for (unsigned int i = 0; i < 64; i++) {
		snprintf(path, sizeof(path), "%s/life-%u", dir, i);
		make_life(ops);
		save(path, ops, 4 + rnd(60));
	}
	return 0;
}

static int run(unsigned long steps, uint64_t seed, const char *path)
{
	struct timespec start, end;
	struct spec_op ops[MAX_OPS];
	double seconds;
	int failed = 0;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &start);
	for (unsigned int shape = 0; nr_steps < steps && !failed; shape = (shape + 1) % 8) {
		unsigned int nr = make_life(ops);

		if (live(ops, nr, shape) >= 0) {
			report(ops, nr, shape, path);
			failed = 1;
		}
	}
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &end);
	seconds = end.tv_sec - start.tv_sec + (end.tv_nsec - start.tv_nsec) / 1e9;
	printf("seed %lu: %lu steps (%lu of EL2), %lu succeeded, %.1f s of CPU time, %.2f million a second\n",
	       seed, nr_steps, nr_el2_steps, nr_succeeded, seconds, nr_steps / seconds / 1e6);
	return failed;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "seed", required_argument, NULL, 's' }, { "steps", required_argument, NULL, 'n' },
		{ "save", required_argument, NULL, 'f' }, { "replay", required_argument, NULL, 'r' },
		{ "corpus", required_argument, NULL, 'c' }, {}
	};
	const char *path = SAVE_FILE, *dir = NULL;
	unsigned long steps = 2000000;
	uint64_t seed = 1;
	int c, ret = -1;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 's':
			seed = strtoull(optarg, NULL, 0);
			break;
		case 'n':
			steps = strtoul(optarg, NULL, 0);
			break;
		case 'f':
			path = optarg;
			break;
		case 'r':
			ret = replay(optarg) | (ret > 0);
			break;
		case 'c':
			dir = optarg;
			break;
		default: return 2;
		}
	}
	rng = seed * 0x9e3779b97f4a7c15 + 1;
	if (dir)
		return corpus(dir);
	return ret >= 0 ? ret : run(steps, seed, path);
}
#endif
