// SPDX-License-Identifier: GPL-2.0-only
/*
 * A random tester with guests in it: protected VMs on guest_memfd, whose guests make
 * hypercalls, whose host converts, touches, holds and punches, and who die.
 *
 * usage: pkvm_gmem_random [--seed N] [--first K] [--seconds N] [--lives N] [--vcpus N]
 *			   [--mode single|concurrent|both] [--save FILE] [--thorough]
 *	  pkvm_gmem_random --replay FILE... [--vcpus N]
 *
 * "single" does one operation after the other on two VMs and holds each of them against the
 * specification (pkvm_random_single.c); a life that fails is made shorter in new VMs, printed and
 * saved. "concurrent" lets all vCPUs and host threads go at once and looks at invariants
 * (pkvm_random_concurrent.c). Lives are drawn from the seed and their number: a single one repeats
 * to the byte with --seed S --first K --lives 1, a concurrent one only in what is tried.
 *
 * At the end come rates, and whether memory has come back.
 */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "kselftest.h"
#include "pkvm_random.h"

/* A concurrent life, on a machine that is not slow; single ones get a third of what it took. */
#define MANY_MS		6000

static struct {
	u64 seed, first, seconds, lives;
	u32 vcpus;
	bool single, concurrent, thorough;
	const char *save;
} options = {
	.seconds = 30, .lives = ~0ULL, .vcpus = 2, .single = true, .concurrent = true,
	.save = "/tmp/pkvm_gmem_random.ops",
};

static struct rnd_stats many_stats;
static u64 nr_steps, single_ms, many_ms;
static int kmsg, nr_failures;

static u64 now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000ULL + t.tv_nsec / 1000000;
}

/* ---- One life of one operation after the other ---- */

/* What warns once only has to do it again, for a row to be made shorter. */
static void warn_again(void)
{
	int fd = open("/sys/kernel/debug/clear_warn_once", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, "1", 1) < 0)
		perror("clear_warn_once");
	if (fd >= 0)
		close(fd);
}

/* @arg: the message that a shorter row must end with too, or NULL. */
static int fails(const struct spec_op *ops, u32 nr, void *arg)
{
	const char *why;
	int at;

	warn_again();
	at = rnd_live(ops, nr, options.vcpus, options.seed, true, &why);
	if (gmem_kmsg_bad(kmsg) && at < 0)
		at = nr - 1;
	return at;
}

static void report(struct spec_op *ops, u32 nr, u64 life, int at, const char *why)
{
	int ret;

	nr_failures++;
	printf("# FAIL: --seed %#lx --first %lu --lives 1 --mode single --vcpus %u: operation %d: %s\n",
	       (unsigned long)options.seed, (unsigned long)life, options.vcpus, at,
	       why ?: "the kernel log");
	fflush(stdout);
	if (fails(ops, nr, NULL) < 0) {
		printf("# not again; all of it:\n");
	} else {
		nr = rnd_shrink(ops, nr, fails, NULL);
		rnd_live(ops, nr, options.vcpus, options.seed, true, &why);
		printf("# shortest: %u operations: %s\n", nr, why ?: "the kernel log");
	}
	rnd_print(ops, nr);
	ret = rnd_save(options.save, ops, nr);
	printf("# %s %s\n", ret ? "could not be saved in" : "replay with: --replay", options.save);
	fflush(stdout);
}

static void single_life(u64 life)
{
	struct spec_op ops[RND_MAX_OPS];
	u64 start = now_ms();
	const char *why;
	struct rnd rnd;
	int at;
	u32 nr;

	rnd_seed(&rnd, options.seed, life);
	nr = rnd_make_life(&rnd, ops, options.vcpus);
	at = rnd_live(ops, nr, options.vcpus, options.seed, options.thorough, &why);
	nr_steps += at < 0 ? nr : at + 1;
	single_ms += now_ms() - start;
	if (gmem_kmsg_bad(kmsg) && at < 0)
		at = nr - 1;
	if (at >= 0)
		report(ops, nr, life, at, why);
}

static void concurrent_life(u64 life)
{
	u64 start = now_ms();
	const char *why;

	why = rnd_concurrent_life(options.seed, life, options.vcpus, MANY_MS, &many_stats);
	many_ms += now_ms() - start;
	if (gmem_kmsg_bad(kmsg) && !why)
		why = "the kernel log";
	if (!why)
		return;
	nr_failures++;
	printf("# FAIL: --seed %#lx --first %lu --lives 1 --mode concurrent --vcpus %u: %s\n",
	       (unsigned long)options.seed, (unsigned long)life, options.vcpus, why);
	fflush(stdout);
}

static int replay(char *const *paths, int nr_paths)
{
	struct spec_op ops[RND_MAX_OPS];
	const char *why;
	int ret, at;
	u32 nr;

	for (; nr_paths; nr_paths--, paths++) {
		ret = rnd_load(*paths, ops, options.vcpus, &nr);
		if (ret) {
			printf("# %s: %s\n", *paths, strerror(-ret));
			return KSFT_FAIL;
		}
		at = rnd_live(ops, nr, options.vcpus, options.seed, true, &why);
		if (gmem_kmsg_bad(kmsg) && at < 0)
			at = nr - 1;
		if (at < 0) {
			printf("ok %s: %u operations\n", *paths, nr);
			continue;
		}
		nr_failures++;
		printf("not ok %s: operation %d: %s\n", *paths, at, why ?: "the kernel log");
		rnd_print(ops, at + 1);
	}
	return nr_failures ? KSFT_FAIL : KSFT_PASS;
}

/* ---- What is there ---- */

struct memory {
	u64 free_kb, slab_kb, tables_kb;
};

static void empty_caches(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	/* 4: from now on without a line in the kernel log. */
	if (fd >= 0 && (write(fd, "4", 1) < 0 || write(fd, "3", 1) < 0))
		perror("drop_caches");
	if (fd >= 0)
		close(fd);
}

static struct memory look_at_memory(void)
{
	struct memory best = { 0, ~0ULL, ~0ULL }, now;

	/* What dies is freed behind its back. */
	for (int i = 0; i < 15; i++) {
		empty_caches();
		now.free_kb = gmem_free_kb();
		now.slab_kb = gmem_meminfo_kb("Slab");
		now.tables_kb = gmem_meminfo_kb("SecPageTables");
		best.free_kb = now.free_kb > best.free_kb ? now.free_kb : best.free_kb;
		best.slab_kb = now.slab_kb < best.slab_kb ? now.slab_kb : best.slab_kb;
		best.tables_kb = now.tables_kb < best.tables_kb ? now.tables_kb : best.tables_kb;
		usleep(100000);
	}
	printf("# memory: %lu kB free, slab %lu kB, stage-2 tables %lu kB\n",
	       (unsigned long)best.free_kb, (unsigned long)best.slab_kb,
	       (unsigned long)best.tables_kb);
	fflush(stdout);
	return best;
}

/* A page for each VM is a leak; caches that have grown are not. */
static bool memory_is_back(const struct memory *from, const struct memory *to, u64 vms)
{
	u64 slack = gmem_free_slack_kb() + vms / 2;

	if (to->free_kb + slack >= from->free_kb && to->slab_kb <= from->slab_kb + slack &&
	    to->tables_kb <= from->tables_kb)
		return true;
	printf("# FAIL: memory is lost over %lu VMs\n", (unsigned long)vms);
	nr_failures++;
	return false;
}

/* ---- Rates ---- */

static u64 per(u64 count, u64 ms, u64 unit_ms)
{
	return ms ? count * unit_ms / ms : 0;
}

static u64 calls_of(const struct rnd_stats *stats)
{
	u64 sum = 0;

	for (int i = 0; i < RND_NR_CALLS; i++)
		sum += stats->calls[i];
	return sum;
}

static void print_calls(const char *what, const struct rnd_stats *s, u64 ms)
{
	printf("# %s: %lu guests' hypercalls, %lu an hour:", what, (unsigned long)calls_of(s),
	       (unsigned long)per(calls_of(s), ms, 3600000));
	for (int i = 0; i < RND_NR_CALLS; i++)
		printf(" %s %lu%s", rnd_call_names[i], (unsigned long)s->calls[i],
		       i == RND_NR_CALLS - 1 ? "\n" : ",");
	printf("# %s: %lu lives, %lu guests' accesses, %lu batches, %lu exits to the VMM, %lu host's operations, %lu pages compared\n",
	       what, (unsigned long)s->lives, (unsigned long)s->accesses,
	       (unsigned long)s->batches, (unsigned long)s->exits, (unsigned long)s->host_ops,
	       (unsigned long)s->checks);
}

static void print_rates(u64 life)
{
	struct rnd_stats all = {};

	rnd_add_stats(&all, &rnd_single_stats);
	rnd_add_stats(&all, &many_stats);
	printf("# seed %#lx, lives up to %lu, %lu s\n", (unsigned long)options.seed,
	       (unsigned long)life, (unsigned long)(single_ms + many_ms) / 1000);
	if (options.single) {
		printf("# single: %lu steps, %lu a second, each compared with the specification\n",
		       (unsigned long)nr_steps, (unsigned long)per(nr_steps, single_ms, 1000));
		print_calls("single", &rnd_single_stats, single_ms);
	}
	if (options.concurrent)
		print_calls("concurrent", &many_stats, many_ms);
	print_calls("all", &all, single_ms + many_ms);
	fflush(stdout);
}

/* ---- All lives ---- */

/* Single and concurrent ones take turns; each kind has numbers of its own. */
static u64 part(u64 life, bool concurrent)
{
	static u64 many_took = MANY_MS;
	u64 start = now_ms();

	if (concurrent) {
		concurrent_life(life);
		many_took = now_ms() - start;
		return life + 1;
	}
	do {
		single_life(life++);
	} while (!nr_failures && life < options.lives && now_ms() - start < many_took / 3);
	return life;
}

static int run(void)
{
	u64 end = now_ms() + options.seconds * 1000, single = options.first;
	u64 many = options.first, last = options.first, said = now_ms(), vms;
	struct memory from, to;
	int rounds = 0;

	if (options.lives != ~0ULL)
		options.lives += options.first;
	else
		options.lives = ~0ULL;
	printf("# seed %#lx, %u guests of %u vCPUs\n", (unsigned long)options.seed, SPEC_GUESTS,
	       options.vcpus);
	from = look_at_memory();
	while (!nr_failures && now_ms() < end) {
		if (options.single && single < options.lives)
			single = part(single, false);
		/* To begin with the host's own caches fill. */
		if (rounds++ < 2)
			from = look_at_memory();
		if (options.concurrent && !nr_failures && many < options.lives)
			many = part(many, true);
		last = single > many ? single : many;
		if ((!options.single || single >= options.lives) &&
		    (!options.concurrent || many >= options.lives))
			break;
		if (now_ms() - said > 60000) {
			print_rates(last);
			said = now_ms();
		}
	}
	vms = rnd_single_stats.lives * SPEC_GUESTS * 3 + many_stats.lives * SPEC_GUESTS;
	to = look_at_memory();
	memory_is_back(&from, &to, vms);
	if (gmem_kmsg_bad(kmsg))
		nr_failures++;
	print_rates(last);
	printf("%s: seed %#lx\n", nr_failures ? "not ok" : "ok", (unsigned long)options.seed);
	return nr_failures ? KSFT_FAIL : KSFT_PASS;
}

static void explain(const char *name)
{
	printf("usage: %s [--seed N] [--first K] [--seconds N] [--lives N] [--vcpus N]\n"
	       "       [--mode single|concurrent|both] [--save FILE] [--thorough]\n"
	       "       %s [--vcpus N] --replay FILE...\n", name, name);
	exit(KSFT_FAIL);
}

static void choose_mode(const char *name, const char *mode)
{
	options.single = strcmp(mode, "concurrent");
	options.concurrent = strcmp(mode, "single");
	if (options.single && options.concurrent && strcmp(mode, "both"))
		explain(name);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{ "seed", required_argument, NULL, 's' }, { "first", required_argument, NULL, 'f' },
		{ "seconds", required_argument, NULL, 't' }, { "lives", required_argument, NULL, 'l' },
		{ "vcpus", required_argument, NULL, 'v' }, { "mode", required_argument, NULL, 'm' },
		{ "save", required_argument, NULL, 'o' }, { "thorough", no_argument, NULL, 'a' },
		{ "replay", no_argument, NULL, 'r' }, { "vmm", no_argument, NULL, 'V' }, {}
	};
	bool from_files = false;
	int c;

	rnd_page = getpagesize();
	options.seed = now_ms() ^ (u64)getpid() << 32;
	while ((c = getopt_long(argc, argv, "", names, NULL)) != -1) {
		if (c == 'V')
			return rnd_vmm_main(3, 4);
		if (c == 's')
			options.seed = strtoull(optarg, NULL, 0);
		else if (c == 'f')
			options.first = strtoull(optarg, NULL, 0);
		else if (c == 't')
			options.seconds = strtoull(optarg, NULL, 0);
		else if (c == 'l')
			options.lives = strtoull(optarg, NULL, 0);
		else if (c == 'v')
			options.vcpus = strtoul(optarg, NULL, 0);
		else if (c == 'm')
			choose_mode(argv[0], optarg);
		else if (c == 'o')
			options.save = optarg;
		else if (c == 'a')
			options.thorough = true;
		else if (c == 'r')
			from_files = true;
		else
			explain(argv[0]);
	}
	if (from_files != (optind < argc) || !options.vcpus || options.vcpus > SPEC_VCPUS)
		explain(argv[0]);
	setvbuf(stdout, NULL, _IOLBF, 0);
	pkvm_require_gmem();
	kmsg = gmem_kmsg_open();
	return from_files ? replay(argv + optind, argc - optind) : run();
}
