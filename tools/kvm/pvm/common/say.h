/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_SAY_H
#define PVM_SAY_H

#include <stddef.h>

void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int write_all(int fd, const void *buf, size_t len);

#endif
