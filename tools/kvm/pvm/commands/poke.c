// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm poke: what a user of the host gets who touches a guest's memory; by a load or a
 * store at an address, or else in every way we know.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/numbers.h"
#include "common/say.h"
#include "inspection/attempts.h"
#include "inspection/probe.h"
#include "inspection/target.h"

#define MAX_LEN	4096

static void hexdump(uint64_t gpa, const uint8_t *buf, size_t len)
{
	for (size_t i = 0; i < len; i += 16) {
		printf("%12llx ", (unsigned long long)(gpa + i));
		for (size_t j = i; j < i + 16; j++) {
			if (j < len)
				printf(" %02x", buf[j]);
			else
				printf("   ");
		}
		printf("  ");
		for (size_t j = i; j < len && j < i + 16; j++)
			putchar(isprint(buf[j]) ? buf[j] : '.');
		putchar('\n');
	}
}

static int poke(const struct target *t, uint64_t gpa, uint64_t len, const char *text)
{
	uint64_t offset = gpa - PVM_RAM_BASE, start = offset & ~(PVM_PAGE - 1);
	size_t map_len = (offset - start + len + PVM_PAGE - 1) & ~(PVM_PAGE - 1);
	uint8_t buf[MAX_LEN];
	uint8_t *map;
	int sig;

	map = mmap(NULL, map_len, PROT_READ | PROT_WRITE, MAP_SHARED, t->fd, start);
	if (map == MAP_FAILED) {
		say("cannot map the guest_memfd: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}
	if (text)
		sig = probe_write(map + (offset - start), text, len);
	else
		sig = probe_read(map + (offset - start), buf, len);
	munmap(map, map_len);

	printf("%s of %llu bytes at %#llx: %s\n", text ? "write" : "read",
	       (unsigned long long)len, (unsigned long long)gpa, probe_result(sig));
	if (!sig && !text)
		hexdump(gpa, buf, len);
	return sig ? PVM_EXIT_SIGNAL + sig : PVM_EXIT_OK;
}

struct poke_options {
	pid_t pid;
	bool have_gpa, have_len, punch;
	uint64_t gpa, len;
	const char *text;
	const char *direct;
};

static const struct option longopts[] = {
	{ "gpa", required_argument, NULL, 'g' },
	{ "len", required_argument, NULL, 'l' },
	{ "write", required_argument, NULL, 'w' },
	{ "direct", required_argument, NULL, 'd' },
	{ "punch", no_argument, NULL, 'p' },
	{ }
};

static int parse_option(int c, char **argv, struct poke_options *opt)
{
	switch (c) {
	case 'g':
		opt->have_gpa = true;
		if (parse_u64("--gpa", optarg, 0, UINT64_MAX, &opt->gpa))
			return PVM_EXIT_USAGE;
		if (opt->gpa >= PVM_RAM_BASE)
			return 0;
		say("--gpa: the guest's RAM begins at %#llx", PVM_RAM_BASE);
		return PVM_EXIT_USAGE;
	case 'l':
		opt->have_len = true;
		return parse_u64("--len", optarg, 1, MAX_LEN, &opt->len) ? PVM_EXIT_USAGE : 0;
	case 'w':
		opt->text = optarg;
		return 0;
	case 'd':
		opt->direct = optarg;
		return 0;
	case 'p':
		opt->punch = true;
		return 0;
	case ':':
		say("%s needs a value", argv[optind - 1]);
		return PVM_EXIT_USAGE;
	default:
		say("there is no option '%s': poke has --gpa, --len and --write, or --direct and --punch",
		    argv[optind - 1]);
		return PVM_EXIT_USAGE;
	}
}

static int check_options(const struct poke_options *opt)
{
	if (!opt->have_gpa && (opt->have_len || opt->text)) {
		say("--gpa is missing: an address in the guest's RAM, %#llx and above",
		    PVM_RAM_BASE);
		return PVM_EXIT_USAGE;
	}
	if (opt->have_gpa && (opt->punch || opt->direct)) {
		say("--gpa is for one load or store: leave it out with --punch and --direct");
		return PVM_EXIT_USAGE;
	}
	if (opt->text && (opt->have_len || !*opt->text || strlen(opt->text) > MAX_LEN)) {
		say("--write: 1 to %d characters, and without --len", MAX_LEN);
		return PVM_EXIT_USAGE;
	}
	return 0;
}

static int poke_gpa(const struct target *t, const struct poke_options *opt)
{
	uint64_t len = opt->text ? strlen(opt->text) : opt->len;

	if (opt->gpa - PVM_RAM_BASE >= t->size || len > t->size - (opt->gpa - PVM_RAM_BASE)) {
		say("--gpa: the guest's RAM ends at %#llx",
		    (unsigned long long)(PVM_RAM_BASE + t->size));
		return PVM_EXIT_USAGE;
	}
	return poke(t, opt->gpa, len, opt->text);
}

int cmd_poke(int argc, char **argv)
{
	struct poke_options opt = { .len = 64 };
	struct target t;
	int c, ret;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longopts, NULL)) != -1) {
		ret = parse_option(c, argv, &opt);
		if (ret)
			return ret;
	}
	if (optind + 1 != argc) {
		say("poke takes one PID: that of a running pvm");
		return PVM_EXIT_USAGE;
	}
	if (parse_pid(argv[optind], &opt.pid))
		return PVM_EXIT_USAGE;
	ret = check_options(&opt);
	if (ret)
		return ret;

	if (target_open(opt.pid, &t, false))
		return PVM_EXIT_FAIL;
	ret = opt.have_gpa ? poke_gpa(&t, &opt) : attempt_everything(&t, opt.direct, opt.punch);
	target_close(&t);
	return ret;
}
