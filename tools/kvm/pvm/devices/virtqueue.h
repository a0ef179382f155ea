/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Split virtqueues, and the chains of descriptors in them.
 */
#ifndef PVM_VIRTQUEUE_H
#define PVM_VIRTQUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VIRTQ_MAX_SIZE	256

struct vm;

struct virtqueue {
	struct vm *vm;
	bool ready;
	uint16_t num;			/* as the driver set it */
	uint64_t desc, avail, used;	/* gpa */
	uint16_t next_avail, next_used;	/* both run through all 2^16 values */
	bool pushed;			/* something that the driver has not been told of */
};

struct virtq_seg {
	uint64_t gpa;
	uint32_t len;
};

/* A request: segments that the device reads ("out"), then those that it writes ("in"). */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	uint64_t out_len, in_len;
	struct virtq_seg seg[VIRTQ_MAX_SIZE];
};

int virtq_enable(struct virtqueue *vq);
int virtq_pop(struct virtqueue *vq, struct virtq_chain *c);
int virtq_push(struct virtqueue *vq, const struct virtq_chain *c, uint64_t written);
int virtq_wants_interrupt(struct virtqueue *vq);
int chain_read(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off, void *buf,
	       size_t len);
int chain_write(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		const void *buf, size_t len);

/* A piece of guest memory, and how far into the range it begins. */
typedef int (*chain_fn)(struct vm *vm, uint64_t gpa, size_t len, uint64_t done, void *ctx);

int chain_each_out(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		   uint64_t len, chain_fn fn, void *ctx);
int chain_each_in(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		  uint64_t len, chain_fn fn, void *ctx);

#endif
