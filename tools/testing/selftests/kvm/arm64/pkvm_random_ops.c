// SPDX-License-Identifier: GPL-2.0-only
/*
 * Rows of operations for the random tester: made up, loaded, saved, printed, made shorter.
 *
 * A file is a row of struct spec_op, as tools/testing/pkvm/random.c has it, which takes the same
 * files: there an operation that only this tester knows (enum rnd_extra) becomes another one.
 * Any bytes are a row: fields are brought into range.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "pkvm_random.h"

static const char *const extra_names[] = {
	[RND_X_GUEST_ARGS - SPEC_NR_KINDS] = "guest_odd_arguments",
	[RND_X_MEMINFO - SPEC_NR_KINDS] = "guest_meminfo",
	[RND_X_IOCTL_ARGS - SPEC_NR_KINDS] = "odd_ioctl",
	[RND_X_DELETE_SLOT - SPEC_NR_KINDS] = "delete_slot",
	[RND_X_ADVISE - SPEC_NR_KINDS] = "madvise",
	[RND_X_REMAP - SPEC_NR_KINDS] = "remap",
};

/* All kinds from the second layer's first one on; a row is one of an honest host kernel's. */
#define NR_KINDS	(RND_NR_KINDS - SPEC_SYS_CREATE)

static u16 within(u16 value, u16 limit)
{
	return value == 0xffff ? value : value % limit;
}

static void normalise(struct spec_op *op, u32 nr_vcpus)
{
	bool call = op->kind >= SPEC_SYS_GUEST_SHARE && op->kind <= SPEC_SYS_GUEST_ENROLL;

	if (op->kind < SPEC_SYS_CREATE)
		op->kind += SPEC_SYS_CREATE;
	else
		op->kind = SPEC_SYS_CREATE + (op->kind - SPEC_SYS_CREATE) % NR_KINDS;
	op->guest %= SPEC_GUESTS;
	op->vcpu %= nr_vcpus;
	op->flags &= call ? SPEC_MISALIGNED | SPEC_RESERVED : SPEC_PRIVATE;
	op->pfn %= SPEC_FRAMES;
	op->gfn = within(op->gfn, SPEC_GFNS + 1);
	if (op->gfn > SPEC_GFNS)
		op->gfn = SPEC_GFNS;
	op->nr = within(op->nr, SPEC_GFNS + SPEC_GFNS / 4 + 1);
	op->val &= 0xff;

	/*
	 * fallocate() does what there is of a range; the specification, all or nothing. And devices
	 * there may be beyond the end of memory, of which the specification knows nothing.
	 */
	if (op->kind == SPEC_SYS_PUNCH_HOLE || op->kind == SPEC_SYS_GUEST_GUARD) {
		op->gfn %= SPEC_GFNS;
		if (op->nr > SPEC_GFNS - op->gfn)
			op->nr = SPEC_GFNS - op->gfn;
	}
}

/* ---- Made up ---- */

/* How often, of 256. The rest are operations that change nothing. */
static const struct {
	u8 kind, weight;
} weights[] = {
	{ SPEC_SYS_CONVERT, 36 }, { SPEC_SYS_PUNCH_HOLE, 3 }, { SPEC_SYS_USER_TOUCH, 24 },
	{ SPEC_SYS_GET_REFERENCE, 8 }, { SPEC_SYS_PUT_REFERENCE, 12 },
	{ SPEC_SYS_GUEST_TOUCH, 40 }, { SPEC_SYS_GUEST_SHARE, 44 },
	{ SPEC_SYS_GUEST_UNSHARE, 36 }, { SPEC_SYS_GUEST_RELINQUISH, 24 },
	{ SPEC_SYS_GUEST_GUARD, 2 }, { SPEC_SYS_GUEST_ENROLL, 1 },
};

static u8 any_kind(struct rnd *r)
{
	u32 at = rnd_below(r, 256);

	for (size_t i = 0; i < ARRAY_SIZE(weights); i++) {
		if (at < weights[i].weight)
			return weights[i].kind;
		at -= weights[i].weight;
	}
	return RND_X_GUEST_ARGS + rnd_below(r, RND_NR_KINDS - RND_X_GUEST_ARGS);
}

static struct spec_op any_op(struct rnd *r, u32 nr_vcpus)
{
	struct spec_op op = {
		.kind = any_kind(r), .guest = rnd_below(r, SPEC_GUESTS),
		.vcpu = rnd_below(r, nr_vcpus), .pfn = rnd_below(r, SPEC_FRAMES),
		.gfn = rnd_below(r, SPEC_GFNS),
		.nr = 1 + rnd_below(r, rnd_below(r, 3) ? 4 : SPEC_GFNS),
		.val = 1 + rnd_below(r, 255),
	};

	if (op.kind == SPEC_SYS_GUEST_ENROLL)
		op.gfn = op.nr = rnd_below(r, 4) == 0;
	if (op.kind == SPEC_SYS_CONVERT)
		op.flags = rnd_below(r, 3) ? SPEC_PRIVATE : 0;
	else if (rnd_below(r, 32) == 0)
		op.flags = rnd_below(r, 64);
	/* Mostly one that is held: the first frames are the first to be used. */
	if (rnd_below(r, 4))
		op.pfn = rnd_below(r, 2 * SPEC_GFNS);
	switch (rnd_below(r, 64)) {
	case 0:
		op.gfn = rnd_below(r, 0x10000);
		break;
	case 1:
		op.nr = rnd_below(r, 0x10000);
		break;
	case 2:
		op.nr = SPEC_NR_HUGE;
		break;
	case 3:
		op.nr = 0;
		break;
	}
	normalise(&op, nr_vcpus);
	return op;
}

static u32 begin_guest(struct rnd *r, struct spec_op *ops, u32 g)
{
	ops[0] = (struct spec_op) { SPEC_SYS_CREATE, g, .val = rnd_below(r, 256) };
	if (rnd_below(r, 4) == 0)
		return 1;
	ops[1] = (struct spec_op) { SPEC_SYS_CONVERT, g, .flags = SPEC_PRIVATE, .nr = SPEC_GFNS };
	return 2;
}

/* The VM first, or its file; something happens between the two; then there is a new one. */
static u32 renew_guest(struct rnd *r, struct spec_op *ops, u32 nr_vcpus)
{
	u32 g = rnd_below(r, SPEC_GUESTS), file_first = rnd_below(r, 3) == 0, nr = 0;
	u32 between = rnd_below(r, 8);

	ops[nr++] = (struct spec_op) { file_first ? SPEC_SYS_CLOSE_FILE : SPEC_SYS_DESTROY_VM, g,
				       .val = rnd_below(r, 256) };
	/* What a dead guest's memory contains is seen when it is shared. */
	if (rnd_below(r, 4))
		ops[nr++] = (struct spec_op) { SPEC_SYS_CONVERT, g, .nr = SPEC_GFNS };
	for (; between; between--) {
		ops[nr] = any_op(r, nr_vcpus);
		ops[nr++].guest = g;
	}
	ops[nr++] = (struct spec_op) { file_first ? SPEC_SYS_DESTROY_VM : SPEC_SYS_CLOSE_FILE, g,
				       .val = rnd_below(r, 256) };
	return nr + begin_guest(r, ops + nr, g);
}

u32 rnd_make_life(struct rnd *r, struct spec_op *ops, u32 nr_vcpus)
{
	u32 nr = 0;

	for (u32 g = 0; g < SPEC_GUESTS; g++)
		nr += begin_guest(r, ops + nr, g);
	while (nr < RND_MAX_OPS - 13) {
		if (rnd_below(r, 64) == 0)
			nr += renew_guest(r, ops + nr, nr_vcpus);
		else
			ops[nr++] = any_op(r, nr_vcpus);
	}
	return nr;
}

/* ---- Files ---- */

u32 rnd_take(struct spec_op *ops, const u8 *data, size_t size, u32 nr_vcpus)
{
	u32 nr = size / sizeof(*ops) < RND_MAX_OPS ? size / sizeof(*ops) : RND_MAX_OPS;

	memcpy(ops, data, nr * sizeof(*ops));
	for (u32 i = 0; i < nr; i++)
		normalise(&ops[i], nr_vcpus);
	return nr;
}

int rnd_load(const char *path, struct spec_op *ops, u32 nr_vcpus, u32 *nr)
{
	u8 data[RND_MAX_OPS * sizeof(*ops)];
	FILE *f = fopen(path, "rb");

	if (!f)
		return -errno;
	*nr = rnd_take(ops, data, fread(data, 1, sizeof(data), f), nr_vcpus);
	fclose(f);
	return 0;
}

int rnd_save(const char *path, const struct spec_op *ops, u32 nr)
{
	FILE *f = fopen(path, "wb");
	int ret = 0;

	if (!f)
		return -errno;
	if (fwrite(ops, sizeof(*ops), nr, f) != nr)
		ret = -EIO;
	return fclose(f) ? -EIO : ret;
}

/* Words for people, then the bytes, for xxd -r -p: the machine that has the file may go. */
void rnd_print(const struct spec_op *ops, u32 nr)
{
	for (u32 i = 0; i < nr; i++) {
		const struct spec_op *op = &ops[i];

		printf("# %3u: %s guest %u vcpu %u flags %#x pfn %u gfn %u nr %u val %u\n", i,
		       op->kind < SPEC_NR_KINDS ? spec_kind_names[op->kind] :
						  extra_names[op->kind - SPEC_NR_KINDS],
		       op->guest, op->vcpu, op->flags, op->pfn, op->gfn, op->nr, op->val);
	}
	for (u32 i = 0; i < nr; i++) {
		printf("ops: ");
		for (size_t b = 0; b < sizeof(*ops); b++)
			printf("%02x", ((const u8 *)&ops[i])[b]);
		printf("\n");
	}
	fflush(stdout);
}

/* ---- Made shorter ---- */

/* Without one part after the other, as long as it still goes wrong. */
u32 rnd_shrink(struct spec_op *ops, u32 nr,
	       int (*fails)(const struct spec_op *ops, u32 nr, void *arg), void *arg)
{
	struct spec_op fewer[RND_MAX_OPS];

	for (u32 chunk = nr / 2; chunk; chunk /= 2) {
		for (u32 at = 0; at + chunk <= nr;) {
			int last;

			memcpy(fewer, ops, at * sizeof(*ops));
			memcpy(fewer + at, ops + at + chunk, (nr - at - chunk) * sizeof(*ops));
			last = nr == chunk ? -1 : fails(fewer, nr - chunk, arg);
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
