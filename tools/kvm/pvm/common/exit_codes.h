/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Exit codes of every subcommand; --help and pvm.1 list them. A function that says
 * "reported; PVM_EXIT_*" has printed a message that names the option, the cause and the remedy,
 * and returns 0 or what pvm is to end with. All others return 0 or a negative errno.
 */
#ifndef PVM_EXIT_CODES_H
#define PVM_EXIT_CODES_H

enum {
	PVM_EXIT_OK		= 0,	/* the guest powered off; the check held */
	PVM_EXIT_FAIL		= 1,	/* pvm or a system call failed */
	PVM_EXIT_USAGE		= 2,	/* a bad option, number or input file */
	PVM_EXIT_HOST		= 3,	/* the host cannot do it */
	PVM_EXIT_GUEST		= 4,	/* the guest had to be stopped */
	PVM_EXIT_RESET		= 5,	/* the guest asked for a reset */
	PVM_EXIT_TIMEOUT	= 124,	/* --timeout ran out */
	PVM_EXIT_SIGNAL		= 128,	/* and the number of the signal that ended the guest */
};

#endif
