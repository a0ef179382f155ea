/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GUEST_LINES_H
#define PVM_GUEST_LINES_H

#include <stdbool.h>

void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
bool failed(const char *name, const char *why);
const char *listen_to_console(const char *why);

#endif
