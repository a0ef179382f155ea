// SPDX-License-Identifier: GPL-2.0-only
/*
 * What holds a reference to the pages behind a mapping: short and long pins.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "guest_memfd_util.h"

/* From mm/gup_test.h, which is not exported to userspace. */
struct gmem_longterm_test {
	__u64 addr;
	__u64 size;
	__u32 flags;
};

#define PIN_LONGTERM_TEST_START		_IOW('g', 7, struct gmem_longterm_test)
#define PIN_LONGTERM_TEST_STOP		_IO('g', 8)
#define PIN_LONGTERM_FLAG_WRITE		1

/* <linux/io_uring.h> does not compile with the headers of tools/include. */
#define RING_PARAMS_SIZE		120
#define RING_REGISTER_BUFFERS		0
#define RING_UNREGISTER_BUFFERS		1

const char *gmem_pin_name(enum gmem_pin_kind kind)
{
	static const char * const names[] = {
		[GMEM_PIN_VMSPLICE] = "vmsplice",
		[GMEM_PIN_IO_URING] = "io_uring buffer",
		[GMEM_PIN_GUP_TEST] = "gup_test",
	};

	return names[kind];
}

static int pin_vmsplice(struct gmem_pin *pin, void *addr, size_t size)
{
	struct iovec iov = { addr, size };
	ssize_t n;

	if (pipe(pin->fd))
		return -errno;
	n = vmsplice(pin->fd[1], &iov, 1, SPLICE_F_NONBLOCK);
	if (n == (ssize_t)size)
		return 0;
	return n < 0 ? -errno : -EIO;
}

static int pin_io_uring(struct gmem_pin *pin, void *addr, size_t size)
{
	u64 params[RING_PARAMS_SIZE / sizeof(u64)] = {};
	struct iovec iov = { addr, size };

	pin->fd[0] = syscall(__NR_io_uring_setup, 1, params);
	if (pin->fd[0] < 0)
		return -errno;
	return gmem_ret(syscall(__NR_io_uring_register, pin->fd[0],
				 RING_REGISTER_BUFFERS, &iov, 1));
}

static int pin_gup_test(struct gmem_pin *pin, void *addr, size_t size)
{
	struct gmem_longterm_test arg = {
		.addr = (u64)addr,
		.size = size,
		.flags = PIN_LONGTERM_FLAG_WRITE,
	};

	pin->fd[0] = open("/sys/kernel/debug/gup_test", O_RDWR);
	if (pin->fd[0] < 0)
		return -errno;
	return gmem_ret(ioctl(pin->fd[0], PIN_LONGTERM_TEST_START, &arg));
}

int gmem_pin_take(struct gmem_pin *pin, enum gmem_pin_kind kind, void *addr,
		  size_t size)
{
	int ret;

	pin->kind = kind;
	pin->fd[0] = pin->fd[1] = -1;

	switch (kind) {
	case GMEM_PIN_VMSPLICE:
		ret = pin_vmsplice(pin, addr, size);
		break;
	case GMEM_PIN_IO_URING:
		ret = pin_io_uring(pin, addr, size);
		break;
	case GMEM_PIN_GUP_TEST:
		ret = pin_gup_test(pin, addr, size);
		break;
	default:
		return -EINVAL;
	}

	if (ret) {
		if (pin->fd[0] >= 0)
			close(pin->fd[0]);
		if (pin->fd[1] >= 0)
			close(pin->fd[1]);
	}
	return ret;
}

void gmem_pin_drop(struct gmem_pin *pin)
{
	/* Closing a ring drops its buffers some time later: do it by hand. */
	if (pin->kind == GMEM_PIN_IO_URING)
		syscall(__NR_io_uring_register, pin->fd[0],
			RING_UNREGISTER_BUFFERS, NULL, 0);
	if (pin->kind == GMEM_PIN_GUP_TEST)
		ioctl(pin->fd[0], PIN_LONGTERM_TEST_STOP);

	close(pin->fd[0]);
	if (pin->fd[1] >= 0)
		close(pin->fd[1]);
}
