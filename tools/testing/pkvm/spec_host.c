// SPDX-License-Identifier: GPL-2.0-only
/*
 * The specification's second layer: an honest host kernel between userspace, guests and EL2.
 * See pkvm_spec.h. Each guest has one file, which it sees from offset 0 on at guest frame 0.
 *
 * Whatever is done to EL2 is a step of the first layer (el2()), so that an implementation of
 * EL2 can be made to follow. -EBUSY means: not a thing that this small machine can do now.
 */
#include <errno.h>
#include <string.h>

#include <nvhe/page_rules.h>
#include <nvhe/pkvm_spec.h>

const struct spec_follower *spec_follower;

static int64_t el2(struct spec *s, struct spec_op op, struct spec_result *r)
{
	struct spec_result res;

	memset(&res, 0, sizeof(res));
	if (spec_follower)
		spec_follower->before(&op, &res);
	spec_step(s, &op, &res);
	if (spec_follower)
		spec_follower->after(s, &op, &res);
	if (r) {
		r->answered = res.answered;
		r->r0 = res.r0;
		r->r1 = res.r1;
	}
	return res.ret;
}

static struct spec_frame *page_at(struct spec *s, uint8_t g, uint16_t offset)
{
	uint16_t pfn = s->file[g].pfn[offset];

	return pfn ? &s->frame[pfn - 1] : NULL;
}

static bool range_valid(const struct spec_op *op)
{
	return op->nr && op->gfn < SPEC_GFNS && op->nr <= SPEC_GFNS - op->gfn;
}

/* The page at an offset; a free one, zeroed, if there is none. The host uses it meanwhile. */
static int64_t populate(struct spec *s, uint8_t g, uint16_t offset)
{
	if (s->file[g].pfn[offset])
		return page_at(s, g, offset)->hwpoison ? -EHWPOISON : 0;

	for (uint16_t i = 0; i < SPEC_FRAMES; i++) {
		struct spec_op zero = { .kind = SPEC_HOST_WRITE, .pfn = i };
		struct spec_frame *f = &s->frame[i];

		if (f->in_file || f->refs || f->hwpoison || f->host != PKVM_PAGE_OWNED)
			continue;
		f->in_file = g + 1;
		s->file[g].pfn[offset] = i + 1;
		return el2(s, zero, NULL);
	}
	return -ENOMEM;
}

/* The range leaves userspace's page tables; who still holds a page of it? */
static uint16_t isolate(struct spec *s, uint8_t g, uint16_t start, uint16_t nr)
{
	uint16_t i;

	for (i = 0; i < nr; i++) {
		if (page_at(s, g, start + i))
			page_at(s, g, start + i)->mapped = false;
	}
	for (i = 0; i < nr; i++) {
		if (page_at(s, g, start + i) && page_at(s, g, start + i)->refs)
			break;
	}
	return i;
}

static void set_private(struct spec *s, uint8_t g, uint16_t start, uint16_t nr, bool private)
{
	for (uint16_t i = 0; i < nr; i++)
		s->file[g].private[start + i] = private;
}

static int64_t sys_create(struct spec *s, const struct spec_op *op)
{
	if (s->file[op->guest].open || s->guest[op->guest].life != SPEC_NO_VM)
		return -EBUSY;
	memset(&s->file[op->guest], 0, sizeof(s->file[op->guest]));
	s->file[op->guest].open = true;
	return el2(s, (struct spec_op) { SPEC_HOST_INIT_VM, op->guest }, NULL);
}

/* The host's ioctl: all or nothing. */
static int64_t sys_convert(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	bool private = op->flags & SPEC_PRIVATE;
	uint8_t g = op->guest;

	if (!s->file[g].open)
		return -EBUSY;
	if (!range_valid(op))
		return -EINVAL;

	for (uint16_t i = 0; !private && i < op->nr; i++) {
		struct spec_op ask = { SPEC_HOST_TEST_ACCESS, .nr = 1 };

		if (!s->file[g].pfn[op->gfn + i])
			continue;
		r->stopped_at = op->gfn + i;
		ask.pfn = s->file[g].pfn[op->gfn + i] - 1;
		if (!el2(s, ask, NULL))
			return -EPERM;
	}
	if (private) {
		r->stopped_at = op->gfn + isolate(s, g, op->gfn, op->nr);
		if (r->stopped_at != op->gfn + op->nr)
			return -EAGAIN;
	}
	r->stopped_at = 0;
	set_private(s, g, op->gfn, op->nr, private);
	return 0;
}

/* EL2 gives back what the guest has there, in as many calls as it takes. */
static void reclaim(struct spec *s, uint8_t g, uint16_t gfn, uint16_t nr, uint8_t flags)
{
	struct spec_op op = { SPEC_HOST_RECLAIM_GUEST, g, 0, flags, .gfn = gfn, .nr = nr };

	if (s->guest[g].life == SPEC_NO_VM)
		return;
	while (op.nr) {
		int64_t done = el2(s, op, NULL);

		op.gfn += done;
		op.nr -= done;
	}
}

/* Always succeeds; first EL2, then the page leaves the file. */
static int64_t punch(struct spec *s, uint8_t g, uint16_t gfn, uint16_t nr)
{
	reclaim(s, g, gfn, nr, 0);
	for (uint16_t i = gfn; i < gfn + nr; i++) {
		struct spec_frame *f = page_at(s, g, i);

		s->file[g].given_up[i] = true;
		s->file[g].pfn[i] = 0;
		if (!f)
			continue;
		f->in_file = 0;
		f->mapped = false;
	}
	return 0;
}

static int64_t sys_punch_hole(struct spec *s, const struct spec_op *op)
{
	if (!s->file[op->guest].open)
		return -EBUSY;
	if (!range_valid(op))
		return -EINVAL;
	return punch(s, op->guest, op->gfn, op->nr);
}

/* SIGBUS is -EFAULT. */
static int64_t sys_user_touch(struct spec *s, const struct spec_op *op)
{
	uint8_t g = op->guest;
	struct spec_op write = { SPEC_HOST_WRITE, .val = op->val };
	int64_t ret;

	if (!s->file[g].open || op->gfn >= SPEC_GFNS)
		return -EBUSY;
	if (s->file[g].private[op->gfn])
		return -EFAULT;
	ret = populate(s, g, op->gfn);
	if (ret)
		return ret;
	page_at(s, g, op->gfn)->mapped = true;
	write.pfn = s->file[g].pfn[op->gfn] - 1;
	return el2(s, write, NULL);
}

static int64_t sys_reference(struct spec *s, const struct spec_op *op)
{
	struct spec_frame *f;
	int64_t ret;

	if (op->kind == SPEC_SYS_PUT_REFERENCE) {
		if (op->pfn >= SPEC_FRAMES || !s->frame[op->pfn].refs)
			return -EBUSY;
		s->frame[op->pfn].refs--;
		return 0;
	}
	ret = sys_user_touch(s, op);
	if (ret)
		return ret;
	f = page_at(s, op->guest, op->gfn);
	f->refs = 1;
	return 0;
}

/* The page stays where it is, and is nobody's any more. */
static int64_t sys_memory_failure(struct spec *s, const struct spec_op *op)
{
	struct spec_frame *f;

	if (!s->file[op->guest].open || op->gfn >= SPEC_GFNS)
		return -EBUSY;
	f = page_at(s, op->guest, op->gfn);
	if (!f || f->hwpoison)
		return -EBUSY;
	reclaim(s, op->guest, op->gfn, 1, SPEC_MEMORY_ERROR);
	f->hwpoison = true;
	f->mapped = false;
	return 0;
}

static int64_t sys_destroy_vm(struct spec *s, const struct spec_op *op)
{
	if (s->guest[op->guest].life != SPEC_VM_LIVES)
		return -EBUSY;
	el2(s, (struct spec_op) { SPEC_HOST_START_TEARDOWN_VM, op->guest }, NULL);
	reclaim(s, op->guest, 0, SPEC_GFNS, 0);
	return el2(s, (struct spec_op) { SPEC_HOST_FINALIZE_TEARDOWN_VM, op->guest }, NULL);
}

static int64_t sys_close_file(struct spec *s, const struct spec_op *op)
{
	if (!s->file[op->guest].open)
		return -EBUSY;
	punch(s, op->guest, 0, SPEC_GFNS);
	memset(&s->file[op->guest], 0, sizeof(s->file[op->guest]));
	return 0;
}

/*
 * The page that a guest touches, and the private ones beside it, if they are there. Where the
 * guest has devices only EL2 knows; nobody answers there.
 */
static int64_t donate(struct spec *s, uint8_t g, uint16_t gfn)
{
	int64_t ret = populate(s, g, gfn), fault_ret = 0;

	if (ret)
		return ret;
	for (uint16_t i = 0; i < SPEC_GFNS; i++) {
		struct spec_op op = { SPEC_HOST_DONATE_GUEST, g, .gfn = i, .nr = 1 };
		struct spec_frame *f = page_at(s, g, i);

		/* A hole around it is filled too, but for those that are meant. */
		if (!f && s->file[g].private[i] && !s->file[g].given_up[i] && !populate(s, g, i))
			f = page_at(s, g, i);
		if (!f || !s->file[g].private[i] || f->hwpoison ||
		    (s->guest[g].entry[i].state != PKVM_NOPAGE &&
		     s->guest[g].entry[i].state != PKVM_GUARDED))
			continue;
		op.pfn = s->file[g].pfn[i] - 1;
		ret = el2(s, op, NULL);
		if (ret != 1 && ret != -EACCES)
			return ret;
		if (i == gfn && ret != 1)
			fault_ret = ret;
	}
	return fault_ret;
}

/* What the guest needs before it has a page at gfn; exits are results for userspace. */
static int64_t fault(struct spec *s, uint8_t g, uint16_t gfn, struct spec_result *r)
{
	struct spec_entry *e = &s->guest[g].entry[gfn];

	if (e->state == PKVM_POISON || !s->file[g].open)
		return -EHWPOISON;
	if (pkvm_guest_has_page(e->state))
		return 0;
	r->private_exit = !s->file[g].private[gfn];
	return r->private_exit ? -EFAULT : donate(s, g, gfn);
}

static int64_t sys_guest_touch(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_op write = { SPEC_GUEST_WRITE, op->guest, .gfn = op->gfn, .val = op->val };
	int64_t ret;

	if (s->guest[op->guest].life != SPEC_VM_LIVES || op->gfn >= SPEC_GFNS)
		return -EBUSY;
	ret = fault(s, op->guest, op->gfn, r);
	return ret ? ret : el2(s, write, NULL);
}

/* The host's half of a guest's call, and then EL2's second half. */
static int64_t serve(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_record rec = s->guest[op->guest].record[op->vcpu];
	struct spec_op complete = { SPEC_HOST_COMPLETE, op->guest, op->vcpu, .nr = rec.nr };
	uint8_t g = op->guest;
	int64_t ret;

	/* What the guest does not have, it can give up without a file. */
	if (!s->file[g].open && rec.op != SPEC_REQ_ABSENT)
		complete.nr = 0;
	if (rec.op == SPEC_REQ_UNSHARE && complete.nr) {
		complete.nr = isolate(s, g, rec.gfn, rec.nr);
		r->private_exit = !complete.nr;
		if (!complete.nr)
			return -EFAULT;
	}
	ret = el2(s, complete, r);
	if (ret || !complete.nr || rec.op == SPEC_REQ_ABSENT)
		return ret;

	if (rec.op != SPEC_REQ_RELINQUISH)
		set_private(s, g, rec.gfn, complete.nr, rec.op == SPEC_REQ_UNSHARE);
	else
		punch(s, g, rec.gfn, complete.nr);
	return 0;
}

static int64_t sys_guest_call(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	struct spec_op hvc = *op;
	int64_t ret;

	if (s->guest[op->guest].life != SPEC_VM_LIVES)
		return -EBUSY;
	hvc.kind = SPEC_GUEST_SHARE + (op->kind - SPEC_SYS_GUEST_SHARE);

	ret = el2(s, hvc, r);
	if (ret || r->answered)
		return ret;
	/* Tables are given, and the call is made again. */
	if (s->guest[op->guest].record[op->vcpu].op == SPEC_REQ_TABLES) {
		ret = el2(s, (struct spec_op) { SPEC_HOST_COMPLETE, op->guest, op->vcpu }, NULL);
		hvc.flags &= ~SPEC_NO_TABLES;
		return ret ? ret : el2(s, hvc, r);
	}
	/* A page to be shared that is not mapped: mapped first, then the call again. */
	if (s->guest[op->guest].record[op->vcpu].op == SPEC_REQ_MAP) {
		ret = fault(s, op->guest, op->gfn, r);
		if (!ret)
			ret = el2(s, hvc, r);
		if (ret || r->answered)
			return ret;
	}
	return serve(s, op, r);
}

static void host_step(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	switch (op->kind) {
	case SPEC_SYS_CREATE:
		r->ret = sys_create(s, op);
		break;
	case SPEC_SYS_CONVERT:
		r->ret = sys_convert(s, op, r);
		break;
	case SPEC_SYS_PUNCH_HOLE:
		r->ret = sys_punch_hole(s, op);
		break;
	case SPEC_SYS_USER_TOUCH:
		r->ret = sys_user_touch(s, op);
		break;
	case SPEC_SYS_GET_REFERENCE:
	case SPEC_SYS_PUT_REFERENCE:
		r->ret = sys_reference(s, op);
		break;
	case SPEC_SYS_MEMORY_FAILURE:
		r->ret = sys_memory_failure(s, op);
		break;
	case SPEC_SYS_DESTROY_VM:
		r->ret = sys_destroy_vm(s, op);
		break;
	case SPEC_SYS_CLOSE_FILE:
		r->ret = sys_close_file(s, op);
		break;
	case SPEC_SYS_GUEST_TOUCH:
		r->ret = sys_guest_touch(s, op, r);
		break;
	default:
		r->ret = sys_guest_call(s, op, r);
		break;
	}
}

void spec_step(struct spec *s, const struct spec_op *op, struct spec_result *r)
{
	if (op->kind < SPEC_NR_EL2_KINDS) {
		spec_el2_step(s, op, r);
	} else {
		memset(r, 0, sizeof(*r));
		host_step(s, op, r);
	}
}
