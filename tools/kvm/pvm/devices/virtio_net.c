// SPDX-License-Identifier: GPL-2.0-only
/*
 * A network card, whose other end is a TAP device of the host, or a socket: frames with
 * a big-endian length of 32 bits before each, as passt and QEMU's "-netdev stream" speak
 * it. No offloads: a frame is what it is on the wire.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <linux/if_tun.h>
#include <linux/virtio_net.h>

#include "common/exit_codes.h"
#include "common/say.h"
#include "devices/random.h"
#include "devices/virtio.h"
#include "devices/virtio_mmio.h"
#include "devices/virtio_net.h"
#include "devices/virtqueue.h"
#include "vmm/event.h"
#include "vmm/options.h"
#include "vmm/vm.h"

enum { QUEUE_RX, QUEUE_TX, NR_QUEUES };

#define HEAD		sizeof(struct virtio_net_hdr_v1)
#define MAX_FRAME	65535
#define PREFIX		sizeof(uint32_t)	/* a frame's length, on a socket */

/* Guarded by dev->lock. */
struct net {
	int fd;				/* -1: the other end is gone */
	bool stream;
	/* A frame from outside: so far so many bytes, the socket's prefix among them. */
	size_t rx_len;
	bool rx_whole;
	/* A frame that the socket has not taken whole. */
	size_t tx_len, tx_done;
	uint8_t rx[PREFIX + MAX_FRAME];
	uint8_t tx[PREFIX + MAX_FRAME];
};

static void net_hang_up(struct virtio_dev *dev, const char *why)
{
	struct virtio_net_config *config = (void *)dev->config;
	struct net *net = dev->priv;

	say("%s: the other end is gone: %s", dev->name, why);
	close(net->fd);
	net->fd = -1;
	config->status &= ~VIRTIO_NET_S_LINK_UP;
	virtio_config_changed(dev);
}

static uint32_t net_prefix(const uint8_t *buf)
{
	uint32_t be;

	memcpy(&be, buf, sizeof(be));
	return ntohl(be);
}

/* How many bytes of the frame are to come, as far as it is known. */
static size_t net_missing(const struct net *net)
{
	if (!net->stream)
		return MAX_FRAME;
	if (net->rx_len < PREFIX)
		return PREFIX - net->rx_len;
	return PREFIX + net_prefix(net->rx) - net->rx_len;
}

/* Reads what there is of one frame. */
static void net_receive(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	while (!net->rx_whole && net->fd >= 0) {
		ssize_t n = read(net->fd, net->rx + net->rx_len, net_missing(net));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			net_hang_up(dev, n ? strerror(errno) : "it has closed the connection");
			return;
		}
		net->rx_len += n;
		if (net->stream && net->rx_len == PREFIX &&
		    (!net_prefix(net->rx) || net_prefix(net->rx) > MAX_FRAME)) {
			net_hang_up(dev, "it does not send frames");
			return;
		}
		net->rx_whole = !net->stream ||
				(net->rx_len > PREFIX && !net_missing(net));
	}
}

static int net_serve_rx(struct virtio_dev *dev)
{
	const struct virtio_net_hdr_v1 head = { .num_buffers = 1 };
	struct virtqueue *vq = &dev->vq[QUEUE_RX];
	struct net *net = dev->priv;
	struct virtq_chain c;
	uint8_t *frame;
	size_t len;
	int ret;

	net_receive(dev);
	if (!net->rx_whole)
		return 0;
	ret = virtq_pop(vq, &c);
	if (ret <= 0)
		return ret;

	frame = net->stream ? net->rx + PREFIX : net->rx;
	len = net->stream ? net->rx_len - PREFIX : net->rx_len;
	net->rx_whole = false;
	net->rx_len = 0;
	event("%s: receives %zu bytes, room %llu", dev->name, len,
	      (unsigned long long)c.in_len);
	/* A frame that is longer than the guest expects is lost, as on a wire. */
	if (c.in_len < HEAD + len)
		return virtq_push(vq, &c, 0) ?: 1;
	ret = chain_write(vq, &c, 0, &head, sizeof(head)) ?:
	      chain_write(vq, &c, HEAD, frame, len) ?: virtq_push(vq, &c, HEAD + len);
	return ret ?: 1;
}

/* Returns whether there is nothing left to send. */
static bool net_send(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	while (net->tx_done < net->tx_len && net->fd >= 0) {
		ssize_t n = write(net->fd, net->tx + net->tx_done, net->tx_len - net->tx_done);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN && net->stream)
			return false;
		if (n < 0 && net->stream) {
			net_hang_up(dev, strerror(errno));
			break;
		}
		/* A TAP device takes a frame whole or refuses it (when down, or full). */
		if (!net->stream)
			break;
		net->tx_done += n;
	}
	net->tx_done = net->tx_len = 0;
	return true;
}

static int net_serve_tx(struct virtio_dev *dev)
{
	struct virtqueue *vq = &dev->vq[QUEUE_TX];
	struct net *net = dev->priv;
	size_t prefix = net->stream ? PREFIX : 0;
	struct virtq_chain c;
	uint64_t len;
	int ret;

	if (!net_send(dev))
		return 0;
	ret = virtq_pop(vq, &c);
	if (ret <= 0)
		return ret;
	if (c.out_len <= HEAD)
		return -EPROTO;
	len = c.out_len - HEAD;
	event("%s: sends %llu bytes", dev->name, (unsigned long long)len);
	if (len <= MAX_FRAME) {
		uint32_t be = htonl(len);

		memcpy(net->tx, &be, prefix);
		ret = chain_read(vq, &c, HEAD, net->tx + prefix, len);
		if (ret)
			return ret;
		net->tx_len = prefix + len;
		net_send(dev);
	}
	return virtq_push(vq, &c, 0) ?: 1;
}

static int net_serve(struct virtio_dev *dev, unsigned int q)
{
	return q == QUEUE_RX ? net_serve_rx(dev) : net_serve_tx(dev);
}

/* A frame that the guest has no room for yet waits for the guest: it notifies us. */
static void net_poll(struct virtio_dev *dev, struct pollfd *p)
{
	struct net *net = dev->priv;

	if (!virtio_running(dev))
		return;
	p->fd = net->fd;
	p->events = (net->rx_whole ? 0 : POLLIN) | (net->tx_len ? POLLOUT : 0);
	if (!p->events)
		p->fd = -1;
}

static void net_destroy(struct virtio_dev *dev)
{
	struct net *net = dev->priv;

	if (net->fd >= 0)
		close(net->fd);
	free(net);
}

static const struct virtio_ops net_ops = {
	.name = "net",
	.id = VIRTIO_ID_NET,
	.nr_queues = NR_QUEUES,
	.serve = net_serve,
	.poll = net_poll,
	.destroy = net_destroy,
};

static int net_open_tap(struct net *net, const char *name)
{
	struct ifreq ifr = { .ifr_flags = IFF_TAP | IFF_NO_PI };

	net->fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);
	if (net->fd < 0) {
		say("--net: /dev/net/tun: %s: %s, or use socket=PATH", strerror(errno),
		    errno == ENOENT ? "this kernel has no TAP devices (CONFIG_TUN): use another" :
		    "run as root");
		return PVM_EXIT_HOST;
	}
	memcpy(ifr.ifr_name, name, strlen(name));
	if (!ioctl(net->fd, TUNSETIFF, &ifr))
		return 0;
	if (errno == EPERM || errno == EACCES)
		say("--net: tap=%s: %s: run as root, or have root make it yours (ip tuntap add %s mode tap user NAME), or use socket=PATH",
		    name, strerror(errno), name);
	else
		say("--net: tap=%s: %s%s", name, strerror(errno), errno == EBUSY ?
		    ": another program has it: use another name" : "");
	return PVM_EXIT_HOST;
}

static int net_open_socket(struct net *net, const char *path)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	net->stream = true;
	memcpy(addr.sun_path, path, strlen(path));
	net->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (net->fd >= 0 && !connect(net->fd, (struct sockaddr *)&addr, sizeof(addr)) &&
	    !fcntl(net->fd, F_SETFL, O_NONBLOCK))
		return 0;
	say("--net: socket=%s: %s: nobody listens there who takes frames: start for example passt --socket %s",
	    path, strerror(errno), path);
	return PVM_EXIT_HOST;
}

/* Reported; PVM_EXIT_*. */
int virtio_net_create(struct virtio_dev *dev, const struct pvm_net *opt, unsigned int nr)
{
	struct virtio_net_config *config = (void *)dev->config;
	struct net *net = calloc(1, sizeof(*net));
	struct random r;

	if (!net) {
		say("no memory for a network card");
		return PVM_EXIT_FAIL;
	}
	net->fd = -1;
	dev->ops = &net_ops;
	dev->queue_size = 128;
	dev->priv = net;

	if (opt->have_mac) {
		memcpy(config->mac, opt->mac, sizeof(config->mac));
	} else {
		/* One of those that everybody may use: 02:... */
		random_init(&r, dev->vm->opt, RANDOM_MAC + nr);
		if (random_fill(&r, config->mac, sizeof(config->mac)))
			config->mac[5] = nr;
		config->mac[0] = 0x02;
	}
	config->status = VIRTIO_NET_S_LINK_UP;
	dev->features |= VIRTIO_BIT(VIRTIO_NET_F_MAC) | VIRTIO_BIT(VIRTIO_NET_F_STATUS);
	return *opt->tap ? net_open_tap(net, opt->tap) : net_open_socket(net, opt->socket);
}
