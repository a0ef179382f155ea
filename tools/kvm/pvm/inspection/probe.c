// SPDX-License-Identifier: GPL-2.0-only
/*
 * Plain loads and stores, as a curious user would make them, on memory that may raise
 * a signal. For a single thread.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "inspection/probe.h"

static sigjmp_buf probe_env;
static volatile sig_atomic_t probe_sig;

static void on_fault(int sig)
{
	probe_sig = sig;
	siglongjmp(probe_env, 1);
}

/* 0, or the number of the signal that an access raised. */
static int probe(volatile uint8_t *dst, const volatile uint8_t *src, size_t len)
{
	struct sigaction sa = { .sa_handler = on_fault }, old_bus, old_segv;

	probe_sig = 0;
	sigaction(SIGBUS, &sa, &old_bus);
	sigaction(SIGSEGV, &sa, &old_segv);
	if (!sigsetjmp(probe_env, 1)) {
		for (size_t i = 0; i < len; i++)
			dst[i] = src[i];
	}
	sigaction(SIGBUS, &old_bus, NULL);
	sigaction(SIGSEGV, &old_segv, NULL);
	return probe_sig;
}

int probe_read(const void *addr, void *buf, size_t len)
{
	return probe(buf, addr, len);
}

int probe_write(void *addr, const void *buf, size_t len)
{
	return probe(addr, buf, len);
}

const char *probe_result(int ret)
{
	switch (ret) {
	case 0:
		return "succeeds";
	case SIGBUS:
		return "SIGBUS";
	case SIGSEGV:
		return "SIGSEGV";
	default:
		return "another signal";
	}
}
