/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
#ifndef _UAPI_LINUX_KVM_GMEM_H
#define _UAPI_LINUX_KVM_GMEM_H

/*
 * Per-page attributes of a guest_memfd: ioctls on the guest_memfd's own fd.
 * Included by <linux/kvm.h>; see Documentation/virt/kvm/guest_memfd.rst.
 */

#include <linux/ioctl.h>
#include <linux/types.h>

/*
 * The number is provisional (the uAPI is not upstream yet): this is the one place
 * that names it.
 */
#define KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES 252

/**
 * struct kvm_memory_attributes2 - a range of a guest_memfd and its attributes
 * @address: unused on a guest_memfd; shares its place with @offset
 * @offset: first byte of the range in the file, page aligned
 * @size: length in bytes, page aligned, not 0
 * @attributes: 0 (shared) or KVM_MEMORY_ATTRIBUTE_PRIVATE
 * @flags: 0 on input; KVM_MEMORY_ATTRIBUTES2_* on output of the GET ioctl
 * @error_offset: output: the first offset that stopped a SET
 * @reserved: must be 0
 */
struct kvm_memory_attributes2 {
	union {
		__u64 address;
		__u64 offset;
	};
	__u64 size;
	__u64 attributes;
	__u64 flags;
	__u64 error_offset;
	__u64 reserved[11];
};

/*
 * GET, each for every page of the run:
 * POPULATED: it is in memory; without it, none is.
 * GIVEN_UP: it is a hole that was made on purpose, by PUNCH_HOLE or by the guest's giving the
 *	     memory up. May also be set for one that was never touched, if the host once had no
 *	     memory to be exact.
 * POISONED: memory failure has struck it; comes with POPULATED, until PUNCH_HOLE.
 */
#define KVM_MEMORY_ATTRIBUTES2_POPULATED	(1ULL << 0)
#define KVM_MEMORY_ATTRIBUTES2_GIVEN_UP		(1ULL << 1)
#define KVM_MEMORY_ATTRIBUTES2_POISONED		(1ULL << 2)

/*
 * Set the attributes of [offset, offset + size): all of it or nothing.
 *
 * EINVAL: not page aligned, empty, beyond the file, wrapping, an unknown attribute,
 *	   nonzero flags or reserved, or a VM type without private memory.
 * ENOTTY: the file does not own its attributes (made without GUEST_MEMFD_FLAG_MMAP).
 * EAGAIN: to private, and somebody holds a reference to the page at error_offset.
 * EPERM:  to shared, and the page at error_offset belongs to a guest that has not
 *	   shared it.
 * ENOMEM: no memory to record the change.
 */
#define KVM_SET_MEMORY_ATTRIBUTES2	_IOWR(KVMIO, 0xd2, struct kvm_memory_attributes2)

/*
 * Read the run that begins at offset: size becomes the number of bytes, at most the
 * size given, that have the same attributes and flags.
 * Errors as above, except EAGAIN, EPERM and ENOMEM.
 */
#define KVM_GET_MEMORY_ATTRIBUTES2	_IOWR(KVMIO, 0xd6, struct kvm_memory_attributes2)

#endif /* _UAPI_LINUX_KVM_GMEM_H */
