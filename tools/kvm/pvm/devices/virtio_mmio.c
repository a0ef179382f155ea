// SPDX-License-Identifier: GPL-2.0-only
/*
 * The virtio-mmio transport, version 2: registers, interrupts, and serving the queues.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#include "common/array_size.h"
#include "common/say.h"
#include "devices/record.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "devices/virtqueue.h"
#include "vmm/event.h"
#include "vmm/vm.h"

#define MAGIC		0x74726976	/* "virt" */
#define VENDOR		0x6d7670	/* "pvm" */

/* What every device of ours offers: the rings are in memory that the guest shares. */
#define TRANSPORT_FEATURES	(VIRTIO_BIT(VIRTIO_F_VERSION_1) |		\
				 VIRTIO_BIT(VIRTIO_F_ACCESS_PLATFORM) |	\
				 VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC))

/* Bits of the status register that the driver may set. */
#define DRIVER_STATUS	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |	\
			 VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK | \
			 VIRTIO_CONFIG_S_FAILED)

void virtio_init(struct virtio_dev *dev)
{
	pthread_mutex_init(&dev->lock, NULL);
	pthread_mutex_init(&dev->irq_lock, NULL);
	dev->features |= TRANSPORT_FEATURES;
	for (unsigned int i = 0; i < ARRAY_SIZE(dev->vq); i++)
		dev->vq[i].vm = dev->vm;
}

void virtio_kick(struct virtio_dev *dev)
{
	const uint64_t one = 1;

	write_all(dev->kick_fd, &one, sizeof(one));
}

/* Sets and clears bits; the line is high while any is set. */
static void virtio_irq(struct virtio_dev *dev, uint32_t set, uint32_t clear)
{
	bool level;

	pthread_mutex_lock(&dev->irq_lock);
	dev->isr = (dev->isr | set) & ~clear;
	level = dev->isr;
	if (level != dev->irq_level) {
		dev->irq_level = level;
		vm_irq_line(dev->vm, dev->spi, level);
	}
	pthread_mutex_unlock(&dev->irq_lock);
}

/* With dev->lock held. */
void virtio_config_changed(struct virtio_dev *dev)
{
	dev->generation++;
	if (virtio_running(dev))
		virtio_irq(dev, VIRTIO_MMIO_INT_CONFIG, 0);
}

/* Some look at it without the lock. */
static void set_status(struct virtio_dev *dev, uint32_t status)
{
	__atomic_store_n(&dev->status, status, __ATOMIC_RELAXED);
}

/* The guest has done what no driver does: nothing but a reset helps. dev->lock is held. */
static void virtio_break(struct virtio_dev *dev, const char *what, int err)
{
	event("%s: %s: %s: needs a reset", dev->name, what, strerror(-err));
	if (!dev->told)
		say("%s: the guest's %s cannot be used (%s): the device waits for a reset",
		    dev->name, what, strerror(-err));
	dev->told = true;
	if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_irq(dev, VIRTIO_MMIO_INT_CONFIG, 0);
	set_status(dev, dev->status | VIRTIO_CONFIG_S_NEEDS_RESET);
}

static int virtio_notify(struct virtio_dev *dev)
{
	int ret = 0;

	for (unsigned int q = 0; q < dev->ops->nr_queues && !ret; q++) {
		if (!dev->vq[q].pushed)
			continue;
		dev->vq[q].pushed = false;
		ret = virtq_wants_interrupt(&dev->vq[q]);
		if (ret > 0) {
			virtio_irq(dev, VIRTIO_MMIO_INT_VRING, 0);
			ret = 0;
		}
	}
	return ret;
}

/* Does one thing for each queue, and tells the driver. Returns whether there may be more. */
bool virtio_serve(struct virtio_dev *dev)
{
	bool more = false;
	int ret = 0;

	pthread_mutex_lock(&dev->lock);
	if (record_on && virtio_running(dev))
		record_serve(dev);
	for (unsigned int q = 0; q < dev->ops->nr_queues && virtio_running(dev); q++) {
		ret = dev->ops->serve(dev, q);
		if (ret < 0)
			virtio_break(dev, "queue", ret);
		more |= ret > 0;
	}
	if (virtio_running(dev)) {
		ret = virtio_notify(dev);
		if (ret)
			virtio_break(dev, "queue", ret);
	}
	more &= virtio_running(dev);
	pthread_mutex_unlock(&dev->lock);
	return more;
}

static void virtio_reset(struct virtio_dev *dev)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(dev->vq); i++)
		dev->vq[i] = (struct virtqueue) { .vm = dev->vm };
	set_status(dev, 0);
	dev->driver_features = 0;
	dev->features_sel = dev->driver_features_sel = dev->queue_sel = 0;
	if (dev->ops->reset)
		dev->ops->reset(dev);
	virtio_irq(dev, 0, ~0U);
}

static void virtio_set_status(struct virtio_dev *dev, uint32_t val)
{
	uint32_t set = val & DRIVER_STATUS & ~dev->status;

	event("%s: status %#x -> %#x", dev->name, dev->status, val);
	if (!val) {
		virtio_reset(dev);
		return;
	}

	if (set & VIRTIO_CONFIG_S_FEATURES_OK) {
		event("%s: features %#llx of %#llx", dev->name,
		      (unsigned long long)dev->driver_features,
		      (unsigned long long)dev->features);
		if (dev->driver_features & ~dev->features ||
		    !(dev->driver_features & VIRTIO_BIT(VIRTIO_F_VERSION_1)))
			set &= ~VIRTIO_CONFIG_S_FEATURES_OK;
	}
	if (!((dev->status | set) & VIRTIO_CONFIG_S_FEATURES_OK))
		set &= ~VIRTIO_CONFIG_S_DRIVER_OK;
	set_status(dev, dev->status | set);
	if (set & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_kick(dev);
}

static void virtio_set_features(struct virtio_dev *dev, uint32_t val)
{
	unsigned int shift = dev->driver_features_sel * 32;

	if (dev->status & VIRTIO_CONFIG_S_FEATURES_OK || dev->driver_features_sel > 1)
		return;
	dev->driver_features &= ~(0xffffffffULL << shift);
	dev->driver_features |= (uint64_t)val << shift;
}

static void set_half(uint64_t *addr, bool high, uint32_t val)
{
	*addr = high ? (*addr & 0xffffffff) | (uint64_t)val << 32 :
		       (*addr & ~0xffffffffULL) | val;
}

static void virtio_set_ready(struct virtio_dev *dev, struct virtqueue *vq, uint32_t val)
{
	int ret;

	if (!val) {
		vq->ready = false;
		return;
	}
	if (vq->ready)
		return;
	event("%s: queue %u: %u entries at %#llx, %#llx, %#llx", dev->name, dev->queue_sel,
	      vq->num, (unsigned long long)vq->desc, (unsigned long long)vq->avail,
	      (unsigned long long)vq->used);
	ret = virtq_enable(vq);
	if (ret)
		virtio_break(dev, "queue layout", ret);
}

/* The registers of the selected queue; they are fixed while it is in use. */
static void virtio_write_queue(struct virtio_dev *dev, uint64_t reg, uint32_t val)
{
	struct virtqueue *vq;

	if (dev->queue_sel >= dev->ops->nr_queues)
		return;
	vq = &dev->vq[dev->queue_sel];
	if (reg == VIRTIO_MMIO_QUEUE_READY) {
		virtio_set_ready(dev, vq, val);
		return;
	}
	if (vq->ready)
		return;

	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		vq->num = val <= dev->queue_size ? val : 0;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		set_half(&vq->desc, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, val);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		set_half(&vq->avail, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, val);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		set_half(&vq->used, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, val);
		break;
	}
}

static void virtio_write(struct virtio_dev *dev, uint64_t reg, uint32_t val)
{
	if (record_on)
		record_write(dev, reg, val);
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		dev->features_sel = val;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		dev->driver_features_sel = val;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES:
		virtio_set_features(dev, val);
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		dev->queue_sel = val;
		break;
	case VIRTIO_MMIO_STATUS:
		virtio_set_status(dev, val);
		break;
	default:
		virtio_write_queue(dev, reg, val);
	}
}

static uint32_t virtio_read(struct virtio_dev *dev, uint64_t reg)
{
	bool queue = dev->queue_sel < dev->ops->nr_queues;

	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MAGIC;
	case VIRTIO_MMIO_VERSION:
		return 2;
	case VIRTIO_MMIO_DEVICE_ID:
		return dev->ops->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return VENDOR;
	case VIRTIO_MMIO_DEVICE_FEATURES:
		return dev->features_sel > 1 ? 0 : dev->features >> (dev->features_sel * 32);
	case VIRTIO_MMIO_QUEUE_NUM_MAX:
		return queue ? dev->queue_size : 0;
	case VIRTIO_MMIO_QUEUE_READY:
		return queue && dev->vq[dev->queue_sel].ready;
	case VIRTIO_MMIO_STATUS:
		return dev->status;
	case VIRTIO_MMIO_SHM_LEN_LOW:
	case VIRTIO_MMIO_SHM_LEN_HIGH:
	case VIRTIO_MMIO_SHM_BASE_LOW:
	case VIRTIO_MMIO_SHM_BASE_HIGH:
		return ~0U;		/* there is no shared memory region */
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return dev->generation;
	}
	return 0;
}

/* No device of ours has configuration that the driver writes. */
static void virtio_read_config(struct virtio_dev *dev, uint64_t off, uint8_t *data,
			       uint32_t len)
{
	if (off < sizeof(dev->config) && len <= sizeof(dev->config) - off)
		memcpy(data, dev->config + off, len);
}

/* Registers that are used all the time, and that the worker must not hold up. */
static bool virtio_access_fast(struct virtio_dev *dev, uint64_t reg, uint32_t *val,
			       bool is_write)
{
	if (is_write && reg == VIRTIO_MMIO_QUEUE_NOTIFY) {
		/* Comes here only where there is no ioeventfd. */
		virtio_kick(dev);
		return true;
	}
	if (is_write && reg == VIRTIO_MMIO_INTERRUPT_ACK) {
		if (record_on)
			record_write(dev, reg, *val);
		virtio_irq(dev, 0, *val);
		return true;
	}
	if (!is_write && reg == VIRTIO_MMIO_INTERRUPT_STATUS) {
		pthread_mutex_lock(&dev->irq_lock);
		*val = dev->isr;
		pthread_mutex_unlock(&dev->irq_lock);
		return true;
	}
	return false;
}

/* A vCPU's access. What is no register reads as the zero that is in data, len <= 8. */
void virtio_access(struct virtio_dev *dev, uint64_t reg, uint8_t *data, uint32_t len,
		   bool is_write)
{
	uint32_t val = 0;

	if (reg >= VIRTIO_MMIO_CONFIG) {
		pthread_mutex_lock(&dev->lock);
		if (!is_write)
			virtio_read_config(dev, reg - VIRTIO_MMIO_CONFIG, data, len);
		pthread_mutex_unlock(&dev->lock);
		return;
	}

	if (len != sizeof(val) || reg % sizeof(val))
		return;
	memcpy(&val, data, sizeof(val));
	if (!virtio_access_fast(dev, reg, &val, is_write)) {
		pthread_mutex_lock(&dev->lock);
		if (is_write)
			virtio_write(dev, reg, val);
		else
			val = virtio_read(dev, reg);
		pthread_mutex_unlock(&dev->lock);
	}
	if (!is_write)
		memcpy(data, &val, sizeof(val));
}
