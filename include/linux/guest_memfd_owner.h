/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_GUEST_MEMFD_OWNER_H
#define _LINUX_GUEST_MEMFD_OWNER_H

/*
 * The trusted side's word on a frame of a guest_memfd slot, for debug kernels that ask, and
 * what the host must believe then. Pure, so that the host-side tests compile it too.
 */

#include <linux/types.h>

enum kvm_gmem_owner {
	KVM_GMEM_OWNER_UNKNOWN,		/* there is nobody to ask */
	KVM_GMEM_OWNER_ABSENT,		/* the guest has nothing there */
	KVM_GMEM_OWNER_GUEST,		/* a page that is the guest's alone */
	KVM_GMEM_OWNER_SHARED,		/* a page of the guest's that the host may use */
	KVM_GMEM_OWNER_POISONED,	/* what was there has been destroyed */
	KVM_GMEM_OWNER_BROKEN,		/* its own books contradict each other */
	KVM_GMEM_NR_OWNERS,
};

/**
 * kvm_gmem_owner_disagrees() - does the host believe something else?
 * @owner: the trusted side's word
 * @private: the attribute
 * @populated: whether the file has a page there
 *
 * What a guest has is a page of the file's, and one that is the guest's alone is private.
 * The reverse need not hold: the host may have given up what the guest shares, and private
 * memory need not be the guest's yet.
 */
static inline bool kvm_gmem_owner_disagrees(enum kvm_gmem_owner owner, bool private,
					    bool populated)
{
	switch (owner) {
	case KVM_GMEM_OWNER_UNKNOWN:
	case KVM_GMEM_OWNER_ABSENT:
	case KVM_GMEM_OWNER_POISONED:
		return false;
	case KVM_GMEM_OWNER_GUEST:
		return !private || !populated;
	case KVM_GMEM_OWNER_SHARED:
		return !populated;
	default:
		return true;
	}
}

#endif /* _LINUX_GUEST_MEMFD_OWNER_H */
