// SPDX-License-Identifier: GPL-2.0-only
/*
 * --trace: a line for each exit, each change of a device's state and each request, with
 * the time since the start and the thread.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "common/say.h"
#include "vmm/event.h"

bool event_on;

static FILE *file;
static struct timespec start;

/* Before there are threads. */
int event_open(const char *path)
{
	file = fopen(path, "we");
	if (!file)
		return -errno;
	setvbuf(file, NULL, _IOLBF, 0);
	clock_gettime(CLOCK_MONOTONIC, &start);
	event_on = true;
	return 0;
}

/* When there are none any more. */
void event_close(void)
{
	if (file && fclose(file))
		say("--trace: not all of it could be written");
	file = NULL;
	event_on = false;
}

void event_write(const char *fmt, ...)
{
	struct timespec now;
	char text[256];
	long long us;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	clock_gettime(CLOCK_MONOTONIC, &now);
	us = (now.tv_sec - start.tv_sec) * 1000000LL + (now.tv_nsec - start.tv_nsec) / 1000;
	fprintf(file, "%lld.%06lld [%ld] %s\n", us / 1000000, us % 1000000,
		syscall(SYS_gettid), text);
}
