/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A virtio 1.x device, as its queues, its transport and its kind share it.
 *
 * Whatever the guest wrote is untrusted: registers, rings, descriptors and requests are
 * each fetched once, checked, and then used from our copy. Guest memory is reached by
 * memory.c only, so a page that the guest takes back is an error and not a crash: the
 * device then asks for a reset (DEVICE_NEEDS_RESET), and pvm lives on.
 *
 * Each device has a worker thread, which serves its queues. Locks, in this order:
 *   dev->lock      the registers, the queues and the device's state; the worker holds it
 *                  for one chain at a time, so that a reset never meets one half done
 *   dev->irq_lock  the interrupt's state, which vCPUs look at while the worker works
 */
#ifndef PVM_VIRTIO_H
#define PVM_VIRTIO_H

#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "devices/virtqueue.h"

#define VIRTIO_MAX_QUEUES	2
#define VIRTIO_CONFIG_SIZE	128

#define VIRTIO_BIT(f)		(1ULL << (f))

struct virtio_dev;
struct vm;

/* A kind of device. All are called with dev->lock held. */
struct virtio_ops {
	const char *name;
	uint32_t id;			/* VIRTIO_ID_* */
	unsigned int nr_queues;
	/*
	 * Does one thing for queue q: 1 if it did, 0 if there is nothing to do, a
	 * negative errno if the guest has made it impossible to go on.
	 */
	int (*serve)(struct virtio_dev *dev, unsigned int q);
	/* What else the worker waits for; fd is -1 before the call. May be NULL. */
	void (*poll)(struct virtio_dev *dev, struct pollfd *p);
	void (*reset)(struct virtio_dev *dev);		/* may be NULL */
	void (*destroy)(struct virtio_dev *dev);
};

struct virtio_dev {
	struct vm *vm;
	const struct virtio_ops *ops;
	void *priv;			/* of the kind of device */
	char name[16];			/* for messages */
	uint64_t features;		/* offered */
	uint16_t queue_size;		/* the most; the guest's buffers come from --pool */
	uint64_t base;			/* gpa of the registers */
	unsigned int spi;
	int kick_fd;			/* eventfd: the driver has notified us */
	pthread_t thread;
	bool started;

	pthread_mutex_t lock;
	/* Guarded by lock. */
	uint32_t status;
	uint32_t features_sel, driver_features_sel, queue_sel;
	uint32_t generation;
	uint64_t driver_features;
	bool told;			/* of a breakage: once is enough */
	struct virtqueue vq[VIRTIO_MAX_QUEUES];
	uint8_t config[VIRTIO_CONFIG_SIZE];

	pthread_mutex_t irq_lock;
	/* Guarded by irq_lock. */
	uint32_t isr;
	bool irq_level;
};

/* Without dev->lock it may have changed since. */
static inline bool virtio_running(const struct virtio_dev *dev)
{
	uint32_t status = __atomic_load_n(&dev->status, __ATOMIC_RELAXED);

	return (status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

#endif
