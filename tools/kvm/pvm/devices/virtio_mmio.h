/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VIRTIO_MMIO_H
#define PVM_VIRTIO_MMIO_H

#include <stdbool.h>
#include <stdint.h>

struct virtio_dev;

void virtio_init(struct virtio_dev *dev);
void virtio_access(struct virtio_dev *dev, uint64_t reg, uint8_t *data, uint32_t len,
		   bool is_write);
bool virtio_serve(struct virtio_dev *dev);
void virtio_config_changed(struct virtio_dev *dev);
void virtio_kick(struct virtio_dev *dev);

#endif
