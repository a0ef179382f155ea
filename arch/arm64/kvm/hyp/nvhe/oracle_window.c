// SPDX-License-Identifier: GPL-2.0-only
/*
 * EL2's tables, read into a state of the abstract machine: see oracle_window.h. What no such
 * state can say is a mismatch at once. Nothing here is shared with the code that is watched,
 * but for the meaning of an entry's bits.
 */
#include <linux/string.h>

#include <nvhe/mem_protect.h>
#include <nvhe/mm.h>
#include <nvhe/oracle_window.h>
#include <nvhe/page_rules.h>
#include <nvhe/pkvm_gmem.h>

struct oracle_window oracle_window;

#define guest_of(s)	(&(s)->guest[0])

/* Mostly the one after the last. */
static int find_frame(u64 pfn)
{
	static unsigned int next;
	const struct oracle_window *w = &oracle_window;
	unsigned int i, nr = w->before.nr_frames;

	if (next < nr && w->pfn[next] == pfn)
		return next++;
	for (i = 0; i < nr; i++) {
		if (w->pfn[i] == pfn) {
			next = i + 1;
			return i;
		}
	}
	return -1;
}

/* The host's state of a page and its entry must say the same. Returns what the entry notes. */
static kvm_pte_t read_frame(u64 pfn, struct spec_frame *f)
{
	phys_addr_t phys = hyp_pfn_to_phys(pfn);
	struct hyp_page *page = hyp_phys_to_page(phys);
	kvm_pte_t pte;
	s8 level;

	*f = (struct spec_frame) { .host = get_host_state(page), .hyp = get_hyp_state(page),
				   .data = 1 };
	/* Somebody who is not in this machine borrows it: a guest that is not protected. */
	if (page->host_share_guest_count)
		f->hyp = PKVM_PAGE_SHARED_BORROWED;
	if (kvm_pgtable_get_leaf(&host_mmu.pgt, phys, &pte, &level))
		oracle_stop("the host's tables cannot be walked", ORACLE_NOWHERE, pfn, 0, 0);

	if (f->host == PKVM_NOPAGE ? !pte || kvm_pte_valid(pte) : pte && !kvm_pte_valid(pte))
		oracle_stop_state("the host's entry does not say what its state says",
				  ORACLE_NOWHERE, pfn, f->host, kvm_pte_valid(pte) ?
				  PKVM_PAGE_OWNED : PKVM_NOPAGE);
	if (kvm_pte_valid(pte)) {
		if (kvm_pte_to_phys(pte) != ALIGN_DOWN(phys, kvm_granule_size(level)))
			oracle_stop("the host's entry points elsewhere", ORACLE_NOWHERE, pfn, phys, pte);
		return 0;
	}

	f->bad = f->host == PKVM_NOPAGE && f->hyp == PKVM_NOPAGE && host_stage2_pte_is_hyp_owned(pte);
	return pte;
}

/* Returns its abstract number, or -1 if that is no memory. */
int oracle_add_frame(u64 pfn)
{
	struct oracle_window *w = &oracle_window;
	int i = find_frame(pfn);

	if (i >= 0)
		return i;
	if (!addr_is_memory(hyp_pfn_to_phys(pfn)))
		return -1;
	if (w->before.nr_frames == SPEC_FRAMES)
		oracle_stop("more pages than the oracle has room for", ORACLE_NOWHERE, pfn, 0, 0);

	i = w->before.nr_frames++;
	w->pfn[i] = pfn;
	w->pte_before[i] = read_frame(pfn, &w->before.frame[i]);
	return i;
}

static void read_entry(struct pkvm_hyp_vm *vm, u64 gfn, struct spec_entry *e, bool may_add)
{
	u64 pfn, ipa = hyp_pfn_to_phys(gfn);
	enum kvm_pgtable_prot prot;
	kvm_pte_t pte;
	s8 level;
	int i;

	if (kvm_pgtable_get_leaf(&vm->pgt, ipa, &pte, &level))
		oracle_stop("a guest's tables cannot be walked", gfn, ORACLE_NOWHERE, 0, 0);

	*e = (struct spec_entry) { .state = guest_get_page_state(pte, ipa) };
	if (!kvm_pte_valid(pte)) {
		if (pte && e->state != PKVM_POISON && e->state != PKVM_GUARDED)
			oracle_stop("a guest's entry means nothing", gfn, ORACLE_NOWHERE, 0, pte);
		return;
	}

	pfn = hyp_phys_to_pfn(kvm_pte_to_phys(pte));
	prot = kvm_pgtable_stage2_pte_prot(pte);
	if (level != KVM_PGTABLE_LAST_LEVEL)
		oracle_stop("a protected guest has a block", gfn, pfn, KVM_PGTABLE_LAST_LEVEL, level);
	if ((prot & KVM_PGTABLE_PROT_RWX) != KVM_PGTABLE_PROT_RWX)
		oracle_stop("a guest may not do everything with its page", gfn, pfn,
			    KVM_PGTABLE_PROT_RWX, prot);

	e->gmem = prot & PKVM_PROT_GMEM;
	i = may_add ? oracle_add_frame(pfn) : find_frame(pfn);
	if (i < 0)
		oracle_stop("a guest has a page that it cannot have", gfn, pfn, 0, pte);
	e->pfn = i;
}

/* What a guest has for itself alone nobody else may read. */
static void mark_secret(struct spec *s, unsigned int i)
{
	const struct spec_entry *e = &guest_of(s)->entry[i];

	if (e->state == PKVM_PAGE_OWNED)
		s->frame[e->pfn].secret = true;
}

/* What is not in use is neither written nor read: most operations are about one page. */
void oracle_window_init(void)
{
	struct spec *s = &oracle_window.before;

	s->nr_frames = 0;
	s->nr_gfns = 0;
	s->guest[0].life = SPEC_NO_VM;
	s->guest[0].enrolled = false;
	memset(s->guest[0].record, 0, sizeof(s->guest[0].record));
}

void oracle_copy_state(struct spec *to, const struct spec *from)
{
	const struct spec_guest *g = guest_of(from);

	to->nr_frames = from->nr_frames;
	to->nr_gfns = from->nr_gfns;
	memcpy(guest_of(to), g, offsetof(struct spec_guest, entry[from->nr_gfns]));
	memcpy(to->frame, from->frame, from->nr_frames * sizeof(*from->frame));
}

/* Returns the abstract number of a guest's frame, or -1 beyond its address space. */
int oracle_add_gfn(struct pkvm_hyp_vm *vm, u64 gfn)
{
	struct oracle_window *w = &oracle_window;
	int i = w->before.nr_gfns;

	if (gfn >= hyp_phys_to_pfn(BIT(vm->pgt.ia_bits)) || i == SPEC_GFNS)
		return -1;

	w->before.nr_gfns++;
	w->gfn[i] = gfn;
	read_entry(vm, gfn, &guest_of(&w->before)->entry[i], true);
	mark_secret(&w->before, i);
	return i;
}

static int present_visitor(const struct kvm_pgtable_visit_ctx *ctx,
			   enum kvm_pgtable_walk_flags visit)
{
	struct pkvm_hyp_vm *vm = ctx->arg;

	if (ctx->old && oracle_add_gfn(vm, hyp_phys_to_pfn(ctx->addr)) < 0)
		return -ENOSPC;
	return 0;
}

/* The frames in a large range where a guest has something, as many as there is room for. */
void oracle_add_present(struct pkvm_hyp_vm *vm, u64 gfn, u64 end)
{
	struct kvm_pgtable_walker walker = {
		.cb	= present_visitor,
		.flags	= KVM_PGTABLE_WALK_LEAF,
		.arg	= vm,
	};

	if (gfn < end)
		kvm_pgtable_walk(&vm->pgt, hyp_pfn_to_phys(gfn), hyp_pfn_to_phys(end - gfn), &walker);
}

void oracle_read_now(struct pkvm_hyp_vm *vm)
{
	struct oracle_window *w = &oracle_window;
	unsigned int i;

	oracle_copy_state(&w->now, &w->before);
	for (i = 0; vm && i < w->now.nr_gfns; i++)
		read_entry(vm, w->gfn[i], &guest_of(&w->now)->entry[i], false);
	for (i = 0; i < w->now.nr_frames; i++)
		w->pte_now[i] = read_frame(w->pfn[i], &w->now.frame[i]);
	for (i = 0; vm && i < w->now.nr_gfns; i++)
		mark_secret(&w->now, i);
}

/* Two states of one page, or of one guest frame. */
static void compare_frame(const char *what, u64 pfn, const struct spec_frame *want,
			  const struct spec_frame *got)
{
	if (want->host != got->host)
		oracle_stop_state(what, ORACLE_NOWHERE, pfn, want->host, got->host);
	if (want->hyp != got->hyp)
		oracle_stop_state("the hypervisor's state of a page differs", ORACLE_NOWHERE, pfn,
				  want->hyp, got->hyp);
	if (want->bad != got->bad)
		oracle_stop("EL2 keeps a page or not", ORACLE_NOWHERE, pfn, want->bad, got->bad);
}

static void compare_entry(const char *what, u64 gfn, const struct spec_entry *want,
			  const struct spec_entry *got)
{
	const u64 *pfn = oracle_window.pfn;

	if (want->state != got->state)
		oracle_stop_state(what, gfn, pfn[got->pfn], want->state, got->state);
	if (!pkvm_guest_has_page(want->state))
		return;
	if (want->pfn != got->pfn)
		oracle_stop("a guest has another page", gfn, pfn[got->pfn], pfn[want->pfn],
			    pfn[got->pfn]);
	if (want->gmem != got->gmem)
		oracle_stop("a page is a guest_memfd's or not", gfn, pfn[got->pfn], want->gmem, got->gmem);
}

/* The locks were dropped and taken again within one operation; nobody else is at work. */
void oracle_check_unchanged(struct pkvm_hyp_vm *vm)
{
	struct oracle_window *w = &oracle_window;
	struct spec_entry e;
	struct spec_frame f;
	unsigned int i;

	for (i = 0; vm && i < w->now.nr_gfns; i++) {
		read_entry(vm, w->gfn[i], &e, false);
		compare_entry("a guest's state changed while its lock was free", w->gfn[i],
			      &guest_of(&w->now)->entry[i], &e);
	}
	for (i = 0; i < w->now.nr_frames; i++) {
		read_frame(w->pfn[i], &f);
		compare_frame("the host's state changed while its lock was free", w->pfn[i],
			      &w->now.frame[i], &f);
	}
}

static int block_visitor(const struct kvm_pgtable_visit_ctx *ctx,
			 enum kvm_pgtable_walk_flags visit)
{
	u64 pfn = hyp_phys_to_pfn(ctx->addr), end = hyp_phys_to_pfn(ctx->end);

	end = min(end, pfn + (kvm_granule_size(ctx->level) >> PAGE_SHIFT));
	for (; kvm_pte_valid(ctx->old) && pfn < end; pfn++) {
		if (get_host_state(hyp_phys_to_page(hyp_pfn_to_phys(pfn))) == PKVM_NOPAGE)
			oracle_stop("the host can reach a page that it has not", ORACLE_NOWHERE, pfn,
				    0, ctx->old);
	}
	return 0;
}

/* When a block of the host's gave way to a table the rest of it was written anew. */
void oracle_check_host_block(u64 pfn)
{
	struct kvm_pgtable_walker walker = {
		.cb	= block_visitor,
		.flags	= KVM_PGTABLE_WALK_LEAF,
	};
	phys_addr_t phys = ALIGN_DOWN(hyp_pfn_to_phys(pfn), PMD_SIZE);

	if (!check_range_allowed_memory(phys, phys + PMD_SIZE))
		kvm_pgtable_walk(&host_mmu.pgt, phys, PMD_SIZE, &walker);
}

/*
 * What was there when the locks were dropped last, of as many pages as there is room for.
 * Only what a guest has: what the host or EL2 has also changes by operations that the oracle
 * does not know.
 */
static struct {
	u64 key, value;
	u32 generation;
	u16 state;
} remembered[2048];

static u32 generation = 1;

#define FRAME_KEY(pfn)		((pfn) << 1)
#define ENTRY_KEY(vm, gfn)	((gfn) << 1 | 1 | (u64)(vm)->kvm.arch.pkvm.handle << 48)

static unsigned int slot_of(u64 key)
{
	return (key ^ key >> 11 ^ key >> 48) % ARRAY_SIZE(remembered);
}

static void remember(u64 key, u64 value, u16 state, bool keep)
{
	unsigned int i = slot_of(key);

	if (keep) {
		remembered[i].key = key;
		remembered[i].value = value;
		remembered[i].state = state;
		remembered[i].generation = generation;
	} else if (remembered[i].key == key) {
		remembered[i].generation = 0;
	}
}

static void recall(u64 key, u64 value, u16 state, u64 gfn, u64 pfn)
{
	unsigned int i = slot_of(key);

	if (remembered[i].key != key || remembered[i].generation != generation)
		return;
	if (remembered[i].state != state)
		oracle_stop("changed since its lock was last dropped: the state", gfn, pfn,
			    remembered[i].state, state);
	if (remembered[i].value != value)
		oracle_stop("changed since its lock was last dropped: the page", gfn, pfn,
			    remembered[i].value, value);
}

static u16 frame_state(const struct spec_frame *f)
{
	return f->host | f->hyp << 4;
}

static u16 entry_state(const struct spec_entry *e)
{
	return e->state | e->gmem << 4;
}

static u64 entry_pfn(const struct spec_entry *e)
{
	return pkvm_guest_has_page(e->state) ? oracle_window.pfn[e->pfn] : 0;
}

void oracle_remember(struct pkvm_hyp_vm *vm)
{
	const struct oracle_window *w = &oracle_window;
	unsigned int i;

	for (i = 0; vm && i < w->now.nr_gfns; i++) {
		const struct spec_entry *e = &guest_of(&w->now)->entry[i];

		remember(ENTRY_KEY(vm, w->gfn[i]), entry_pfn(e), entry_state(e), true);
	}
	for (i = 0; i < w->now.nr_frames; i++) {
		const struct spec_frame *f = &w->now.frame[i];

		remember(FRAME_KEY(w->pfn[i]), w->pte_now[i], frame_state(f),
			 f->host == PKVM_NOPAGE ? f->hyp == PKVM_NOPAGE :
						  f->host == PKVM_PAGE_SHARED_BORROWED);
	}
}

void oracle_check_remembered(struct pkvm_hyp_vm *vm)
{
	const struct oracle_window *w = &oracle_window;
	unsigned int i;

	for (i = 0; vm && i < w->before.nr_gfns; i++) {
		const struct spec_entry *e = &guest_of(&w->before)->entry[i];

		recall(ENTRY_KEY(vm, w->gfn[i]), entry_pfn(e), entry_state(e), w->gfn[i],
		       ORACLE_NOWHERE);
	}
	for (i = 0; i < w->before.nr_frames; i++)
		recall(FRAME_KEY(w->pfn[i]), w->pte_before[i], frame_state(&w->before.frame[i]),
		       ORACLE_NOWHERE, w->pfn[i]);
}

/* Something happens that the oracle does not know. */
void oracle_forget(void)
{
	generation++;
}

static void check_zero(u64 pfn)
{
	const u64 *words = hyp_fixmap_map(hyp_pfn_to_phys(pfn));
	unsigned int i, nr = PAGE_SIZE / sizeof(*words);
	u64 found = 0;

	for (i = 0; i < nr && !found; i++)
		found = words[i];
	hyp_fixmap_unmap();
	if (found)
		oracle_stop("the content of a page that the host got is not zero", ORACLE_NOWHERE,
			    pfn, 0, found);
}

/* What the host's entries must note of the pages that it has not got: whose they are. */
static void wanted_ptes(struct pkvm_hyp_vm *vm, kvm_pte_t *pte)
{
	const struct oracle_window *w = &oracle_window;
	const struct spec_entry *e = guest_of(&w->want)->entry;
	const struct spec_frame *f = w->want.frame;
	unsigned int i;

	for (i = 0; i < w->want.nr_frames; i++) {
		/* A page that EL2 keeps is marked as its own: compare_frame() has looked. */
		pte[i] = f[i].bad ? w->pte_now[i] : w->pte_before[i];
		if (f[i].host != PKVM_NOPAGE)
			pte[i] = 0;
	}
	for (i = 0; vm && i < w->want.nr_gfns; i++) {
		if (e[i].state == PKVM_PAGE_OWNED)
			pte[e[i].pfn] = host_stage2_guest_annotation(vm, w->gfn[i]);
	}
}

/* Is now what it should be, also beside what the operation was about? */
void oracle_compare(struct pkvm_hyp_vm *vm)
{
	static kvm_pte_t pte[SPEC_FRAMES];
	const struct oracle_window *w = &oracle_window;
	const char *what;
	unsigned int i;

	wanted_ptes(vm, pte);
	for (i = 0; vm && i < w->want.nr_gfns; i++)
		compare_entry("a guest's state differs", w->gfn[i],
			      &guest_of(&w->want)->entry[i], &guest_of(&w->now)->entry[i]);
	for (i = 0; i < w->want.nr_frames; i++) {
		compare_frame("the host's state of a page differs", w->pfn[i], &w->want.frame[i],
			      &w->now.frame[i]);
		if (pte[i] != w->pte_now[i])
			oracle_stop("the host's entry does not name the owner", ORACLE_NOWHERE,
				    w->pfn[i], pte[i], w->pte_now[i]);
		if (w->before.frame[i].data && !w->want.frame[i].data)
			check_zero(w->pfn[i]);
	}

	what = spec_violation(&w->now);
	if (what)
		oracle_stop(what, ORACLE_NOWHERE, ORACLE_NOWHERE, 0, 0);
}
