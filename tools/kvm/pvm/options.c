// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of `pvm run` and `pvm demo`.
 */
#include <getopt.h>
#include <stdlib.h>
#include <string.h>

#include "pvm.h"

const char options_help[] =
	"Options of run and demo:\n"
	"  --kernel FILE    an uncompressed arm64 Image (required)\n"
	"  --initrd FILE    an initial ramdisk\n"
	"  --append TEXT    words to add to the guest's command line\n"
	"  --mem SIZE       guest memory, 32M to 64G (default 128M)\n"
	"  --cpus N         vCPUs, 1 to 8 (default 1)\n"
	"  --protected      a protected VM: its private memory is out of the host's reach (default)\n"
	"  --unprotected    an ordinary VM, for comparison\n"
	"  --anon           anonymous memory in the place of a guest_memfd, for comparison:\n"
	"                   pinned for a protected VM, in huge pages for an ordinary one\n"
	"  --pool SIZE      memory at the end of RAM for device DMA buffers (default 4M; 0: none)\n"
	"  --timeout SEC    stop the guest after so many seconds\n"
	"  --stats json     at the end, print what the guest cost until its init ran, and its end\n"
	"  On a terminal, Ctrl-A x stops the guest.\n";

enum {
	OPT_KERNEL = 256, OPT_INITRD, OPT_APPEND, OPT_MEM, OPT_CPUS, OPT_PROTECTED,
	OPT_UNPROTECTED, OPT_ANON, OPT_POOL, OPT_TIMEOUT, OPT_STATS,
};

static const struct option longopts[] = {
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "mem", required_argument, NULL, OPT_MEM },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "protected", no_argument, NULL, OPT_PROTECTED },
	{ "unprotected", no_argument, NULL, OPT_UNPROTECTED },
	{ "anon", no_argument, NULL, OPT_ANON },
	{ "pool", required_argument, NULL, OPT_POOL },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ }
};

int options_parse(int argc, char **argv, struct pvm_options *opt)
{
	bool protect = false, unprotect = false;
	uint64_t val;
	int c;

	*opt = (struct pvm_options) {
		.append = "",
		.mem = 128ULL << 20,
		.pool = 4ULL << 20,
		.cpus = 1,
	};

	optind = 1;
	opterr = 0;
	while ((c = getopt_long(argc, argv, ":", longopts, NULL)) != -1) {
		switch (c) {
		case OPT_KERNEL:
			opt->kernel = optarg;
			break;
		case OPT_INITRD:
			opt->initrd = optarg;
			break;
		case OPT_APPEND:
			opt->append = optarg;
			break;
		case OPT_MEM:
			if (parse_size("--mem", optarg, PVM_MIN_MEM, PVM_MAX_MEM, &opt->mem))
				return PVM_EXIT_USAGE;
			break;
		case OPT_CPUS:
			if (parse_u64("--cpus", optarg, 1, PVM_MAX_CPUS, &val))
				return PVM_EXIT_USAGE;
			opt->cpus = val;
			break;
		case OPT_PROTECTED:
			protect = true;
			break;
		case OPT_UNPROTECTED:
			unprotect = true;
			break;
		case OPT_ANON:
			opt->anon = true;
			break;
		case OPT_POOL:
			if (parse_size("--pool", optarg, 0, PVM_MAX_MEM, &opt->pool))
				return PVM_EXIT_USAGE;
			break;
		case OPT_TIMEOUT:
			if (parse_u64("--timeout", optarg, 1, 1000000, &val))
				return PVM_EXIT_USAGE;
			opt->timeout = val;
			break;
		case OPT_STATS:
			if (strcmp(optarg, "json")) {
				say("--stats: '%s' is no format: use json", optarg);
				return PVM_EXIT_USAGE;
			}
			opt->stats = true;
			break;
		case ':':
			say("%s needs a value (pvm --help lists the options)", argv[optind - 1]);
			return PVM_EXIT_USAGE;
		default:
			say("there is no option '%s' (pvm --help lists them)", argv[optind - 1]);
			return PVM_EXIT_USAGE;
		}
	}

	if (optind < argc) {
		say("'%s' is not an option (pvm --help lists them)", argv[optind]);
		return PVM_EXIT_USAGE;
	}
	if (protect && unprotect) {
		say("--protected and --unprotected exclude each other: leave one out");
		return PVM_EXIT_USAGE;
	}
	if (!opt->kernel) {
		say("--kernel is missing: name an arm64 Image (arch/arm64/boot/Image of a kernel build)");
		return PVM_EXIT_USAGE;
	}
	if (opt->pool >= opt->mem / 2) {
		say("--pool: the pool would take half of --mem or more: give more --mem or less --pool");
		return PVM_EXIT_USAGE;
	}
	opt->protect = !unprotect;
	return 0;
}
