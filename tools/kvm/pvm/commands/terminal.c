// SPDX-License-Identifier: GPL-2.0-only
/*
 * The user's terminal as the guest's console: raw while the guest runs; Ctrl-A x
 * leaves, Ctrl-A Ctrl-A is one Ctrl-A.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "commands/terminal.h"

#define ESCAPE	1	/* Ctrl-A */

static struct termios saved;
static bool raw;
static bool escaped;

void terminal_raw(void)
{
	struct termios t;

	/* In the background, to touch the terminal would stop us. */
	if (!isatty(STDIN_FILENO) || tcgetpgrp(STDIN_FILENO) != getpgrp() ||
	    tcgetattr(STDIN_FILENO, &saved))
		return;
	t = saved;
	cfmakeraw(&t);
	t.c_oflag |= OPOST;
	raw = !tcsetattr(STDIN_FILENO, TCSANOW, &t);
}

void terminal_restore(void)
{
	if (raw)
		tcsetattr(STDIN_FILENO, TCSANOW, &saved);
	raw = false;
}

/* Takes the escapes out of buf; true if the user wants to leave. */
bool terminal_filter(uint8_t *buf, size_t *len)
{
	size_t n = 0;

	if (!raw)
		return false;
	for (size_t i = 0; i < *len; i++) {
		if (escaped) {
			escaped = false;
			if (buf[i] == 'x' || buf[i] == 'X')
				return true;
			buf[n++] = buf[i];
		} else if (buf[i] == ESCAPE) {
			escaped = true;
		} else {
			buf[n++] = buf[i];
		}
	}
	*len = n;
	return false;
}
