/* SPDX-License-Identifier: GPL-2.0-only */
/* For a test that counts its checks and shows the first failures: CHECK(), and the last line. */
#ifndef PKVM_TEST_CHECK_H
#define PKVM_TEST_CHECK_H

#include <stdio.h>

static unsigned long checks, failed;

#define CHECK(ok, ...) do {			\
	checks++;				\
	if (!(ok) && failed++ < 20) {		\
		printf(__VA_ARGS__);		\
		printf("\n");			\
	}					\
} while (0)

/* Returns main()'s exit code. */
static inline int check_end(const char *name)
{
	printf("%s: %lu checks, %lu failed\n", name, checks, failed);
	return failed ? 1 : 0;
}

#endif
