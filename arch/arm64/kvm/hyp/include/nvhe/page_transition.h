/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PAGE_TRANSITION_H__
#define __ARM64_KVM_NVHE_PAGE_TRANSITION_H__

/*
 * The rules of page ownership between the host and a protected guest, as a pure
 * function: no locks, no page tables. EL2 asks before it changes anything, and the
 * host-side tests compile the same file.
 */

#include <linux/types.h>
#include <nvhe/memory.h>

enum pkvm_transition {
	PKVM_HOST_DONATE_GUEST,
	PKVM_GUEST_SHARE_HOST,
	PKVM_GUEST_UNSHARE_HOST,
	PKVM_GUEST_RELINQUISH,		/* the guest gives the page up */
	PKVM_GUEST_GUARD,		/* the guest wants a device there, and never a page */
	PKVM_HOST_RECLAIM_GUEST,	/* the VM lives: the guest's entry is poisoned */
	PKVM_HOST_RECLAIM_DYING_GUEST,	/* the VM is being torn down */
	PKVM_HOST_FAIL_GUEST,		/* memory failure: the page is nobody's any more */
	PKVM_NR_TRANSITIONS,
};

/**
 * struct pkvm_page_states - one page, as two components see it
 * @host: the host's state of the physical page
 * @guest: the guest's state of the entry that maps it, or would
 */
struct pkvm_page_states {
	enum pkvm_page_state host;
	enum pkvm_page_state guest;
};

/**
 * struct pkvm_page_outcome - what a transition leads to
 * @states: the states afterwards
 * @scrub: the content must be zeroed before the host gets the page
 * @keep: EL2 keeps the page, for good
 */
struct pkvm_page_outcome {
	struct pkvm_page_states states;
	bool scrub;
	bool keep;
};

int pkvm_transition_check(enum pkvm_transition transition,
			  const struct pkvm_page_states *from,
			  struct pkvm_page_outcome *to);

#endif /* __ARM64_KVM_NVHE_PAGE_TRANSITION_H__ */
