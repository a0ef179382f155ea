/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The n-th allocation from here on fails: CONFIG_FAULT_INJECTION's fail-nth, for slab objects
 * and pages alike.
 */
#ifndef SELFTEST_KVM_FAIL_NTH_H
#define SELFTEST_KVM_FAIL_NTH_H

#include <stdbool.h>

/*
 * For main(): all allocations can fail from here on; the whole program is skipped where they
 * cannot. And as it was before.
 */
void fail_nth_require(void);
void fail_nth_restore(void);

/* For each thread that wants failures, after a fork() too. */
void fail_nth_open(void);
/* The @n-th allocation of this thread from here on fails; 0: none. */
void fail_nth(unsigned int n);
/* No more failures. Was there one? */
bool fail_nth_end(void);

#endif /* SELFTEST_KVM_FAIL_NTH_H */
