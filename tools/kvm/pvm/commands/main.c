// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm: subcommands and --help.
 */
#include <stdio.h>
#include <string.h>

#include "commands/commands.h"
#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/say.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *args;
	const char *help;
} commands[] = {
	{ "run", cmd_run, "--kernel IMAGE [OPTIONS]", "run a guest" },
	{ "map", cmd_map, "PID [--watch [SECONDS]] [--svg FILE]",
	  "draw who can see a guest's memory; again and again with --watch" },
	{ "poke", cmd_poke, "PID [--direct FILE] [--punch] | PID --gpa ADDR [--len N] [--write TEXT]",
	  "try all that a curious user of the host might; --punch destroys two pages" },
	{ "demo", cmd_demo, "--kernel IMAGE [OPTIONS]",
	  "run a guest and check what the host can see of it" },
};

static void help(void)
{
	printf("pvm - protected virtual machines whose memory is a guest_memfd\n\nUsage:\n");
	for (size_t i = 0; i < ARRAY_SIZE(commands); i++)
		printf("  pvm %-5s%s\n        %s\n", commands[i].name, commands[i].args,
		       commands[i].help);
	printf("\n%s\n"
	       "Exit codes:\n"
	       "  0    the guest powered off; with demo and poke: all is as it should be\n"
	       "  1    pvm or a system call failed; with demo and poke: something is not\n"
	       "  2    a bad option, number or input file\n"
	       "  3    the host cannot do it: no /dev/kvm, no pKVM, a kernel without the feature\n"
	       "  4    the guest had to be stopped: a page destroyed, a crash, a bad exit\n"
	       "  5    the guest asked for a reset, without --reboot\n"
	       "  124  --timeout ran out\n"
	       "  128+N ended by signal N; with poke --gpa: the access raised signal N\n",
	       options_help);
}

int main(int argc, char **argv)
{
	if (argc >= 2 && (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") ||
			  !strcmp(argv[1], "help"))) {
		help();
		return fflush(stdout) ? PVM_EXIT_FAIL : PVM_EXIT_OK;
	}

	for (size_t i = 0; argc >= 2 && i < ARRAY_SIZE(commands); i++) {
		if (!strcmp(argv[1], commands[i].name)) {
			if (argc >= 3 && !strcmp(argv[2], "--help")) {
				help();
				return PVM_EXIT_OK;
			}
			return commands[i].run(argc - 1, argv + 1);
		}
	}

	if (argc >= 2)
		say("there is no subcommand '%s': use run, map, poke or demo", argv[1]);
	else
		say("a subcommand is missing: use run, map, poke or demo (pvm --help says more)");
	return PVM_EXIT_USAGE;
}
