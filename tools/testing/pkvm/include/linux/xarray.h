/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_LINUX_XARRAY_H
#define PKVM_TEST_LINUX_XARRAY_H

#include <guest_env.h>

#endif
