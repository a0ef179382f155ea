// SPDX-License-Identifier: GPL-2.0-only
/*
 * EL2's rules of page ownership (hyp/nvhe/page_transition.c), every combination of
 * transition, host state and guest state, against a table that was written down from the
 * contract and not from the code: what is not in the table must be refused.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <linux/array_size.h>

#include <nvhe/page_transition.h>

static const char *const transition_names[] = {
	"host donate guest", "guest share host", "guest unshare host", "guest relinquish",
	"guest guard", "host reclaim guest", "host reclaim dying guest", "host fail guest",
};

static const char *const state_names[] = {
	"OWNED", "SHARED_OWNED", "SHARED_BORROWED", "NOPAGE", "POISON", "GUARDED",
};

#define NR_STATES	6

static const struct rule {
	enum pkvm_transition transition;
	struct pkvm_page_states from, to;
	bool scrub, keep;
} rules[] = {
	{ PKVM_HOST_DONATE_GUEST, { PKVM_PAGE_OWNED, PKVM_NOPAGE },
	  { PKVM_NOPAGE, PKVM_PAGE_OWNED } },
	{ PKVM_GUEST_SHARE_HOST, { PKVM_NOPAGE, PKVM_PAGE_OWNED },
	  { PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED } },
	{ PKVM_GUEST_UNSHARE_HOST, { PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED },
	  { PKVM_NOPAGE, PKVM_PAGE_OWNED } },
	{ PKVM_GUEST_RELINQUISH, { PKVM_NOPAGE, PKVM_PAGE_OWNED },
	  { PKVM_PAGE_OWNED, PKVM_NOPAGE }, .scrub = true },
	{ PKVM_GUEST_GUARD, { PKVM_PAGE_OWNED, PKVM_NOPAGE },
	  { PKVM_PAGE_OWNED, PKVM_GUARDED } },
	{ PKVM_GUEST_GUARD, { PKVM_PAGE_OWNED, PKVM_GUARDED },
	  { PKVM_PAGE_OWNED, PKVM_GUARDED } },
	{ PKVM_HOST_RECLAIM_GUEST, { PKVM_NOPAGE, PKVM_PAGE_OWNED },
	  { PKVM_PAGE_OWNED, PKVM_POISON }, .scrub = true },
	{ PKVM_HOST_RECLAIM_GUEST, { PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED },
	  { PKVM_PAGE_OWNED, PKVM_POISON } },
	{ PKVM_HOST_RECLAIM_DYING_GUEST, { PKVM_NOPAGE, PKVM_PAGE_OWNED },
	  { PKVM_PAGE_OWNED, PKVM_NOPAGE }, .scrub = true },
	{ PKVM_HOST_RECLAIM_DYING_GUEST, { PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED },
	  { PKVM_PAGE_OWNED, PKVM_NOPAGE } },
	{ PKVM_HOST_FAIL_GUEST, { PKVM_NOPAGE, PKVM_PAGE_OWNED },
	  { PKVM_NOPAGE, PKVM_POISON }, .keep = true },
	{ PKVM_HOST_FAIL_GUEST, { PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED },
	  { PKVM_NOPAGE, PKVM_POISON }, .keep = true },
};

static unsigned int checks, failed;

static const struct rule *find_rule(enum pkvm_transition transition,
				    const struct pkvm_page_states *from)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(rules); i++) {
		if (rules[i].transition == transition && rules[i].from.host == from->host &&
		    rules[i].from.guest == from->guest)
			return &rules[i];
	}
	return NULL;
}

static bool outcome_is(const struct pkvm_page_outcome *got, const struct rule *rule)
{
	return got->states.host == rule->to.host && got->states.guest == rule->to.guest &&
	       got->scrub == rule->scrub && got->keep == rule->keep;
}

static void check(enum pkvm_transition transition, struct pkvm_page_states from)
{
	const struct rule *rule = find_rule(transition, &from);
	struct pkvm_page_outcome got, untouched;
	int ret;

	memset(&got, 0x5a, sizeof(got));
	untouched = got;
	ret = pkvm_transition_check(transition, &from, &got);

	checks++;
	if (rule ? !ret && outcome_is(&got, rule) :
		   ret < 0 && !memcmp(&got, &untouched, sizeof(got)))
		return;

	failed++;
	printf("%s from %s/%s: returned %d, %s\n", transition_names[transition],
	       state_names[from.host], state_names[from.guest], ret,
	       rule ? "must be allowed with the outcome of the table" :
		      "must be refused with nothing changed");
}

/* The errno tells the caller what to do next: map the page, pass it over, give up. */
static void check_errno(enum pkvm_transition transition, enum pkvm_page_state host,
			enum pkvm_page_state guest, int want)
{
	struct pkvm_page_states from = { host, guest };
	struct pkvm_page_outcome got;
	int ret = pkvm_transition_check(transition, &from, &got);

	checks++;
	if (ret == want)
		return;
	failed++;
	printf("%s from %s/%s: returned %d, not %d\n", transition_names[transition],
	       state_names[host], state_names[guest], ret, want);
}

/* The same matrix as the self-test at EL2 runs: here on two pages without tables. */

static struct pkvm_page_states pages[2];

static int matrix_apply(enum pkvm_transition t, unsigned int first, unsigned int nr)
{
	struct pkvm_page_outcome to[2];
	int ret = 0;

	for (unsigned int p = first; !ret && p < first + nr; p++)
		ret = pkvm_transition_check(t, &pages[p], &to[p]);
	for (unsigned int p = first; !ret && p < first + nr; p++)
		pages[p] = to[p].states;
	return ret;
}

static void matrix_look(unsigned int page, struct pkvm_page_states *states)
{
	*states = pages[page];
}

static void matrix_reset(void)
{
	for (unsigned int p = 0; p < 2; p++)
		pages[p] = (struct pkvm_page_states) { PKVM_PAGE_OWNED, PKVM_NOPAGE };
}

#define MATRIX_CHECK(ok) do {					\
	if (!(ok) && failed++ < 20)				\
		printf("matrix: %s (line %d)\n", #ok, __LINE__);	\
} while (0)

#include <nvhe/page_matrix.h>

/* Legal or not: every pair of states, against the second statement of the rules. */
static void check_against_rules(enum pkvm_transition t, struct pkvm_page_states from)
{
	struct pkvm_page_outcome got = {}, want = {};
	int ret = pkvm_transition_check(t, &from, &got);

	checks += 5;
	/* SHARED_BORROWED is no state of a guest's: any refusal will do. */
	if (from.guest == PKVM_PAGE_SHARED_BORROWED ? ret < 0 :
	    ret == pkvm_page_rule(t, &from, &want) && got.scrub == want.scrub &&
	    got.keep == want.keep && got.states.host == want.states.host &&
	    got.states.guest == want.states.guest)
		return;
	failed++;
	printf("%s from %s/%s: returned %d, not as page_rules.h says\n", transition_names[t],
	       state_names[from.host], state_names[from.guest], ret);
}

int main(void)
{
	for (unsigned int t = 0; t < PKVM_NR_TRANSITIONS; t++) {
		for (unsigned int host = 0; host < NR_STATES; host++) {
			for (unsigned int guest = 0; guest < NR_STATES; guest++) {
				check(t, (struct pkvm_page_states) { host, guest });
				check_against_rules(t, (struct pkvm_page_states) { host, guest });
			}
		}
		check_errno(t, PKVM_PAGE_OWNED, PKVM_POISON, -EHWPOISON);
		if (t != PKVM_HOST_DONATE_GUEST && t != PKVM_GUEST_GUARD)
			check_errno(t, PKVM_PAGE_OWNED, PKVM_NOPAGE, -ENOENT);
		if (t != PKVM_GUEST_GUARD)
			check_errno(t, PKVM_PAGE_OWNED, PKVM_GUARDED, -EACCES);
	}
	check_errno(PKVM_HOST_DONATE_GUEST, PKVM_NOPAGE, PKVM_PAGE_OWNED, -EEXIST);
	check_errno(PKVM_HOST_DONATE_GUEST, PKVM_NOPAGE, PKVM_NOPAGE, -EPERM);
	check_errno(PKVM_GUEST_GUARD, PKVM_NOPAGE, PKVM_PAGE_OWNED, -EEXIST);
	check_errno(PKVM_GUEST_GUARD, PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED, -EEXIST);
	check_errno(PKVM_GUEST_SHARE_HOST, PKVM_NOPAGE, PKVM_PAGE_SHARED_OWNED, -EPERM);
	check_errno(PKVM_GUEST_UNSHARE_HOST, PKVM_NOPAGE, PKVM_PAGE_OWNED, -EPERM);
	check_errno(PKVM_GUEST_RELINQUISH, PKVM_PAGE_SHARED_BORROWED, PKVM_PAGE_SHARED_OWNED,
		    -EPERM);
	check_errno(PKVM_NR_TRANSITIONS, PKVM_NOPAGE, PKVM_PAGE_OWNED, -EINVAL);

	checks += pkvm_page_matrix(0, PKVM_NR_TRANSITIONS - 1);

	printf("%u checks, %u failed\n", checks, failed);
	return failed ? 1 : 0;
}
