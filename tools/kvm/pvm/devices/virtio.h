/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * virtio 1.x: what the queues, the transport and the devices share.
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

#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>

#include "pvm.h"

#define VIRTQ_MAX_SIZE		256
#define VIRTIO_MAX_QUEUES	2
#define VIRTIO_CONFIG_SIZE	128

#define VIRTIO_BIT(f)		(1ULL << (f))

struct virtqueue {
	struct vm *vm;
	bool ready;
	uint16_t num;			/* as the driver set it */
	uint64_t desc, avail, used;	/* gpa */
	uint16_t next_avail, next_used;	/* both run through all 2^16 values */
	bool pushed;			/* something that the driver has not been told of */
};

struct virtq_seg {
	uint64_t gpa;
	uint32_t len;
};

/* A request: segments that the device reads ("out"), then those that it writes ("in"). */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_out, nr_in;
	uint64_t out_len, in_len;
	struct virtq_seg seg[VIRTQ_MAX_SIZE];
};

/* virtqueue.c */
int virtq_enable(struct virtqueue *vq);
int virtq_pop(struct virtqueue *vq, struct virtq_chain *c);
int virtq_push(struct virtqueue *vq, const struct virtq_chain *c, uint64_t written);
int virtq_wants_interrupt(struct virtqueue *vq);
int chain_read(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off, void *buf,
	       size_t len);
int chain_write(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		const void *buf, size_t len);

/* A piece of guest memory, and how far into the range it begins. */
typedef int (*chain_fn)(struct vm *vm, uint64_t gpa, size_t len, uint64_t done, void *ctx);

int chain_each_out(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		   uint64_t len, chain_fn fn, void *ctx);
int chain_each_in(struct virtqueue *vq, const struct virtq_chain *c, uint64_t off,
		  uint64_t len, chain_fn fn, void *ctx);

struct virtio_dev;

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

/* virtio_mmio.c */
void virtio_init(struct virtio_dev *dev);
void virtio_access(struct virtio_dev *dev, uint64_t reg, uint8_t *data, uint32_t len,
		   bool is_write);
bool virtio_serve(struct virtio_dev *dev);
void virtio_config_changed(struct virtio_dev *dev);
void virtio_kick(struct virtio_dev *dev);

/* Without dev->lock it may have changed since. */
static inline bool virtio_running(const struct virtio_dev *dev)
{
	uint32_t status = __atomic_load_n(&dev->status, __ATOMIC_RELAXED);

	return (status & (VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

/* One for each kind of device: fills ops, priv, features, config. PVM_EXIT_* when reported. */
int virtio_blk_create(struct virtio_dev *dev, const struct pvm_disk *disk, unsigned int nr);
int virtio_console_create(struct virtio_dev *dev);
int virtio_net_create(struct virtio_dev *dev, const struct pvm_net *net, unsigned int nr);
int virtio_rng_create(struct virtio_dev *dev);

size_t virtio_console_room(struct virtio_dev *dev);
void virtio_console_input(struct virtio_dev *dev, const uint8_t *buf, size_t len);
void virtio_console_resize(struct virtio_dev *dev);

#endif
