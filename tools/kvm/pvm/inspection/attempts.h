/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_ATTEMPTS_H
#define PVM_ATTEMPTS_H

#include <stdbool.h>

struct target;

int attempt_everything(const struct target *t, const char *direct, bool punch);

#endif
