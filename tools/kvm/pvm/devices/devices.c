// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's virtio devices, as the options ask for them, and their worker threads.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <linux/virtio_mmio.h>

#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/say.h"
#include "common/thread.h"
#include "devices/devices.h"
#include "devices/virtio.h"
#include "devices/virtio_blk.h"
#include "devices/virtio_console.h"
#include "devices/virtio_mmio.h"
#include "devices/virtio_net.h"
#include "devices/virtio_rng.h"
#include "vmm/event.h"
#include "vmm/options.h"
#include "vmm/vm.h"

/* The next free place; devices_destroy() takes what is there. NULL when reported. */
static struct virtio_dev *device_add(struct vm *vm, const char *kind, int nr)
{
	struct virtio_dev *dev = calloc(1, sizeof(*dev));

	if (!dev) {
		say("no memory for a device");
		return NULL;
	}
	dev->vm = vm;
	dev->base = PVM_VIRTIO_BASE + vm->nr_virtio * PVM_VIRTIO_SIZE;
	dev->spi = PVM_VIRTIO_IRQ + vm->nr_virtio;
	if (nr < 0)
		snprintf(dev->name, sizeof(dev->name), "%s", kind);
	else
		snprintf(dev->name, sizeof(dev->name), "%s %d", kind, nr);
	virtio_init(dev);
	dev->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	vm->virtio[vm->nr_virtio++] = dev;
	if (dev->kick_fd < 0) {
		say("eventfd: %s", strerror(errno));
		return NULL;
	}
	return dev;
}

/* Opens what is behind the devices; needs no KVM. Reported; PVM_EXIT_*. */
int devices_create(struct vm *vm)
{
	const struct pvm_options *opt = vm->opt;
	struct virtio_dev *dev;
	int ret = 0;

	if (!opt->serial) {
		dev = device_add(vm, "console", -1);
		ret = dev ? virtio_console_create(dev) : PVM_EXIT_FAIL;
		vm->console = dev;
	}
	for (unsigned int i = 0; i < opt->nr_disks && !ret; i++) {
		dev = device_add(vm, "disk", i);
		ret = dev ? virtio_blk_create(dev, &opt->disk[i], i) : PVM_EXIT_FAIL;
	}
	for (unsigned int i = 0; i < opt->nr_nets && !ret; i++) {
		dev = device_add(vm, "net", i);
		ret = dev ? virtio_net_create(dev, &opt->net[i], i) : PVM_EXIT_FAIL;
	}
	if (opt->rng && !ret) {
		dev = device_add(vm, "rng", -1);
		ret = dev ? virtio_rng_create(dev) : PVM_EXIT_FAIL;
	}
	return ret;
}

static void device_work(struct virtio_dev *dev)
{
	while (!vm_stopping(dev->vm) && virtio_serve(dev))
		;
}

static void *device_main(void *arg)
{
	struct virtio_dev *dev = arg;
	uint64_t count;

	while (!vm_stopping(dev->vm)) {
		struct pollfd fds[] = {
			{ .fd = dev->kick_fd, .events = POLLIN },
			{ .fd = dev->vm->stop_fd, .events = POLLIN },
			{ .fd = -1 },
		};

		if (dev->ops->poll) {
			pthread_mutex_lock(&dev->lock);
			dev->ops->poll(dev, &fds[2]);
			pthread_mutex_unlock(&dev->lock);
		}
		if (poll(fds, ARRAY_SIZE(fds), -1) < 0 && errno != EINTR) {
			say("%s: poll: %s", dev->name, strerror(errno));
			vm_stop(dev->vm, PVM_EXIT_FAIL);
			break;
		}
		/* Empty the counter first: what comes later is for the next turn. */
		if (fds[0].revents && read(dev->kick_fd, &count, sizeof(count)) < 0 &&
		    errno != EAGAIN && errno != EINTR)
			break;
		device_work(dev);
	}
	return NULL;
}

/* Reported; PVM_EXIT_*. */
int devices_start(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_virtio; i++) {
		struct virtio_dev *dev = vm->virtio[i];
		int ret;

		/* Without it a notification is an exit to us: slower, and no more. */
		ret = vm_ioeventfd(vm, dev->base + VIRTIO_MMIO_QUEUE_NOTIFY, dev->kick_fd);
		if (ret)
			event("%s: no ioeventfd: %s", dev->name, strerror(-ret));

		ret = pthread_create(&dev->thread, NULL, device_main, dev);
		if (ret) {
			say("cannot start a thread for %s: %s", dev->name, strerror(ret));
			return PVM_EXIT_FAIL;
		}
		dev->started = true;
	}
	return 0;
}

/* After vm_stop(). */
void devices_join(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_virtio; i++) {
		if (vm->virtio[i]->started)
			thread_join(vm->virtio[i]->thread);
		vm->virtio[i]->started = false;
	}
}

void devices_destroy(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_virtio; i++) {
		struct virtio_dev *dev = vm->virtio[i];

		if (dev->priv)
			dev->ops->destroy(dev);
		if (dev->kick_fd >= 0)
			close(dev->kick_fd);
		pthread_mutex_destroy(&dev->lock);
		pthread_mutex_destroy(&dev->irq_lock);
		free(dev);
	}
	vm->nr_virtio = 0;
	vm->console = NULL;
}

/* A vCPU's access to the devices' registers. */
void devices_access(struct vm *vm, uint64_t offset, uint8_t *data, uint32_t len,
		    bool is_write)
{
	uint64_t i = offset / PVM_VIRTIO_SIZE;

	if (i < vm->nr_virtio)
		virtio_access(vm->virtio[i], offset % PVM_VIRTIO_SIZE, data, len, is_write);
}
