// SPDX-License-Identifier: GPL-2.0-only
/* What is true of every state that an honest host kernel gets into, by name. See pkvm_spec.h. */
#include <stdio.h>
#include <string.h>

#include <nvhe/page_rules.h>
#include <nvhe/pkvm_spec.h>

/* The rule of the contract. The guest's consent, or no guest at all. */
static bool shared_attribute_means_the_host_may(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < SPEC_GFNS; i++) {
			uint16_t pfn = s->file[g].pfn[i];

			if (!pfn || s->file[g].private[i] || s->frame[pfn - 1].hwpoison)
				continue;
			if (s->frame[pfn - 1].host == PKVM_NOPAGE)
				return false;
		}
	}
	return true;
}

static bool private_page_is_not_the_hosts_to_touch(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < SPEC_GFNS; i++) {
			uint16_t pfn = s->file[g].pfn[i];

			if (pfn && s->file[g].private[i] &&
			    (s->frame[pfn - 1].mapped || s->frame[pfn - 1].refs))
				return false;
		}
	}
	return true;
}

/* A page that a guest has is where it says in its file: nothing that it has is ever freed. */
static bool guest_page_is_in_its_file(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < SPEC_GFNS; i++) {
			const struct spec_entry *e = &s->guest[g].entry[i];

			if (pkvm_guest_has_page(e->state) && s->file[g].pfn[i] != e->pfn + 1)
				return false;
		}
	}
	return true;
}

static bool freed_page_is_the_hosts(const struct spec *s)
{
	for (uint16_t i = 0; i < SPEC_FRAMES; i++) {
		const struct spec_frame *f = &s->frame[i];

		if (!f->in_file && !f->bad && f->host != PKVM_PAGE_OWNED)
			return false;
	}
	return true;
}

/* The page cache knows each page once; a mapping needs the page to be there. */
static bool counts_are_right(const struct spec *s)
{
	unsigned int nr_places[SPEC_FRAMES + 1] = {}, nr_entries[SPEC_FRAMES] = {};

	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int o = 0; o < SPEC_GFNS; o++) {
			const struct spec_entry *e = &s->guest[g].entry[o];

			nr_places[s->file[g].pfn[o]]++;
			if (pkvm_guest_has_page(e->state))
				nr_entries[e->pfn]++;
		}
	}
	for (uint16_t i = 0; i < SPEC_FRAMES; i++) {
		const struct spec_frame *f = &s->frame[i];
		unsigned int places = nr_places[i + 1];

		if (places != !!f->in_file || (f->mapped && !places))
			return false;
		if (nr_entries[i] > places)
			return false;
	}
	return true;
}

static bool poison_has_a_hole_or_bad_memory(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < SPEC_GFNS; i++) {
			uint16_t pfn = s->file[g].pfn[i];

			/* The host may have put a page of its own there meanwhile. */
			if (s->guest[g].entry[i].state == PKVM_POISON && pfn &&
			    !s->frame[pfn - 1].bad && s->frame[pfn - 1].host != PKVM_PAGE_OWNED)
				return false;
		}
	}
	return true;
}

struct invariant {
	const char *name;
	bool (*holds)(const struct spec *s);
};

#define INVARIANT(f)	{ #f, f }

static const struct invariant host_invariants[] = {
	INVARIANT(shared_attribute_means_the_host_may),
	INVARIANT(private_page_is_not_the_hosts_to_touch),
	INVARIANT(guest_page_is_in_its_file),
	INVARIANT(freed_page_is_the_hosts),
	INVARIANT(counts_are_right),
	INVARIANT(poison_has_a_hole_or_bad_memory),
};

const char *spec_host_violation(const struct spec *s)
{
	const char *name = spec_violation(s);

	for (unsigned int i = 0; !name && i < ARRAY_SIZE(host_invariants); i++) {
		if (!host_invariants[i].holds(s))
			name = host_invariants[i].name;
	}
	return name;
}

/* What a guest has said of its devices holds until its VM is gone. */
static bool guest_takes_back(const struct spec_guest *before, const struct spec_guest *after)
{
	if (before->life == SPEC_NO_VM || after->life == SPEC_NO_VM)
		return false;
	if (before->enrolled && !after->enrolled)
		return true;
	for (unsigned int i = 0; i < SPEC_GFNS; i++) {
		if (before->entry[i].state == PKVM_GUARDED && after->entry[i].state != PKVM_GUARDED)
			return true;
	}
	return false;
}

const char *spec_step_violation(const struct spec *before, const struct spec *after)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		if (guest_takes_back(&before->guest[g], &after->guest[g]))
			return "guarded_stays_guarded";
	}
	return NULL;
}

void spec_host_view(const struct spec *s, struct spec *view)
{
	*view = *s;
	for (unsigned int i = 0; i < SPEC_FRAMES; i++) {
		if (view->frame[i].host == PKVM_NOPAGE)
			view->frame[i].data = 0;
		view->frame[i].secret = false;
	}
}

/* Other secrets, the same for everybody else. */
static void change_secrets(struct spec *s)
{
	for (unsigned int i = 0; i < SPEC_FRAMES; i++) {
		if (s->frame[i].secret)
			s->frame[i].data ^= 0xff;
	}
}

static bool declassifies(const struct spec *s, const struct spec_op *op)
{
	if (op->kind == SPEC_SYS_GUEST_SHARE || op->kind == SPEC_GUEST_SHARE)
		return true;
	return op->kind == SPEC_HOST_COMPLETE &&
	       s->guest[op->guest].record[op->vcpu].op == SPEC_REQ_SHARE;
}

bool spec_leaks(const struct spec *s, const struct spec_op *op)
{
	struct spec a = *s, b = *s, view_a, view_b;
	struct spec_result ra = {}, rb = {};

	if (declassifies(s, op))
		return false;
	change_secrets(&b);
	spec_step(&a, op, &ra);
	spec_step(&b, op, &rb);

	spec_host_view(&a, &view_a);
	spec_host_view(&b, &view_b);
	if (memcmp(&view_a, &view_b, sizeof(view_a)) || memcmp(&ra, &rb, sizeof(ra)))
		return true;

	/* A write to memory that is the guest's alone shows nowhere. */
	if (op->kind != SPEC_GUEST_WRITE || op->gfn >= SPEC_GFNS ||
	    s->guest[op->guest].entry[op->gfn].state != PKVM_PAGE_OWNED)
		return false;
	spec_host_view(s, &view_b);
	return memcmp(&view_a, &view_b, sizeof(view_a));
}

static void print_guest(const struct spec *s, unsigned int g)
{
	static const char *const lives[] = { "none", "lives", "dies" };
	const struct spec_guest *guest = &s->guest[g];

	printf("  guest %u %s%s:", g, lives[guest->life], guest->enrolled ? ", enrolled" : "");
	for (unsigned int i = 0; i < SPEC_GFNS; i++) {
		const struct spec_entry *e = &guest->entry[i];

		if (e->state != PKVM_NOPAGE)
			printf(" %u:%s(%u%s)", i, spec_state_names[e->state], e->pfn,
			       e->gmem ? "" : ", pinned");
	}
	for (unsigned int v = 0; v < SPEC_VCPUS; v++) {
		if (guest->record[v].op)
			printf(" vcpu %u waits {%u, %u, %u}", v, guest->record[v].op,
			       guest->record[v].gfn, guest->record[v].nr);
	}
	printf("\n  file %u %s:", g, s->file[g].open ? "open" : "closed");
	for (unsigned int i = 0; s->file[g].open && i < SPEC_GFNS; i++)
		printf(" %u:%s%s(%d)", i, s->file[g].private[i] ? "private" : "shared",
		       s->file[g].given_up[i] ? ", given up" : "", s->file[g].pfn[i] - 1);
	printf("\n");
}

void spec_print(const struct spec *s)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++)
		print_guest(s, g);
	for (unsigned int i = 0; i < SPEC_FRAMES; i++) {
		const struct spec_frame *f = &s->frame[i];

		printf("  frame %u: host %s, hyp %s, data %02x%s%s%s, refs %u\n", i,
		       spec_state_names[f->host], spec_state_names[f->hyp], f->data,
		       f->secret ? " secret" : "", f->bad ? " bad" : "",
		       f->mapped ? " mapped" : "", f->refs);
	}
}

void spec_print_op(const struct spec_op *op)
{
	printf("%s guest=%u vcpu=%u flags=%#x pfn=%u gfn=%u nr=%u val=%u\n",
	       spec_kind_names[op->kind], op->guest, op->vcpu, op->flags, op->pfn, op->gfn,
	       op->nr, op->val);
}
