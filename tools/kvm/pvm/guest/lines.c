// SPDX-License-Identifier: GPL-2.0-only
/*
 * Lines to the host and from it, by the console.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "guest/lines.h"

/* One write a line, so that no other line gets into it. */
void put(const char *fmt, ...)
{
	char line[256];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(line, sizeof(line) - 1, fmt, ap);
	va_end(ap);
	if (n < 0)
		return;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n)
		return;
}

/* For the tests: what was tried did not work. Returns false. */
bool failed(const char *name, const char *why)
{
	put("guest: %s FAILED: %s (%s)", name, why, strerror(errno));
	return false;
}

/* A line from the console, the host's sign to go on; NULL if there is none. */
const char *listen_to_console(const char *why)
{
	static char line[128];

	put("guest: waits %s", why);
	if (!fgets(line, sizeof(line), stdin)) {
		failed("console", "no line came");
		return NULL;
	}
	line[strcspn(line, "\r\n")] = 0;
	put("guest: heard '%s'", line);
	return line;
}
