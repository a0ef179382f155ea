/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_KVM_HOST_H
#define PKVM_TEST_KVM_HOST_H

/* It is named for what it brings along in the kernel. */
#ifndef static_assert
#define static_assert(expr)	_Static_assert(expr, #expr)
#endif

#endif
