/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VIRTIO_RNG_H
#define PVM_VIRTIO_RNG_H

struct virtio_dev;

int virtio_rng_create(struct virtio_dev *dev);

#endif
