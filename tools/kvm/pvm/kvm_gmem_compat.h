/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Stands in for <linux/kvm_gmem.h> where the kernel headers do not bring it yet.
 * To be deleted once <linux/kvm.h> includes it everywhere that pvm is built.
 */
#ifndef PVM_KVM_GMEM_COMPAT_H
#define PVM_KVM_GMEM_COMPAT_H

#include <linux/kvm.h>

#ifndef KVM_SET_MEMORY_ATTRIBUTES2
#define KVM_CAP_GUEST_MEMFD_MEMORY_ATTRIBUTES 252

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

#define KVM_MEMORY_ATTRIBUTES2_POPULATED	(1ULL << 0)
#define KVM_SET_MEMORY_ATTRIBUTES2	_IOWR(KVMIO, 0xd2, struct kvm_memory_attributes2)
#define KVM_GET_MEMORY_ATTRIBUTES2	_IOWR(KVMIO, 0xd6, struct kvm_memory_attributes2)
#endif

#endif
