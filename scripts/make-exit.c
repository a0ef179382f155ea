// SPDX-License-Identifier: GPL-2.0-only
/*
 * A function for GNU make: $(exit N) ends make with exit code N. By itself make turns
 * every failure into 2, and 'make exec' is to return the code of the command that it ran.
 */
#include <stdio.h>
#include <stdlib.h>

#include <gnumake.h>

int plugin_is_GPL_compatible;

static char *exit_func(const char *name, unsigned int argc, char **argv)
{
	(void)name;
	(void)argc;
	fflush(stdout);
	exit(atoi(argv[0]));
}

int make_exit_gmk_setup(void)
{
	gmk_add_function("exit", exit_func, 1, 1, GMK_FUNC_DEFAULT);
	return 1;
}
