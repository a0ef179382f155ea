// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hostile guest: no kernel, only a driver that gives every virtio device random
 * descriptors, indices and registers, changes them while the device works, and takes back
 * pages that it uses. At the end, after DESCS of them, a good request must still be served. One
 * CPU, no MMU.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#define RAM_BASE	0x80000000UL
/* Memory that nothing is in: if not protected, the devices can reach our code too. */
#define ELSEWHERE	(RAM_BASE + (1UL << 20))
#define ELSEWHERE_SIZE	(14UL << 20)
#define UART		0x09000000UL
#define VIRTIO_BASE	0x0a000000UL
#define VIRTIO_STEP	0x1000UL
#define VIRTIO_NR	16
#define PAGE		4096UL

/* The shared part: rings in its first pages, random buffers everywhere. */
#define SHARED		(RAM_BASE + (16UL << 20))
#define SHARED_PAGES	32
#define DESC		SHARED
#define AVAIL		(SHARED + PAGE)
#define USED		(SHARED + 2 * PAGE)
#define GOOD		(SHARED + 3 * PAGE)

#define SIZE		32			/* entries of a queue, at most */
#define PATIENCE	100000000

#define HVC_SHARE	0xc6000003UL
#define HVC_UNSHARE	0xc6000004UL
#define HVC_OFF		0x84000008UL
/* MMIO guard */
#define HVC_ENROLL	0xc6000006UL
#define HVC_GUARD	0xc6000007UL

/* The header of an Image, and a stack. */
asm(
"	.pushsection .head, \"ax\"\n"
"	.globl	_start\n"
"_start:\n"
"	b	1f\n"
"	.long	0\n"
"	.quad	0\n"				/* text_offset */
"	.quad	_end - _start\n"		/* image_size */
"	.quad	0xa\n"				/* little-endian, 4 KiB pages */
"	.quad	0, 0, 0\n"
"	.ascii	\"ARM\\x64\"\n"
"	.long	0\n"
"1:	ldr	x1, =stack_end\n"
"	mov	sp, x1\n"
"	bl	guest_main\n"
"2:	b	2b\n"
"	.ltorg\n"
"	.popsection\n"
"	.pushsection .bss\n"
"	.balign	16\n"
"	.space	16384\n"
"stack_end:\n"
"	.popsection\n"
);

static uint64_t rnd_state = 88172645463325252UL;

static uint32_t rnd(void)
{
	rnd_state ^= rnd_state << 13;
	rnd_state ^= rnd_state >> 7;
	rnd_state ^= rnd_state << 17;
	return rnd_state >> 16;
}

/* Without an MMU all memory is a device: aligned accesses of one size, in order. */
static void write16(uint64_t addr, uint16_t val) { *(volatile uint16_t *)addr = val; }
static void write32(uint64_t addr, uint32_t val) { *(volatile uint32_t *)addr = val; }
static void write64(uint64_t addr, uint64_t val) { *(volatile uint64_t *)addr = val; }
static uint16_t read16(uint64_t addr) { return *(volatile uint16_t *)addr; }
static uint32_t read32(uint64_t addr) { return *(volatile uint32_t *)addr; }

static uint64_t call_hyp(uint64_t fn, uint64_t arg1, uint64_t arg2)
{
	register uint64_t x0 asm("x0") = fn;
	register uint64_t x1 asm("x1") = arg1;
	register uint64_t x2 asm("x2") = arg2;
	register uint64_t x3 asm("x3") = 0;

	asm volatile("hvc #0" : "+r" (x0), "+r" (x1), "+r" (x2), "+r" (x3) : :
		     "x4", "x5", "x6", "x7", "x8", "x9", "x10", "x11", "x12", "x13", "x14",
		     "x15", "x16", "x17", "memory");
	return x0;
}

static void text(const char *s)
{
	while (*s)
		*(volatile uint8_t *)UART = *s++;
}

static void number(uint64_t n)
{
	char digits[20];
	int i = 0;

	do {
		digits[i++] = '0' + n % 10;
		n /= 10;
	} while (n);
	while (i)
		*(volatile uint8_t *)UART = digits[--i];
}

static void set_desc(unsigned int i, uint64_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	uint64_t d = DESC + i * sizeof(struct vring_desc);

	write64(d, addr);
	write32(d + 8, len);
	write16(d + 12, flags);
	write16(d + 14, next);
}

static uint64_t rnd_addr(void)
{
	switch (rnd() % 8) {
	case 0:
		return (uint64_t)rnd() << 32 | rnd();	/* nowhere */
	case 1:
		return ELSEWHERE + rnd() % ELSEWHERE_SIZE;	/* private, if protected */
	case 2:
		return DESC + rnd() % (3 * PAGE);		/* the rings themselves */
	default:
		return SHARED + rnd() % (SHARED_PAGES * PAGE);
	}
}

static uint32_t rnd_len(void)
{
	static const uint32_t lens[] = { 0, 1, 12, 16, 48, 512, 4096, 65536 };

	/* Long ones are rare: the console prints all of what it can read. */
	if (rnd() % 8)
		return lens[rnd() % 8];
	return rnd() % 64 ? rnd() >> (12 + rnd() % 20) : rnd();
}

static void rnd_desc(unsigned int i)
{
	uint16_t flags = rnd() % 16 ? rnd() & (VRING_DESC_F_NEXT | VRING_DESC_F_WRITE) : rnd();

	if (!(rnd() % 8))
		flags |= VRING_DESC_F_INDIRECT;
	set_desc(i, rnd_addr(), rnd_len(), flags, rnd() % 32 ? rnd() % SIZE : rnd());
}

/* A request of the kind that gets through to the device, at descriptor 0. */
static void blk_desc(uint32_t type, uint64_t sector)
{
	write32(GOOD, type);
	write32(GOOD + 4, 0);
	write64(GOOD + 8, sector);
	write32(GOOD + 16, 0xffffffff);
	set_desc(0, GOOD, sizeof(struct virtio_blk_outhdr), VRING_DESC_F_NEXT, 1);
	set_desc(1, GOOD + PAGE, 512, VRING_DESC_F_NEXT |
		 (type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE), 2);
	set_desc(2, GOOD + 16, 1, VRING_DESC_F_WRITE, 0);
}

static void set_address(uint64_t dev, uint64_t reg, uint64_t addr)
{
	write32(dev + reg, addr);
	write32(dev + reg + 4, addr >> 32);
}

static void set_up(uint64_t dev, unsigned int q, unsigned int num)
{
	write32(dev + VIRTIO_MMIO_STATUS, 0);
	write32(dev + VIRTIO_MMIO_STATUS, 3);
	for (unsigned int i = 0; i < 2; i++) {
		write32(dev + VIRTIO_MMIO_DEVICE_FEATURES_SEL, i);
		write32(dev + VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		write32(dev + VIRTIO_MMIO_DRIVER_FEATURES,
			read32(dev + VIRTIO_MMIO_DEVICE_FEATURES));
	}
	write32(dev + VIRTIO_MMIO_STATUS, 11);
	write64(AVAIL, 0);
	write64(USED, 0);
	write32(dev + VIRTIO_MMIO_QUEUE_SEL, q);
	write32(dev + VIRTIO_MMIO_QUEUE_NUM, num);
	set_address(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, DESC);
	set_address(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, AVAIL);
	set_address(dev, VIRTIO_MMIO_QUEUE_USED_LOW, USED);
	write32(dev + VIRTIO_MMIO_QUEUE_READY, 1);
	write32(dev + VIRTIO_MMIO_STATUS, 15);
}

/* Takes pages from under the device's feet, and gives them again. */
static void unshare_some(uint64_t dev)
{
	uint64_t page = SHARED + rnd() % SHARED_PAGES * PAGE;

	write32(dev + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	call_hyp(HVC_UNSHARE, page, 1);
	write32(dev + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	call_hyp(HVC_SHARE, page, 1);
}

static unsigned int attack(uint64_t dev, bool disk)
{
	unsigned int num = 1 + rnd() % 8, written;

	set_up(dev, rnd() % 2, read32(dev + VIRTIO_MMIO_QUEUE_NUM_MAX) < SIZE ? 8 : SIZE);
	for (unsigned int i = 0; i < SIZE; i++)
		rnd_desc(i);
	written = SIZE;
	if (disk && rnd() % 2)
		blk_desc(rnd() % 2 ? VIRTIO_BLK_T_OUT : rnd() % 16, rnd() % 8 ? rnd() % 64 : rnd());
	for (unsigned int i = 0; i < SIZE; i++)
		write16(AVAIL + 4 + i * 2, rnd() % 64 ? rnd() % SIZE : rnd());
	write16(AVAIL + 2, rnd() % 16 ? num : rnd());
	write32(dev + VIRTIO_MMIO_QUEUE_NOTIFY, 0);

	/* While it works. */
	for (unsigned int n = rnd() % 64; n; n--, written++)
		rnd_desc(rnd() % SIZE);
	write16(AVAIL + 2, num + rnd() % 4);
	write32(dev + VIRTIO_MMIO_QUEUE_NOTIFY, rnd());
	if (!(rnd() % 8))
		unshare_some(dev);
	if (!(rnd() % 8))
		write32(dev + rnd() % 0x110 * 4, rnd());
	return written;
}

/* Reads a sector as a good driver would. */
static bool works(uint64_t dev)
{
	set_up(dev, 0, SIZE);
	blk_desc(VIRTIO_BLK_T_IN, 0);
	write16(AVAIL + 4, 0);
	write16(AVAIL + 2, 1);
	write32(dev + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	for (int i = 0; i < PATIENCE; i++) {
		if (read16(USED + 2) == 1)
			return !(read32(GOOD + 16) & 0xff);
	}
	return false;
}

/* A guest that has enrolled says which pages are devices': nothing else is, from then on. */
static void guard_devices(void)
{
	if (call_hyp(HVC_ENROLL, 0, 0))
		return;
	call_hyp(HVC_GUARD, UART, 1);
	for (uint64_t i = 0; i < VIRTIO_NR; i++)
		call_hyp(HVC_GUARD, VIRTIO_BASE + i * VIRTIO_STEP, 1);
	text("hostile: enrolled in MMIO guard\r\n");
}

static __attribute__((used)) void guest_main(void)
{
	uint64_t devs[VIRTIO_NR], nr = 0, written = 0, resets = 0, rounds = 0, disk = 0;

	guard_devices();
	for (uint64_t dev = VIRTIO_BASE; nr < VIRTIO_NR && read32(dev); dev += VIRTIO_STEP) {
		devs[nr++] = dev;
		if (read32(dev + VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_BLOCK)
			disk = dev;
	}
	text("hostile: ");
	number(nr);
	text(" devices\r\n");
	for (unsigned int i = 0; i < SHARED_PAGES; i++)
		call_hyp(HVC_SHARE, SHARED + i * PAGE, 1);

	for (; nr && written < DESCS; rounds++) {
		uint64_t dev = devs[rnd() % nr];

		written += attack(dev, dev == disk);
		resets += !!(read32(dev + VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	}
	text("\r\nhostile: ");
	number(written);
	text(" descriptors, ");
	number(rounds);
	text(" rounds, ");
	number(resets);
	text(" resets needed\r\n");
	/* No other device may scribble over what the disk is to be asked. */
	for (uint64_t i = 0; i < nr; i++)
		write32(devs[i] + VIRTIO_MMIO_STATUS, 0);
	text(disk && works(disk) ? "hostile: the disk works\r\n" : "hostile: the disk FAILED\r\n");
	call_hyp(HVC_OFF, 0, 0);
}
