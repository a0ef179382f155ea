// SPDX-License-Identifier: GPL-2.0-only
/* What is true of every state of EL2, whatever a host does, by name. See pkvm_spec.h. */
#include <linux/string.h>

#include <nvhe/page_rules.h>
#include <nvhe/pkvm_spec.h>

/* How many guest entries point at each frame; those that own it alone first. */
static unsigned int nr_owned[SPEC_FRAMES], nr_shared[SPEC_FRAMES];

static void count_entries(const struct spec *s)
{
	memset(nr_owned, 0, sizeof(nr_owned));
	memset(nr_shared, 0, sizeof(nr_shared));
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < spec_gfns(s); i++) {
			const struct spec_entry *e = &s->guest[g].entry[i];

			if (e->pfn >= SPEC_FRAMES)
				continue;
			nr_owned[e->pfn] += e->state == PKVM_PAGE_OWNED;
			nr_shared[e->pfn] += e->state == PKVM_PAGE_SHARED_OWNED;
		}
	}
}

/*
 * The owner of a page is who has it as OWNED or SHARED_OWNED. A page that EL2 keeps is
 * EL2's. A page may be nobody's: a host that ends a VM without taking its pages back.
 */
static bool no_page_with_two_owners(const struct spec *s)
{
	for (uint16_t i = 0; i < spec_frames(s); i++) {
		const struct spec_frame *f = &s->frame[i];
		unsigned int owners = nr_owned[i] + nr_shared[i];

		owners += f->host == PKVM_PAGE_OWNED || f->host == PKVM_PAGE_SHARED_OWNED;
		owners += f->hyp == PKVM_PAGE_OWNED || f->bad;
		if (owners > 1)
			return false;
	}
	return true;
}

/* The host reaches what is its own, or what the owner shares. */
static bool host_entry_points_at_what_it_may(const struct spec *s)
{
	for (uint16_t i = 0; i < spec_frames(s); i++) {
		const struct spec_frame *f = &s->frame[i];

		if (f->host != PKVM_NOPAGE &&
		    (f->bad || f->hyp == PKVM_PAGE_OWNED || nr_owned[i]))
			return false;
	}
	return true;
}

/* A guest reaches what is its own, and nobody has a state of it that contradicts. */
static bool guest_entry_points_at_what_it_may(const struct spec *s)
{
	for (uint16_t i = 0; i < spec_frames(s); i++) {
		const struct spec_frame *f = &s->frame[i];

		if (nr_owned[i] &&
		    (f->host != PKVM_NOPAGE || f->hyp != PKVM_NOPAGE))
			return false;
		if (nr_shared[i] &&
		    (f->host != PKVM_PAGE_SHARED_BORROWED || f->hyp != PKVM_NOPAGE))
			return false;
	}
	return true;
}

/* A sharer without a borrower, and the other way around. */
static bool sharing_has_two_sides(const struct spec *s)
{
	for (uint16_t i = 0; i < spec_frames(s); i++) {
		const struct spec_frame *f = &s->frame[i];

		if ((f->host == PKVM_PAGE_SHARED_OWNED) !=
		    (f->hyp == PKVM_PAGE_SHARED_BORROWED))
			return false;
	}
	return true;
}

static bool entries_are_well_formed(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < spec_gfns(s); i++) {
			const struct spec_entry *e = &s->guest[g].entry[i];

			if (pkvm_guest_has_page(e->state) ? e->pfn >= SPEC_FRAMES :
							    e->pfn || e->gmem)
				return false;
			if (s->guest[g].life == SPEC_NO_VM && e->state != PKVM_NOPAGE)
				return false;
		}
	}
	return true;
}

/* Only a guest that lives can wait, for pages that it can have. */
static bool record_is_a_live_guests(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int v = 0; v < SPEC_VCPUS; v++) {
			const struct spec_record *rec = &s->guest[g].record[v];

			if (rec->op == SPEC_REQ_NONE)
				continue;
			if (s->guest[g].life != SPEC_VM_LIVES || rec->gfn + rec->nr > SPEC_GFNS ||
			    (rec->nr == 0) != (rec->op == SPEC_REQ_MAP || rec->op == SPEC_REQ_TABLES))
				return false;
		}
	}
	return true;
}

/* Devices are where an enrolled guest has said so, and nobody's page is behind them. */
static bool guarded_entry_is_an_enrolled_guests(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		const struct spec_guest *guest = &s->guest[g];

		if (guest->enrolled && guest->life == SPEC_NO_VM)
			return false;
		for (unsigned int v = 0; v < SPEC_VCPUS; v++) {
			if (guest->record[v].op == SPEC_REQ_TABLES && !guest->enrolled)
				return false;
		}
		for (unsigned int i = 0; i < spec_gfns(s); i++) {
			const struct spec_entry *e = &guest->entry[i];

			if (e->state == PKVM_GUARDED && (!guest->enrolled || e->pfn || e->gmem))
				return false;
		}
	}
	return true;
}

/* What a guest wrote to its own memory is in no page that the host, or another guest, reads. */
static bool secret_is_only_its_guests(const struct spec *s)
{
	for (uint16_t i = 0; i < spec_frames(s); i++) {
		const struct spec_frame *f = &s->frame[i];

		if (f->secret && (f->host != PKVM_NOPAGE || f->hyp != PKVM_NOPAGE))
			return false;
	}
	return true;
}

struct invariant {
	const char *name;
	bool (*holds)(const struct spec *s);
};

#define INVARIANT(f)	{ #f, f }

static const struct invariant el2_invariants[] = {
	INVARIANT(no_page_with_two_owners),
	INVARIANT(host_entry_points_at_what_it_may),
	INVARIANT(guest_entry_points_at_what_it_may),
	INVARIANT(sharing_has_two_sides),
	INVARIANT(entries_are_well_formed),
	INVARIANT(record_is_a_live_guests),
	INVARIANT(guarded_entry_is_an_enrolled_guests),
	INVARIANT(secret_is_only_its_guests),
};

const char *spec_violation(const struct spec *s)
{
	count_entries(s);
	for (unsigned int i = 0; i < ARRAY_SIZE(el2_invariants); i++) {
		if (!el2_invariants[i].holds(s))
			return el2_invariants[i].name;
	}
	return NULL;
}
