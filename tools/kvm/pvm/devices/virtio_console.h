/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VIRTIO_CONSOLE_H
#define PVM_VIRTIO_CONSOLE_H

#include <stddef.h>
#include <stdint.h>

struct virtio_dev;

int virtio_console_create(struct virtio_dev *dev);
size_t virtio_console_room(struct virtio_dev *dev);
void virtio_console_input(struct virtio_dev *dev, const uint8_t *buf, size_t len);
void virtio_console_resize(struct virtio_dev *dev);

#endif
