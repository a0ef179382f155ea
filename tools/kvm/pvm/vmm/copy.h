/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_COPY_H
#define PVM_COPY_H

#include <stddef.h>

int copy_from_fragile(void *dst, const void *src, size_t len);
int copy_to_fragile(void *dst, const void *src, size_t len);

#endif
