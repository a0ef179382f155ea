// SPDX-License-Identifier: GPL-2.0-only
/*
 * Who may do what to a page of a protected guest: see page_transition.h.
 *
 *                     guest NOPAGE   OWNED            SHARED_OWNED    POISON       GUARDED
 *  host donate guest  OWNED          -EEXIST          -EEXIST         -EHWPOISON   -EACCES
 *  guest share host   -ENOENT        SHARED_OWNED     -EPERM          -EHWPOISON   -EACCES
 *  guest unshare host -ENOENT        -EPERM           OWNED           -EHWPOISON   -EACCES
 *  guest relinquish   -ENOENT        NOPAGE, scrub    -EPERM          -EHWPOISON   -EACCES
 *  guest guard        GUARDED        -EEXIST          -EEXIST         -EHWPOISON   GUARDED
 *  host reclaim       -ENOENT        POISON, scrub    POISON          -EHWPOISON   -EACCES
 *  ... dying guest    -ENOENT        NOPAGE, scrub    NOPAGE          -EHWPOISON   -EACCES
 *  host fail guest    -ENOENT        POISON, keep     POISON, keep    -EHWPOISON   -EACCES
 *
 * The host's state must be the counterpart of the guest's, else -EPERM: a mismatch is
 * a bug or an attack, and nothing is done on top of it.
 */
#include <linux/errno.h>

#include <nvhe/page_transition.h>

/* What the host must see of a page while the guest sees this. */
static enum pkvm_page_state host_counterpart(enum pkvm_page_state guest)
{
	switch (guest) {
	case PKVM_NOPAGE:
	case PKVM_GUARDED:
		return PKVM_PAGE_OWNED;
	case PKVM_PAGE_SHARED_OWNED:
		return PKVM_PAGE_SHARED_BORROWED;
	default:
		return PKVM_NOPAGE;
	}
}

static enum pkvm_page_state guest_after(enum pkvm_transition transition)
{
	switch (transition) {
	case PKVM_HOST_DONATE_GUEST:
	case PKVM_GUEST_UNSHARE_HOST:
		return PKVM_PAGE_OWNED;
	case PKVM_GUEST_SHARE_HOST:
		return PKVM_PAGE_SHARED_OWNED;
	case PKVM_GUEST_GUARD:
		return PKVM_GUARDED;
	case PKVM_GUEST_RELINQUISH:
	case PKVM_HOST_RECLAIM_DYING_GUEST:
		return PKVM_NOPAGE;
	default:
		return PKVM_POISON;
	}
}

static int check_guest(enum pkvm_transition transition, enum pkvm_page_state guest)
{
	bool mapped = guest == PKVM_PAGE_OWNED || guest == PKVM_PAGE_SHARED_OWNED;

	if (guest == PKVM_POISON)
		return -EHWPOISON;
	if (guest == PKVM_GUARDED)
		return transition == PKVM_GUEST_GUARD ? 0 : -EACCES;
	if (guest != PKVM_NOPAGE && !mapped)
		return -EPERM;

	switch (transition) {
	case PKVM_HOST_DONATE_GUEST:
	case PKVM_GUEST_GUARD:
		return mapped ? -EEXIST : 0;
	case PKVM_GUEST_SHARE_HOST:
	case PKVM_GUEST_RELINQUISH:
		if (!mapped)
			return -ENOENT;
		return guest == PKVM_PAGE_OWNED ? 0 : -EPERM;
	case PKVM_GUEST_UNSHARE_HOST:
		if (!mapped)
			return -ENOENT;
		return guest == PKVM_PAGE_SHARED_OWNED ? 0 : -EPERM;
	case PKVM_HOST_RECLAIM_GUEST:
	case PKVM_HOST_RECLAIM_DYING_GUEST:
	case PKVM_HOST_FAIL_GUEST:
		return mapped ? 0 : -ENOENT;
	default:
		return -EINVAL;
	}
}

/**
 * pkvm_transition_check() - is a transition allowed, and what does it lead to?
 * @transition: what is to be done
 * @from: the page's states now
 * @to: filled in when it is allowed, else untouched
 *
 * Return: 0; -ENOENT if the guest has no page there, -EEXIST if it has one already,
 * -EHWPOISON if its entry is poisoned, -EACCES if it is guarded, -EPERM for any other
 * wrong state, -EINVAL for an unknown @transition.
 */
int pkvm_transition_check(enum pkvm_transition transition,
			  const struct pkvm_page_states *from,
			  struct pkvm_page_outcome *to)
{
	int ret = check_guest(transition, from->guest);

	if (ret)
		return ret;
	if (from->host != host_counterpart(from->guest))
		return -EPERM;

	to->states.guest = guest_after(transition);
	to->states.host = to->states.guest == PKVM_POISON ?
			  PKVM_PAGE_OWNED : host_counterpart(to->states.guest);
	to->keep = transition == PKVM_HOST_FAIL_GUEST;
	if (to->keep)
		to->states.host = PKVM_NOPAGE;

	/* What the guest had shared the host has seen; anything else it must not see. */
	to->scrub = from->guest == PKVM_PAGE_OWNED &&
		    (transition == PKVM_GUEST_RELINQUISH ||
		     transition == PKVM_HOST_RECLAIM_GUEST ||
		     transition == PKVM_HOST_RECLAIM_DYING_GUEST);
	return 0;
}
