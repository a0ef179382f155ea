// SPDX-License-Identifier: GPL-2.0-only
/*
 * Unit tests of what needs no KVM; for the build machine, under ASan and UBSan.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "commands/commands.h"
#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/numbers.h"
#include "devices/pool.h"
#include "devices/serial.h"
#include "inspection/map.h"
#include "inspection/picture.h"
#include "inspection/probe.h"
#include "inspection/trace.h"
#include "vmm/copy.h"
#include "vmm/image.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/stats.h"
#include "vmm/vm.h"

static int tests, failed;

#define CHECK(cond)								\
do {										\
	tests++;								\
	if (!(cond)) {								\
		failed++;							\
		printf("not ok: line %d: %s\n", __LINE__, #cond);		\
	}									\
} while (0)

static bool irq;

/* What the device model needs of vm.c. */
int vm_irq_line(struct vm *vm, unsigned int spi, bool level)
{
	(void)vm;
	CHECK(spi == PVM_UART_IRQ);
	irq = level;
	return 0;
}

static void test_numbers(void)
{
	static const char *const bad[] = {
		"", "-1", " 1", "1 ", "x", "0x", "1Q", "1KK", "4097", "18446744073709551616",
		"99999999999G", "1K ", "+4096",
	};
	uint64_t val = 7;

	for (size_t i = 0; i < ARRAY_SIZE(bad); i++)
		CHECK(parse_size("--size", bad[i], 0, UINT64_MAX, &val));
	CHECK(!parse_size("--size", "0x1000", 0, UINT64_MAX, &val) && val == 4096);
	CHECK(!parse_size("--size", "64K", 0, UINT64_MAX, &val) && val == 65536);
	CHECK(!parse_size("--size", "2g", 0, UINT64_MAX, &val) && val == 2ULL << 30);
	CHECK(parse_size("--size", "4K", 8192, 65536, &val));
	CHECK(parse_size("--size", "128K", 8192, 65536, &val));
	CHECK(parse_u64("--n", "4K", 0, 10000, &val));
	CHECK(!parse_u64("--n", "8", 1, 8, &val) && val == 8);
	CHECK(parse_u64("--n", "9", 1, 8, &val) && val == 8);
}

/* A page beyond the end of its file raises SIGBUS, as a private page does. */
static void test_copy(void)
{
	size_t len = 3 * PVM_PAGE;
	uint8_t *buf = malloc(len), *map;
	int fd = memfd_create("unit", 0);

	CHECK(fd >= 0 && !ftruncate(fd, len));
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);

	for (size_t i = 0; i < len; i++)
		buf[i] = i * 7;
	CHECK(!copy_to_fragile(map, buf, len));
	CHECK(!memcmp(map, buf, len));
	memset(buf, 0, len);
	CHECK(!copy_from_fragile(buf, map, len));
	CHECK(buf[1] == 7 && buf[len - 1] == (uint8_t)((len - 1) * 7));

	CHECK(!ftruncate(fd, PVM_PAGE));
	CHECK(copy_from_fragile(buf, map + PVM_PAGE, 1) == -EFAULT);
	CHECK(copy_from_fragile(buf, map, len) == -EFAULT);
	CHECK(copy_from_fragile(buf, map + PVM_PAGE - 8, 16) == -EFAULT);
	CHECK(copy_to_fragile(map + PVM_PAGE, buf, 1) == -EFAULT);
	CHECK(copy_to_fragile(map + PVM_PAGE - 8, buf, 16) == -EFAULT);
	/* Nothing of the failures is left in the pipe. */
	memset(map, 0x5a, PVM_PAGE);
	CHECK(!copy_from_fragile(buf, map, 16) && buf[0] == 0x5a && buf[15] == 0x5a);

	CHECK(probe_read(map, buf, 1) == 0);
	CHECK(probe_read(map + PVM_PAGE, buf, 1) == SIGBUS);
	CHECK(probe_write(map + PVM_PAGE, buf, 1) == SIGBUS);
	CHECK(probe_write(map, buf, 1) == 0);

	munmap(map, len);
	close(fd);
	free(buf);
}

static void test_bounds(void)
{
	struct pvm_options opt = { .mem = 2 * PVM_PAGE };
	struct vm vm = { .opt = &opt };
	uint8_t byte = 3;

	vm.ram = mmap(NULL, opt.mem, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(!memory_write(&vm, PVM_RAM_BASE + opt.mem - 1, &byte, 1));
	CHECK(!memory_read(&vm, PVM_RAM_BASE + opt.mem, &byte, 0));
	CHECK(memory_read(&vm, PVM_RAM_BASE + opt.mem, &byte, 1) == -EFAULT);
	CHECK(memory_read(&vm, PVM_RAM_BASE + opt.mem - 1, &byte, 2) == -EFAULT);
	CHECK(memory_read(&vm, PVM_RAM_BASE - 1, &byte, 1) == -EFAULT);
	CHECK(memory_read(&vm, 0, &byte, 1) == -EFAULT);
	CHECK(memory_read(&vm, UINT64_MAX, &byte, 1) == -EFAULT);
	CHECK(memory_read(&vm, PVM_RAM_BASE, &byte, SIZE_MAX) == -EFAULT);
	CHECK(memory_read(&vm, PVM_RAM_BASE + 1, &byte, SIZE_MAX) == -EFAULT);
	munmap(vm.ram, opt.mem);
}

static uint8_t reg_read(struct serial *s, unsigned int reg)
{
	uint8_t val = 0;

	serial_access(s, reg, &val, false);
	return val;
}

static void reg_write(struct serial *s, unsigned int reg, uint8_t val)
{
	serial_access(s, reg, &val, true);
}

static void test_serial(void)
{
	uint8_t input[300];
	char out[8] = "";
	struct serial *s;
	int fds[2];

	CHECK(!pipe(fds));
	s = serial_create(NULL, fds[1]);

	CHECK(reg_read(s, 5) == 0x60);
	reg_write(s, 0, 'h');
	CHECK(read(fds[0], out, sizeof(out)) == 1 && out[0] == 'h');

	/* The transmit interrupt: on when enabled, off when read, on after a byte. */
	CHECK(!irq && reg_read(s, 2) == 0x01);
	reg_write(s, 1, 0x02);
	CHECK(irq && reg_read(s, 2) == 0x02 && !irq);
	CHECK(reg_read(s, 2) == 0x01);
	reg_write(s, 0, 'i');
	CHECK(irq);
	reg_write(s, 1, 0);
	CHECK(!irq);

	/* The divisor latch is not the data register. */
	reg_write(s, 3, 0x80);
	reg_write(s, 0, 0x12);
	CHECK(reg_read(s, 0) == 0x12);
	reg_write(s, 3, 0x03);

	/* More input than fits is cut, not written beyond. */
	memset(input, 'x', sizeof(input));
	reg_write(s, 1, 0x01);
	serial_input(s, input, sizeof(input));
	CHECK(irq && serial_input_room(s) == 0 && reg_read(s, 2) == 0x04);
	for (int i = 0; i < 256; i++)
		CHECK(reg_read(s, 5) & 1 && reg_read(s, 0) == 'x');
	CHECK(!(reg_read(s, 5) & 1) && !irq && reg_read(s, 0) == 0);

	reg_write(s, 4, 0x10);
	reg_write(s, 0, 'l');
	CHECK(reg_read(s, 0) == 'l');
	for (unsigned int reg = 0; reg < 4096; reg++) {
		reg_read(s, reg);
		reg_write(s, reg, 0xff);
	}

	serial_destroy(s);
	close(fds[0]);
	close(fds[1]);
}

static void console(struct vm *vm, const char *text)
{
	while (*text)
		stats_console(vm, *text++);
}

/* The first line that begins as init's do ends the boot, and no other does. */
static void test_stats(void)
{
	struct pvm_options opt = { .mem = 4 * PVM_PAGE, .stats = true };
	struct vm vm = { .opt = &opt, .gmem_fd = -1 };

	vm.ram = mmap(NULL, opt.mem, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	((char *)vm.ram)[PVM_PAGE] = 1;
	stats_begin(&vm);
	console(&vm, "the guest: it\r\nguess\r\n guest: \r\ngguest: x\nguest:");
	CHECK(!vm.stats.booted);
	console(&vm, "\r\nguest: hello\r\n");
	CHECK(vm.stats.booted && vm.stats.resident == PVM_PAGE);
	munmap(vm.ram, opt.mem);

	vm.stats.booted = false;
	opt.stats = false;
	console(&vm, "guest: again\n");
	CHECK(!vm.stats.booted);
}

static int parse_words(struct pvm_options *opt, char *words)
{
	char *argv[16] = { "run" }, *save;
	int argc = 1;

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return options_parse(argc, argv, opt);
}

static void test_options(void)
{
	struct pvm_options opt;

	/* Options may point into the words. */
#define PARSE(text) ({								\
	static char __w[sizeof(text)];						\
										\
	memcpy(__w, text, sizeof(text));					\
	parse_words(&opt, __w);							\
})
	CHECK(PARSE("--kernel i") == 0 && opt.protect && !opt.anon && !opt.stats);
	CHECK(PARSE("--kernel i --unprotected --anon --stats json") == 0 && !opt.protect &&
	      opt.anon && opt.stats);
	CHECK(PARSE("--kernel i --stats=json") == 0 && opt.stats);
	CHECK(PARSE("--kernel i --stats xml") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --stats") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --protected --unprotected") == PVM_EXIT_USAGE);
	CHECK(PARSE("--stats json") == PVM_EXIT_USAGE);

	CHECK(PARSE("--kernel i") == 0 && !opt.nr_disks && !opt.nr_nets && !opt.rng && !opt.serial);
	CHECK(PARSE("--kernel i --disk a --disk b,c,ro --disk d,rw --disk e,x") == 0);
	CHECK(opt.nr_disks == 4 && !strcmp(opt.disk[1].path, "b,c") && opt.disk[1].read_only);
	CHECK(!strcmp(opt.disk[2].path, "d") && !opt.disk[2].read_only);
	CHECK(!strcmp(opt.disk[3].path, "e,x") && !opt.disk[3].read_only);
	CHECK(PARSE("--kernel i --disk ,ro") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=t0,mac=02:00:00:00:ab:01 --net socket=/s") == 0);
	CHECK(opt.nr_nets == 2 && !strcmp(opt.net[0].tap, "t0") && opt.net[0].mac[4] == 0xab);
	CHECK(!strcmp(opt.net[1].socket, "/s") && !*opt.net[1].tap && !opt.net[1].have_mac);
	CHECK(PARSE("--kernel i --net tap=a,socket=b") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net mac=02:00:00:00:ab:01") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=0123456789abcdef") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=a,mac=02:00:00:00:00") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=a,mac=02:00:00:00:00:000") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --net tap=a,mac=03:00:00:00:00:00") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --console serial --rng --seed 5 --trace t") == 0 && opt.serial &&
	      opt.rng && opt.seeded && opt.seed == 5 && !strcmp(opt.trace, "t"));
	CHECK(PARSE("--kernel i --console vga") == PVM_EXIT_USAGE);
	CHECK(PARSE("--kernel i --record r") == 0 && !strcmp(opt.record, "r"));
	CHECK(PARSE("--kernel i --record r --anon") == PVM_EXIT_USAGE);

	CHECK(PARSE("--kernel i") == 0 && opt.pool == 4 << 20);
	CHECK(PARSE("--kernel i --mem 32M --disk a --disk b --disk c --disk d") == 0 &&
	      opt.pool == 8 << 20 && pool_disk_share(&opt) == 7 << 18);
	CHECK(PARSE("--kernel i --mem 256M --disk a --net tap=a") == 0 &&
	      opt.pool == 11 << 19 && pool_disk_share(&opt) == POOL_PER_DISK);
	CHECK(PARSE("--kernel i --mem 4G --disk a --disk b --net tap=a") == 0 &&
	      opt.pool == 23 << 19 && pool_disk_share(&opt) == POOL_PER_DISK);
	CHECK(PARSE("--kernel i --pool 1M --disk a --disk b") == 0 && opt.pool == 1 << 20 &&
	      pool_disk_share(&opt) == 1 << 18);
	CHECK(PARSE("--kernel i --pool 0 --disk a") == 0 && !opt.pool &&
	      pool_disk_share(&opt) == POOL_PER_DISK);
}

static void test_trace(void)
{
	struct trace t = { .nr_pages = 16 };

	t.donated = calloc(t.nr_pages, sizeof(*t.donated));
	t.shared = calloc(t.nr_pages, sizeof(*t.shared));
	trace_line(&t, "# entries-in-buffer/entries-written: 4/4   #P:2");
	CHECK(!t.lossy);
	trace_line(&t, " pvm-1 [000] ... 1.0: pkvm_gmem_donate: vm 0x1000 gfn 0x80002 pfn 0x1234 nr 3 ret 2");
	CHECK(t.donated[2] == 0x1234 && t.donated[3] == 0x1235 && !t.donated[4]);
	trace_line(&t, " pvm-1 [000] ... 1.0: pkvm_gmem_share: vm 0x1000 gfn 0x80002 pfn 0x1234 nr 2 ret 1");
	CHECK(t.shared[2] && !t.shared[3]);
	trace_line(&t, " pvm-1 [000] ... 1.0: pkvm_gmem_share: vm 0x1000 gfn 0x80004 pfn 0x1236 nr 2 ret -11");
	CHECK(!t.shared[4]);
	/* Outside of RAM, across its end, and nonsense. */
	trace_line(&t, "pkvm_gmem_donate: vm 0x1000 gfn 0x10 pfn 0x1 nr 1000000 ret 1000000");
	trace_line(&t, "pkvm_gmem_donate: gfn 0x80005 pfn 0x99 nr 4 ret -17");
	CHECK(!t.donated[5]);
	trace_line(&t, "pkvm_gmem_donate: gfn 0x8000f pfn 0x77 nr 1 ret 9223372036854775807");
	CHECK(t.donated[15] == 0x77);
	trace_line(&t, "pkvm_gmem_donate: gfn x pfn y");
	trace_line(&t, "# entries-in-buffer/entries-written: 4/5   #P:2");
	CHECK(t.lossy);
	free(t.donated);
	free(t.shared);
}

static void put_file(const char *path, const void *buf, size_t len)
{
	FILE *f = fopen(path, "w");

	CHECK(f && fwrite(buf, 1, len, f) == len);
	fclose(f);
}

static void test_image(void)
{
	struct pvm_options opt = { .mem = 32 << 20, .pool = 4 << 20 };
	char path[] = "/tmp/pvm-unit-XXXXXX";
	struct vm vm = { .opt = &opt };
	uint64_t h[512] = { 0 };
	int fd = mkstemp(path);

	CHECK(fd >= 0);
	close(fd);
	opt.kernel = path;
	h[2] = 4096 + 1024;			/* image_size: the file, and some .bss */
	h[7] = 0x644d5241;			/* magic, no PE header */

#define OPEN(len) ({								\
	int __ret;								\
										\
	put_file(path, h, len);							\
	vm.kernel.fd = vm.initrd.fd = -1;					\
	__ret = image_open(&vm);						\
	image_close(&vm);							\
	__ret;									\
})
	CHECK(OPEN(4096) == 0 && vm.kernel.gpa == PVM_RAM_BASE &&
	      vm.kernel_end == PVM_RAM_BASE + 5120);
	CHECK(OPEN(0) == PVM_EXIT_USAGE);
	CHECK(OPEN(63) == PVM_EXIT_USAGE);
	CHECK(OPEN(1024) == PVM_EXIT_USAGE);
	h[1] = 2 << 20;				/* text_offset */
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[1] = 0x80000;
	CHECK(OPEN(4096) == 0 && vm.kernel.gpa == PVM_RAM_BASE + 0x80000);
	h[3] = 1;				/* big-endian */
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[3] = 0;
	h[2] = UINT64_MAX;
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[2] = 0;
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[2] = 5120;
	h[7] |= 64ULL << 32;			/* a PE header: one section of 8192 bytes */
	h[8] = 0x4550 | 1ULL << 48;
	((uint32_t *)h)[22 + 4] = 8192;
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[7] = 0;
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	h[7] = 0x644d5241;
	opt.initrd = "/nonexistent";
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	opt.initrd = path;
	CHECK(OPEN(4096) == 0 && vm.initrd.gpa > vm.kernel_end);
	opt.mem = 4096;
	opt.pool = 0;
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	opt.kernel = "/tmp";
	CHECK(OPEN(4096) == PVM_EXIT_USAGE);
	unlink(path);
}

static uint8_t states[512];

static const char *draw(struct map *map, bool svg)
{
	static char *text;
	size_t size;
	FILE *f;

	free(text);
	f = open_memstream(&text, &size);
	if (svg)
		map_draw_svg(f, map);
	else
		map_draw(f, map, false);
	fclose(f);
	return text;
}

static unsigned int count(const char *text, const char *what)
{
	unsigned int n = 0;

	for (const char *p = text; (p = strstr(p, what)); p++)
		n++;
	return n;
}

static void test_layout(void)
{
	static const uint64_t sizes[] = {
		1, 63, 64, 65, 1023, 1024, 1025, 2048, 8192, 24576, 32768, 32769, 1 << 24,
	};
	struct map_layout l;

	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		map_layout(sizes[i], 64, 16, &l);
		CHECK(l.columns == 64 && l.cells && l.cells <= 1024);
		CHECK(!(l.per_cell & (l.per_cell - 1)));
		/* All pages have a cell, and no cell is empty; the cells are as small as can be. */
		CHECK(l.cells * l.per_cell >= sizes[i] && (l.cells - 1) * l.per_cell < sizes[i]);
		CHECK(l.per_cell == 1 || sizes[i] > l.per_cell / 2 * 1024);
	}
	map_layout(0, 64, 16, &l);
	CHECK(!l.cells);
}

static char cell(uint64_t untouched, uint64_t relinquished, uint64_t private, uint64_t shared,
		 uint64_t poisoned)
{
	struct map_counts c = {
		.pages = { untouched, relinquished, private, shared, poisoned },
	};

	return map_char(&c);
}

static void test_cells(void)
{
	CHECK(cell(4, 0, 0, 0, 0) == '.' && cell(0, 4, 0, 0, 0) == '-');
	CHECK(cell(0, 0, 4, 0, 0) == '#' && cell(0, 0, 0, 4, 0) == 'S');
	CHECK(cell(3, 1, 0, 0, 0) == '-');
	CHECK(cell(1, 0, 3, 0, 0) == '+' && cell(0, 3, 1, 0, 0) == '+');
	/* A page that the host can see, or that is lost, is never hidden by its neighbours. */
	CHECK(cell(0, 0, 3, 1, 0) == 's' && cell(3, 0, 0, 1, 0) == 's' && cell(0, 3, 0, 1, 0) == 's');
	CHECK(cell(1, 1, 1, 1, 1) == 'X' && cell(0, 0, 0, 0, 4) == 'X');
}

static void test_picture(void)
{
	struct map map = { .pages = 100, .state = states, .has_private = true };
	const char *text;

	memset(states, PAGE_UNTOUCHED, sizeof(states));
	memset(states, PAGE_PRIVATE, 10);
	memset(states + 62, PAGE_SHARED, 4);

	/* A row of 64 pages, and the rest; a run that goes on in the next row. */
	text = draw(&map, false);
	CHECK(strstr(text, " 80000000 ##########....") && strstr(text, ".SS\n 80040000 SS..."));
	CHECK(strstr(text, "private              10 pages") && strstr(text, "shared                4"));
	CHECK(strstr(text, "one character is 4K\n") && strstr(text, "relinquished          0"));
	states[99] = PAGE_RELINQUISHED;
	map.unbound = 3;
	map.relinquished = 77;
	text = draw(&map, false);
	CHECK(strstr(text, "never touched        85") && strstr(text, "relinquished          1"));
	CHECK(strstr(text, "poisoned              0") && strstr(text, "3 pages are in no"));
	CHECK(strstr(text, "77 pages relinquished so far") && !strstr(text, "BUG"));
	CHECK(strstr(text, "..-\n"));
	map.has_private = false;
	CHECK(strstr(draw(&map, false), "no private memory"));

	/* One rectangle for each run, one for the background, one or two for each state. */
	text = draw(&map, true);
	CHECK(!strncmp(text, "<svg ", 5) && !strcmp(text + strlen(text) - 7, "</svg>\n"));
	CHECK(count(text, "<rect") == 5 + 1 + 7 && count(text, "<text") == count(text, "</text>"));
	CHECK(strstr(text, "relinquished: 1 pages"));

	map.pages = 512;
	memset(states, PAGE_POISONED, sizeof(states));
	text = draw(&map, false);
	CHECK(count(text, "\n 8") == 7 && count(text, "X") == 513);
	map.pages = 0;
	CHECK(strstr(draw(&map, false), "0 pages") && strstr(draw(&map, true), "</svg>"));
}

static void test_debugfs(void)
{
	struct map map = { .pages = 16, .state = states };
	struct map_counts c;

	memset(states, PAGE_UNTOUCHED, sizeof(states));
	memset(states, PAGE_PRIVATE, 4);
	CHECK(!map_debugfs_line(&map, "0000-4000 private resident 80000-80004 slot 0\n"));
	CHECK(!map_debugfs_line(&map, "4000-6000 private hole unbound\n") && map.unbound == 2);
	CHECK(!map_debugfs_line(&map, "3000-8000 private given-up 80003-80008 slot 0\n"));
	CHECK(!map_debugfs_line(&map, "f000-10000 shared hole 8000f-80010 slot 0 el2 poisoned\n"));
	CHECK(!map_debugfs_line(&map, "8000-9000 shared hole 80008-80009 slot 0 el2 owned DISAGREES\n"));
	CHECK(map.unbound == 2 && map.disputed == 1);
	map_count_range(&map, 0, UINT64_MAX, &c);
	CHECK(c.pages[PAGE_PRIVATE] == 4 && c.pages[PAGE_POISONED] == 1 &&
	      c.pages[PAGE_UNTOUCHED] == 11);
	map_count_range(&map, 3, 2, &c);
	CHECK(c.pages[PAGE_PRIVATE] == 1 && c.pages[PAGE_UNTOUCHED] == 1);

	/* Nothing beyond the file, and no nonsense. */
	CHECK(map_debugfs_line(&map, "f000-11000 shared hole 8000f-80011 slot 0 el2 poisoned"));
	CHECK(map_debugfs_line(&map, "ffffffffffffe000-fffffffffffff000 shared hole a b el2 poisoned"));
	CHECK(map_debugfs_line(&map, "4000-4000 private hole unbound"));
	CHECK(map_debugfs_line(&map, "5000-4000 private hole unbound"));
	CHECK(map_debugfs_line(&map, "0-1000 private"));
	CHECK(map_debugfs_line(&map, "") && map_debugfs_line(&map, "hello"));
}

static int parse_map(struct map_options *opt, char *words)
{
	char *argv[9] = { "map" }, *save;
	int argc = 1;

	for (char *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return map_parse(argc, argv, opt);
}

static void test_map_options(void)
{
	struct map_options opt;

#define PARSE_MAP(text) ({							\
	static char __w[sizeof(text)];						\
										\
	memcpy(__w, text, sizeof(text));					\
	parse_map(&opt, __w);							\
})
	CHECK(!PARSE_MAP("7") && opt.pid == 7 && !opt.watch && !opt.svg);
	CHECK(!PARSE_MAP("7 --watch") && opt.pid == 7 && opt.watch && opt.seconds == 1);
	CHECK(!PARSE_MAP("--watch 7") && opt.pid == 7 && opt.watch && opt.seconds == 1);
	CHECK(!PARSE_MAP("--watch 5 7") && opt.pid == 7 && opt.seconds == 5);
	CHECK(!PARSE_MAP("7 --watch 5") && opt.pid == 7 && opt.seconds == 5);
	CHECK(!PARSE_MAP("--watch=5 7") && opt.pid == 7 && opt.seconds == 5);
	CHECK(!PARSE_MAP("--watch --svg a 7") && opt.pid == 7 && opt.watch && !strcmp(opt.svg, "a"));
	CHECK(!PARSE_MAP("--svg=b 7") && !strcmp(opt.svg, "b"));
	CHECK(PARSE_MAP("") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("--watch") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 8") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --watch 5 8") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --watch=0") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --watch 0") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --watch=x") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --watch -1") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --svg") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("7 --colour") == PVM_EXIT_USAGE);
	CHECK(PARSE_MAP("notapid") == PVM_EXIT_USAGE);
}

int main(void)
{
	/* The messages are for people; here only the results count. */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	test_numbers();
	test_copy();
	test_bounds();
	test_serial();
	test_stats();
	test_options();
	test_trace();
	test_image();
	test_layout();
	test_cells();
	test_picture();
	test_debugfs();
	test_map_options();
	printf("%d checks, %d failed\n", tests, failed);
	return failed != 0;
}
