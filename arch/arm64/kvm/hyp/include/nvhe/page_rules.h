/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The rules of page ownership, said a second time: written down from the contract (who may
 * do what to a page, and what it leads to), and not from hyp/nvhe/page_transition.c, so that
 * one can be held against the other. What is not in the table is refused.
 *
 * Nothing here needs more than <nvhe/page_transition.h>: the host-side tests compile it, and
 * so can a self-test at EL2.
 */
#ifndef __ARM64_KVM_NVHE_PAGE_RULES_H__
#define __ARM64_KVM_NVHE_PAGE_RULES_H__

#include <linux/array_size.h>
#include <linux/errno.h>

#include <nvhe/page_transition.h>

/* Allowed: from one pair of states to another, and what becomes of the content. */
struct pkvm_page_rule {
	enum pkvm_transition transition;
	struct pkvm_page_states from;
	struct pkvm_page_outcome to;
};

#define PAGE_RULE(t, host, guest, host_to, guest_to, ...)			\
	{ t, { host, guest }, { .states = { host_to, guest_to }, __VA_ARGS__ } }

static const struct pkvm_page_rule pkvm_page_rules[] = {
	/* The host gives a page that is all its own, where the guest has none. */
	PAGE_RULE(PKVM_HOST_DONATE_GUEST, PKVM_PAGE_OWNED, PKVM_NOPAGE,
		  PKVM_NOPAGE, PKVM_PAGE_OWNED),
	/* In place: the content stays, both ways. */
	PAGE_RULE(PKVM_GUEST_SHARE_HOST, PKVM_NOPAGE, PKVM_PAGE_OWNED,
		  PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED),
	PAGE_RULE(PKVM_GUEST_UNSHARE_HOST, PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED,
		  PKVM_NOPAGE, PKVM_PAGE_OWNED),
	/* Given up: scrubbed, and no poison. */
	PAGE_RULE(PKVM_GUEST_RELINQUISH, PKVM_NOPAGE, PKVM_PAGE_OWNED,
		  PKVM_PAGE_OWNED, PKVM_NOPAGE, .scrub = true),
	/* A device, where there is no page: said as often as the guest likes. */
	PAGE_RULE(PKVM_GUEST_GUARD, PKVM_PAGE_OWNED, PKVM_NOPAGE,
		  PKVM_PAGE_OWNED, PKVM_GUARDED),
	PAGE_RULE(PKVM_GUEST_GUARD, PKVM_PAGE_OWNED, PKVM_GUARDED,
		  PKVM_PAGE_OWNED, PKVM_GUARDED),
	/* Taken from a guest that lives: it notices. What was shared the host has seen. */
	PAGE_RULE(PKVM_HOST_RECLAIM_GUEST, PKVM_NOPAGE, PKVM_PAGE_OWNED,
		  PKVM_PAGE_OWNED, PKVM_POISON, .scrub = true),
	PAGE_RULE(PKVM_HOST_RECLAIM_GUEST, PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED,
		  PKVM_PAGE_OWNED, PKVM_POISON),
	/* Nobody is left to notice. */
	PAGE_RULE(PKVM_HOST_RECLAIM_DYING_GUEST, PKVM_NOPAGE, PKVM_PAGE_OWNED,
		  PKVM_PAGE_OWNED, PKVM_NOPAGE, .scrub = true),
	PAGE_RULE(PKVM_HOST_RECLAIM_DYING_GUEST, PKVM_PAGE_SHARED_BORROWED,
		  PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_OWNED, PKVM_NOPAGE),
	/* Bad memory is written by nobody, so it cannot be scrubbed, so it stays with EL2. */
	PAGE_RULE(PKVM_HOST_FAIL_GUEST, PKVM_NOPAGE, PKVM_PAGE_OWNED,
		  PKVM_NOPAGE, PKVM_POISON, .keep = true),
	PAGE_RULE(PKVM_HOST_FAIL_GUEST, PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED,
		  PKVM_NOPAGE, PKVM_POISON, .keep = true),
};

static inline bool pkvm_guest_has_page(enum pkvm_page_state guest)
{
	return guest == PKVM_PAGE_OWNED || guest == PKVM_PAGE_SHARED_OWNED;
}

/* Why not? What the caller does next depends on it. */
static inline int pkvm_page_rule_errno(enum pkvm_transition transition,
				       const struct pkvm_page_states *from)
{
	bool fills = transition == PKVM_HOST_DONATE_GUEST || transition == PKVM_GUEST_GUARD;

	if (from->guest == PKVM_POISON)
		return -EHWPOISON;
	if (from->guest == PKVM_GUARDED && transition != PKVM_GUEST_GUARD)
		return -EACCES;
	if (fills && pkvm_guest_has_page(from->guest))
		return -EEXIST;
	if (!fills && from->guest == PKVM_NOPAGE)
		return -ENOENT;
	return -EPERM;
}

/**
 * pkvm_page_rule() - what the contract says of a transition
 * @transition: one that exists
 * @from: any pair of states, legal or not
 * @to: filled in if it is allowed
 *
 * Return: 0 or the errno that the caller must see.
 */
static inline int pkvm_page_rule(enum pkvm_transition transition,
				 const struct pkvm_page_states *from,
				 struct pkvm_page_outcome *to)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(pkvm_page_rules); i++) {
		const struct pkvm_page_rule *rule = &pkvm_page_rules[i];

		if (rule->transition == transition && rule->from.host == from->host &&
		    rule->from.guest == from->guest) {
			*to = rule->to;
			return 0;
		}
	}

	return pkvm_page_rule_errno(transition, from);
}

#endif /* __ARM64_KVM_NVHE_PAGE_RULES_H__ */
