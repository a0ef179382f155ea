/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The subcommands, and their options. All return PVM_EXIT_*, or 0 to go on; reported.
 */
#ifndef PVM_COMMANDS_H
#define PVM_COMMANDS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct pvm_options;

int cmd_run(int argc, char **argv);
int cmd_map(int argc, char **argv);
int cmd_poke(int argc, char **argv);
int cmd_demo(int argc, char **argv);

/* Of run and demo. */
int options_parse(int argc, char **argv, struct pvm_options *opt);
extern const char options_help[];

struct map_options {
	pid_t pid;
	bool watch;
	uint64_t seconds;
	const char *svg;		/* a file, or NULL */
};

int map_parse(int argc, char **argv, struct map_options *opt);

#endif
