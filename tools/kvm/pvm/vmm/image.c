// SPDX-License-Identifier: GPL-2.0-only
/*
 * Loads the kernel and the initrd into guest memory, as Documentation/arch/arm64/
 * booting.rst asks.
 *
 * Layout, upwards from PVM_RAM_BASE: the Image (as long as its header says), the
 * initrd, the device tree; the DMA pool at the end of RAM.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/exit_codes.h"
#include "common/layout.h"
#include "common/say.h"
#include "vmm/image.h"
#include "vmm/memory.h"
#include "vmm/options.h"
#include "vmm/vm.h"

#define IMAGE_MAGIC	0x644d5241	/* "ARM\x64" */
#define IMAGE_ALIGN	(2ULL << 20)
#define LOAD_ALIGN	(64ULL << 10)
#define DTB_ROOM	(64ULL << 10)

static uint64_t mib_up(uint64_t bytes)
{
	return (bytes + (1 << 20) - 1) >> 20;
}

struct image_header {
	uint32_t code[2];
	uint64_t text_offset;
	uint64_t image_size;
	uint64_t flags;
	uint64_t res[3];
	uint32_t magic;
	uint32_t pe;
};

static uint64_t align_up(uint64_t val, uint64_t to)
{
	return (val + to - 1) & ~(to - 1);
}

static int open_file(const char *option, const char *path, struct image_file *file)
{
	struct stat st;

	file->path = path;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (file->fd < 0) {
		say("%s: %s: %s", option, path, strerror(errno));
		return PVM_EXIT_USAGE;
	}
	if (fstat(file->fd, &st) || !S_ISREG(st.st_mode)) {
		say("%s: %s is not a regular file", option, path);
		return PVM_EXIT_USAGE;
	}
	file->size = st.st_size;
	return 0;
}

static int load(struct vm *vm, const char *option, const struct image_file *file)
{
	int ret = 0;

	if (file->fd < 0)
		return 0;
	if (lseek(file->fd, 0, SEEK_SET))
		ret = -errno;
	ret = ret ?: memory_load(vm, file->gpa, file->fd, file->size);
	if (!ret)
		return 0;
	if (ret == -ENODATA) {
		say("%s: %s has become shorter while it was read", option, file->path);
		return PVM_EXIT_USAGE;
	}
	if (ret == -ENOMEM || ret == -EFAULT)
		say("%s: no memory on the host for %s (%s)", option, file->path, strerror(-ret));
	else
		say("%s: cannot read %s: %s", option, file->path, strerror(-ret));
	return PVM_EXIT_FAIL;
}

static int check_header(const char *path, int fd, uint64_t size,
			struct image_header *h)
{
	unsigned char *raw = (unsigned char *)h;
	ssize_t n = pread(fd, h, sizeof(*h), 0);

	if (n < 0) {
		say("--kernel: cannot read %s: %s", path, strerror(errno));
		return PVM_EXIT_USAGE;
	}
	if (n >= 2 && raw[0] == 0x1f && raw[1] == 0x8b) {
		say("--kernel: %s is compressed with gzip: unpack it first (gunzip)", path);
		return PVM_EXIT_USAGE;
	}
	if (n < (ssize_t)sizeof(*h)) {
		say("--kernel: %s is truncated: %zd bytes are not even an arm64 Image's header",
		    path, n);
		return PVM_EXIT_USAGE;
	}
	if (n >= 4 && !memcmp(raw, "\177ELF", 4)) {
		say("--kernel: %s is an ELF file: use arch/arm64/boot/Image, not vmlinux", path);
		return PVM_EXIT_USAGE;
	}
	if (h->magic != IMAGE_MAGIC) {
		say("--kernel: %s is not an arm64 Image (no magic number in its header)", path);
		return PVM_EXIT_USAGE;
	}
	if (!h->image_size) {
		say("--kernel: %s is an Image from before Linux 3.17: use a later one", path);
		return PVM_EXIT_USAGE;
	}
	if (h->flags & 1) {
		say("--kernel: %s is a big-endian kernel: use a little-endian one", path);
		return PVM_EXIT_USAGE;
	}
	if (h->text_offset >= IMAGE_ALIGN || h->image_size > PVM_MAX_MEM) {
		say("--kernel: %s has a damaged header", path);
		return PVM_EXIT_USAGE;
	}
	if (size > h->image_size) {
		say("--kernel: %s is longer than its header says: damaged?", path);
		return PVM_EXIT_USAGE;
	}
	return 0;
}

/*
 * How long the file must be. The header only says how much memory the kernel takes with
 * its .bss; but if there is a PE header (CONFIG_EFI), then the file ends where its
 * sections end. 0 if there is none.
 */
static uint64_t pe_file_size(int fd, const struct image_header *h)
{
	struct {
		uint32_t magic;
		uint16_t machine, sections;
		uint32_t time, symtab, symbols;
		uint16_t optional, flags;
	} __attribute__((packed)) pe;
	struct {
		char name[8];
		uint32_t vsize, vaddr, raw_size, raw_off, rest[4];
	} __attribute__((packed)) section;
	uint64_t end = 0;
	off_t off = h->pe;

	if (!h->pe || pread(fd, &pe, sizeof(pe), off) != (ssize_t)sizeof(pe) ||
	    pe.magic != 0x4550)
		return 0;

	off += sizeof(pe) + pe.optional;
	for (unsigned int i = 0; i < pe.sections; i++, off += sizeof(section)) {
		if (pread(fd, &section, sizeof(section), off) != (ssize_t)sizeof(section))
			return 0;
		if ((uint64_t)section.raw_off + section.raw_size > end)
			end = (uint64_t)section.raw_off + section.raw_size;
	}
	return end;
}

static int check_length(const struct image_file *file, const struct image_header *h)
{
	uint64_t full = pe_file_size(file->fd, h);

	/* Without a PE header we can only judge: with KASAN a good half is .bss, but not more. */
	if (file->size < (full ? full : h->image_size / 5 * 2)) {
		say("--kernel: %s is truncated: it has %llu bytes of %s%llu", file->path,
		    (unsigned long long)file->size, full ? "" : "about ",
		    (unsigned long long)(full ? full : h->image_size));
		return PVM_EXIT_USAGE;
	}
	if (!full && file->size < h->image_size / 8 * 7)
		say("--kernel: %s is shorter than the %llu bytes of memory that it asks for: if the guest stays silent, the file may be truncated",
		    file->path, (unsigned long long)h->image_size);
	return 0;
}

static int open_kernel(struct vm *vm)
{
	struct image_file *file = &vm->kernel;
	struct image_header h;
	int ret;

	ret = open_file("--kernel", vm->opt->kernel, file);
	ret = ret ?: check_header(file->path, file->fd, file->size, &h);
	ret = ret ?: check_length(file, &h);
	if (ret)
		return ret;

	file->gpa = PVM_RAM_BASE + h.text_offset;
	vm->kernel_end = file->gpa + h.image_size;
	if (vm->kernel_end > vm->pool_start) {
		say("--mem: the kernel alone needs %llu MiB, and --pool %llu MiB: give more memory",
		    (unsigned long long)mib_up(h.text_offset + h.image_size),
		    (unsigned long long)mib_up(vm->opt->pool));
		return PVM_EXIT_USAGE;
	}
	return 0;
}

static int open_initrd(struct vm *vm)
{
	struct image_file *file = &vm->initrd;
	int ret;

	file->gpa = align_up(vm->kernel_end, LOAD_ALIGN);
	if (!vm->opt->initrd)
		return 0;

	ret = open_file("--initrd", vm->opt->initrd, file);
	if (ret)
		return ret;
	if (!file->size) {
		say("--initrd: %s is empty", file->path);
		return PVM_EXIT_USAGE;
	}
	if (file->gpa > vm->pool_start || file->size > vm->pool_start - file->gpa) {
		say("--mem: kernel and initrd need more than %llu MiB, and --pool %llu MiB: give more memory",
		    (unsigned long long)mib_up(file->gpa - PVM_RAM_BASE + file->size),
		    (unsigned long long)mib_up(vm->opt->pool));
		return PVM_EXIT_USAGE;
	}
	return 0;
}

/*
 * Opens and checks the files, and decides where all goes. Needs no KVM, so that a bad
 * file is told before anything else. Reported; PVM_EXIT_*.
 */
int image_open(struct vm *vm)
{
	int ret;

	vm->pool_start = PVM_RAM_BASE + vm->opt->mem - vm->opt->pool;

	ret = open_kernel(vm) ?: open_initrd(vm);
	if (ret)
		return ret;

	vm->dtb_start = align_up(vm->initrd.gpa + vm->initrd.size, LOAD_ALIGN);
	if (vm->dtb_start + DTB_ROOM > vm->pool_start) {
		say("--mem: no room for the device tree behind kernel and initrd: give more memory");
		return PVM_EXIT_USAGE;
	}
	return 0;
}

/* Reported; PVM_EXIT_*. */
int image_load(struct vm *vm)
{
	return load(vm, "--kernel", &vm->kernel) ?: load(vm, "--initrd", &vm->initrd);
}

void image_close(struct vm *vm)
{
	if (vm->kernel.fd >= 0)
		close(vm->kernel.fd);
	if (vm->initrd.fd >= 0)
		close(vm->initrd.fd);
}
