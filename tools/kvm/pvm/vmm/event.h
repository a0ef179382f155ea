/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_EVENT_H
#define PVM_EVENT_H

#include <stdbool.h>

extern bool event_on;
int event_open(const char *path);
void event_close(void);
void event_write(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A line for --trace. */
#define event(...) do { if (event_on) event_write(__VA_ARGS__); } while (0)

#endif
