// SPDX-License-Identifier: GPL-2.0-only
/*
 * The specification of EL2: what anybody can ask of it, and what must come of it. See
 * pkvm_spec.h.
 *
 * What may happen to one page is page_rules.h; here is what that means for ranges, for calls
 * that wait for the host, for VMs that come and go, and for the content.
 */
#include <linux/errno.h>
#include <linux/string.h>

#include <asm/kvm_pkvm_gmem.h>

#include <nvhe/page_rules.h>
#include <nvhe/pkvm_spec.h>

/* What a guest's call returns in R0. */
#define SMCCC_SUCCESS		0
#define SMCCC_INVALID		((uint64_t)-3)

const char *const spec_kind_names[SPEC_NR_KINDS] = {
	[SPEC_HOST_DONATE_GUEST] = "host_donate_guest",
	[SPEC_HOST_RECLAIM_GUEST] = "host_reclaim_guest",
	[SPEC_HOST_TEST_ACCESS] = "host_test_access",
	[SPEC_HOST_PAGE_OWNER] = "host_page_owner",
	[SPEC_HOST_COMPLETE] = "host_complete",
	[SPEC_HOST_ENTER_GUEST] = "host_enter_guest",
	[SPEC_HOST_INIT_VM] = "host_init_vm",
	[SPEC_HOST_START_TEARDOWN_VM] = "host_start_teardown_vm",
	[SPEC_HOST_FINALIZE_TEARDOWN_VM] = "host_finalize_teardown_vm",
	[SPEC_HOST_DONATE_PINNED] = "host_donate_pinned",
	[SPEC_HOST_SHARE_HYP] = "host_share_hyp",
	[SPEC_HOST_UNSHARE_HYP] = "host_unshare_hyp",
	[SPEC_HOST_DONATE_HYP] = "host_donate_hyp",
	[SPEC_HYP_DONATE_HOST] = "hyp_donate_host",
	[SPEC_HOST_WRITE] = "host_write",
	[SPEC_GUEST_SHARE] = "guest_share",
	[SPEC_GUEST_UNSHARE] = "guest_unshare",
	[SPEC_GUEST_RELINQUISH] = "guest_relinquish",
	[SPEC_GUEST_GUARD] = "guest_guard",
	[SPEC_GUEST_ENROLL] = "guest_enroll",
	[SPEC_GUEST_WRITE] = "guest_write",
	[SPEC_SYS_CREATE] = "sys_create",
	[SPEC_SYS_CONVERT] = "sys_convert",
	[SPEC_SYS_PUNCH_HOLE] = "sys_punch_hole",
	[SPEC_SYS_USER_TOUCH] = "sys_user_touch",
	[SPEC_SYS_GET_REFERENCE] = "sys_get_reference",
	[SPEC_SYS_PUT_REFERENCE] = "sys_put_reference",
	[SPEC_SYS_MEMORY_FAILURE] = "sys_memory_failure",
	[SPEC_SYS_DESTROY_VM] = "sys_destroy_vm",
	[SPEC_SYS_CLOSE_FILE] = "sys_close_file",
	[SPEC_SYS_GUEST_TOUCH] = "sys_guest_touch",
	[SPEC_SYS_GUEST_SHARE] = "sys_guest_share",
	[SPEC_SYS_GUEST_UNSHARE] = "sys_guest_unshare",
	[SPEC_SYS_GUEST_RELINQUISH] = "sys_guest_relinquish",
	[SPEC_SYS_GUEST_GUARD] = "sys_guest_guard",
	[SPEC_SYS_GUEST_ENROLL] = "sys_guest_enroll",
};

const char *const spec_state_names[] = {
	[PKVM_PAGE_OWNED] = "OWNED",
	[PKVM_PAGE_SHARED_OWNED] = "SHARED_OWNED",
	[PKVM_PAGE_SHARED_BORROWED] = "SHARED_BORROWED",
	[PKVM_NOPAGE] = "NOPAGE",
	[PKVM_POISON] = "POISON",
	[PKVM_GUARDED] = "GUARDED",
};

static void clear_guest(struct spec_guest *g)
{
	memset(g, 0, sizeof(*g));
	for (unsigned int i = 0; i < SPEC_GFNS; i++)
		g->entry[i].state = PKVM_NOPAGE;
}

void spec_init(struct spec *s)
{
	memset(s, 0, sizeof(*s));
	for (unsigned int g = 0; g < SPEC_GUESTS; g++)
		clear_guest(&s->guest[g]);
	for (unsigned int i = 0; i < SPEC_FRAMES; i++) {
		s->frame[i].host = PKVM_PAGE_OWNED;
		s->frame[i].hyp = PKVM_NOPAGE;
	}
}

static bool has_page(const struct spec_entry *e)
{
	return pkvm_guest_has_page(e->state);
}

static struct spec_frame *frame_of(struct spec *s, const struct spec_entry *e)
{
	return &s->frame[e->pfn];
}

/* Where the guest has no page the host's side is that of the page to come. */
static struct pkvm_page_states states_of(struct spec *s, const struct spec_entry *e,
					 enum pkvm_page_state to_come)
{
	struct pkvm_page_states states = { to_come, e->state };

	if (has_page(e))
		states.host = frame_of(s, e)->host;
	return states;
}

static void set_entry(struct spec_entry *e, enum pkvm_page_state state, uint16_t pfn, bool gmem)
{
	bool page = pkvm_guest_has_page(state);

	e->state = state;
	e->gmem = page && gmem;
	e->pfn = page ? pfn : 0;
}

/* One page of a guest changes hands. */
static void apply(struct spec *s, struct spec_entry *e, const struct pkvm_page_outcome *to)
{
	struct spec_frame *f = frame_of(s, e);

	f->host = to->states.host;
	if (to->scrub)
		f->data = 0;
	/* What the guest shares it shows; what is scrubbed tells nothing. */
	if (to->scrub || to->states.host != PKVM_NOPAGE)
		f->secret = false;
	if (to->keep)
		f->bad = true;
	set_entry(e, to->states.guest, e->pfn, e->gmem);
}

/* What the host's arguments are worth, before any page is looked at. */
static int donate_arguments(const struct spec *s, const struct spec_op *op)
{
	if ((op->flags & SPEC_NOT_LOADED) || s->guest[op->guest].life != SPEC_VM_LIVES)
		return -EINVAL;
	if (!op->nr || op->nr > PKVM_DONATE_MAX_PAGES || op->pfn == SPEC_PFN_LIMIT)
		return -EINVAL;
	/* Not over the end of a page table. */
	if (op->gfn % SPEC_TABLE + op->nr > SPEC_TABLE)
		return -EINVAL;
	if (op->pfn >= SPEC_PFN_NONE)
		return -EPERM;
	/* Memory and what is none in one range. */
	if (op->pfn + op->nr > SPEC_PFN_NONE)
		return -EINVAL;
	return op->gfn >= SPEC_GFNS ? -ERANGE : 0;
}

/* As many as can be from the first on; the first one's errno if there is none. */
static int64_t host_donate_guest(struct spec *s, const struct spec_op *op)
{
	int64_t ret = donate_arguments(s, op);
	struct pkvm_page_outcome to;
	uint16_t nr;

	if (ret)
		return ret;

	for (nr = 0; nr < op->nr; nr++) {
		struct spec_entry *e = &s->guest[op->guest].entry[op->gfn + nr];
		struct pkvm_page_states from;

		from = states_of(s, e, op->pfn + nr < SPEC_FRAMES ?
				       s->frame[op->pfn + nr].host : PKVM_NOPAGE);
		ret = pkvm_page_rule(PKVM_HOST_DONATE_GUEST, &from, &to);
		if (ret)
			break;
		if (op->flags & SPEC_NO_TABLES)
			return -ENOMEM;
		set_entry(e, PKVM_PAGE_OWNED, op->pfn + nr, true);
		apply(s, e, &to);
	}

	return nr ? nr : ret;
}

static int64_t host_reclaim_guest(struct spec *s, const struct spec_op *op, int64_t done)
{
	struct spec_guest *g = &s->guest[op->guest];
	enum pkvm_transition transition = PKVM_HOST_RECLAIM_GUEST;
	struct pkvm_page_outcome to;
	int64_t max = op->nr;

	if (g->life == SPEC_NO_VM)
		return -EINVAL;
	/* It wraps, or begins beyond the address space. */
	if (op->nr && (op->gfn >= SPEC_GFNS || (op->nr == SPEC_NR_HUGE && op->gfn)))
		return -ERANGE;
	if (op->gfn + max > SPEC_GFNS)
		max = op->nr ? SPEC_GFNS - op->gfn : 0;
	if (op->flags & SPEC_MEMORY_ERROR)
		transition = PKVM_HOST_FAIL_GUEST;
	else if (g->life == SPEC_VM_DIES)
		transition = PKVM_HOST_RECLAIM_DYING_GUEST;

	/* Progress is all that is asked of one call. */
	if (done < 1 || done > max)
		done = max;
	for (int64_t i = 0; i < done; i++) {
		struct spec_entry *e = &g->entry[op->gfn + i];
		struct pkvm_page_states from = states_of(s, e, PKVM_PAGE_OWNED);

		if (e->gmem && !pkvm_page_rule(transition, &from, &to))
			apply(s, e, &to);
	}

	return done;
}

/* Never too many; and progress, where all of the range is memory. */
static int64_t host_test_access(struct spec *s, const struct spec_op *op, int64_t said)
{
	int64_t nr = 0;

	while (nr < op->nr && op->pfn + nr < SPEC_FRAMES &&
	       s->frame[op->pfn + nr].host != PKVM_NOPAGE)
		nr++;
	if (said < 0 || said > nr || (!said && op->pfn + op->nr <= SPEC_PFN_NONE))
		return nr;
	return said;
}

/*
 * Says no more than that, and only of pages that the host has lost. Of a page that was not
 * taken back before its VM ended it may say anything: nobody has it.
 */
static int64_t host_page_owner(const struct spec *s, const struct spec_op *op, int64_t said)
{
	if (op->pfn > SPEC_PFN_HYP)
		return -EFAULT;
	if (op->pfn == SPEC_PFN_HYP)
		return -EPERM;
	if (s->frame[op->pfn].host != PKVM_NOPAGE)
		return -EAGAIN;
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (unsigned int i = 0; i < spec_gfns(s); i++) {
			const struct spec_entry *e = &s->guest[g].entry[i];

			if (e->state == PKVM_PAGE_OWNED && e->pfn == op->pfn)
				return i << 16 | (g + 1);
		}
	}
	return s->frame[op->pfn].hyp == PKVM_PAGE_OWNED || s->frame[op->pfn].bad ? -EPERM : said;
}

/* A guest's calls */

static enum pkvm_transition transition_of(enum spec_request req)
{
	if (req == SPEC_REQ_SHARE)
		return PKVM_GUEST_SHARE_HOST;
	if (req == SPEC_REQ_UNSHARE)
		return PKVM_GUEST_UNSHARE_HOST;
	return PKVM_GUEST_RELINQUISH;
}

static int page_errno(struct spec *s, struct spec_entry *e, enum spec_request req,
		      struct pkvm_page_outcome *to)
{
	struct pkvm_page_states from = states_of(s, e, PKVM_PAGE_OWNED);

	return pkvm_page_rule(transition_of(req), &from, to);
}

/* Memory that is not guest_memfd's: the base does it at once, one page. */
static bool guest_call_pinned(struct spec *s, struct spec_entry *e, enum spec_request req)
{
	struct pkvm_page_outcome to;

	if (req == SPEC_REQ_RELINQUISH || page_errno(s, e, req, &to))
		return false;
	apply(s, e, &to);
	return true;
}

static void answer(struct spec_result *r, uint64_t r0, uint64_t r1)
{
	r->answered = true;
	r->r0 = r0;
	r->r1 = r1;
}

/* How many neighbours are ready for it, or as absent as the first. */
static uint16_t count_ready(struct spec *s, struct spec_guest *g, enum spec_request req,
			    uint16_t gfn, uint16_t max)
{
	struct pkvm_page_outcome to;
	uint16_t nr = 0;

	while (nr < max && gfn + nr < SPEC_GFNS) {
		struct spec_entry *e = &g->entry[gfn + nr];

		if (req == SPEC_REQ_ABSENT ? e->state != PKVM_NOPAGE :
					     !e->gmem || page_errno(s, e, req, &to))
			break;
		nr++;
	}
	return nr;
}

static void leave(struct spec_guest *g, const struct spec_op *op, struct spec_result *r,
		  enum spec_request req, uint16_t nr)
{
	g->record[op->vcpu] = (struct spec_record) { .op = req, .gfn = op->gfn, .nr = nr };
	r->left = true;
}

static bool call_arguments_ok(const struct spec_op *op, uint16_t nr)
{
	if (op->flags & (SPEC_MISALIGNED | SPEC_RESERVED))
		return false;
	return nr <= SPEC_GFNS && op->gfn <= SPEC_GFNS - nr;
}

/* The guest that makes a call, which is refused if nothing else comes of it; NULL: nobody can. */
static struct spec_guest *caller(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_guest *g = &s->guest[op->guest];

	if (g->life != SPEC_VM_LIVES) {
		r->ret = -ENODEV;
		return NULL;
	}
	/* To make the call it has been entered. */
	memset(&g->record[op->vcpu], 0, sizeof(g->record[op->vcpu]));
	answer(r, SMCCC_INVALID, 0);
	return g;
}

static void guest_call(struct spec *s, const struct spec_op *op, enum spec_request req,
		       struct spec_result *r)
{
	struct spec_guest *g = caller(s, op, r);
	uint16_t nr = op->nr ? op->nr : 1;	/* 0 granules means one */
	struct pkvm_page_outcome to;
	struct spec_entry *e;
	int ret;

	if (!g || !call_arguments_ok(op, nr))
		return;
	if (nr > PKVM_MEMREQ_MAX_PAGES)
		nr = PKVM_MEMREQ_MAX_PAGES;

	e = &g->entry[op->gfn];
	ret = page_errno(s, e, req, &to);
	if (ret == -ENOENT && req == SPEC_REQ_SHARE) {
		answer(r, 0, 0);
		leave(g, op, r, SPEC_REQ_MAP, 0);
	} else if (ret == -ENOENT && req == SPEC_REQ_RELINQUISH) {
		answer(r, 0, 0);
		leave(g, op, r, SPEC_REQ_ABSENT, count_ready(s, g, SPEC_REQ_ABSENT, op->gfn, nr));
	} else if (!ret && e->gmem) {
		answer(r, 0, 0);
		leave(g, op, r, req, count_ready(s, g, req, op->gfn, nr));
	} else if (!ret && guest_call_pinned(s, e, req)) {
		answer(r, SMCCC_SUCCESS, 1);
	}
	r->answered = !r->left;
}

/* One frame becomes a device's; if it is one, nothing is needed. */
static int guard_entry(struct spec *s, struct spec_entry *e, bool tables)
{
	struct pkvm_page_states from = states_of(s, e, PKVM_PAGE_OWNED);
	struct pkvm_page_outcome to;
	int ret = pkvm_page_rule(PKVM_GUEST_GUARD, &from, &to);

	if (ret || e->state == to.states.guest)
		return ret;
	if (!tables)
		return -ENOMEM;
	set_entry(e, to.states.guest, 0, false);
	return 0;
}

/* As many as can be from the first on, and not over the end of a page table. */
static void guest_guard(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_guest *g = caller(s, op, r);
	uint16_t done = 0, nr = op->nr ? op->nr : 1;
	int ret = 0;

	if (!g || !g->enrolled || !call_arguments_ok(op, nr))
		return;
	if (nr > PKVM_MEMREQ_MAX_PAGES)
		nr = PKVM_MEMREQ_MAX_PAGES;
	if (nr > SPEC_TABLE - op->gfn % SPEC_TABLE)
		nr = SPEC_TABLE - op->gfn % SPEC_TABLE;

	while (done < nr && !ret) {
		ret = guard_entry(s, &g->entry[op->gfn + done], !(op->flags & SPEC_NO_TABLES));
		done += !ret;
	}
	if (done) {
		answer(r, SMCCC_SUCCESS, done);
	} else if (ret == -ENOMEM) {
		answer(r, 0, 0);
		leave(g, op, r, SPEC_REQ_TABLES, 0);
	}
	r->answered = !r->left;
}

static void guest_enroll(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_guest *g = caller(s, op, r);

	if (!g || op->gfn || op->nr || (op->flags & (SPEC_MISALIGNED | SPEC_RESERVED)))
		return;
	g->enrolled = true;
	answer(r, SMCCC_SUCCESS, 0);
}

/* All of them or none. */
static int commit(struct spec *s, struct spec_guest *g, const struct spec_record *rec,
		  uint16_t done)
{
	struct pkvm_page_outcome to;
	int ret;

	if (rec->op == SPEC_REQ_ABSENT)
		return 0;
	for (uint16_t i = 0; i < done; i++) {
		struct spec_entry *e = &g->entry[rec->gfn + i];

		ret = page_errno(s, e, rec->op, &to);
		if (ret || !e->gmem)
			return ret ? ret : -EPERM;
	}
	for (uint16_t i = 0; i < done; i++) {
		struct spec_entry *e = &g->entry[rec->gfn + i];

		page_errno(s, e, rec->op, &to);
		apply(s, e, &to);
	}
	return 0;
}

static void host_complete(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_guest *g = &s->guest[op->guest];
	struct spec_record *rec = &g->record[op->vcpu];

	r->ret = -EINVAL;
	if ((op->flags & SPEC_NOT_LOADED) || g->life != SPEC_VM_LIVES ||
	    rec->op == SPEC_REQ_NONE || op->nr > rec->nr)
		return;

	r->ret = commit(s, g, rec, op->nr);
	if (r->ret)
		return;
	/* With tables given the guest calls again: only then is there an answer. */
	if (rec->op != SPEC_REQ_TABLES)
		answer(r, op->nr ? SMCCC_SUCCESS : SMCCC_INVALID, op->nr);
	memset(rec, 0, sizeof(*rec));
}

/* VMs */

static int64_t host_teardown(struct spec *s, struct spec_guest *g, bool finalize)
{
	struct pkvm_page_outcome to;

	if (g->life != (finalize ? SPEC_VM_DIES : SPEC_VM_LIVES))
		return -EINVAL;
	g->life = SPEC_VM_DIES;
	memset(g->record, 0, sizeof(g->record));
	if (!finalize)
		return 0;

	/* What the base pinned it takes back itself. What else is not back by now is lost. */
	for (unsigned int i = 0; i < SPEC_GFNS; i++) {
		struct pkvm_page_states from = states_of(s, &g->entry[i], PKVM_PAGE_OWNED);

		if (has_page(&g->entry[i]) && !g->entry[i].gmem &&
		    !pkvm_page_rule(PKVM_HOST_RECLAIM_DYING_GUEST, &from, &to))
			apply(s, &g->entry[i], &to);
	}
	clear_guest(g);
	return 0;
}

static int64_t host_init_vm(struct spec_guest *g)
{
	if (g->life != SPEC_NO_VM)
		return -EINVAL;
	g->life = SPEC_VM_LIVES;
	return 0;
}

static int64_t host_donate_pinned(struct spec *s, const struct spec_op *op)
{
	struct spec_guest *g = &s->guest[op->guest];
	struct pkvm_page_outcome to = { .states = { PKVM_NOPAGE, PKVM_PAGE_OWNED } };
	struct spec_entry *e;

	if (g->life != SPEC_VM_LIVES || op->gfn >= SPEC_GFNS || op->pfn >= SPEC_FRAMES)
		return -EINVAL;
	e = &g->entry[op->gfn];
	if (e->state != PKVM_NOPAGE || s->frame[op->pfn].host != PKVM_PAGE_OWNED)
		return -EPERM;
	set_entry(e, PKVM_PAGE_OWNED, op->pfn, false);
	apply(s, e, &to);
	return 0;
}

/* The base's transitions between the host and the hypervisor. */
static int64_t host_and_hyp(struct spec *s, const struct spec_op *op)
{
	static const struct { uint8_t host, hyp, host_to, hyp_to; } rules[] = {
		[SPEC_HOST_SHARE_HYP] = { PKVM_PAGE_OWNED, PKVM_NOPAGE,
					  PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_SHARED_BORROWED },
		[SPEC_HOST_UNSHARE_HYP] = { PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_SHARED_BORROWED,
					    PKVM_PAGE_OWNED, PKVM_NOPAGE },
		[SPEC_HOST_DONATE_HYP] = { PKVM_PAGE_OWNED, PKVM_NOPAGE,
					   PKVM_NOPAGE, PKVM_PAGE_OWNED },
		[SPEC_HYP_DONATE_HOST] = { PKVM_NOPAGE, PKVM_PAGE_OWNED,
					   PKVM_PAGE_OWNED, PKVM_NOPAGE },
	};
	struct spec_frame *f;

	if (op->pfn >= SPEC_FRAMES)
		return -EINVAL;
	f = &s->frame[op->pfn];
	if (f->host != rules[op->kind].host || f->hyp != rules[op->kind].hyp)
		return -EPERM;
	f->host = rules[op->kind].host_to;
	f->hyp = rules[op->kind].hyp_to;
	return 0;
}

static int64_t host_write(struct spec *s, const struct spec_op *op)
{
	if (op->pfn >= SPEC_FRAMES || s->frame[op->pfn].host == PKVM_NOPAGE)
		return -EFAULT;
	s->frame[op->pfn].data = op->val;
	s->frame[op->pfn].secret = false;
	return 0;
}

static int64_t guest_write(struct spec *s, const struct spec_op *op)
{
	struct spec_guest *g = &s->guest[op->guest];
	struct spec_entry *e;

	if (g->life != SPEC_VM_LIVES || op->gfn >= SPEC_GFNS)
		return -EFAULT;
	e = &g->entry[op->gfn];
	if (!has_page(e))
		return -EFAULT;
	frame_of(s, e)->data = op->val;
	frame_of(s, e)->secret = e->state == PKVM_PAGE_OWNED;
	return 0;
}

static int64_t host_enter_guest(struct spec *s, const struct spec_op *op)
{
	struct spec_guest *g = &s->guest[op->guest];

	if (g->life != SPEC_VM_LIVES)
		return -EINVAL;
	memset(&g->record[op->vcpu], 0, sizeof(g->record[op->vcpu]));
	return 0;
}

bool spec_asks(const struct spec_op *op)
{
	return op->kind >= SPEC_HOST_RECLAIM_GUEST && op->kind <= SPEC_HOST_PAGE_OWNER;
}

void spec_el2_step(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	int64_t done = spec_asks(op) ? r->ret : 0;

	memset(r, 0, sizeof(*r));
	r->ret = done;
	switch (op->kind) {
	case SPEC_HOST_DONATE_GUEST:
		r->ret = host_donate_guest(s, op);
		break;
	case SPEC_HOST_RECLAIM_GUEST:
		r->ret = host_reclaim_guest(s, op, r->ret);
		break;
	case SPEC_HOST_TEST_ACCESS:
		r->ret = host_test_access(s, op, r->ret);
		break;
	case SPEC_HOST_PAGE_OWNER:
		r->ret = host_page_owner(s, op, r->ret);
		break;
	case SPEC_HOST_COMPLETE:
		host_complete(s, op, r);
		break;
	case SPEC_HOST_ENTER_GUEST:
		r->ret = host_enter_guest(s, op);
		break;
	case SPEC_HOST_INIT_VM:
		r->ret = host_init_vm(&s->guest[op->guest]);
		break;
	case SPEC_HOST_START_TEARDOWN_VM:
	case SPEC_HOST_FINALIZE_TEARDOWN_VM:
		r->ret = host_teardown(s, &s->guest[op->guest],
				       op->kind == SPEC_HOST_FINALIZE_TEARDOWN_VM);
		break;
	case SPEC_HOST_DONATE_PINNED:
		r->ret = host_donate_pinned(s, op);
		break;
	case SPEC_HOST_SHARE_HYP:
	case SPEC_HOST_UNSHARE_HYP:
	case SPEC_HOST_DONATE_HYP:
	case SPEC_HYP_DONATE_HOST:
		r->ret = host_and_hyp(s, op);
		break;
	case SPEC_HOST_WRITE:
		r->ret = host_write(s, op);
		break;
	case SPEC_GUEST_SHARE:
		guest_call(s, op, SPEC_REQ_SHARE, r);
		break;
	case SPEC_GUEST_UNSHARE:
		guest_call(s, op, SPEC_REQ_UNSHARE, r);
		break;
	case SPEC_GUEST_RELINQUISH:
		guest_call(s, op, SPEC_REQ_RELINQUISH, r);
		break;
	case SPEC_GUEST_GUARD:
		guest_guard(s, op, r);
		break;
	case SPEC_GUEST_ENROLL:
		guest_enroll(s, op, r);
		break;
	default:
		r->ret = guest_write(s, op);
		break;
	}
}
