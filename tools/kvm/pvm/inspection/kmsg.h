/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_KMSG_H
#define PVM_KMSG_H

#include <stddef.h>

int kmsg_check(unsigned int *lines, char *first, size_t len);

#endif
