// SPDX-License-Identifier: GPL-2.0-only
/*
 * The device tree that tells the guest what it has.
 */
#include <libfdt.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array_size.h"
#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/say.h"
#include "devices/fdt.h"
#include "devices/random.h"
#include "devices/virtio.h"
#include "vmm/memory.h"
#include "vmm/vm.h"

#define FDT_SIZE	(64 << 10)
#define COMMAND_LINE	2048		/* the kernel's COMMAND_LINE_SIZE */

enum { PHANDLE_GIC = 1, PHANDLE_CLOCK, PHANDLE_POOL };

#define GIC_SPI		0
#define GIC_PPI		1
#define IRQ_LEVEL_HIGH	4
#define IRQ_LEVEL_LOW	8

/* Cells of 32 bits, big-endian. */
static int prop_cells(void *fdt, const char *name, const uint32_t *cells, unsigned int n)
{
	fdt32_t be[16];

	if (n > ARRAY_SIZE(be))
		return -FDT_ERR_NOSPACE;
	for (unsigned int i = 0; i < n; i++)
		be[i] = cpu_to_fdt32(cells[i]);
	return fdt_property(fdt, name, be, n * sizeof(*be));
}

#define PROP_CELLS(fdt, name, ...)						\
	prop_cells(fdt, name, (const uint32_t[]) { __VA_ARGS__ },		\
		   sizeof((const uint32_t[]) { __VA_ARGS__ }) / sizeof(uint32_t))

#define HI(x)	((uint32_t)((uint64_t)(x) >> 32))
#define LO(x)	((uint32_t)(x))
#define REG(base, size)	HI(base), LO(base), HI(size), LO(size)

static bool has_word(const char *text, const char *word)
{
	size_t len = strlen(word);

	for (const char *p = text; (p = strstr(p, word)); p += len) {
		if ((p == text || p[-1] == ' ') && (!p[len] || p[len] == ' '))
			return true;
	}
	return false;
}

static const char *bootargs(struct vm *vm, char *buf, size_t len)
{
	/* The early console speaks before the kernel has read as far as "quiet". */
	int n = snprintf(buf, len, "%sconsole=%s%s%s",
			 has_word(vm->opt->append, "quiet") ? "" : "earlycon ",
			 vm->console ? "hvc0" : "ttyS0",
			 *vm->opt->append ? " " : "", vm->opt->append);

	return n < 0 || (size_t)n >= len ? NULL : buf;
}

static int fdt_chosen(void *fdt, struct vm *vm, const char *args)
{
	char stdout_path[64];
	uint8_t seed[64];
	struct random r;
	int err = 0;

	snprintf(stdout_path, sizeof(stdout_path), "/serial@%llx", PVM_UART_BASE);
	err = err ?: fdt_begin_node(fdt, "chosen");
	err = err ?: fdt_property_string(fdt, "bootargs", args);
	err = err ?: fdt_property_string(fdt, "stdout-path", stdout_path);
	random_init(&r, vm->opt, RANDOM_FDT);
	if (!random_fill(&r, seed, sizeof(seed))) {
		err = err ?: fdt_property(fdt, "kaslr-seed", seed, sizeof(uint64_t));
		err = err ?: fdt_property(fdt, "rng-seed", seed + sizeof(uint64_t),
					  sizeof(seed) - sizeof(uint64_t));
	}
	if (vm->opt->initrd) {
		err = err ?: fdt_property_u64(fdt, "linux,initrd-start", vm->initrd.gpa);
		err = err ?: fdt_property_u64(fdt, "linux,initrd-end",
					     vm->initrd.gpa + vm->initrd.size);
	}
	return err ?: fdt_end_node(fdt);
}

static int fdt_memory(void *fdt, struct vm *vm)
{
	char name[32];
	int err = 0;

	snprintf(name, sizeof(name), "memory@%llx", PVM_RAM_BASE);
	err = err ?: fdt_begin_node(fdt, name);
	err = err ?: fdt_property_string(fdt, "device_type", "memory");
	err = err ?: PROP_CELLS(fdt, "reg", REG(PVM_RAM_BASE, vm->opt->mem));
	err = err ?: fdt_end_node(fdt);
	if (!vm->opt->pool)
		return err;

	/*
	 * The guest shares this pool with the host and bounces device buffers through
	 * it: the default one, 1 MiB for each GiB of RAM, is too small.
	 */
	err = err ?: fdt_begin_node(fdt, "reserved-memory");
	err = err ?: fdt_property_u32(fdt, "#address-cells", 2);
	err = err ?: fdt_property_u32(fdt, "#size-cells", 2);
	err = err ?: fdt_property(fdt, "ranges", NULL, 0);
	snprintf(name, sizeof(name), "dma-pool@%llx", (unsigned long long)vm->pool_start);
	err = err ?: fdt_begin_node(fdt, name);
	err = err ?: fdt_property_string(fdt, "compatible", "restricted-dma-pool");
	err = err ?: PROP_CELLS(fdt, "reg", REG(vm->pool_start, vm->opt->pool));
	err = err ?: fdt_property_u32(fdt, "phandle", PHANDLE_POOL);
	err = err ?: fdt_end_node(fdt);
	return err ?: fdt_end_node(fdt);
}

static int fdt_cpus(void *fdt, struct vm *vm)
{
	char name[32];
	int err = 0;

	err = err ?: fdt_begin_node(fdt, "cpus");
	err = err ?: fdt_property_u32(fdt, "#address-cells", 1);
	err = err ?: fdt_property_u32(fdt, "#size-cells", 0);
	for (unsigned int i = 0; i < vm->opt->cpus; i++) {
		snprintf(name, sizeof(name), "cpu@%x", i);
		err = err ?: fdt_begin_node(fdt, name);
		err = err ?: fdt_property_string(fdt, "device_type", "cpu");
		err = err ?: fdt_property_string(fdt, "compatible", "arm,armv8");
		err = err ?: fdt_property_string(fdt, "enable-method", "psci");
		/* MPIDR as KVM gives it: Aff0 counts to 16 first. */
		err = err ?: fdt_property_u32(fdt, "reg", i);
		err = err ?: fdt_end_node(fdt);
	}
	err = err ?: fdt_end_node(fdt);

	err = err ?: fdt_begin_node(fdt, "psci");
	err = err ?: fdt_property(fdt, "compatible", "arm,psci-1.0\0arm,psci-0.2",
				  sizeof("arm,psci-1.0\0arm,psci-0.2"));
	err = err ?: fdt_property_string(fdt, "method", "hvc");
	err = err ?: fdt_end_node(fdt);

	err = err ?: fdt_begin_node(fdt, "timer");
	err = err ?: fdt_property_string(fdt, "compatible", "arm,armv8-timer");
	err = err ?: PROP_CELLS(fdt, "interrupts",
				GIC_PPI, 13, IRQ_LEVEL_LOW, GIC_PPI, 14, IRQ_LEVEL_LOW,
				GIC_PPI, 11, IRQ_LEVEL_LOW, GIC_PPI, 10, IRQ_LEVEL_LOW);
	err = err ?: fdt_property(fdt, "always-on", NULL, 0);
	return err ?: fdt_end_node(fdt);
}

static int fdt_devices(void *fdt, struct vm *vm)
{
	char name[32];
	int err = 0;

	snprintf(name, sizeof(name), "interrupt-controller@%llx", PVM_GICD_BASE);
	err = err ?: fdt_begin_node(fdt, name);
	err = err ?: fdt_property_string(fdt, "compatible", "arm,gic-v3");
	err = err ?: fdt_property_u32(fdt, "#interrupt-cells", 3);
	err = err ?: fdt_property(fdt, "interrupt-controller", NULL, 0);
	err = err ?: PROP_CELLS(fdt, "reg", REG(PVM_GICD_BASE, PVM_GICD_SIZE),
				REG(PVM_GICR_BASE, PVM_GICR_SIZE * vm->opt->cpus));
	err = err ?: fdt_property_u32(fdt, "phandle", PHANDLE_GIC);
	err = err ?: fdt_end_node(fdt);

	snprintf(name, sizeof(name), "serial@%llx", PVM_UART_BASE);
	err = err ?: fdt_begin_node(fdt, name);
	err = err ?: fdt_property_string(fdt, "compatible", "ns16550a");
	err = err ?: PROP_CELLS(fdt, "reg", REG(PVM_UART_BASE, PVM_UART_SIZE));
	err = err ?: PROP_CELLS(fdt, "interrupts", GIC_SPI, PVM_UART_IRQ, IRQ_LEVEL_HIGH);
	err = err ?: fdt_property_u32(fdt, "clock-frequency", 1843200);
	return err ?: fdt_end_node(fdt);
}

/* Its driver wants a clock to switch on, and need not ask the device for its number. */
static int fdt_rtc(void *fdt)
{
	char name[32];
	int err = 0;

	err = err ?: fdt_begin_node(fdt, "clock");
	err = err ?: fdt_property_string(fdt, "compatible", "fixed-clock");
	err = err ?: fdt_property_u32(fdt, "#clock-cells", 0);
	err = err ?: fdt_property_u32(fdt, "clock-frequency", 24000000);
	err = err ?: fdt_property_u32(fdt, "phandle", PHANDLE_CLOCK);
	err = err ?: fdt_end_node(fdt);

	snprintf(name, sizeof(name), "rtc@%llx", PVM_RTC_BASE);
	err = err ?: fdt_begin_node(fdt, name);
	err = err ?: fdt_property(fdt, "compatible", "arm,pl031\0arm,primecell",
				  sizeof("arm,pl031\0arm,primecell"));
	err = err ?: fdt_property_u32(fdt, "arm,primecell-periphid", 0x00041031);
	err = err ?: PROP_CELLS(fdt, "reg", REG(PVM_RTC_BASE, PVM_RTC_SIZE));
	err = err ?: fdt_property_u32(fdt, "clocks", PHANDLE_CLOCK);
	err = err ?: fdt_property_string(fdt, "clock-names", "apb_pclk");
	return err ?: fdt_end_node(fdt);
}

static int fdt_virtio(void *fdt, struct vm *vm)
{
	char name[32];
	int err = 0;

	for (unsigned int i = 0; i < vm->nr_virtio && !err; i++) {
		struct virtio_dev *dev = vm->virtio[i];

		snprintf(name, sizeof(name), "virtio@%llx", (unsigned long long)dev->base);
		err = err ?: fdt_begin_node(fdt, name);
		err = err ?: fdt_property_string(fdt, "compatible", "virtio,mmio");
		err = err ?: PROP_CELLS(fdt, "reg", REG(dev->base, PVM_VIRTIO_SIZE));
		err = err ?: PROP_CELLS(fdt, "interrupts", GIC_SPI, dev->spi, IRQ_LEVEL_HIGH);
		err = err ?: fdt_property(fdt, "dma-coherent", NULL, 0);
		if (vm->opt->pool)
			err = err ?: fdt_property_u32(fdt, "memory-region", PHANDLE_POOL);
		err = err ?: fdt_end_node(fdt);
	}
	return err;
}

/* Reported; PVM_EXIT_*. */
int fdt_load(struct vm *vm)
{
	char args[COMMAND_LINE];
	void *fdt;
	int err = 0, ret = PVM_EXIT_FAIL;

	if (!bootargs(vm, args, sizeof(args))) {
		say("--append: the command line is longer than %d characters", COMMAND_LINE - 1);
		return PVM_EXIT_USAGE;
	}

	fdt = calloc(1, FDT_SIZE);
	if (!fdt) {
		say("no memory for the device tree");
		return PVM_EXIT_FAIL;
	}

	err = err ?: fdt_create(fdt, FDT_SIZE);
	err = err ?: fdt_finish_reservemap(fdt);
	err = err ?: fdt_begin_node(fdt, "");
	err = err ?: fdt_property_string(fdt, "compatible", "linux,pvm");
	err = err ?: fdt_property_string(fdt, "model", "pvm");
	err = err ?: fdt_property_u32(fdt, "#address-cells", 2);
	err = err ?: fdt_property_u32(fdt, "#size-cells", 2);
	err = err ?: fdt_property_u32(fdt, "interrupt-parent", PHANDLE_GIC);
	err = err ?: fdt_chosen(fdt, vm, args);
	err = err ?: fdt_memory(fdt, vm);
	err = err ?: fdt_cpus(fdt, vm);
	err = err ?: fdt_devices(fdt, vm);
	err = err ?: fdt_rtc(fdt);
	err = err ?: fdt_virtio(fdt, vm);
	err = err ?: fdt_end_node(fdt);
	err = err ?: fdt_finish(fdt);
	if (err) {
		say("cannot make the device tree: %s", fdt_strerror(err));
	} else {
		err = memory_write(vm, vm->dtb_start, fdt, fdt_totalsize(fdt));
		if (err)
			say("cannot write the device tree: %s", strerror(-err));
		else
			ret = 0;
	}
	free(fdt);
	return ret;
}
