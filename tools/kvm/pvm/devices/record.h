/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * --record: a file with all that the guest gave its virtio devices, from which
 * tests/recorded.c gives it to them again. Little-endian, like guest and host: a magic
 * number, then records, some with data behind them. To who reads it, all of it is untrusted.
 */
#ifndef PVM_RECORD_H
#define PVM_RECORD_H

#include <stdbool.h>
#include <stdint.h>

struct virtio_dev;
struct vm;

#define RECORD_MAGIC	"pvm-rec1"	/* without the NUL */

/* Shared memory is compared, and recorded, in such pieces: a file stays small. */
#define RECORD_PIECE	64

enum {
	RECORD_RAM = 1,		/* val: pages of guest memory; once, before all others */
	RECORD_DEVICE,		/* dev: the next one; val: its VIRTIO_ID_* */
	RECORD_WRITE,		/* dev, arg: register, val: the driver's value */
	RECORD_SHARED,		/* val: the number of a page, from PVM_RAM_BASE; zeroes at first */
	RECORD_PRIVATE,		/* val: the number of a page; it keeps what is in it */
	RECORD_MEMORY,		/* val: the number of a piece; arg: how many, which follow */
	RECORD_SERVE,		/* dev: looks at its queues, once */
};

struct record {
	uint8_t kind, dev;
	uint16_t arg;
	uint32_t val;
};

extern bool record_on;
int record_open(struct vm *vm, const char *path);
void record_close(void);
void record_write(struct virtio_dev *dev, uint64_t reg, uint32_t val);
void record_serve(struct virtio_dev *dev);

#endif
