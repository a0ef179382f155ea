/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_RANDOM_H
#define PVM_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct pvm_options;

struct random {
	bool seeded;
	uint64_t state;
};

/* Streams. */
enum { RANDOM_FDT = 1, RANDOM_RNG, RANDOM_MAC };

void random_init(struct random *r, const struct pvm_options *opt, unsigned int stream);
int random_fill(struct random *r, void *buf, size_t len);

#endif
