/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_CPU_UAPI_LINUX_PSCI_H
#define PKVM_TEST_CPU_UAPI_LINUX_PSCI_H

/* The build machine's: it is an interface of the kernel's to userspace. */
#include <linux/psci.h>

#endif
