/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VIRTIO_NET_H
#define PVM_VIRTIO_NET_H

struct pvm_net;
struct virtio_dev;

int virtio_net_create(struct virtio_dev *dev, const struct pvm_net *net, unsigned int nr);

#endif
