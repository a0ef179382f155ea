// SPDX-License-Identifier: GPL-2.0-only
/*
 * --record: what the guest gave its devices, in the order in which they saw it. That is the
 * registers that it wrote, and before a device looks at its queues, what has changed in the
 * memory that the guest shares. A guest that writes while the device works is recorded as if
 * it had written a little earlier or later.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "common/gmem.h"
#include "common/layout.h"
#include "common/say.h"
#include "devices/record.h"
#include "devices/virtio.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

#define MAX_PAGES	256		/* of shared memory: the first; the rest is ignored */
#define MAX_BYTES	(1 << 20)	/* of the file: it ends there, the guest does not */

bool record_on;

struct shadow {
	uint64_t offset;
	bool shared, seen;
	uint8_t data[PVM_PAGE];		/* as it was recorded last */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* Guarded by lock. */
static FILE *file;
static size_t written;
static struct shadow shadow[MAX_PAGES];
static unsigned int nr_shadow;

static void put(unsigned int kind, unsigned int dev, unsigned int arg, uint32_t val,
		const void *data, size_t len)
{
	struct record r = { .kind = kind, .dev = dev, .arg = arg, .val = val };

	if (!file || written + sizeof(r) + len > MAX_BYTES) {
		__atomic_store_n(&record_on, false, __ATOMIC_RELAXED);
		return;
	}
	fwrite(&r, sizeof(r), 1, file);
	if (len)
		fwrite(data, len, 1, file);
	written += sizeof(r) + len;
}

static unsigned int number(struct virtio_dev *dev)
{
	return (dev->base - PVM_VIRTIO_BASE) / PVM_VIRTIO_SIZE;
}

/* After devices_create(), before there are threads. */
int record_open(struct vm *vm, const char *path)
{
	file = fopen(path, "we");
	if (!file)
		return -errno;
	record_on = true;
	fwrite(RECORD_MAGIC, strlen(RECORD_MAGIC), 1, file);
	put(RECORD_RAM, 0, 0, vm->opt->mem / PVM_PAGE, NULL, 0);
	for (unsigned int i = 0; i < vm->nr_virtio; i++)
		put(RECORD_DEVICE, i, 0, vm->virtio[i]->ops->id, NULL, 0);
	return 0;
}

/* When there are none any more. */
void record_close(void)
{
	if (file && fclose(file))
		say("--record: not all of it could be written");
	file = NULL;
	record_on = false;
}

void record_write(struct virtio_dev *dev, uint64_t reg, uint32_t val)
{
	pthread_mutex_lock(&lock);
	put(RECORD_WRITE, number(dev), reg, val, NULL, 0);
	pthread_mutex_unlock(&lock);
}

static struct shadow *shadow_find(uint64_t offset)
{
	struct shadow *s = shadow;

	while (s < shadow + nr_shadow && s->offset != offset)
		s++;
	if (s == shadow + MAX_PAGES)
		return NULL;
	if (s == shadow + nr_shadow) {
		nr_shadow++;
		s->offset = offset;
	}
	return s;
}

/* The pieces that differ, those in a row together. */
static void put_changes(struct shadow *s, const uint8_t *now)
{
	const size_t nr = PVM_PAGE / RECORD_PIECE;
	size_t end;

	for (size_t i = 0; i < nr; i = end + 1) {
		for (end = i; end < nr && memcmp(s->data + end * RECORD_PIECE,
						 now + end * RECORD_PIECE, RECORD_PIECE); end++)
			;
		if (end > i)
			put(RECORD_MEMORY, 0, end - i, s->offset / RECORD_PIECE + i,
			    now + i * RECORD_PIECE, (end - i) * RECORD_PIECE);
	}
	memcpy(s->data, now, PVM_PAGE);
}

/* A page that the host can reach, or could when it was asked. */
static void look_at(struct vm *vm, uint64_t offset)
{
	struct shadow *s = shadow_find(offset);
	uint8_t now[PVM_PAGE];

	if (!s || memory_read(vm, PVM_RAM_BASE + offset, now, sizeof(now)))
		return;
	s->seen = true;
	if (!s->shared)
		put(RECORD_SHARED, 0, 0, offset / PVM_PAGE, NULL, 0);
	s->shared = true;
	put_changes(s, now);
}

static void put_memory(struct vm *vm)
{
	struct gmem_run run;

	for (unsigned int i = 0; i < nr_shadow; i++)
		shadow[i].seen = false;
	for (uint64_t at = 0; at < vm->opt->mem; at = run.offset + run.size) {
		if (gmem_next_run(vm->gmem_fd, at, vm->opt->mem, &run))
			break;
		for (uint64_t off = 0; run.state == PAGE_SHARED && off < run.size; off += PVM_PAGE)
			look_at(vm, run.offset + off);
	}
	for (unsigned int i = 0; i < nr_shadow; i++) {
		if (shadow[i].shared && !shadow[i].seen) {
			put(RECORD_PRIVATE, 0, 0, shadow[i].offset / PVM_PAGE, NULL, 0);
			shadow[i].shared = false;
		}
	}
}

/* The worker is about to serve the device's queues. */
void record_serve(struct virtio_dev *dev)
{
	pthread_mutex_lock(&lock);
	put_memory(dev->vm);
	put(RECORD_SERVE, number(dev), 0, 0, NULL, 0);
	pthread_mutex_unlock(&lock);
}
