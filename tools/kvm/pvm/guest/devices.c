// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tries the devices that the guest has, for tests/devices.sh: says "guest: NAME ok" or
 * "guest: NAME FAILED: why" for each.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <net/if.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "guest/lines.h"
#include "guest/tries.h"

#define DISK		"/dev/vda"	/* to write to: becomes a copy of the other */
#define READ_ONLY	"/dev/vdb"
#define BLOCK		4096
#define MAX_BLOCKS	32
#define MAX_DISK	(64 << 20)

#define GUEST_ADDR	"10.0.2.2"
#define HOST_ADDR	"10.0.2.1"
#define ECHO_PORT	7777
#define ECHO_CHUNK	8000
#define ECHO_CHUNKS	40

static uint32_t rnd_state = 1;

static uint32_t rnd(void)
{
	rnd_state = rnd_state * 1664525 + 1013904223;
	return rnd_state >> 8;
}

static bool transfer(int fd, bool is_write, uint8_t *buf, size_t len, off_t off)
{
	while (len) {
		ssize_t n = is_write ? pwrite(fd, buf, len, off) : pread(fd, buf, len, off);

		if (n <= 0)
			return false;
		buf += n;
		off += n;
		len -= n;
	}
	return true;
}

/* Writes `want` to the disk, in pieces of random size and order, reading some back. */
static bool write_in_pieces(int fd, uint8_t *want, size_t blocks, uint8_t *buf)
{
	for (size_t done = 0, n; done < blocks; done += n) {
		n = 1 + rnd() % MAX_BLOCKS;
		if (n > blocks - done)
			n = blocks - done;
		memcpy(buf, want + done * BLOCK, n * BLOCK);
		if (!transfer(fd, true, buf, n * BLOCK, done * BLOCK))
			return failed("disk", "write");

		/* What is behind us must be there still. */
		size_t back = rnd() % (done + n), len = 1 + rnd() % (done + n - back);

		if (len > MAX_BLOCKS)
			len = MAX_BLOCKS;
		memset(buf, 0, len * BLOCK);
		if (!transfer(fd, false, buf, len * BLOCK, back * BLOCK))
			return failed("disk", "read");
		if (memcmp(buf, want + back * BLOCK, len * BLOCK))
			return failed("disk", "another content than was written");
	}
	return true;
}

static bool try_disk(void)
{
	uint64_t size = 0, size_ro = 0;
	int fd = open(DISK, O_RDWR | O_DIRECT), ro = open(READ_ONLY, O_RDONLY);
	uint8_t *want = NULL, *buf = NULL;
	bool ok;

	if (fd < 0 || ro < 0 || ioctl(fd, BLKGETSIZE64, &size) ||
	    ioctl(ro, BLKGETSIZE64, &size_ro))
		return failed("disk", "cannot be opened");
	if (size != size_ro || !size || size > MAX_DISK || size % BLOCK)
		return failed("disk", "its size");
	if (posix_memalign((void **)&want, BLOCK, size) ||
	    posix_memalign((void **)&buf, BLOCK, MAX_BLOCKS * BLOCK))
		return failed("disk", "no memory");
	if (!transfer(ro, false, want, size, 0))
		return failed("disk", "read of the other disk");
	ok = write_in_pieces(fd, want, size / BLOCK, buf);
	if (ok && fsync(fd))
		ok = failed("disk", "flush");

	/* Past the page cache, in one large request after the other. */
	memset(want, 0, size);
	if (ok && (!transfer(fd, false, want, size, 0) || ioctl(fd, BLKFLSBUF, 0)))
		ok = failed("disk", "read of all");
	close(fd);
	close(ro);
	free(want);
	free(buf);
	if (ok)
		put("guest: disk ok");
	return ok;
}

static bool try_read_only(void)
{
	int fd = open(READ_ONLY, O_RDWR);
	char sector[512] = "";

	if (fd >= 0 && write(fd, sector, sizeof(sector)) == sizeof(sector) && !fsync(fd))
		return failed("read-only disk", "it took a write");
	if (fd >= 0)
		close(fd);
	put("guest: read-only disk ok");
	return true;
}

static bool try_rng(void)
{
	uint8_t a[64] = "", b[64] = "", zero[64] = "";
	int fd = open("/dev/hwrng", O_RDONLY);

	if (fd < 0 || read(fd, a, sizeof(a)) != sizeof(a) || read(fd, b, sizeof(b)) != sizeof(b))
		return failed("rng", "read");
	close(fd);
	if (!memcmp(a, b, sizeof(a)) || !memcmp(a, zero, sizeof(a)))
		return failed("rng", "not random");
	put("guest: rng ok");
	return true;
}

static bool net_up(int fd)
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	struct ifreq ifr = { .ifr_name = "eth0" };

	inet_pton(AF_INET, GUEST_ADDR, &addr.sin_addr);
	memcpy(&ifr.ifr_addr, &addr, sizeof(addr));
	if (ioctl(fd, SIOCSIFADDR, &ifr))
		return failed("net", "cannot set its address");
	inet_pton(AF_INET, "255.255.255.0", &addr.sin_addr);
	memcpy(&ifr.ifr_netmask, &addr, sizeof(addr));
	if (ioctl(fd, SIOCSIFNETMASK, &ifr))
		return failed("net", "cannot set its netmask");
	ifr.ifr_flags = IFF_UP | IFF_RUNNING;
	if (ioctl(fd, SIOCSIFFLAGS, &ifr))
		return failed("net", "cannot be set up");
	return true;
}

/* The other end sends back what it gets. */
static bool echo(int fd)
{
	static uint8_t out[ECHO_CHUNK], in[ECHO_CHUNK];

	for (int i = 0; i < ECHO_CHUNKS; i++) {
		for (size_t j = 0; j < sizeof(out); j++)
			out[j] = rnd();
		if (send(fd, out, sizeof(out), 0) != sizeof(out))
			return failed("net", "send");
		if (recv(fd, in, sizeof(in), MSG_WAITALL) != sizeof(in))
			return failed("net", "receive");
		if (memcmp(in, out, sizeof(in)))
			return failed("net", "another content came back than was sent");
	}
	return true;
}

static bool try_net(void)
{
	struct sockaddr_in addr = { .sin_family = AF_INET, .sin_port = htons(ECHO_PORT) };
	struct ifreq ifr = { .ifr_name = "eth0" };
	uint8_t *mac = (void *)ifr.ifr_hwaddr.sa_data;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	bool ok;

	if (!ioctl(fd, SIOCGIFHWADDR, &ifr))
		put("guest: mac %02x:%02x:%02x", mac[0], mac[1], mac[5]);
	if (fd < 0 || !net_up(fd) || !listen_to_console("for ping"))
		return false;
	inet_pton(AF_INET, HOST_ADDR, &addr.sin_addr);
	if (connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
		return failed("net", "connect");
	ok = echo(fd);
	close(fd);
	if (ok)
		put("guest: net ok, %d bytes there and back", ECHO_CHUNKS * ECHO_CHUNK);
	return ok;
}

void try_devices(void)
{
	listen_to_console("for a word");
	if (!access("/dev/hwrng", F_OK))
		try_rng();
	if (!access(DISK, F_OK))
		try_disk();
	if (!access(READ_ONLY, F_OK))
		try_read_only();
	if (!access("/sys/class/net/eth0", F_OK))
		try_net();
}
