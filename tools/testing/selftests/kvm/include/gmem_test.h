/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What tests of guest_memfd begin with: the harness, the size of a page, where the n-th page of
 * a file and of the guest's memory is, and main().
 *
 * A test whose memory is elsewhere in the guest defines MEM_GPA before.
 */
#ifndef SELFTEST_KVM_GMEM_TEST_H
#define SELFTEST_KVM_GMEM_TEST_H

#include <unistd.h>

#include "kselftest_harness.h"
#include "guest_memfd_util.h"

#ifndef MEM_GPA
#define MEM_GPA		0x80000000ULL
#endif

static size_t page;

#define GPA(n)		(MEM_GPA + (n) * page)
#define OFF(n)		((u64)(n) * page)
/* The fixture has the whole file mapped at @mem. */
#define HVA(n)		(self->mem + (n) * page)

/* @require skips the program where there is not what it needs. */
static inline int gmem_test_main(int argc, char **argv, void (*require)(void))
{
	page = getpagesize();
	require();
	return test_harness_run(argc, argv);
}

#endif /* SELFTEST_KVM_GMEM_TEST_H */
