// SPDX-License-Identifier: GPL-2.0-only
/*
 * The end of a thread that may be in a system call.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "common/thread.h"

/* A signal ends a system call, but not one that is about to begin: so again and again. */
void join_interrupted(pthread_t thread)
{
	struct timespec until;

	do {
		pthread_kill(thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(thread, NULL, &until) == ETIMEDOUT);
}
