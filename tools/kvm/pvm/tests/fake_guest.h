/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest without KVM: memory, virtio devices, and a driver that does as it is told.
 * For the build machine; no worker threads, the driver itself lets the device serve.
 */
#ifndef PVM_FAKE_GUEST_H
#define PVM_FAKE_GUEST_H

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "common/layout.h"
#include "devices/virtio.h"
#include "vmm/options.h"
#include "vmm/vm.h"

#define FAKE_MEM	(64 * PVM_PAGE)
#define FAKE_DISK	(32 * 512)

/* Where the driver puts queue q, and buffers. */
#define FAKE_QUEUE(q)	(PVM_RAM_BASE + (q) * 4 * PVM_PAGE)
#define FAKE_DESC(q)	FAKE_QUEUE(q)
#define FAKE_AVAIL(q)	(FAKE_QUEUE(q) + PVM_PAGE)
#define FAKE_USED(q)	(FAKE_QUEUE(q) + 2 * PVM_PAGE)
#define FAKE_TABLE	(PVM_RAM_BASE + 8 * PVM_PAGE)
#define FAKE_BUF	(PVM_RAM_BASE + 16 * PVM_PAGE)

enum { FAKE_CONSOLE, FAKE_RW, FAKE_RO, FAKE_NET, FAKE_RNG, FAKE_NR_DEVS };

struct fake_guest {
	struct pvm_options opt;
	struct vm vm;
	int disk_fd[2];			/* the second is read-only for the guest */
	int listen_fd, peer_fd;		/* the other end of the network */
	uint16_t avail[VIRTIO_MAX_QUEUES];
};

int fake_create(struct fake_guest *g);
void fake_destroy(struct fake_guest *g);
void fake_mmio_write(struct virtio_dev *dev, uint64_t reg, uint32_t val);
uint32_t fake_mmio_read(struct virtio_dev *dev, uint64_t reg);
void fake_set_up(struct fake_guest *g, struct virtio_dev *dev, uint16_t num);
void fake_desc(struct fake_guest *g, unsigned int q, unsigned int i, uint64_t addr,
	       uint32_t len, uint16_t flags, uint16_t next);
void fake_publish(struct fake_guest *g, struct virtio_dev *dev, unsigned int q, uint16_t head);

/* fake_memory.c: of each page, is it out of the host's reach? */
extern bool *fake_private;

/* The interrupt lines, by SPI number. */
extern bool fake_line[PVM_NR_IRQS];

#endif
