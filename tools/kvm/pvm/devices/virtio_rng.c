// SPDX-License-Identifier: GPL-2.0-only
/*
 * A source of random numbers. They are the host's: a protected guest should not rest its
 * secrets on them alone.
 */
#include <errno.h>
#include <stdint.h>
#include <stdlib.h>

#include "common/exit_codes.h"
#include "common/say.h"
#include "devices/random.h"
#include "devices/virtio.h"
#include "devices/virtio_rng.h"
#include "devices/virtqueue.h"
#include "vmm/event.h"
#include "vmm/vm.h"

#define MAX_FILL	4096

static int rng_serve(struct virtio_dev *dev, unsigned int q)
{
	struct virtqueue *vq = &dev->vq[q];
	struct virtq_chain c;
	uint8_t buf[MAX_FILL];
	size_t len;
	int ret;

	ret = virtq_pop(vq, &c);
	if (ret <= 0)
		return ret;
	len = c.in_len < sizeof(buf) ? c.in_len : sizeof(buf);
	event("%s: %zu bytes", dev->name, len);
	/* A host without random numbers gives none: the driver asks again. */
	if (random_fill(dev->priv, buf, len))
		len = 0;
	ret = chain_write(vq, &c, 0, buf, len) ?: virtq_push(vq, &c, len);
	return ret ?: 1;
}

static void rng_destroy(struct virtio_dev *dev)
{
	free(dev->priv);
}

static const struct virtio_ops rng_ops = {
	.name = "rng",
	.id = VIRTIO_ID_RNG,
	.nr_queues = 1,
	.serve = rng_serve,
	.destroy = rng_destroy,
};

/* Reported; PVM_EXIT_*. */
int virtio_rng_create(struct virtio_dev *dev)
{
	struct random *r = calloc(1, sizeof(*r));

	if (!r) {
		say("no memory for the random number generator");
		return PVM_EXIT_FAIL;
	}
	random_init(r, dev->vm->opt, RANDOM_RNG);
	dev->ops = &rng_ops;
	dev->queue_size = 8;
	dev->priv = r;
	return 0;
}
