// SPDX-License-Identifier: GPL-2.0-only
/*
 * The ioctls of guest_memfd's per-page attributes, and of the VM and the slots that they need.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <linux/falloc.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include "guest_memfd_util.h"

int gmem_check_cap(int fd, unsigned long cap)
{
	return gmem_ret(ioctl(fd, KVM_CHECK_EXTENSION, cap));
}

unsigned long gmem_private_vm_type(void)
{
#if defined(__aarch64__)
	return KVM_VM_TYPE_ARM_PROTECTED;
#elif defined(__x86_64__)
	return KVM_X86_SW_PROTECTED_VM;
#else
	return 0;
#endif
}

void gmem_require_private(void)
{
	int vm = gmem_vm_open(gmem_private_vm_type());

	__TEST_REQUIRE(vm >= 0, "no VM type with private memory here (%d)", vm);
	__TEST_REQUIRE(gmem_check_cap(vm, KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES) ==
		       GMEM_PRIVATE, "no KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES");
	close(vm);
}

int gmem_vm_open(unsigned long type)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC), fd;

	if (kvm < 0)
		return -errno;
	fd = gmem_ret(ioctl(kvm, KVM_CREATE_VM, type));
	close(kvm);
	return fd;
}

int gmem_create(int vm_fd, u64 size, u64 flags)
{
	struct kvm_create_guest_memfd arg = { .size = size, .flags = flags };

	return gmem_ret(ioctl(vm_fd, KVM_CREATE_GUEST_MEMFD, &arg));
}

/* @fd < 0: ordinary memory at @hva. */
int gmem_set_slot(int vm_fd, u32 slot, u64 gpa, u64 size, void *hva, int fd,
		  u64 offset)
{
	struct kvm_userspace_memory_region2 region = {
		.slot = slot,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (u64)hva,
	};

	if (fd >= 0) {
		region.flags = KVM_MEM_GUEST_MEMFD;
		region.guest_memfd = fd;
		region.guest_memfd_offset = offset;
	}

	return gmem_ret(ioctl(vm_fd, KVM_SET_USER_MEMORY_REGION2, &region));
}

int gmem_set_attr_err(int fd, u64 offset, u64 size, u64 attributes,
		      u64 *error_offset)
{
	struct kvm_memory_attributes2 arg = {
		.offset = offset,
		.size = size,
		.attributes = attributes,
		.error_offset = GMEM_NO_OFFSET,
	};
	int ret;

	ret = gmem_ret(ioctl(fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg));
	if (error_offset)
		*error_offset = arg.error_offset;
	return ret;
}

int gmem_set_attr(int fd, u64 offset, u64 size, u64 attributes)
{
	return gmem_set_attr_err(fd, offset, size, attributes, NULL);
}

int gmem_get_attr(int fd, u64 offset, u64 size,
		  struct kvm_memory_attributes2 *attr)
{
	memset(attr, 0, sizeof(*attr));
	attr->offset = offset;
	attr->size = size;
	return gmem_ret(ioctl(fd, KVM_GET_MEMORY_ATTRIBUTES2, attr));
}

u64 gmem_attr_of(int fd, u64 offset)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(fd, offset, getpagesize(), &attr);

	TEST_ASSERT(!ret, "GET_MEMORY_ATTRIBUTES2 of %#lx: %d",
		    (unsigned long)offset, ret);
	return attr.attributes;
}

u64 gmem_presence(int fd, u64 offset)
{
	struct kvm_memory_attributes2 attr;
	int ret = gmem_get_attr(fd, offset, getpagesize(), &attr);

	TEST_ASSERT(!ret, "GET_MEMORY_ATTRIBUTES2 of %#lx: %d",
		    (unsigned long)offset, ret);
	return attr.flags;
}

bool gmem_populated(int fd, u64 offset)
{
	return gmem_presence(fd, offset) & KVM_MEMORY_ATTRIBUTES2_POPULATED;
}

const char *gmem_presence_word(u64 flags)
{
	switch (flags) {
	case 0:
		return "hole";
	case KVM_MEMORY_ATTRIBUTES2_POPULATED:
		return "resident";
	case KVM_MEMORY_ATTRIBUTES2_GIVEN_UP:
		return "given-up";
	case GMEM_BAD:
		return "poisoned";
	}
	return NULL;
}

int gmem_punch(int fd, u64 offset, u64 size)
{
	return gmem_ret(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				   offset, size));
}

void *gmem_map(int fd, u64 size)
{
	void *mem = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	TEST_ASSERT(mem != MAP_FAILED, "mmap of a guest_memfd: errno %d", errno);
	return mem;
}

void gmem_file_create(struct gmem_file *f, int vm_fd, u64 size)
{
	f->fd = gmem_create(vm_fd, size, GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(f->fd >= 0, "guest_memfd of %#lx bytes: %d", (unsigned long)size, f->fd);
	f->mem = gmem_map(f->fd, size);
	f->size = size;
}

void gmem_file_close(struct gmem_file *f)
{
	munmap(f->mem, f->size);
	close(f->fd);
}
