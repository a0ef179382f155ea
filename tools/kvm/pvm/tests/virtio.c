// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of the virtio devices, against good drivers and bad ones; for the build
 * machine, under ASan and UBSan.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>

#include "common/array_size.h"
#include "common/layout.h"
#include "devices/pool.h"
#include "devices/virtio.h"
#include "devices/virtio_console.h"
#include "devices/virtio_mmio.h"
#include "vmm/memory.h"
#include "fake_guest.h"

#define WRITE	VRING_DESC_F_WRITE
#define NEXT	VRING_DESC_F_NEXT
#define INDIR	VRING_DESC_F_INDIRECT

#define NUM		8		/* entries of a queue */
#define RANDOM_DESCS	1000000

#define STATUS_BUF	(FAKE_BUF + 31 * PVM_PAGE)

static int tests, failed;
static struct fake_guest guest;
static FILE *report;

#define CHECK(cond)								\
do {										\
	tests++;								\
	if (!(cond)) {								\
		failed++;							\
		fprintf(report, "not ok: line %d: %s\n", __LINE__, #cond);	\
	}									\
} while (0)

static struct virtio_dev *device(unsigned int i)
{
	return guest.vm.virtio[i];
}

/* Until the device has nothing more to do. */
static void serve(struct virtio_dev *dev)
{
	for (int i = 0; virtio_serve(dev); i++) {
		if (i == 100000) {
			CHECK(!"an end");
			return;
		}
	}
}

static bool needs_reset(struct virtio_dev *dev)
{
	return fake_mmio_read(dev, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

static uint16_t used_idx(unsigned int q)
{
	uint16_t idx;

	CHECK(!memory_read(&guest.vm, FAKE_USED(q) + 2, &idx, sizeof(idx)));
	return idx;
}

static struct vring_used_elem used_last(unsigned int q, uint16_t num)
{
	struct vring_used_elem e;
	uint16_t at = (uint16_t)(used_idx(q) - 1) % num;

	CHECK(!memory_read(&guest.vm, FAKE_USED(q) + 4 + at * sizeof(e), &e, sizeof(e)));
	return e;
}

static void put(uint64_t gpa, const void *buf, size_t len)
{
	CHECK(!memory_write(&guest.vm, gpa, buf, len));
}

static const uint8_t *get(uint64_t gpa, size_t len)
{
	static uint8_t buf[32 * PVM_PAGE];

	CHECK(!memory_read(&guest.vm, gpa, buf, len));
	return buf;
}

static void test_registers(void)
{
	struct virtio_dev *dev = device(FAKE_RW);
	uint8_t data[8];

	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_MAGIC_VALUE) == 0x74726976);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_VERSION) == 2);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_BLOCK);
	fake_mmio_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	CHECK((fake_mmio_read(dev, VIRTIO_MMIO_DEVICE_FEATURES) & 3) == 3);
	fake_mmio_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	CHECK(!fake_mmio_read(dev, VIRTIO_MMIO_DEVICE_FEATURES));

	/* Wrong widths and places do nothing. */
	for (uint32_t len = 0; len <= 8; len++) {
		for (uint64_t reg = 0; reg < PVM_VIRTIO_SIZE; reg++) {
			memset(data, 0, sizeof(data));
			virtio_access(dev, reg, data, len, false);
			if (len != 4)
				virtio_access(dev, reg, data, len, true);
		}
	}
	CHECK(!fake_mmio_read(dev, VIRTIO_MMIO_STATUS));

	/* The configuration: capacity, by bytes too. */
	memset(data, 0, sizeof(data));
	virtio_access(dev, VIRTIO_MMIO_CONFIG, data, 1, false);
	CHECK(data[0] == FAKE_DISK / 512);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_CONFIG + VIRTIO_CONFIG_SIZE - 2) == 0);

	/* No feature that was not offered, no device without version 1. */
	fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, ~0U);
	fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_mmio_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 15);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_STATUS) == 3);
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 15);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_STATUS) == 3);
	/* NEEDS_RESET is the device's. */
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_NEEDS_RESET);
	CHECK(!needs_reset(dev));
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
	CHECK(!fake_mmio_read(dev, VIRTIO_MMIO_STATUS));
}

static void test_layout(void)
{
	static const uint32_t bad_num[] = { 0, 3, 256, 0xffffffff };
	struct virtio_dev *dev = device(FAKE_RW);

	for (size_t i = 0; i < ARRAY_SIZE(bad_num); i++) {
		fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_NUM, bad_num[i]);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		CHECK(needs_reset(dev) && !fake_mmio_read(dev, VIRTIO_MMIO_QUEUE_READY));
	}
	for (uint32_t reg = VIRTIO_MMIO_QUEUE_DESC_LOW; reg <= VIRTIO_MMIO_QUEUE_USED_HIGH;
	     reg += 4) {
		fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_NUM, NUM);
		fake_mmio_write(dev, reg, 0xffffffff);
		fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
		CHECK(needs_reset(dev) == ((reg & 0xf) < 8));
	}
	/* A queue that there is not. */
	fake_mmio_write(dev, VIRTIO_MMIO_STATUS, 0);
	fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_SEL, 1);
	CHECK(!fake_mmio_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX));
	fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
	CHECK(!fake_mmio_read(dev, VIRTIO_MMIO_QUEUE_READY) && !needs_reset(dev));
}

/* A request in three descriptors; returns its status, or -1 if it was not answered. */
static int blk(unsigned int disk, uint32_t type, uint64_t sector, uint32_t len)
{
	struct virtio_blk_outhdr head = { .type = type, .sector = sector };
	struct virtio_dev *dev = device(disk);
	uint16_t before = used_idx(0);
	const uint8_t none = 0xaa;

	put(FAKE_TABLE, &head, sizeof(head));
	put(STATUS_BUF, &none, 1);
	fake_desc(&guest, 0, 0, FAKE_TABLE, sizeof(head), NEXT, 1);
	fake_desc(&guest, 0, 1, FAKE_BUF, len, NEXT | (type == VIRTIO_BLK_T_OUT ? 0 : WRITE), 2);
	fake_desc(&guest, 0, 2, STATUS_BUF, 1, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	if (used_idx(0) == before)
		return -1;
	CHECK(used_idx(0) == (uint16_t)(before + 1) && used_last(0, NUM).id == 0);
	return *get(STATUS_BUF, 1);
}

/* All that a driver can have under way takes half of the disk's share of the pool. */
static void test_disk_share(void)
{
	struct virtio_dev *dev = device(FAKE_RW);
	struct virtio_blk_config *config = (void *)dev->config;
	uint32_t num;

	fake_mmio_write(dev, VIRTIO_MMIO_QUEUE_SEL, 0);
	num = fake_mmio_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX);
	CHECK(!(dev->features & VIRTIO_BIT(VIRTIO_RING_F_INDIRECT_DESC)));
	CHECK(num && 2ULL * num * config->size_max <= pool_disk_share(&guest.opt));
	CHECK(config->seg_max && 2 * (config->seg_max + 2) <= num);
}

static void test_disk(void)
{
	struct virtio_dev *dev = device(FAKE_RW);
	uint8_t data[2 * 512], back[2 * 512];

	fake_set_up(&guest, dev, NUM);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_STATUS) == 15);
	for (size_t i = 0; i < sizeof(data); i++)
		data[i] = i * 11;
	put(FAKE_BUF, data, sizeof(data));
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_OUT, 3, sizeof(data)) == VIRTIO_BLK_S_OK);
	CHECK(pread(guest.disk_fd[0], back, sizeof(back), 3 * 512) == sizeof(back) &&
	      !memcmp(back, data, sizeof(data)));

	/* The interrupt: up until it is acknowledged. */
	CHECK(fake_line[dev->spi] && fake_mmio_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS) == 1);
	fake_mmio_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, 1);
	CHECK(!fake_line[dev->spi]);

	memset(data, 0, sizeof(data));
	put(FAKE_BUF, data, sizeof(data));
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 3, sizeof(data)) == VIRTIO_BLK_S_OK);
	CHECK(!memcmp(get(FAKE_BUF, sizeof(back)), back, sizeof(back)));
	CHECK(used_last(0, NUM).len == sizeof(data) + 1);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_FLUSH, 0, 0) == VIRTIO_BLK_S_OK);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_GET_ID, 0, 20) == VIRTIO_BLK_S_OK);
	CHECK(!strcmp((const char *)get(FAKE_BUF, 20), "pvm-disk0"));
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_GET_ID, 0, 19) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RW, 77, 0, 512) == VIRTIO_BLK_S_UNSUPP);

	/* Beyond the end, and not of sectors. */
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 31, 512) == VIRTIO_BLK_S_OK);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 31, 1024) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_OUT, 32, 512) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_OUT, UINT64_MAX, 512) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, UINT64_MAX / 512 + 1, 512) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 511) == VIRTIO_BLK_S_IOERR);

	/* The host has cut the file: the guest's request fails, no more. */
	CHECK(!ftruncate(guest.disk_fd[0], 512));
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 1024) == VIRTIO_BLK_S_IOERR);
	CHECK(!ftruncate(guest.disk_fd[0], FAKE_DISK));

	fake_set_up(&guest, device(FAKE_RO), NUM);
	CHECK(blk(FAKE_RO, VIRTIO_BLK_T_OUT, 0, 512) == VIRTIO_BLK_S_IOERR);
	CHECK(blk(FAKE_RO, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
	CHECK(blk(FAKE_RO, VIRTIO_BLK_T_FLUSH, 0, 0) == VIRTIO_BLK_S_OK);
	CHECK(!needs_reset(dev) && !needs_reset(device(FAKE_RO)));
}

/* The ring's indices run over 2^16. */
static void test_wrap(void)
{
	int bad = 0;

	fake_set_up(&guest, device(FAKE_RW), NUM);
	for (int i = 0; i < 66000; i++)
		bad += blk(FAKE_RW, VIRTIO_BLK_T_FLUSH, 0, 0) != VIRTIO_BLK_S_OK;
	CHECK(!bad && used_idx(0) == (uint16_t)66000);
}

static void desc(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	fake_desc(&guest, 0, i, addr, len, flags, next);
}

/* Entry i of the indirect table. */
static void entry(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc d = { .addr = addr, .len = len, .flags = flags, .next = next };

	put(FAKE_TABLE + PVM_PAGE + i * sizeof(d), &d, sizeof(d));
}

/* What no driver may do. Each begins with a good request in descriptors 0 to 2. */
static void bad_head_far(void)		{ fake_publish(&guest, device(FAKE_RW), 0, 0xffff); }
static void bad_loop_one(void)		{ desc(0, FAKE_TABLE, 16, NEXT, 0); }
static void bad_loop_two(void)		{ desc(1, FAKE_BUF, 512, NEXT | WRITE, 1); }
static void bad_order(void)		{ desc(2, STATUS_BUF, 1, 0, 0); }
static void bad_no_status(void)		{ desc(0, FAKE_TABLE, 16, 0, 0); }
static void bad_short_head(void)	{ desc(0, FAKE_TABLE, 15, NEXT, 1); }
static void bad_addr_below(void)	{ desc(0, PVM_RAM_BASE - 8, 16, NEXT, 1); }
static void bad_addr_above(void)	{ desc(0, PVM_RAM_BASE + FAKE_MEM - 8, 16, NEXT, 1); }
static void bad_addr_device(void)	{ desc(0, PVM_VIRTIO_BASE, 16, NEXT, 1); }
static void bad_addr_max(void)		{ desc(0, UINT64_MAX, 16, NEXT, 1); }
static void bad_data_addr(void)		{ desc(1, UINT64_MAX - 100, 512, NEXT | WRITE, 2); }
static void bad_data_end(void)
{
	desc(1, PVM_RAM_BASE + FAKE_MEM - 512, 1024, NEXT | WRITE, 2);
}
static void bad_status_addr(void)	{ desc(2, 0, 1, WRITE, 0); }
/* Its last byte, where the status belongs, would be in memory if addresses wrapped. */
static void bad_status_wraps(void)	{ desc(2, STATUS_BUF - 0xfffffffe, ~0U, WRITE, 0); }
static void bad_table_empty(void)	{ desc(0, FAKE_TABLE + PVM_PAGE, 0, INDIR, 0); }
static void bad_table_odd(void)		{ desc(0, FAKE_TABLE + PVM_PAGE, 24, INDIR, 0); }
static void bad_table_long(void)	{ desc(0, FAKE_TABLE + PVM_PAGE, 257 * 16, INDIR, 0); }
static void bad_table_huge(void)	{ desc(0, FAKE_TABLE + PVM_PAGE, 0xfffffff0, INDIR, 0); }
static void bad_table_next(void)	{ desc(0, FAKE_TABLE + PVM_PAGE, 48, INDIR | NEXT, 1); }
static void bad_table_write(void)	{ desc(0, FAKE_TABLE + PVM_PAGE, 48, INDIR | WRITE, 0); }
static void bad_table_addr(void)	{ desc(0, PVM_RAM_BASE + FAKE_MEM - 16, 48, INDIR, 0); }

/* What is behind the end of the table would make a good request. */
static void bad_head(void)
{
	desc(NUM, FAKE_TABLE, 16, NEXT, 1);
	fake_publish(&guest, device(FAKE_RW), 0, NUM);
}

static void bad_next(void)
{
	desc(0, FAKE_TABLE, 16, NEXT, NUM);
	desc(NUM, FAKE_BUF, 512, NEXT | WRITE, 2);
}

static void bad_table_nested(void)
{
	desc(0, FAKE_TABLE + PVM_PAGE, 16, INDIR, 0);
	entry(0, FAKE_TABLE + PVM_PAGE, 16, INDIR, 0);
}

static void bad_table_index(void)
{
	desc(0, FAKE_TABLE + PVM_PAGE, 32, INDIR, 0);
	entry(0, FAKE_TABLE, 16, NEXT, 1);
	entry(1, FAKE_BUF, 512, NEXT | WRITE, 2);
	entry(2, STATUS_BUF, 1, WRITE, 0);
}

static void bad_table_loop(void)
{
	desc(0, FAKE_TABLE + PVM_PAGE, 32, INDIR, 0);
	entry(0, FAKE_TABLE, 16, NEXT, 1);
	entry(1, STATUS_BUF, 1, NEXT | WRITE, 1);
}

static void bad_avail_jump(void)
{
	guest.avail[0] += NUM;
	fake_publish(&guest, device(FAKE_RW), 0, 0);
}

static void bad_avail_back(void)
{
	guest.avail[0] -= 2;
	fake_publish(&guest, device(FAKE_RW), 0, 0);
}

static void (*const bad_drivers[])(void) = {
	bad_head, bad_head_far, bad_next, bad_loop_one, bad_loop_two, bad_order, bad_no_status,
	bad_short_head, bad_addr_below, bad_addr_above, bad_addr_device, bad_addr_max,
	bad_data_addr, bad_data_end, bad_status_addr, bad_status_wraps, bad_table_empty,
	bad_table_odd, bad_table_long, bad_table_huge, bad_table_next, bad_table_write,
	bad_table_addr, bad_table_nested, bad_table_index, bad_table_loop, bad_avail_jump,
	bad_avail_back,
};

static void test_bad_drivers(void)
{
	struct virtio_dev *dev = device(FAKE_RW);

	for (size_t i = 0; i < ARRAY_SIZE(bad_drivers); i++) {
		int before = failed;
		uint16_t avail;

		fake_set_up(&guest, dev, NUM);
		CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
		fake_mmio_write(dev, VIRTIO_MMIO_INTERRUPT_ACK, 3);

		avail = guest.avail[0];
		bad_drivers[i]();
		if (guest.avail[0] == avail)
			fake_publish(&guest, dev, 0, 0);
		serve(dev);
		CHECK(needs_reset(dev));
		CHECK(fake_mmio_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS) == 2);
		CHECK(fake_line[dev->spi] && used_idx(0) == 1);
		/* It stays like that. */
		fake_publish(&guest, dev, 0, 0);
		serve(dev);
		CHECK(used_idx(0) == 1);
		if (failed != before)
			fprintf(report, "  for the bad driver %zu\n", i);
	}
	fake_set_up(&guest, dev, NUM);
	CHECK(!fake_line[dev->spi]);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
}

/* The same request, in an indirect table, and behind a direct descriptor. */
static void test_indirect(void)
{
	struct virtio_dev *dev = device(FAKE_RW);

	fake_set_up(&guest, dev, NUM);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
	entry(0, FAKE_TABLE, 16, NEXT, 1);
	entry(1, FAKE_BUF, 512, NEXT | WRITE, 2);
	entry(2, STATUS_BUF, 1, WRITE, 0);
	desc(6, FAKE_TABLE + PVM_PAGE, 3 * 16, INDIR, 0);
	put(STATUS_BUF, "x", 1);
	fake_publish(&guest, dev, 0, 6);
	serve(dev);
	CHECK(used_idx(0) == 2 && used_last(0, NUM).id == 6 && used_last(0, NUM).len == 513);
	CHECK(*get(STATUS_BUF, 1) == 0);

	entry(0, FAKE_BUF, 512, NEXT | WRITE, 1);
	entry(1, STATUS_BUF, 1, WRITE, 0);
	desc(5, FAKE_TABLE, 16, NEXT, 6);
	desc(6, FAKE_TABLE + PVM_PAGE, 2 * 16, INDIR, 0);
	put(STATUS_BUF, "x", 1);
	fake_publish(&guest, dev, 0, 5);
	serve(dev);
	CHECK(used_idx(0) == 3 && used_last(0, NUM).id == 5 && used_last(0, NUM).len == 513);
	CHECK(*get(STATUS_BUF, 1) == 0);
}

/* Memory that goes away: behind a request, and under the ring itself. */
static void test_unshare(int ram_fd)
{
	struct virtio_dev *dev = device(FAKE_RW);

	fake_set_up(&guest, dev, NUM);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
	CHECK(!ftruncate(ram_fd, FAKE_BUF - PVM_RAM_BASE));
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(needs_reset(dev) && used_idx(0) == 1);

	fake_set_up(&guest, dev, NUM);
	CHECK(!ftruncate(ram_fd, 0));
	serve(dev);
	CHECK(needs_reset(dev));
	CHECK(!ftruncate(ram_fd, FAKE_MEM));
	fake_set_up(&guest, dev, NUM);
	CHECK(blk(FAKE_RW, VIRTIO_BLK_T_IN, 0, 512) == VIRTIO_BLK_S_OK);
}

static void test_console(void)
{
	struct virtio_dev *dev = device(FAKE_CONSOLE);
	uint8_t buf[64], many[5000];
	int fds[2], out = dup(STDOUT_FILENO);

	CHECK(!pipe2(fds, O_NONBLOCK) && dup2(fds[1], STDOUT_FILENO) >= 0);
	fake_set_up(&guest, dev, NUM);
	put(FAKE_BUF, "to the user", 11);
	fake_desc(&guest, 1, 0, FAKE_BUF, 3, NEXT, 1);
	fake_desc(&guest, 1, 1, FAKE_BUF + 3, 8, 0, 0);
	fake_publish(&guest, dev, 1, 0);
	serve(dev);
	CHECK(read(fds[0], buf, sizeof(buf)) == 11 && !memcmp(buf, "to the user", 11));
	CHECK(used_idx(1) == 1 && used_last(1, NUM).len == 0);
	dup2(out, STDOUT_FILENO);

	/* Input waits for room in the guest; more than we hold is cut. */
	memset(many, 'x', sizeof(many));
	many[0] = 'a';
	virtio_console_input(dev, many, sizeof(many));
	CHECK(virtio_console_room(dev) == 0 && used_idx(0) == 0);
	desc(0, FAKE_BUF, 7, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(used_idx(0) == 1 && used_last(0, NUM).len == 7);
	CHECK(!memcmp(get(FAKE_BUF, 7), "axxxxxx", 7) && virtio_console_room(dev) == 7);
	virtio_console_input(dev, many, 7);
	desc(0, FAKE_BUF, 5000, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(used_last(0, NUM).len == 4096 && virtio_console_room(dev) == 4096);
	CHECK(get(FAKE_BUF, 4096)[4089] == 'a');
	close(fds[0]);
	close(fds[1]);
	close(out);
}

static void test_rng(void)
{
	struct virtio_dev *dev = device(FAKE_RNG);
	uint8_t first[32];

	fake_set_up(&guest, dev, NUM);
	desc(0, FAKE_BUF, 32, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(used_last(0, NUM).len == 32);
	memcpy(first, get(FAKE_BUF, 32), 32);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(memcmp(first, get(FAKE_BUF, 32), 32));
	/* No room at all is no harm. */
	desc(0, FAKE_BUF, 32, 0, 0);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(used_last(0, NUM).len == 0 && !needs_reset(dev));
}

static void send_frame(const char *text, uint32_t len, size_t part)
{
	uint32_t be = htonl(len);
	uint8_t buf[2048];

	memcpy(buf, &be, sizeof(be));
	memcpy(buf + sizeof(be), text, len);
	for (size_t done = 0; done < len + sizeof(be); done += part) {
		size_t n = len + sizeof(be) - done;

		CHECK(write(guest.peer_fd, buf + done, n < part ? n : part) > 0);
		serve(device(FAKE_NET));
	}
}

static void test_net(void)
{
	const size_t head = sizeof(struct virtio_net_hdr_v1);
	struct virtio_dev *dev = device(FAKE_NET);
	uint8_t buf[64];
	uint32_t be;

	fake_set_up(&guest, dev, NUM);
	put(FAKE_BUF, "............a frame", 19);
	fake_desc(&guest, 1, 0, FAKE_BUF, 19, 0, 0);
	fake_publish(&guest, dev, 1, 0);
	serve(dev);
	CHECK(read(guest.peer_fd, buf, sizeof(buf)) == 4 + 7);
	memcpy(&be, buf, sizeof(be));
	CHECK(ntohl(be) == 7 && !memcmp(buf + 4, "a frame", 7));

	/* In one piece, in many, with no room at first, and with too little. */
	desc(0, FAKE_BUF, 1500, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	send_frame("answer", 6, 100);
	CHECK(used_idx(0) == 1 && used_last(0, NUM).len == head + 6);
	CHECK(!memcmp(get(FAKE_BUF + head, 6), "answer", 6) && get(FAKE_BUF, head)[10] == 1);
	send_frame("second", 6, 1);
	CHECK(used_idx(0) == 1);
	fake_publish(&guest, dev, 0, 0);
	serve(dev);
	CHECK(used_idx(0) == 2 && !memcmp(get(FAKE_BUF + head, 6), "second", 6));
	desc(0, FAKE_BUF, head + 2, WRITE, 0);
	fake_publish(&guest, dev, 0, 0);
	send_frame("third", 5, 100);
	CHECK(used_idx(0) == 3 && used_last(0, NUM).len == 0 && !needs_reset(dev));

	/* A frame without content is the driver's mistake. */
	fake_desc(&guest, 1, 0, FAKE_BUF, head, 0, 0);
	fake_publish(&guest, dev, 1, 0);
	serve(dev);
	CHECK(needs_reset(dev));

	/* The other end sends no frames: the link goes down, and the guest is told. */
	fake_set_up(&guest, dev, NUM);
	CHECK(write(guest.peer_fd, "\xff\xff\xff\xff", 4) == 4);
	serve(dev);
	CHECK(fake_mmio_read(dev, VIRTIO_MMIO_INTERRUPT_STATUS) == 2 && !needs_reset(dev));
	fake_publish(&guest, dev, 1, 0);
	fake_desc(&guest, 1, 0, FAKE_BUF, 100, 0, 0);
	serve(dev);
	CHECK(used_idx(1) == 1);
}

static uint64_t rnd_state = 88172645463325252ULL;

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state >> 16;
}

static uint64_t rnd_addr(void)
{
	switch (rnd() % 8) {
	case 0:
		return (uint64_t)rnd() << 32 | rnd();
	case 1:
		return PVM_RAM_BASE + FAKE_MEM - rnd() % 64;
	case 2:
		return PVM_RAM_BASE + (uint64_t)rnd() * 16;
	case 3:
		return FAKE_DESC(0) + rnd() % (8 * PVM_PAGE);	/* the rings themselves */
	default:
		return FAKE_TABLE + rnd() % (40 * PVM_PAGE);
	}
}

static uint32_t rnd_len(void)
{
	static const uint32_t lens[] = { 0, 1, 12, 16, 48, 512, 4096, 16 * 256 };

	return rnd() % 8 ? lens[rnd() % ARRAY_SIZE(lens)] : rnd();
}

/* Descriptors that lead on, mostly, so that chains get long. */
static void rnd_desc(unsigned int q, unsigned int i, unsigned int num)
{
	uint16_t flags = rnd() % 16 ? rnd() & (NEXT | WRITE) : rnd();

	if (!(rnd() % 8))
		flags |= INDIR;
	fake_desc(&guest, q, i, rnd_addr(), rnd_len(), flags, rnd() % 32 ? rnd() % num : rnd());
}

/* A hostile driver: so many random descriptors, and never a crash, or no end. */
static void test_random(void)
{
	unsigned long served = 0, broken = 0;
	unsigned int written = 0;

	while (written < RANDOM_DESCS) {
		struct virtio_dev *dev = device(rnd() % FAKE_NR_DEVS);
		unsigned int num = 1 << rnd() % 4, q = rnd() % dev->ops->nr_queues;

		fake_set_up(&guest, dev, num);
		for (unsigned int i = 0; i < num; i++, written++)
			rnd_desc(q, i, num);
		for (unsigned int i = 0; i < num; i++)
			fake_publish(&guest, dev, q, rnd() % 32 ? rnd() % num : rnd());
		if (dev == device(FAKE_CONSOLE))
			virtio_console_input(dev, (const uint8_t *)"input", 5);
		serve(dev);
		served += dev->vq[q].next_used;
		broken += needs_reset(dev);
	}
	fprintf(report, "%u random descriptors: %lu requests served, %lu resets needed\n", written,
		served, broken);
	CHECK(served > 1000 && broken > 1000);
}

int main(void)
{
	int ram_fd = memfd_create("ram", 0), null = open("/dev/null", O_WRONLY);

	/* The messages are for people, and the console's output is noise. */
	report = fdopen(dup(STDOUT_FILENO), "w");
	if (!report || null < 0 || dup2(null, STDOUT_FILENO) < 0 || dup2(null, STDERR_FILENO) < 0)
		return 1;
	setvbuf(report, NULL, _IOLBF, 0);
	signal(SIGPIPE, SIG_IGN);
	if (ram_fd < 0 || ftruncate(ram_fd, FAKE_MEM) || fake_create(&guest))
		return 1;
	guest.vm.ram = mmap(NULL, FAKE_MEM, PROT_READ | PROT_WRITE, MAP_SHARED, ram_fd, 0);
	if (guest.vm.ram == MAP_FAILED)
		return 1;
	test_registers();
	test_layout();
	test_disk_share();
	test_disk();
	test_wrap();
	test_indirect();
	test_bad_drivers();
	test_unshare(ram_fd);
	test_console();
	test_rng();
	test_net();
	test_random();
	fake_destroy(&guest);
	munmap(guest.vm.ram, FAKE_MEM);
	close(ram_fd);
	close(null);
	fprintf(report, "%d checks, %d failed\n", tests, failed);
	fclose(report);
	return failed != 0;
}
