// SPDX-License-Identifier: GPL-2.0-only
/*
 * A disk: a raw file or a block device. A write is in the host's page cache when it is
 * answered, a flush when it is on the host's disk.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <linux/fs.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ring.h>

#include "common/exit_codes.h"
#include "common/say.h"
#include "devices/pool.h"
#include "devices/virtio.h"
#include "devices/virtio_blk.h"
#include "devices/virtqueue.h"
#include "vmm/event.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/vm.h"

#define SECTOR		512ULL

/*
 * A guest bounces its requests through --pool: it waits for ever if that cannot take the
 * largest, and its kernel complains when those under way together do not fit. So no
 * indirect descriptors: then what is under way is at most what the ring's own descriptors
 * point to, each to a piece that finds a place between others. That may be half of a
 * disk's share of the pool, and takes two of the largest requests.
 */
#define SIZE_MAX_SEG	8192
#define QUEUE_MAX	128
#define QUEUE_MIN	16

_Static_assert(QUEUE_MAX * SIZE_MAX_SEG * 2 == POOL_PER_DISK, "a disk's share of the pool");

/* A request that is larger is refused: the guest waits for each with its device locked. */
#define MAX_REQUEST	(64ULL << 20)

struct blk {
	int fd;
	bool read_only;
	uint64_t sectors;
	unsigned int nr;
};

struct blk_io {
	struct blk *blk;
	uint64_t pos;
	bool is_write;
	int err;			/* the file's, not the guest's */
};

/* One segment; 1 if the file failed. */
static int blk_segment(struct vm *vm, uint64_t gpa, size_t len, uint64_t done, void *ctx)
{
	struct blk_io *io = ctx;
	int ret;

	if (vm_stopping(vm))
		ret = -ECANCELED;
	else if (io->is_write)
		ret = memory_pwrite(vm, gpa, io->blk->fd, io->pos + done, len);
	else
		ret = memory_pread(vm, gpa, io->blk->fd, io->pos + done, len);
	if (!ret || ret == -EFAULT)
		return ret;
	io->err = ret;
	return 1;
}

static bool blk_in_range(struct blk *blk, uint64_t sector, uint64_t len)
{
	return !(len % SECTOR) && len <= MAX_REQUEST && sector <= blk->sectors &&
	       len / SECTOR <= blk->sectors - sector;
}

/* VIRTIO_BLK_S_*, or a negative errno that is the guest's doing. */
static int blk_transfer(struct virtio_dev *dev, const struct virtq_chain *c,
			uint64_t sector, bool is_write)
{
	struct virtqueue *vq = &dev->vq[0];
	struct blk_io io = { .blk = dev->priv, .pos = sector * SECTOR, .is_write = is_write };
	const size_t head = sizeof(struct virtio_blk_outhdr);
	uint64_t len = is_write ? c->out_len - head : c->in_len - 1;
	int ret;

	if (!blk_in_range(io.blk, sector, len) || (is_write && io.blk->read_only))
		return VIRTIO_BLK_S_IOERR;

	if (is_write)
		ret = chain_each_out(vq, c, head, len, blk_segment, &io);
	else
		ret = chain_each_in(vq, c, 0, len, blk_segment, &io);
	if (ret <= 0)
		return ret;
	event("%s: sector %llu, %llu bytes: %s", dev->name, (unsigned long long)sector,
	      (unsigned long long)len, strerror(-io.err));
	return VIRTIO_BLK_S_IOERR;
}

static int blk_get_id(struct virtio_dev *dev, const struct virtq_chain *c)
{
	struct blk *blk = dev->priv;
	char id[VIRTIO_BLK_ID_BYTES] = "";

	if (c->in_len - 1 < sizeof(id))
		return VIRTIO_BLK_S_IOERR;
	snprintf(id, sizeof(id), "pvm-disk%u", blk->nr);
	return chain_write(&dev->vq[0], c, 0, id, sizeof(id));
}

static int blk_request(struct virtio_dev *dev, const struct virtq_chain *c,
		       const struct virtio_blk_outhdr *head)
{
	struct blk *blk = dev->priv;

	switch (head->type) {
	case VIRTIO_BLK_T_IN:
		return blk_transfer(dev, c, head->sector, false);
	case VIRTIO_BLK_T_OUT:
		return blk_transfer(dev, c, head->sector, true);
	case VIRTIO_BLK_T_FLUSH:
		return blk->read_only || !fdatasync(blk->fd) ? VIRTIO_BLK_S_OK :
							       VIRTIO_BLK_S_IOERR;
	case VIRTIO_BLK_T_GET_ID:
		return blk_get_id(dev, c);
	default:
		return VIRTIO_BLK_S_UNSUPP;
	}
}

/* A request: a header, data to be written; data that was read, a byte of status. */
static int blk_serve(struct virtio_dev *dev, unsigned int q)
{
	struct virtqueue *vq = &dev->vq[q];
	struct virtio_blk_outhdr head;
	struct virtq_chain c;
	uint8_t status;
	int ret;

	ret = virtq_pop(vq, &c);
	if (ret <= 0)
		return ret;
	if (c.out_len < sizeof(head) || !c.in_len)
		return -EPROTO;
	ret = chain_read(vq, &c, 0, &head, sizeof(head));
	if (ret)
		return ret;

	ret = blk_request(dev, &c, &head);
	event("%s: type %u, sector %llu, %llu bytes out, %llu in: %d", dev->name, head.type,
	      (unsigned long long)head.sector, (unsigned long long)c.out_len,
	      (unsigned long long)c.in_len, ret);
	if (ret < 0)
		return ret;
	status = ret;
	ret = chain_write(vq, &c, c.in_len - 1, &status, 1);
	ret = ret ?: virtq_push(vq, &c, c.in_len);
	return ret ?: 1;
}

static void blk_destroy(struct virtio_dev *dev)
{
	struct blk *blk = dev->priv;

	if (blk->fd >= 0)
		close(blk->fd);
	free(blk);
}

static const struct virtio_ops blk_ops = {
	.name = "block",
	.id = VIRTIO_ID_BLOCK,
	.nr_queues = 1,
	.serve = blk_serve,
	.destroy = blk_destroy,
};

static int blk_open(struct blk *blk, const char *path)
{
	struct stat st;
	uint64_t size;

	blk->fd = open(path, (blk->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC);
	if (blk->fd < 0) {
		bool rights = !blk->read_only && (errno == EACCES || errno == EROFS);

		say("--disk: cannot open %s: %s%s", path, strerror(errno), rights ?
		    ": for a disk that the guest only reads, add ',ro'" : "");
		return PVM_EXIT_USAGE;
	}
	if (fstat(blk->fd, &st)) {
		say("--disk: %s: %s", path, strerror(errno));
		return PVM_EXIT_FAIL;
	}
	size = st.st_size;
	if (S_ISBLK(st.st_mode) ? ioctl(blk->fd, BLKGETSIZE64, &size) : !S_ISREG(st.st_mode)) {
		say("--disk: %s is neither a file nor a block device", path);
		return PVM_EXIT_USAGE;
	}
	if (!size || size % SECTOR) {
		say("--disk: %s has %llu bytes, which is not a multiple of %llu: is it a raw disk image? (truncate -s %%%llu makes it longer)",
		    path, (unsigned long long)size, SECTOR, SECTOR);
		return PVM_EXIT_USAGE;
	}
	if (flock(blk->fd, (blk->read_only ? LOCK_SH : LOCK_EX) | LOCK_NB)) {
		say("--disk: %s is in use by another guest%s", path, blk->read_only ?
		    ", which writes to it" : ": with ',ro' several guests can read it");
		return PVM_EXIT_USAGE;
	}
	blk->sectors = size / SECTOR;
	return 0;
}

static uint16_t blk_queue_size(const struct pvm_options *opt)
{
	uint64_t share = pool_disk_share(opt);
	uint16_t size = QUEUE_MAX;

	while (size > QUEUE_MIN && size * SIZE_MAX_SEG * 2ULL > share)
		size /= 2;
	return size;
}

/* Reported; PVM_EXIT_*. */
int virtio_blk_create(struct virtio_dev *dev, const struct pvm_disk *disk, unsigned int nr)
{
	struct virtio_blk_config config = {
		.size_max = SIZE_MAX_SEG,
	};
	struct blk *blk = calloc(1, sizeof(*blk));
	int ret;

	if (!blk) {
		say("no memory for a disk");
		return PVM_EXIT_FAIL;
	}
	blk->fd = -1;
	blk->nr = nr;
	blk->read_only = disk->read_only;
	dev->ops = &blk_ops;
	dev->priv = blk;
	ret = blk_open(blk, disk->path);
	if (ret)
		return ret;

	dev->queue_size = blk_queue_size(dev->vm->opt);
	config.seg_max = dev->queue_size / 2 - 2;
	config.capacity = blk->sectors;
	_Static_assert(sizeof(config) <= sizeof(dev->config), "config space");
	memcpy(dev->config, &config, sizeof(config));
	dev->features &= ~VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	dev->features |= VIRTIO_BIT(VIRTIO_BLK_F_SIZE_MAX) |
			 VIRTIO_BIT(VIRTIO_BLK_F_SEG_MAX) | VIRTIO_BIT(VIRTIO_BLK_F_FLUSH);
	if (blk->read_only)
		dev->features |= VIRTIO_BIT(VIRTIO_BLK_F_RO);
	return 0;
}
