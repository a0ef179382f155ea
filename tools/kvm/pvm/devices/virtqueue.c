// SPDX-License-Identifier: GPL-2.0-only
/*
 * Split virtqueues: fetches chains of descriptors, returns them as used.
 *
 * The driver and we may run at the same time, and the driver may be hostile. Everything
 * is read once. What is out of bounds is an error: an index beyond its table, more
 * available entries than there can be, a chain that is too long (a loop is one), or an
 * indirect table in the wrong place. Where memory ends is memory.c's to know.
 *
 * Guest and host are both little-endian.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_ring.h>

#include "devices/virtqueue.h"
#include "vmm/memory.h"

#define AVAIL_FLAGS	0
#define AVAIL_IDX	2
#define AVAIL_RING	4
#define USED_IDX	2
#define USED_RING	4

/* The driver has set size and addresses. Who may use the queue holds dev->lock. */
int virtq_enable(struct virtqueue *vq)
{
	if (!vq->num || vq->num > VIRTQ_MAX_SIZE || vq->num & (vq->num - 1))
		return -EINVAL;
	if (vq->desc % VRING_DESC_ALIGN_SIZE || vq->avail % VRING_AVAIL_ALIGN_SIZE ||
	    vq->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	/* So that no address calculated below wraps. */
	if (vq->desc >> 60 || vq->avail >> 60 || vq->used >> 60)
		return -EINVAL;

	vq->next_avail = 0;
	vq->next_used = 0;
	vq->pushed = false;
	vq->ready = true;
	return 0;
}

static int chain_add(struct virtq_chain *c, const struct vring_desc *d)
{
	struct virtq_seg *seg = &c->seg[c->nr_out + c->nr_in];

	if (c->nr_out + c->nr_in == VIRTQ_MAX_SIZE)
		return -ELOOP;

	if (d->flags & VRING_DESC_F_WRITE) {
		c->nr_in++;
		c->in_len += d->len;
	} else {
		if (c->nr_in)
			return -EPROTO;
		c->nr_out++;
		c->out_len += d->len;
	}
	seg->gpa = d->addr;
	seg->len = d->len;
	return 0;
}

/* An indirect table, whole: nr is set. */
static int indirect_fetch(struct virtqueue *vq, const struct vring_desc *d,
			  struct vring_desc *table, uint32_t *nr)
{
	if (d->flags & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE) || !d->len ||
	    d->len % sizeof(*table) || d->len / sizeof(*table) > VIRTQ_MAX_SIZE)
		return -EPROTO;
	*nr = d->len / sizeof(*table);
	return memory_read(vq->vm, d->addr, table, d->len);
}

static int chain_fetch(struct virtqueue *vq, struct virtq_chain *c)
{
	struct vring_desc table[VIRTQ_MAX_SIZE], d;
	bool indirect = false;
	uint32_t i = c->head, nr = vq->num;
	int ret;

	/* Each turn adds a segment, but for the one that leads to the indirect table. */
	for (;;) {
		if (i >= nr)
			return -ERANGE;
		if (indirect) {
			d = table[i];
		} else {
			ret = memory_read(vq->vm, vq->desc + i * sizeof(d), &d, sizeof(d));
			if (ret)
				return ret;
		}

		if (d.flags & VRING_DESC_F_INDIRECT) {
			ret = indirect ? -EPROTO : indirect_fetch(vq, &d, table, &nr);
			if (ret)
				return ret;
			indirect = true;
			i = 0;
			continue;
		}

		ret = chain_add(c, &d);
		if (ret)
			return ret;
		if (!(d.flags & VRING_DESC_F_NEXT))
			return 0;
		i = d.next;
	}
}

/* 1: a chain; 0: there is none; a negative errno: the queue cannot be used any more. */
int virtq_pop(struct virtqueue *vq, struct virtq_chain *c)
{
	uint16_t idx;
	int ret;

	if (!vq->ready)
		return 0;
	ret = memory_read(vq->vm, vq->avail + AVAIL_IDX, &idx, sizeof(idx));
	if (ret)
		return ret;
	if (idx == vq->next_avail)
		return 0;
	if ((uint16_t)(idx - vq->next_avail) > vq->num)
		return -ERANGE;

	/* What is behind the index was written before it. */
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	c->nr_out = c->nr_in = 0;
	c->out_len = c->in_len = 0;
	ret = memory_read(vq->vm, vq->avail + AVAIL_RING +
			  (vq->next_avail & (vq->num - 1)) * sizeof(c->head),
			  &c->head, sizeof(c->head));
	ret = ret ?: chain_fetch(vq, c);
	if (ret)
		return ret;
	vq->next_avail++;
	return 1;
}

/* The device has done with the chain, and has written so much. */
int virtq_push(struct virtqueue *vq, const struct virtq_chain *c, uint64_t written)
{
	struct vring_used_elem elem = { .id = c->head, .len = written };
	uint16_t idx = vq->next_used + 1;
	int ret;

	ret = memory_write(vq->vm, vq->used + USED_RING +
			   (vq->next_used & (vq->num - 1)) * sizeof(elem),
			   &elem, sizeof(elem));
	if (ret)
		return ret;
	__atomic_thread_fence(__ATOMIC_RELEASE);
	ret = memory_write(vq->vm, vq->used + USED_IDX, &idx, sizeof(idx));
	if (ret)
		return ret;
	vq->next_used = idx;
	vq->pushed = true;
	return 0;
}

/* 1 or 0; after the used index is written, so that one of us sees the other's. */
int virtq_wants_interrupt(struct virtqueue *vq)
{
	uint16_t flags;
	int ret;

	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	ret = memory_read(vq->vm, vq->avail + AVAIL_FLAGS, &flags, sizeof(flags));
	return ret ?: !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}

static int each(struct virtqueue *vq, const struct virtq_seg *seg, unsigned int nr,
		uint64_t off, uint64_t len, chain_fn fn, void *ctx)
{
	uint64_t done = 0;

	for (unsigned int i = 0; i < nr && done < len; i++) {
		uint64_t part;
		int ret;

		if (off >= seg[i].len) {
			off -= seg[i].len;
			continue;
		}
		part = seg[i].len - off;
		if (part > len - done)
			part = len - done;
		/* The sum is memory.c's to refuse, but not if it wraps. */
		if (seg[i].gpa + off < off)
			return -EFAULT;
		ret = fn(vq->vm, seg[i].gpa + off, part, done, ctx);
		if (ret)
			return ret;
		off = 0;
		done += part;
	}
	return done == len ? 0 : -ERANGE;
}

/* Calls fn for [off, off + len) of what the device reads; -ERANGE if that is too short. */
int chain_each_out(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		   uint64_t len, chain_fn fn, void *ctx)
{
	return each(vq, c->seg, c->nr_out, off, len, fn, ctx);
}

/* The same of what the device writes. */
int chain_each_in(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		  uint64_t len, chain_fn fn, void *ctx)
{
	return each(vq, c->seg + c->nr_out, c->nr_in, off, len, fn, ctx);
}

static int copy_out(struct vm *vm, uint64_t gpa, size_t len, uint64_t done, void *ctx)
{
	return memory_read(vm, gpa, (char *)ctx + done, len);
}

static int copy_in(struct vm *vm, uint64_t gpa, size_t len, uint64_t done, void *ctx)
{
	return memory_write(vm, gpa, (const char *)ctx + done, len);
}

int chain_read(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off, void *buf,
	       size_t len)
{
	return chain_each_out(vq, c, off, len, copy_out, buf);
}

int chain_write(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		const void *buf, size_t len)
{
	return chain_each_in(vq, c, off, len, copy_in, (void *)buf);
}
