// SPDX-License-Identifier: GPL-2.0-only
/*
 * The console: standard input and output.
 */
#include <errno.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <linux/virtio_console.h>

#include "common/exit_codes.h"
#include "common/say.h"
#include "devices/output.h"
#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "devices/virtio_mmio.h"
#include "devices/virtqueue.h"
#include "vmm/vm.h"

enum { QUEUE_INPUT, QUEUE_OUTPUT, NR_QUEUES };

#define INPUT_SIZE	4096	/* a power of two */
#define OUTPUT_CHUNK	4096

/*
 * input_lock, inside dev->lock: who brings input must not wait for output, during which
 * dev->lock is held.
 */
struct console {
	bool resized;			/* atomic */
	pthread_mutex_t input_lock;
	/* Guarded by input_lock. */
	uint8_t input[INPUT_SIZE];
	unsigned int head, tail;
};

/* As much of the input as the chain has room for. */
static int console_give(struct virtqueue *vq, struct console *con, struct virtq_chain *c)
{
	uint64_t n = 0;
	int ret;

	if (con->head == con->tail)
		return 0;
	ret = virtq_pop(vq, c);
	if (ret <= 0)
		return ret;
	while (n < c->in_len && con->tail != con->head) {
		unsigned int at = con->tail % INPUT_SIZE, part = con->head - con->tail;

		if (part > INPUT_SIZE - at)
			part = INPUT_SIZE - at;
		if (part > c->in_len - n)
			part = c->in_len - n;
		ret = chain_write(vq, c, n, con->input + at, part);
		if (ret)
			return ret;
		con->tail += part;
		n += part;
	}
	return virtq_push(vq, c, n) ?: 1;
}

static void console_set_size(struct virtio_dev *dev)
{
	struct virtio_console_config config = { 0 };
	struct winsize size;

	if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size))
		return;
	config.cols = size.ws_col;
	config.rows = size.ws_row;
	memcpy(dev->config, &config, sizeof(config));
}

static int console_serve_input(struct virtio_dev *dev)
{
	struct console *con = dev->priv;
	struct virtq_chain c;
	int ret;

	if (__atomic_exchange_n(&con->resized, false, __ATOMIC_RELAXED)) {
		console_set_size(dev);
		virtio_config_changed(dev);
	}
	pthread_mutex_lock(&con->input_lock);
	ret = console_give(&dev->vq[QUEUE_INPUT], con, &c);
	pthread_mutex_unlock(&con->input_lock);
	return ret;
}

static int console_serve_output(struct virtio_dev *dev)
{
	struct virtqueue *vq = &dev->vq[QUEUE_OUTPUT];
	uint8_t buf[OUTPUT_CHUNK];
	struct virtq_chain c;
	int ret;

	ret = virtq_pop(vq, &c);
	if (ret <= 0)
		return ret;
	for (uint64_t off = 0; off < c.out_len; off += sizeof(buf)) {
		uint64_t part = c.out_len - off;

		if (part > sizeof(buf))
			part = sizeof(buf);
		if (vm_stopping(dev->vm))
			break;
		ret = chain_read(vq, &c, off, buf, part);
		if (ret)
			return ret;
		output_console(dev->vm, STDOUT_FILENO, buf, part);
	}
	return virtq_push(vq, &c, 0) ?: 1;
}

static int console_serve(struct virtio_dev *dev, unsigned int q)
{
	return q == QUEUE_INPUT ? console_serve_input(dev) : console_serve_output(dev);
}

static void console_destroy(struct virtio_dev *dev)
{
	struct console *con = dev->priv;

	pthread_mutex_destroy(&con->input_lock);
	free(con);
}

static const struct virtio_ops console_ops = {
	.name = "console",
	.id = VIRTIO_ID_CONSOLE,
	.nr_queues = NR_QUEUES,
	.serve = console_serve,
	.destroy = console_destroy,
};

size_t virtio_console_room(struct virtio_dev *dev)
{
	struct console *con = dev->priv;
	size_t room;

	pthread_mutex_lock(&con->input_lock);
	room = INPUT_SIZE - (con->head - con->tail);
	pthread_mutex_unlock(&con->input_lock);
	return room;
}

/* What does not fit is lost. */
void virtio_console_input(struct virtio_dev *dev, const uint8_t *buf, size_t len)
{
	struct console *con = dev->priv;

	pthread_mutex_lock(&con->input_lock);
	for (size_t i = 0; i < len && con->head - con->tail < INPUT_SIZE; i++)
		con->input[con->head++ % INPUT_SIZE] = buf[i];
	pthread_mutex_unlock(&con->input_lock);
	virtio_kick(dev);
}

/* The terminal has another size now. */
void virtio_console_resize(struct virtio_dev *dev)
{
	struct console *con = dev->priv;

	__atomic_store_n(&con->resized, true, __ATOMIC_RELAXED);
	virtio_kick(dev);
}

/* Reported; PVM_EXIT_*. */
int virtio_console_create(struct virtio_dev *dev)
{
	struct console *con = calloc(1, sizeof(*con));

	if (!con) {
		say("no memory for the console");
		return PVM_EXIT_FAIL;
	}
	pthread_mutex_init(&con->input_lock, NULL);
	dev->ops = &console_ops;
	dev->queue_size = 32;
	dev->priv = con;
	if (isatty(STDOUT_FILENO)) {
		dev->features |= VIRTIO_BIT(VIRTIO_CONSOLE_F_SIZE);
		console_set_size(dev);
	}
	return 0;
}
