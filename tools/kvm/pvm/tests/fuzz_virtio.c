// SPDX-License-Identifier: GPL-2.0-only
/*
 * libFuzzer: a guest that does anything with its virtio devices. The input is a list of
 * operations: accesses to registers, writes to memory, descriptors, notifications, and
 * what comes from the devices' other ends.
 *
 * -close_fd_mask=3 silences the guest's console and pvm's messages.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/array_size.h"
#include "common/layout.h"
#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "devices/virtio_mmio.h"
#include "vmm/memory.h"
#include "fake_guest.h"

#define MAX_ROUNDS	300

static struct fake_guest guest;
static bool private[FAKE_MEM / PVM_PAGE];

struct input {
	const uint8_t *data;
	size_t left;
};

/* So many bytes of the input; zeroes behind its end. */
static uint64_t take(struct input *in, size_t len)
{
	uint64_t val = 0;
	size_t n = len < in->left ? len : in->left;

	memcpy(&val, in->data, n);
	in->data += n;
	in->left -= n;
	return val;
}

/* Mostly near something. */
static uint64_t take_addr(struct input *in)
{
	uint8_t how = take(in, 1);

	switch (how % 8) {
	case 0:
		return take(in, 8);
	case 1:
		return PVM_RAM_BASE + FAKE_MEM - take(in, 1);
	case 2:
		return FAKE_DESC(0) + take(in, 2) % (8 * PVM_PAGE);
	default:
		return FAKE_TABLE + take(in, 1) * 256;
	}
}

static uint32_t take_len(struct input *in)
{
	uint8_t how = take(in, 1);

	return how < 8 ? take(in, 4) : how < 128 ? how : (how - 127) * 16;
}

static void op_access(struct virtio_dev *dev, struct input *in)
{
	uint8_t how = take(in, 1), data[8] = { 0 };
	uint64_t reg = take(in, 1) * 4, val;

	if (how & 4)
		reg += how >> 5;
	if (how & 1) {
		val = take(in, 4);
		memcpy(data, &val, sizeof(val));
	}
	virtio_access(dev, reg, data, how & 2 ? 4 : how >> 3 & 7, how & 1);
}

static void op_desc(struct virtio_dev *dev, struct input *in)
{
	uint8_t i = take(in, 1), flags;
	struct vring_desc d = { .addr = take_addr(in), .len = take_len(in) };

	flags = take(in, 1);
	d.flags = flags & 7;
	d.next = flags >> 3;
	if (flags & 0x40)
		memory_write(&guest.vm, FAKE_TABLE + i % 32 * sizeof(d), &d, sizeof(d));
	else
		fake_desc(&guest, i & 1 ? dev->ops->nr_queues - 1 : 0, i >> 1 & 15, d.addr, d.len,
			  d.flags, d.next);
}

/* Who writes the avail index with the device's own data may have it go on for ever. */
static void op_serve(struct virtio_dev *dev)
{
	for (int i = 0; i < MAX_ROUNDS && virtio_serve(dev); i++)
		;
}

static void op_outside(struct virtio_dev *dev, struct input *in)
{
	uint8_t buf[64];
	size_t len = take(in, 1) % sizeof(buf);

	for (size_t i = 0; i < len; i++)
		buf[i] = take(in, 1);
	if (dev == guest.vm.virtio[FAKE_CONSOLE])
		virtio_console_input(dev, buf, len);
	else if (dev == guest.vm.virtio[FAKE_NET] &&
		 write(guest.peer_fd, buf, len) < 0 && errno != EAGAIN && errno != EPIPE &&
		 errno != ECONNRESET)
		abort();
}

static void op_memory(struct input *in)
{
	uint64_t addr = take_addr(in), val = take(in, 8);

	memory_write(&guest.vm, addr, &val, sizeof(val));
}

static void run(struct input *in)
{
	struct virtio_dev *dev = guest.vm.virtio[take(in, 1) % FAKE_NR_DEVS];

	while (in->left) {
		uint8_t op = take(in, 1);

		switch (op % 8) {
		case 0:
			op_access(dev, in);
			break;
		case 1:
			fake_set_up(&guest, dev, 1 << (op >> 4 & 7));
			break;
		case 2:
		case 3:
			op_desc(dev, in);
			break;
		case 4:
			fake_publish(&guest, dev, op & 8 ? 0 : dev->ops->nr_queues - 1,
				     op & 16 ? take(in, 2) : op >> 5);
			break;
		case 5:
			op_serve(dev);
			break;
		case 6:
			if (op & 8)
				op_outside(dev, in);
			else
				op_memory(in);
			break;
		case 7:
			private[take(in, 1) % ARRAY_SIZE(private)] = op & 8;
			break;
		}
	}
	op_serve(dev);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct input in = { .data = data, .left = size };
	uint8_t *ram = calloc(1, FAKE_MEM);

	signal(SIGPIPE, SIG_IGN);
	memset(private, 0, sizeof(private));
	if (!ram || fake_create(&guest))
		abort();
	guest.vm.ram = ram;
	fake_private = private;
	run(&in);
	fake_destroy(&guest);
	free(ram);
	return 0;
}
