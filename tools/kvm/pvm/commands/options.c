// SPDX-License-Identifier: GPL-2.0-only
/*
 * The options of `pvm run` and `pvm demo`.
 */
#include <getopt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/numbers.h"
#include "common/say.h"
#include "devices/pool.h"
#include "vmm/options.h"

const char options_help[] =
	"Options of run and demo:\n"
	"  --kernel FILE    an uncompressed arm64 Image (required)\n"
	"  --initrd FILE    an initial ramdisk\n"
	"  --append TEXT    words to add to the guest's command line\n"
	"  --mem SIZE       guest memory, 32M to 64G (default 128M)\n"
	"  --cpus N         vCPUs, 1 to 8 (default 1)\n"
	"  --disk FILE[,ro] a raw disk image or a block device; up to 8 times: vda, vdb, ...\n"
	"  --net tap=NAME[,mac=MAC]     a network card on the host's TAP device NAME\n"
	"  --net socket=PATH[,mac=MAC]  one on a socket where passt listens: needs no privileges\n"
	"  --rng            a virtio source of random numbers\n"
	"  --console virtio|serial      where the guest's console is: hvc0, with ttyS0 for early\n"
	"                   messages (default), or ttyS0 only\n"
	"  --protected      a protected VM: its private memory is out of the host's reach (default)\n"
	"  --unprotected    an ordinary VM, for comparison\n"
	"  --anon           anonymous memory in the place of a guest_memfd, for comparison:\n"
	"                   pinned for a protected VM, in huge pages for an ordinary one\n"
	"  --pool SIZE      memory at the end of RAM for device DMA buffers (default: enough for the\n"
	"                   devices, 4M or more; 0: none)\n"
	"  --seed N         random numbers that the host gives the guest follow from N: for\n"
	"                   repeatable runs, not for secrets\n"
	"  --reboot         when the guest asks for a reset, start it again, as a new VM\n"
	"  --timeout SEC    stop the guest after so many seconds\n"
	"  --stats json     at the end, print what the guest cost until its init ran, and its end\n"
	"  --trace FILE     write a line for each exit, request and change of a device there\n"
	"  --record FILE    write what the guest gives its virtio devices there, at most 1M of it\n"
	"  On a terminal, Ctrl-A x stops the guest.\n";

enum {
	OPT_KERNEL = 256, OPT_INITRD, OPT_APPEND, OPT_MEM, OPT_CPUS, OPT_PROTECTED,
	OPT_UNPROTECTED, OPT_ANON, OPT_POOL, OPT_TIMEOUT, OPT_STATS, OPT_DISK, OPT_NET,
	OPT_RNG, OPT_CONSOLE, OPT_SEED, OPT_TRACE, OPT_RECORD, OPT_REBOOT,
};

static const struct option longopts[] = {
	{ "kernel", required_argument, NULL, OPT_KERNEL },
	{ "initrd", required_argument, NULL, OPT_INITRD },
	{ "append", required_argument, NULL, OPT_APPEND },
	{ "mem", required_argument, NULL, OPT_MEM },
	{ "cpus", required_argument, NULL, OPT_CPUS },
	{ "disk", required_argument, NULL, OPT_DISK },
	{ "net", required_argument, NULL, OPT_NET },
	{ "rng", no_argument, NULL, OPT_RNG },
	{ "console", required_argument, NULL, OPT_CONSOLE },
	{ "protected", no_argument, NULL, OPT_PROTECTED },
	{ "unprotected", no_argument, NULL, OPT_UNPROTECTED },
	{ "anon", no_argument, NULL, OPT_ANON },
	{ "pool", required_argument, NULL, OPT_POOL },
	{ "seed", required_argument, NULL, OPT_SEED },
	{ "reboot", no_argument, NULL, OPT_REBOOT },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "stats", required_argument, NULL, OPT_STATS },
	{ "trace", required_argument, NULL, OPT_TRACE },
	{ "record", required_argument, NULL, OPT_RECORD },
	{ }
};

/* FILE, FILE,ro or FILE,rw; a comma elsewhere is the file's. */
static int parse_disk(const char *arg, struct pvm_options *opt)
{
	struct pvm_disk *disk = &opt->disk[opt->nr_disks];
	const char *comma = strrchr(arg, ',');
	size_t len = strlen(arg);

	if (opt->nr_disks == PVM_MAX_DISKS) {
		say("--disk: a guest has at most %d disks", PVM_MAX_DISKS);
		return PVM_EXIT_USAGE;
	}
	if (comma && (!strcmp(comma, ",ro") || !strcmp(comma, ",rw"))) {
		disk->read_only = comma[2] == 'o';
		len = comma - arg;
	}
	if (!len || len >= sizeof(disk->path)) {
		say("--disk: the name of a file is %s", len ? "too long" : "missing");
		return PVM_EXIT_USAGE;
	}
	memcpy(disk->path, arg, len);
	opt->nr_disks++;
	return 0;
}

/* A word of --net, and where it goes to. */
static int net_text(const char *what, const char *text, char *to, size_t size)
{
	size_t len = strlen(text);

	if (!len || len >= size) {
		say("--net: %s%s: 1 to %zu characters are possible", what, text, size - 1);
		return PVM_EXIT_USAGE;
	}
	memcpy(to, text, len + 1);
	return 0;
}

static int net_word(const char *word, struct pvm_net *net)
{
	if (!strncmp(word, "tap=", 4))
		return net_text("tap=", word + 4, net->tap, sizeof(net->tap));
	if (!strncmp(word, "socket=", 7))
		return net_text("socket=", word + 7, net->socket, sizeof(net->socket));
	if (!strncmp(word, "mac=", 4)) {
		net->have_mac = true;
		return parse_mac("--net", word + 4, net->mac);
	}
	say("--net: '%s' is none of tap=NAME, socket=PATH and mac=MAC", word);
	return PVM_EXIT_USAGE;
}

static int parse_net(const char *arg, struct pvm_options *opt)
{
	struct pvm_net *net = &opt->net[opt->nr_nets];
	char words[256], *save;

	if (opt->nr_nets == PVM_MAX_NETS) {
		say("--net: a guest has at most %d network cards", PVM_MAX_NETS);
		return PVM_EXIT_USAGE;
	}
	if (net_text("", arg, words, sizeof(words)))
		return PVM_EXIT_USAGE;
	for (char *word = strtok_r(words, ",", &save); word; word = strtok_r(NULL, ",", &save)) {
		if (net_word(word, net))
			return PVM_EXIT_USAGE;
	}
	if (!*net->tap == !*net->socket) {
		say("--net: give one of tap=NAME and socket=PATH");
		return PVM_EXIT_USAGE;
	}
	opt->nr_nets++;
	return 0;
}

/* Options whose value is a word or a number. */
static int parse_value(int c, const char *arg, struct pvm_options *opt)
{
	uint64_t val;

	switch (c) {
	case OPT_MEM:
		return parse_size("--mem", arg, PVM_MIN_MEM, PVM_MAX_MEM, &opt->mem);
	case OPT_POOL:
		opt->have_pool = true;
		return parse_size("--pool", arg, 0, PVM_MAX_MEM, &opt->pool);
	case OPT_CPUS:
		if (parse_u64("--cpus", arg, 1, PVM_MAX_CPUS, &val))
			return PVM_EXIT_USAGE;
		opt->cpus = val;
		return 0;
	case OPT_TIMEOUT:
		if (parse_u64("--timeout", arg, 1, 1000000, &val))
			return PVM_EXIT_USAGE;
		opt->timeout = val;
		return 0;
	case OPT_SEED:
		opt->seeded = true;
		return parse_u64("--seed", arg, 0, UINT64_MAX, &opt->seed);
	case OPT_STATS:
		opt->stats = true;
		if (!strcmp(arg, "json"))
			return 0;
		say("--stats: '%s' is no format: use json", arg);
		return PVM_EXIT_USAGE;
	case OPT_CONSOLE:
		opt->serial = !strcmp(arg, "serial");
		if (opt->serial || !strcmp(arg, "virtio"))
			return 0;
		say("--console: '%s' is no console: use virtio or serial", arg);
		return PVM_EXIT_USAGE;
	case OPT_DISK:
		return parse_disk(arg, opt);
	case OPT_NET:
		return parse_net(arg, opt);
	default:
		return PVM_EXIT_USAGE;
	}
}

static int parse_all(int argc, char **argv, struct pvm_options *opt, bool *protect,
		     bool *unprotect)
{
	int c;

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
		case OPT_TRACE:
			opt->trace = optarg;
			break;
		case OPT_RECORD:
			opt->record = optarg;
			break;
		case OPT_PROTECTED:
			*protect = true;
			break;
		case OPT_UNPROTECTED:
			*unprotect = true;
			break;
		case OPT_ANON:
			opt->anon = true;
			break;
		case OPT_RNG:
			opt->rng = true;
			break;
		case OPT_REBOOT:
			opt->reboot = true;
			break;
		case ':':
			say("%s needs a value (pvm --help lists the options)", argv[optind - 1]);
			return PVM_EXIT_USAGE;
		case '?':
			say("there is no option '%s' (pvm --help lists them)", argv[optind - 1]);
			return PVM_EXIT_USAGE;
		default:
			if (parse_value(c, optarg, opt))
				return PVM_EXIT_USAGE;
		}
	}
	return 0;
}

int options_parse(int argc, char **argv, struct pvm_options *opt)
{
	bool protect = false, unprotect = false;

	*opt = (struct pvm_options) {
		.append = "",
		.mem = 128ULL << 20,
		.cpus = 1,
	};

	if (parse_all(argc, argv, opt, &protect, &unprotect))
		return PVM_EXIT_USAGE;
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
	if (opt->record && opt->anon) {
		say("--record: only a guest_memfd tells what the guest shares: leave out --anon");
		return PVM_EXIT_USAGE;
	}
	if (!opt->have_pool)
		opt->pool = pool_default(opt);
	if (opt->pool >= opt->mem / 2) {
		say("--pool: the pool would take half of --mem or more: give more --mem or less --pool");
		return PVM_EXIT_USAGE;
	}
	opt->protect = !unprotect;
	return 0;
}
