/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Every transition on every pair of states that two neighbouring pages of a guest can be in,
 * for one page and for both, against page_rules.h. For code that has real page tables: the
 * boot-time self-test at EL2, and the same on the host (page_transition_test.c).
 *
 * Who includes this has defined before
 *
 *	int matrix_apply(enum pkvm_transition t, unsigned int first, unsigned int nr);
 *		does a transition on @nr pages from @first on, all or nothing, and returns its
 *		errno or 0. What a host does, and PKVM_GUEST_GUARD, is asked for with @nr 1 only; of a reclaim, which
 *		passes over what it may not take, any return value will do then
 *	void matrix_look(unsigned int page, struct pkvm_page_states *states);
 *		what the tables say of a page, the host's state and the guest's
 *	void matrix_reset(void);
 *		both pages are the host's again, and the guest has neither
 *	MATRIX_CHECK(condition)
 *		complains
 *
 * and calls pkvm_page_matrix(), which returns the number of assertions.
 */
#ifndef __ARM64_KVM_NVHE_PAGE_MATRIX_H__
#define __ARM64_KVM_NVHE_PAGE_MATRIX_H__

#include <nvhe/page_rules.h>

#define MATRIX_PAGES	2

/* How a page that the host owns gets into each state that there is. */
static const struct {
	unsigned int nr;
	enum pkvm_transition path[2];
} pkvm_matrix_states[] = {
	{ 0 },
	{ 1, { PKVM_HOST_DONATE_GUEST } },
	{ 2, { PKVM_HOST_DONATE_GUEST, PKVM_GUEST_SHARE_HOST } },
	{ 2, { PKVM_HOST_DONATE_GUEST, PKVM_HOST_RECLAIM_GUEST } },
	{ 1, { PKVM_GUEST_GUARD } },
};

#define MATRIX_STATES	ARRAY_SIZE(pkvm_matrix_states)

/* Page p in the state number s. */
static unsigned int pkvm_matrix_prepare(unsigned int p, unsigned int s)
{
	unsigned int i;

	for (i = 0; i < pkvm_matrix_states[s].nr; i++)
		MATRIX_CHECK(!matrix_apply(pkvm_matrix_states[s].path[i], p, 1));
	return i;
}

static bool pkvm_matrix_passes_over(enum pkvm_transition t)
{
	return t == PKVM_HOST_RECLAIM_GUEST || t == PKVM_HOST_RECLAIM_DYING_GUEST ||
	       t == PKVM_HOST_FAIL_GUEST;
}

static unsigned int pkvm_matrix_try(enum pkvm_transition t, unsigned int first, unsigned int nr)
{
	struct pkvm_page_outcome to[MATRIX_PAGES];
	struct pkvm_page_states from, now;
	unsigned int p;
	int ret, want = 0;

	/* The first page that may not go decides; then none goes. */
	for (p = 0; p < MATRIX_PAGES; p++) {
		matrix_look(p, &from);
		to[p].states = from;
		if (p >= first && p < first + nr && !want)
			want = pkvm_page_rule(t, &from, &to[p]);
	}
	if (want) {
		for (p = 0; p < MATRIX_PAGES; p++)
			matrix_look(p, &to[p].states);
	}

	ret = matrix_apply(t, first, nr);
	MATRIX_CHECK(ret == want || (want && pkvm_matrix_passes_over(t)));
	for (p = 0; p < MATRIX_PAGES; p++) {
		matrix_look(p, &now);
		MATRIX_CHECK(now.host == to[p].states.host);
		MATRIX_CHECK(now.guest == to[p].states.guest);
	}
	return 1 + 2 * MATRIX_PAGES;
}

/*
 * Transitions @first_transition to @last_transition: what a living guest and its host may do
 * are all but PKVM_HOST_RECLAIM_DYING_GUEST, for which the VM must be dying, and
 * PKVM_HOST_FAIL_GUEST, from which a page does not come back.
 */
static unsigned int pkvm_page_matrix(enum pkvm_transition first_transition,
				     enum pkvm_transition last_transition)
{
	unsigned int t, a, b, range, ranges, nr = 0;

	for (t = first_transition; t <= (unsigned int)last_transition; t++) {
		ranges = t == PKVM_HOST_DONATE_GUEST || t == PKVM_GUEST_GUARD ||
			 pkvm_matrix_passes_over(t) ? 2 : 3;
		for (a = 0; a < MATRIX_STATES; a++) {
			for (b = 0; b < MATRIX_STATES; b++) {
				for (range = 0; range < ranges; range++) {
					matrix_reset();
					nr += pkvm_matrix_prepare(0, a);
					nr += pkvm_matrix_prepare(1, b);
					/* Page 0, page 1, both. */
					nr += pkvm_matrix_try(t, range % 2, 1 + range / 2);
				}
			}
		}
	}
	matrix_reset();
	return nr;
}

#endif /* __ARM64_KVM_NVHE_PAGE_MATRIX_H__ */
