/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VIRTIO_BLK_H
#define PVM_VIRTIO_BLK_H

struct pvm_disk;
struct virtio_dev;

int virtio_blk_create(struct virtio_dev *dev, const struct pvm_disk *disk, unsigned int nr);

#endif
