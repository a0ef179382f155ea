/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __PKVM_TEST_LINUX_STRING_H
#define __PKVM_TEST_LINUX_STRING_H

#include <string.h>

#endif
