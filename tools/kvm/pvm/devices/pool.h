/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_POOL_H
#define PVM_POOL_H

#include <stdint.h>

struct pvm_options;

#define POOL_PER_DISK	(2ULL << 20)	/* virtio_blk.c is held to that */

uint64_t pool_default(const struct pvm_options *opt);
uint64_t pool_disk_share(const struct pvm_options *opt);

#endif
