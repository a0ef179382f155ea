// SPDX-License-Identifier: GPL-2.0-only
/*
 * Gives the devices again what a guest gave them when pvm run --record was looking on:
 * the same registers, the same rings in the same memory, in the same order; for the build
 * machine, under ASan and UBSan. Then the devices must be in a state that there is, and a
 * disk must work again after a reset.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/virtio_blk.h>

#include "common/array_size.h"
#include "common/layout.h"
#include "devices/record.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "fake_guest.h"

#define MAX_FILE	(16 << 20)
#define MAX_PAGES	65536

#define STATUS_BITS	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |		\
			 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FEATURES_OK |	\
			 VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

struct replay {
	struct fake_guest guest;
	const uint8_t *data;
	size_t left;
	struct virtio_dev *dev[PVM_MAX_VIRTIO];
	unsigned int nr_devs;
	uint32_t pages;
	unsigned long writes, serves, requests, resets, pieces, unshared;
};

static FILE *report;

/* The next so many bytes, or NULL. */
static const void *take(struct replay *r, size_t len)
{
	const uint8_t *p = r->data;

	if (len > r->left)
		return NULL;
	r->data += len;
	r->left -= len;
	return p;
}

static bool add_ram(struct replay *r, uint32_t pages)
{
	if (r->pages || pages < FAKE_MEM / PVM_PAGE || pages > MAX_PAGES)
		return false;
	r->guest.vm.ram = calloc(pages, PVM_PAGE);
	fake_private = malloc(pages * sizeof(*fake_private));
	if (!r->guest.vm.ram || !fake_private)
		abort();
	memset(fake_private, true, pages * sizeof(*fake_private));
	r->pages = pages;
	r->guest.opt.mem = pages * PVM_PAGE;
	return true;
}

/* One of the fake guest's, of the same kind. */
static bool add_device(struct replay *r, unsigned int nr, uint32_t id)
{
	if (nr != r->nr_devs || nr == ARRAY_SIZE(r->dev))
		return false;
	for (unsigned int i = 0; i < FAKE_NR_DEVS; i++) {
		if (r->guest.vm.virtio[i]->ops->id == id) {
			r->dev[r->nr_devs++] = r->guest.vm.virtio[i];
			return true;
		}
	}
	return false;
}

static bool set_page(struct replay *r, uint32_t page, bool private)
{
	if (page >= r->pages)
		return false;
	fake_private[page] = private;
	r->unshared += private;
	return true;
}

/* Into shared pages: others are refused. */
static bool set_memory(struct replay *r, uint32_t piece, unsigned int nr)
{
	size_t len = nr * RECORD_PIECE;
	const void *data = take(r, len);

	r->pieces += nr;
	return data && !memory_write(&r->guest.vm, PVM_RAM_BASE + (uint64_t)piece * RECORD_PIECE,
				     data, len);
}

static void serve(struct replay *r, struct virtio_dev *dev)
{
	uint16_t used[VIRTIO_MAX_QUEUES];
	bool running = virtio_running(dev);
	char buf[4096];

	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		used[q] = dev->vq[q].next_used;
	virtio_serve(dev);
	for (unsigned int q = 0; q < VIRTIO_MAX_QUEUES; q++)
		r->requests += (uint16_t)(dev->vq[q].next_used - used[q]);
	r->serves++;
	r->resets += running && !virtio_running(dev);
	while (read(r->guest.peer_fd, buf, sizeof(buf)) > 0)
		;
}

static bool step(struct replay *r)
{
	const struct record *in = take(r, sizeof(*in));
	struct record rec;

	if (!in)
		return false;
	memcpy(&rec, in, sizeof(rec));
	if (rec.kind == RECORD_RAM)
		return add_ram(r, rec.val);
	if (!r->pages)
		return false;
	if (rec.kind == RECORD_DEVICE)
		return add_device(r, rec.dev, rec.val);
	if (rec.kind == RECORD_SHARED || rec.kind == RECORD_PRIVATE)
		return set_page(r, rec.val, rec.kind == RECORD_PRIVATE);
	if (rec.kind == RECORD_MEMORY)
		return set_memory(r, rec.val, rec.arg);

	if (rec.dev >= r->nr_devs)
		return false;
	if (rec.kind == RECORD_WRITE) {
		fake_mmio_write(r->dev[rec.dev], rec.arg, rec.val);
		r->writes++;
		return true;
	}
	if (rec.kind == RECORD_SERVE) {
		serve(r, r->dev[rec.dev]);
		return true;
	}
	return false;
}

static bool check(bool ok, const char *what)
{
	if (!ok)
		fprintf(report, "not ok: %s\n", what);
	return ok;
}

static bool defined(struct virtio_dev *dev)
{
	bool ok = check(!(dev->status & ~STATUS_BITS), "a status that there is") &&
		  check(!(dev->isr & ~3) && dev->irq_level == !!dev->isr &&
			fake_line[dev->spi] == dev->irq_level, "an interrupt that there is");

	for (unsigned int q = 0; q < dev->ops->nr_queues; q++)
		ok &= check(dev->vq[q].num <= dev->queue_size, "a queue of a size that there is");
	return ok;
}

/* After a reset of all devices, and with all memory shared. */
static bool disk_works(struct replay *r)
{
	struct virtio_dev *dev = r->guest.vm.virtio[FAKE_RW];
	const struct virtio_blk_outhdr head = { .type = VIRTIO_BLK_T_IN };
	uint8_t status = 0xff;

	memset(fake_private, false, r->pages * sizeof(*fake_private));
	for (unsigned int i = 0; i < FAKE_NR_DEVS; i++)
		fake_mmio_write(r->guest.vm.virtio[i], VIRTIO_MMIO_STATUS, 0);
	fake_set_up(&r->guest, dev, 4);
	memory_write(&r->guest.vm, FAKE_TABLE, &head, sizeof(head));
	memory_write(&r->guest.vm, FAKE_TABLE + 16, &status, 1);
	fake_desc(&r->guest, 0, 0, FAKE_TABLE, sizeof(head), VRING_DESC_F_NEXT, 1);
	fake_desc(&r->guest, 0, 1, FAKE_BUF, 512, VRING_DESC_F_NEXT | VRING_DESC_F_WRITE, 2);
	fake_desc(&r->guest, 0, 2, FAKE_TABLE + 16, 1, VRING_DESC_F_WRITE, 0);
	fake_publish(&r->guest, dev, 0, 0);
	while (virtio_serve(dev))
		;
	return !memory_read(&r->guest.vm, FAKE_TABLE + 16, &status, 1) &&
	       status == VIRTIO_BLK_S_OK && dev->vq[0].next_used == 1;
}

/* Returns whether the file is one, to its end. */
static bool replay(struct replay *r, const uint8_t *data, size_t len)
{
	const char *magic;
	bool ok;

	memset(r, 0, sizeof(*r));
	if (fake_create(&r->guest))
		abort();
	r->data = data;
	r->left = len;
	magic = take(r, strlen(RECORD_MAGIC));
	ok = magic && !memcmp(magic, RECORD_MAGIC, strlen(RECORD_MAGIC));
	while (ok && r->left)
		ok = step(r);
	return ok;
}

static void end(struct replay *r)
{
	fake_destroy(&r->guest);
	free(r->guest.vm.ram);
	free(fake_private);
	fake_private = NULL;
}

#ifdef FUZZ
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Any file, and any guest that a file can tell of. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct replay r;

	report = stdout;
	signal(SIGPIPE, SIG_IGN);
	replay(&r, data, size);
	for (unsigned int i = 0; i < FAKE_NR_DEVS; i++) {
		if (!defined(r.guest.vm.virtio[i]))
			abort();
	}
	if (r.pages && !disk_works(&r))
		abort();
	end(&r);
	return 0;
}
#else

static bool replay_file(const uint8_t *data, size_t len)
{
	static struct replay r;
	bool ok = check(!replay(&r, data, len - 1), "a file without its end is refused");

	end(&r);
	ok &= check(replay(&r, data, len), "a file of records, for devices that there are");
	for (unsigned int i = 0; i < FAKE_NR_DEVS; i++)
		ok &= defined(r.guest.vm.virtio[i]);
	ok &= check(r.requests && r.resets && r.unshared, "a hostile guest's");
	ok &= check(disk_works(&r), "the disk works after a reset");
	fprintf(report, "%lu register writes, %lu turns, %lu pieces of memory, %lu unshared: %lu requests served, %lu resets needed\n",
		r.writes, r.serves, r.pieces, r.unshared, r.requests, r.resets);
	end(&r);
	return ok;
}

/* In memory of exactly its size: who reads on behind it is seen. */
static bool test_file(const char *path)
{
	int fd = open(path, O_RDONLY);
	struct stat st;
	uint8_t *data;
	bool ok;

	if (fd < 0 || fstat(fd, &st) || st.st_size < 1 || st.st_size > MAX_FILE) {
		fprintf(report, "%s: no recorded file\n", path);
		return false;
	}
	data = malloc(st.st_size);
	ok = data && read(fd, data, st.st_size) == st.st_size;
	close(fd);
	ok = ok && replay_file(data, st.st_size);
	free(data);
	fprintf(report, "%s: %s\n", path, ok ? "ok" : "FAILED");
	return ok;
}

int main(int argc, char **argv)
{
	int null = open("/dev/null", O_WRONLY), failed = 0;

	/* The sanitizers' reports are for people; the console's output and pvm's are noise. */
	report = fdopen(dup(STDOUT_FILENO), "w");
	if (!report || null < 0 || dup2(null, STDOUT_FILENO) < 0)
		return 1;
	close(null);
	setvbuf(report, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (argc < 2)
		fprintf(report, "usage: recorded FILE...\n");
	for (int i = 1; i < argc; i++)
		failed += !test_file(argv[i]);
	fclose(report);
	return argc < 2 || failed;
}
#endif
