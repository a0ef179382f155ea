/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_PROBE_H
#define PVM_PROBE_H

#include <stddef.h>

/* 0, or the number of the signal that the access raised. */
int probe_read(const void *addr, void *buf, size_t len);
int probe_write(void *addr, const void *buf, size_t len);
const char *probe_result(int ret);

#endif
