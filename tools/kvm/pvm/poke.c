// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm poke: what a user of the host gets who maps a guest's memory and touches it.
 */
#include <ctype.h>
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "pvm.h"

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

int cmd_poke(int argc, char **argv)
{
	static const struct option longopts[] = {
		{ "gpa", required_argument, NULL, 'g' },
		{ "len", required_argument, NULL, 'l' },
		{ "write", required_argument, NULL, 'w' },
		{ }
	};
	bool have_gpa = false, have_len = false;
	uint64_t gpa = 0, len = 64;
	const char *text = NULL;
	struct target t;
	pid_t pid;
	int c, ret;

	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longopts, NULL)) != -1) {
		switch (c) {
		case 'g':
			if (parse_u64("--gpa", optarg, 0, UINT64_MAX, &gpa))
				return PVM_EXIT_USAGE;
			if (gpa < PVM_RAM_BASE) {
				say("--gpa: the guest's RAM begins at %#llx", PVM_RAM_BASE);
				return PVM_EXIT_USAGE;
			}
			have_gpa = true;
			break;
		case 'l':
			if (parse_u64("--len", optarg, 1, MAX_LEN, &len))
				return PVM_EXIT_USAGE;
			have_len = true;
			break;
		case 'w':
			text = optarg;
			break;
		case ':':
			say("%s needs a value", argv[optind - 1]);
			return PVM_EXIT_USAGE;
		default:
			say("there is no option '%s': poke has --gpa, --len and --write",
			    argv[optind - 1]);
			return PVM_EXIT_USAGE;
		}
	}

	if (optind + 1 != argc) {
		say("poke takes one PID: that of a running pvm");
		return PVM_EXIT_USAGE;
	}
	if (parse_pid(argv[optind], &pid))
		return PVM_EXIT_USAGE;
	if (!have_gpa) {
		say("--gpa is missing: an address in the guest's RAM, %#llx and above",
		    PVM_RAM_BASE);
		return PVM_EXIT_USAGE;
	}
	if (text && (have_len || !*text || strlen(text) > MAX_LEN)) {
		say("--write: 1 to %d characters, and without --len", MAX_LEN);
		return PVM_EXIT_USAGE;
	}
	if (text)
		len = strlen(text);

	if (target_open(pid, &t, false))
		return PVM_EXIT_FAIL;
	if (gpa - PVM_RAM_BASE >= t.size || len > t.size - (gpa - PVM_RAM_BASE)) {
		say("--gpa: the guest's RAM ends at %#llx",
		    (unsigned long long)(PVM_RAM_BASE + t.size));
		ret = PVM_EXIT_USAGE;
	} else {
		ret = poke(&t, gpa, len, text);
	}
	target_close(&t);
	return ret;
}
