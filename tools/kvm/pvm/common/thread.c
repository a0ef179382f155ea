// SPDX-License-Identifier: GPL-2.0-only
/*
 * Threads that may be in a system call which has to end.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <time.h>

#include "common/thread.h"

static void on_interrupt(int sig)
{
	(void)sig;
}

/* Before there are threads. */
void thread_prepare(void)
{
	struct sigaction sa = { .sa_handler = on_interrupt };

	sigaction(SIGUSR1, &sa, NULL);
}

void thread_interrupt(pthread_t thread)
{
	pthread_kill(thread, SIGUSR1);
}

/* A signal ends a system call, but not one that is about to begin: so again and again. */
void thread_join(pthread_t thread)
{
	struct timespec until;

	do {
		thread_interrupt(thread);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(thread, NULL, &until) == ETIMEDOUT);
}
