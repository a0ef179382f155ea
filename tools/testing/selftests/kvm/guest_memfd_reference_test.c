// SPDX-License-Identifier: GPL-2.0-only
/*
 * Pages of a guest_memfd that somebody holds a reference to do not become private, for as long
 * as it is held: pins, short and long ones, a transfer of a disk's that is under way, and what
 * is left of a page that was punched.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>
#include <linux/aio_abi.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "guest_memfd_conv.h"

static void referenced(struct __test_metadata *_metadata,
		       FIXTURE_DATA(conv) * self, enum gmem_pin_kind kind)
{
	struct gmem_pin first, second;
	u64 err;
	int i, ret;

	share_and_fill(self);
	ret = gmem_pin_take(&first, kind, HVA(5), page);
	if (ret)
		SKIP(return, "%s: %d", gmem_pin_name(kind), ret);
	ASSERT_EQ(0, gmem_pin_take(&second, kind, HVA(9), page));

	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, OFF(5), page, GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(5), err);
	EXPECT_EQ(-EAGAIN, gmem_set_attr_err(self->fd, OFF(6), OFF(4), GMEM_PRIVATE, &err));
	EXPECT_EQ(OFF(9), err);
	expect_map(_metadata, self, 0);

	/* The others are free, and to shared nobody is in the way. */
	EXPECT_EQ(0, set_attr(self, 4, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 6, 3, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x01d0);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);

	/* A failed range leaves the private ones among it private. */
	EXPECT_EQ(0, set_attr(self, 3, 1, GMEM_PRIVATE));
	EXPECT_EQ(-EAGAIN, set_attr(self, 2, 4, GMEM_PRIVATE));
	expect_map(_metadata, self, 0x0008);

	gmem_pin_drop(&first);
	for (i = 0; i < 100; i++) {
		ret = gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err);
		if (ret != -EAGAIN || err != OFF(5))
			break;
		usleep(1000);
	}
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(OFF(9), err);
	gmem_pin_drop(&second);
	for (i = 0; i < 100; i++) {
		ret = set_attr(self, 0, NR_PAGES, GMEM_PRIVATE);
		if (ret != -EAGAIN)
			break;
		usleep(1000);
	}
	EXPECT_EQ(0, ret);
	expect_map(_metadata, self, 0xffff);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
}

TEST_F(conv, referenced_by_vmsplice)
{
	referenced(_metadata, self, GMEM_PIN_VMSPLICE);
}

TEST_F(conv, referenced_by_io_uring)
{
	referenced(_metadata, self, GMEM_PIN_IO_URING);
}

TEST_F(conv, referenced_by_gup_test)
{
	referenced(_metadata, self, GMEM_PIN_GUP_TEST);
}

TEST_F(conv, references_to_a_hole)
{
	struct gmem_pin pin;

	/* The page lives on in the pipe; the file has another one. */
	share_and_fill(self);
	ASSERT_EQ(0, gmem_pin_take(&pin, GMEM_PIN_VMSPLICE, HVA(5), page));
	EXPECT_EQ(0, gmem_punch(self->fd, OFF(5), page));
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_PRIVATE));
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_SHARED));
	EXPECT_EQ(0, gmem_host_get64(HVA(5)));
	gmem_pin_drop(&pin);
}

/* A disk that takes its time, with blocks in memory: null_blk. */
struct slow_disk {
	char dir[64];
	int fd;
	aio_context_t aio;
};

static int disk_set(const struct slow_disk *disk, const char *name, unsigned long val)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/%s", disk->dir, name);
	f = fopen(path, "w");
	if (!f)
		return -errno;
	fprintf(f, "%lu", val);
	return fclose(f) ? -errno : 0;
}

static void disk_close(struct slow_disk *disk)
{
	syscall(__NR_io_destroy, disk->aio);
	if (disk->fd >= 0)
		close(disk->fd);
	disk_set(disk, "power", 0);
	rmdir(disk->dir);
}

static int disk_open(struct slow_disk *disk)
{
	char name[32], path[64];

	disk->fd = -1;
	disk->aio = 0;
	snprintf(name, sizeof(name), "gmem%d", getpid());
	snprintf(disk->dir, sizeof(disk->dir), "/sys/kernel/config/nullb/%s", name);
	snprintf(path, sizeof(path), "/dev/%s", name);
	mount("none", "/sys/kernel/config", "configfs", 0, NULL);
	if (mkdir(disk->dir, 0700))
		return -errno;

	/* Completion by a timer, after 200 ms. */
	if (syscall(__NR_io_setup, 1, &disk->aio) || disk_set(disk, "size", 1 << 4) ||
	    disk_set(disk, "blocksize", 4096) || disk_set(disk, "memory_backed", 1) ||
	    disk_set(disk, "irqmode", 2) || disk_set(disk, "completion_nsec", 200000000) ||
	    disk_set(disk, "power", 1)) {
		disk_close(disk);
		return -EIO;
	}
	disk->fd = open(path, O_RDWR | O_DIRECT | O_CLOEXEC);
	if (disk->fd < 0) {
		disk_close(disk);
		return -ENODEV;
	}
	return 0;
}

static int disk_start(struct slow_disk *disk, bool out, void *addr, u64 offset)
{
	struct iocb io = {
		.aio_lio_opcode = out ? IOCB_CMD_PWRITE : IOCB_CMD_PREAD,
		.aio_fildes = disk->fd,
		.aio_buf = (u64)addr,
		.aio_nbytes = page,
		.aio_offset = offset,
	}, *list = &io;

	return syscall(__NR_io_submit, disk->aio, 1, &list) == 1 ? 0 : -errno;
}

/* Has it come to its end? If @wait, it will have. */
static bool disk_done(struct slow_disk *disk, bool wait, s64 *res)
{
	struct io_event event;

	if (syscall(__NR_io_getevents, disk->aio, wait, 1, &event, NULL) != 1)
		return false;
	*res = event.res;
	return true;
}

/*
 * A transfer between page 5 and the disk, under way when the conversion is tried. Whether it
 * was can be told afterwards only, so this tries again where the machine was too slow.
 */
static bool convert_meanwhile(struct __test_metadata *_metadata, FIXTURE_DATA(conv) * self,
			      struct slow_disk *disk, bool out)
{
	u64 err;
	s64 res = 0;
	int i, ret;

	for (i = 0; i < 20; i++) {
		ASSERT_EQ(0, disk_start(disk, out, HVA(5), OFF(5)));
		ret = gmem_set_attr_err(self->fd, 0, OFF(NR_PAGES), GMEM_PRIVATE, &err);
		if (!disk_done(disk, false, &res))
			break;
		set_attr(self, 0, NR_PAGES, GMEM_SHARED);
	}
	if (i == 20)
		return false;
	EXPECT_EQ(-EAGAIN, ret);
	EXPECT_EQ(OFF(5), err);
	expect_map(_metadata, self, 0);
	EXPECT_TRUE(disk_done(disk, true, &res));
	EXPECT_EQ(page, res);

	/* The reference goes a moment after the completion. */
	for (i = 0; i < 1000; i++) {
		ret = set_attr(self, 0, NR_PAGES, GMEM_PRIVATE);
		if (ret != -EAGAIN)
			break;
		usleep(10000);
	}
	EXPECT_EQ(0, ret);
	expect_map(_metadata, self, 0xffff);
	EXPECT_EQ(0, set_attr(self, 0, NR_PAGES, GMEM_SHARED));
	expect_map(_metadata, self, 0);
	return true;
}

TEST_F_TIMEOUT(conv, referenced_by_direct_io, 120)
{
	struct slow_disk disk;
	int ret = disk_open(&disk);

	if (ret)
		SKIP(return, "no null_blk with configfs here (%d)", ret);
	share_and_fill(self);
	EXPECT_EQ(OFF(NR_PAGES), pwrite(disk.fd, self->mem, OFF(NR_PAGES), 0));
	EXPECT_TRUE(convert_meanwhile(_metadata, self, &disk, false))
		TH_LOG("a read of 200 ms was always over before the conversion");
	EXPECT_TRUE(convert_meanwhile(_metadata, self, &disk, true))
		TH_LOG("a write of 200 ms was always over before the conversion");

	/* It neither takes from a private page nor gives to it. */
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_PRIVATE));
	EXPECT_EQ(-1, pwrite(disk.fd, HVA(5), page, OFF(5)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, pread(disk.fd, HVA(5), page, OFF(4)));
	EXPECT_EQ(EFAULT, errno);
	expect_map(_metadata, self, 0x0020);
	EXPECT_EQ(0, set_attr(self, 5, 1, GMEM_SHARED));
	expect_map(_metadata, self, 0);
	disk_close(&disk);
}

int main(int argc, char **argv)
{
	return gmem_test_main(argc, argv, gmem_require_private);
}
