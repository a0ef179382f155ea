// SPDX-License-Identifier: GPL-2.0-only
/*
 * See fake_guest.h. Guest memory is the test's own affair.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/array_size.h"
#include "common/layout.h"
#include "devices/devices.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "vmm/memory.h"
#include "vmm/vm.h"
#include "fake_guest.h"

bool fake_line[PVM_NR_IRQS];

/* What the devices need of vm.c. */
int vm_irq_line(struct vm *vm, unsigned int spi, bool level)
{
	(void)vm;
	if (spi >= ARRAY_SIZE(fake_line))
		abort();
	fake_line[spi] = level;
	return 0;
}

int vm_ioeventfd(struct vm *vm, uint64_t gpa, int fd)
{
	(void)vm;
	(void)gpa;
	(void)fd;
	return -ENOSYS;
}

void vm_stop(struct vm *vm, int code)
{
	(void)vm;
	(void)code;
	abort();
}

/* Whoever connects is in the backlog: nobody has to accept meanwhile. */
static int fake_listen(char *path, size_t len)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(path, len, "/tmp/pvm-fake-%d.socket", getpid());
	memcpy(addr.sun_path, path, strlen(path) + 1);
	unlink(path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof(addr)) || listen(fd, 1))
		return -1;
	return fd;
}

int fake_create(struct fake_guest *g)
{
	memset(g, 0, sizeof(*g));
	memset(fake_line, 0, sizeof(fake_line));
	g->vm.opt = &g->opt;
	g->opt.mem = FAKE_MEM;
	g->opt.pool = 4 << 20;
	g->opt.rng = g->opt.seeded = true;

	g->opt.nr_disks = ARRAY_SIZE(g->disk_fd);
	for (unsigned int i = 0; i < ARRAY_SIZE(g->disk_fd); i++) {
		g->disk_fd[i] = memfd_create("disk", MFD_CLOEXEC);
		if (g->disk_fd[i] < 0 || ftruncate(g->disk_fd[i], FAKE_DISK))
			return -1;
		snprintf(g->opt.disk[i].path, sizeof(g->opt.disk[i].path), "/proc/self/fd/%d",
			 g->disk_fd[i]);
	}
	g->opt.disk[1].read_only = true;

	g->opt.nr_nets = 1;
	g->listen_fd = fake_listen(g->opt.net[0].socket, sizeof(g->opt.net[0].socket));
	if (g->listen_fd < 0 || devices_create(&g->vm) || g->vm.nr_virtio != FAKE_NR_DEVS)
		return -1;
	unlink(g->opt.net[0].socket);
	g->peer_fd = accept4(g->listen_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	return g->peer_fd < 0 ? -1 : 0;
}

void fake_destroy(struct fake_guest *g)
{
	devices_destroy(&g->vm);
	for (unsigned int i = 0; i < ARRAY_SIZE(g->disk_fd); i++)
		close(g->disk_fd[i]);
	close(g->peer_fd);
	close(g->listen_fd);
}

void fake_mmio_write(struct virtio_dev *dev, uint64_t reg, uint32_t val)
{
	virtio_access(dev, reg, (uint8_t *)&val, sizeof(val), true);
}

uint32_t fake_mmio_read(struct virtio_dev *dev, uint64_t reg)
{
	uint32_t val = 0;

	virtio_access(dev, reg, (uint8_t *)&val, sizeof(val), false);
	return val;
}

static void set_address(struct virtio_dev *dev, uint64_t reg, uint64_t addr)
{
	fake_mmio_write(dev, reg, addr);
	fake_mmio_write(dev, reg + 4, addr >> 32);
}

/* All that a driver does until DRIVER_OK; the rings are empty. */
void fake_set_up(struct fake_guest *g, struct virtio_dev *dev, uint16_t num)
{
	static const uint8_t zero[PVM_PAGE];
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, status);
	for (unsigned int i = 0; i < 2; i++) {
		fake_mmio_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES,
				fake_mmio_read(dev, VIRTIO_MMIO_DEVICE_FEATURES));
	}
	status |= VIRTIO_CONFIG_S_FEATURES_OK;
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, status);
	for (unsigned int q = 0; q < dev->ops->nr_queues; q++) {
		for (unsigned int page = 0; page < 3; page++)
			memory_write(&g->vm, FAKE_QUEUE(q) + page * PVM_PAGE, zero, PVM_PAGE);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_SEL, q);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_NUM, num);
		set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, FAKE_DESC(q));
		set_address(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, FAKE_AVAIL(q));
		set_address(dev, VIRTIO_MMIO_QUEUE_USED_LOW, FAKE_USED(q));
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		g->avail[q] = 0;
	}
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

void fake_desc(struct fake_guest *g, unsigned int q, unsigned int i, uint64_t addr,
	       uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { .addr = addr, .len = len, .flags = flags, .next = next };

	memory_write(&g->vm, FAKE_DESC(q) + i * sizeof(d), &d, sizeof(d));
}

/* Makes a chain available; serves nothing yet. */
void fake_publish(struct fake_guest *g, struct virtio_dev *dev, unsigned int q, uint16_t head)
{
	uint16_t num = dev->vq[q].num ?: 1;

	memory_write(&g->vm, FAKE_AVAIL(q) + 4 + g->avail[q] % num * sizeof(head), &head,
		     sizeof(head));
	g->avail[q]++;
	memory_write(&g->vm, FAKE_AVAIL(q) + 2, &g->avail[q], sizeof(g->avail[q]));
}
