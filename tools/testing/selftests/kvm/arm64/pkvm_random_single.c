// SPDX-License-Identifier: GPL-2.0-only
/*
 * One operation after the other on real VMs, each held against the specification.
 *
 * The specification's second layer (an honest host kernel, seen by userspace and guests,
 * tools/testing/pkvm/spec_host.c) says what an operation returns and leads to. Here the operation is done for real, and
 * compared are: what the system call returned, what the guest's call returned, how the vCPU
 * left to userspace and with what; then each page's attribute, whether there is one, whether
 * the host gets at it, and its content as the host and as the guest see it.
 *
 * A byte of the specification's content is a page full of it. A vCPU whose call or access ended
 * in an exit to userspace either gives it up or, if the operation's val is odd, keeps it
 * pending: then it is tried again before the vCPU's next operation.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <nvhe/memory.h>
#include "pkvm_random.h"

#define MAX_PINS	48
/* All is looked at after so many steps, else what the step was about. */
#define LOOK_AT_ALL	16

struct rnd_world {
	struct spec s;
	struct rnd_vmm vmm[SPEC_GUESTS];
	u32 nr_vcpus, nr_pins;
	u64 seed, steps;
	struct gmem_pin pin[SPEC_FRAMES];
	bool pinned[SPEC_FRAMES];
	struct spec_op pending[SPEC_GUESTS][SPEC_VCPUS];
	bool is_pending[SPEC_GUESTS][SPEC_VCPUS];
};

struct rnd_stats rnd_single_stats;
static char problem[256];

static const char *wrong(const char *what, u32 guest, u32 gfn, s64 got, s64 want)
{
	snprintf(problem, sizeof(problem), "%s: guest %u page %u: %#lx, not %#lx", what, guest,
		 gfn, (unsigned long)got, (unsigned long)want);
	return problem;
}

static u64 pattern(u8 val)
{
	return val * 0x0101010101010101ULL;
}

static u64 size_of(u16 nr)
{
	return nr == 0xffff ? -(u64)rnd_page : RND_OFF(nr);
}

static struct spec_frame *frame_at(struct rnd_world *w, u32 g, u32 gfn)
{
	u16 pfn = w->s.file[g].pfn[gfn];

	return pfn ? &w->s.frame[pfn - 1] : NULL;
}

/* ---- Guests ---- */

static const char *send_cmd(struct rnd_world *w, const struct spec_op *op)
{
	static const u64 func[] = {
		PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_RELINQUISH, PKVM_HVC_MMIO_GUARD_MAP,
		PKVM_HVC_MMIO_GUARD_ENROLL,
	};
	struct rnd_mail *mail = &w->vmm[op->guest].shm->mail[op->vcpu];
	struct pkvm_cmd *cmd = &mail->cmd[0];

	mail->nr = 1;
	if (op->kind == SPEC_SYS_GUEST_TOUCH) {
		*cmd = (struct pkvm_cmd) {
			PKVM_CMD_FILL, { RND_GPA(op->gfn), pattern(op->val) },
		};
	} else {
		*cmd = (struct pkvm_cmd) {
			PKVM_CMD_HVC, { func[op->kind - SPEC_SYS_GUEST_SHARE],
					RND_GPA(op->gfn), op->nr },
		};
		if (op->flags & SPEC_MISALIGNED)
			cmd->arg[1] += 8 * (1 + op->val % 511);
		if (op->flags & SPEC_RESERVED)
			cmd->arg[3] = 1 + op->val;
	}
	if (op->kind == SPEC_SYS_GUEST_ENROLL) {
		/* No argument is where the specification's memory begins. */
		if (!op->gfn)
			cmd->arg[1] -= RND_GPA(0);
		/* The mailbox is the guest's only device. */
		cmd[mail->nr++] = (struct pkvm_cmd) {
			PKVM_CMD_HVC, { PKVM_HVC_MMIO_GUARD_MAP, PKVM_MBOX_GPA, 1 },
		};
	}
	return rnd_vmm_ask(&w->vmm[op->guest], op->vcpu, RND_REQ_BATCH);
}

static const char *compare_exit(const struct spec_op *op, const struct spec_result *want,
				const struct rnd_mail *mail)
{
	u64 flags = want->private_exit ? KVM_MEMORY_EXIT_FLAG_PRIVATE : 0;
	/* Nobody answers where the guest has a device: an external abort. */
	int ret = want->ret == -EACCES ? PKVM_STOP_EXCEPTION : want->ret;

	if (mail->ret != ret)
		return wrong("KVM_RUN", op->guest, op->gfn, mail->ret, ret);
	if (ret >= 0)
		return NULL;
	if (mail->exit_reason != KVM_EXIT_MEMORY_FAULT)
		return wrong("exit reason", op->guest, op->gfn, mail->exit_reason,
			     KVM_EXIT_MEMORY_FAULT);
	if (mail->fault_flags != flags)
		return wrong("flags of the exit", op->guest, op->gfn, mail->fault_flags, flags);
	if (mail->fault_gpa != RND_GPA(op->gfn) || mail->fault_size != rnd_page)
		return wrong("address of the exit", op->guest, op->gfn, mail->fault_gpa,
			     RND_GPA(op->gfn));
	return NULL;
}

/* What the vCPU has sent back, against what it should have. */
static const char *compare_guest(struct rnd_world *w, const struct spec_op *op,
				 const struct spec_result *want)
{
	struct rnd_mail *mail = &w->vmm[op->guest].shm->mail[op->vcpu];
	const char *bad = compare_exit(op, want, mail);

	w->is_pending[op->guest][op->vcpu] = false;
	if (bad)
		return bad;
	if (want->ret == -EFAULT && (op->val & 1)) {
		w->is_pending[op->guest][op->vcpu] = true;
		w->pending[op->guest][op->vcpu] = *op;
		return NULL;
	}
	if (want->ret == -EACCES)
		return NULL;
	if (want->ret) {
		bad = rnd_vmm_ask(&w->vmm[op->guest], op->vcpu, RND_REQ_SKIP);
		if (!bad && mail->ret)
			bad = wrong("giving up", op->guest, op->gfn, mail->ret, 0);
		return bad;
	}
	if (op->kind == SPEC_SYS_GUEST_TOUCH)
		return NULL;
	if (mail->cmd[0].res[0] != want->r0)
		return wrong("guest's R0", op->guest, op->gfn, mail->cmd[0].res[0], want->r0);
	if (mail->cmd[0].res[1] != want->r1)
		return wrong("guest's R1", op->guest, op->gfn, mail->cmd[0].res[1], want->r1);
	return NULL;
}

/* Beyond the end of memory the specification has no guest frames, and the real guest no slot. */
static void spec_guest_op(struct rnd_world *w, const struct spec_op *op, struct spec_result *r)
{
	struct spec_op inside = *op;

	if (op->kind != SPEC_SYS_GUEST_TOUCH && op->gfn < SPEC_GFNS &&
	    op->nr > SPEC_GFNS - op->gfn)
		inside.nr = SPEC_GFNS - op->gfn;
	spec_step(&w->s, &inside, r);
}

/* Try what is pending once more. Afterwards it may still be. */
static const char *try_again(struct rnd_world *w, u32 g, u32 v)
{
	struct spec_op op = w->pending[g][v];
	struct spec_result want = {};
	const char *bad;

	spec_guest_op(w, &op, &want);
	bad = rnd_vmm_ask(&w->vmm[g], v, RND_REQ_RESUME);
	return bad ?: compare_guest(w, &op, &want);
}

static const char *do_guest(struct rnd_world *w, const struct spec_op *op)
{
	struct spec_result want = {};
	const char *bad;

	if (w->is_pending[op->guest][op->vcpu]) {
		bad = try_again(w, op->guest, op->vcpu);
		if (bad || w->is_pending[op->guest][op->vcpu])
			return bad;
	}
	spec_guest_op(w, op, &want);
	if (want.ret == -EBUSY)
		return NULL;
	bad = send_cmd(w, op);
	return bad ?: compare_guest(w, op, &want);
}

/* ---- The host ---- */

static const char *do_create(struct rnd_world *w, const struct spec_op *op)
{
	memset(w->is_pending[op->guest], 0, sizeof(w->is_pending[op->guest]));
	return rnd_vmm_start(&w->vmm[op->guest], w->nr_vcpus, SPEC_GFNS, w->seed, 0,
			     op->val & 1);
}

static const char *do_destroy(struct rnd_world *w, const struct spec_op *op)
{
	memset(w->is_pending[op->guest], 0, sizeof(w->is_pending[op->guest]));
	for (u32 i = 0; i < w->nr_vcpus; i++)
		rnd_add_stats(&rnd_single_stats, &w->vmm[op->guest].shm->stats[i]);
	return rnd_vmm_end(&w->vmm[op->guest], op->val & 1);
}

static const char *do_convert(struct rnd_world *w, const struct spec_op *op,
			      const struct spec_result *want)
{
	u64 error = 0;
	int ret;

	ret = gmem_set_attr_err(w->vmm[op->guest].fd, RND_OFF(op->gfn), size_of(op->nr),
				op->flags & SPEC_PRIVATE ? GMEM_PRIVATE : GMEM_SHARED, &error);
	if (ret != want->ret)
		return wrong("conversion", op->guest, op->gfn, ret, want->ret);
	if ((ret == -EAGAIN || ret == -EPERM) && error != RND_OFF(want->stopped_at))
		return wrong("error_offset", op->guest, op->gfn, error,
			     RND_OFF(want->stopped_at));
	return NULL;
}

static const char *do_touch(struct rnd_world *w, const struct spec_op *op,
			    const struct spec_result *want)
{
	int sig = rnd_host_fill(w->vmm[op->guest].mem + RND_OFF(op->gfn), pattern(op->val));
	struct gmem_pin pin;
	int ret, frame;

	if (sig != (want->ret ? SIGBUS : 0))
		return wrong("host's access", op->guest, op->gfn, sig, want->ret ? SIGBUS : 0);
	if (op->kind != SPEC_SYS_GET_REFERENCE)
		return NULL;

	frame = w->s.file[op->guest].pfn[op->gfn] - 1;
	if (!want->ret && w->pinned[frame])
		return NULL;
	ret = gmem_pin_take(&pin, op->val % 3 ? GMEM_PIN_VMSPLICE : GMEM_PIN_IO_URING,
			    w->vmm[op->guest].mem + RND_OFF(op->gfn), rnd_page);
	if (ret != want->ret)
		return wrong("reference", op->guest, op->gfn, ret, want->ret);
	if (!ret) {
		w->pin[frame] = pin;
		w->pinned[frame] = true;
		w->nr_pins++;
	}
	return NULL;
}

static void drop_pin(struct rnd_world *w, u32 frame)
{
	gmem_pin_drop(&w->pin[frame]);
	w->pinned[frame] = false;
	w->nr_pins--;
}

static const char *do_host(struct rnd_world *w, const struct spec_op *op)
{
	struct spec_result want = {};
	int ret;

	/* There is no unlimited supply of memory to lose, nor of descriptors. */
	if (op->kind == SPEC_SYS_MEMORY_FAILURE ||
	    (op->kind == SPEC_SYS_GET_REFERENCE && w->nr_pins >= MAX_PINS))
		return NULL;
	spec_step(&w->s, op, &want);
	if (want.ret == -EBUSY)
		return NULL;
	rnd_single_stats.host_ops++;

	switch (op->kind) {
	case SPEC_SYS_CREATE:
		return do_create(w, op);
	case SPEC_SYS_DESTROY_VM:
		return do_destroy(w, op);
	case SPEC_SYS_CONVERT:
		return do_convert(w, op, &want);
	case SPEC_SYS_PUNCH_HOLE:
		ret = gmem_punch(w->vmm[op->guest].fd, RND_OFF(op->gfn), size_of(op->nr));
		return ret == want.ret ? NULL :
		       wrong("PUNCH_HOLE", op->guest, op->gfn, ret, want.ret);
	case SPEC_SYS_USER_TOUCH:
	case SPEC_SYS_GET_REFERENCE:
		return do_touch(w, op, &want);
	case SPEC_SYS_PUT_REFERENCE:
		drop_pin(w, op->pfn);
		return NULL;
	default:
		rnd_vmm_close(&w->vmm[op->guest]);
		return NULL;
	}
}

/* ---- What changes nothing ---- */

static const char *guest_args(struct rnd_world *w, const struct spec_op *op)
{
	static const u64 func[] = { PKVM_HVC_SHARE, PKVM_HVC_UNSHARE, PKVM_HVC_RELINQUISH };
	struct rnd_mail *mail = &w->vmm[op->guest].shm->mail[op->vcpu];
	u64 gpa = RND_GPA(op->gfn % SPEC_GFNS);
	u64 args[][3] = {
		{ gpa + 1, 1 }, { gpa, ~0ULL }, { gpa, 1ULL << 52 }, { gpa, 1ULL << 36 },
		{ ~0ULL << 12, 1 }, { ~0ULL << 12, 2 }, { 1ULL << 63, 1 }, { gpa, 1, 1 },
		{ gpa, 1, 1ULL << 63 }, { 1ULL << 56, 1 }, { 0x70000000, 1 }, { 0x70000000, 512 },
		{ PKVM_MBOX_GPA, 1 }, { gpa + 0xff8, 0 },
	};
	u64 *a = args[op->val % ARRAY_SIZE(args)];
	const char *bad;

	mail->nr = 1;
	mail->cmd[0] = (struct pkvm_cmd) { PKVM_CMD_HVC, { func[op->nr % 3], a[0], a[1], a[2] } };
	if (op->kind == RND_X_MEMINFO)
		mail->cmd[0].arg[0] = PKVM_HVC_MEMINFO;
	if (op->kind == RND_X_MEMINFO)
		memset(&mail->cmd[0].arg[1], 0, 3 * sizeof(u64));
	bad = rnd_vmm_ask(&w->vmm[op->guest], op->vcpu, RND_REQ_BATCH);
	if (bad || mail->ret)
		return bad ?: wrong("KVM_RUN, odd call", op->guest, op->val, mail->ret, 0);
	if (op->kind == RND_X_MEMINFO)
		return mail->cmd[0].res[0] == rnd_page ? NULL :
		       wrong("MEMINFO", op->guest, 0, mail->cmd[0].res[0], rnd_page);
	return (s64)mail->cmd[0].res[0] == PKVM_INVALID_PARAMETER ? NULL :
	       wrong("odd call", op->guest, op->val, mail->cmd[0].res[0], PKVM_INVALID_PARAMETER);
}

static const char *ioctl_args(struct rnd_world *w, const struct spec_op *op)
{
	struct kvm_memory_attributes2 arg = {
		.offset = RND_OFF(op->gfn % SPEC_GFNS), .size = rnd_page,
		.attributes = op->flags & SPEC_PRIVATE ? GMEM_PRIVATE : GMEM_SHARED,
	};
	int ret;

	switch (op->val % 8) {
	case 0:
		arg.offset += 1;
		break;
	case 1:
		arg.size -= 1;
		break;
	case 2:
		arg.size = 0;
		break;
	case 3:
		arg.flags = 1ULL << (op->nr & 63);
		break;
	case 4:
		arg.reserved[op->nr % ARRAY_SIZE(arg.reserved)] = 1;
		break;
	case 5:
		arg.attributes |= 1ULL << (op->nr & 63);
		if (arg.attributes == GMEM_PRIVATE)
			arg.attributes |= 1;
		break;
	case 6:
		arg.offset = -(u64)rnd_page;
		break;
	case 7:
		arg.size = RND_OFF(SPEC_GFNS + 1) - arg.offset;
		break;
	}
	ret = ioctl(w->vmm[op->guest].fd, KVM_SET_MEMORY_ATTRIBUTES2, &arg) ? -errno : 0;
	return ret == -EINVAL ? NULL :
	       wrong("odd ioctl", op->guest, op->val, ret, -EINVAL);
}

static const char *do_memory_extra(struct rnd_world *w, const struct spec_op *op)
{
	struct rnd_vmm *vmm = &w->vmm[op->guest];
	u32 gfn = op->gfn % SPEC_GFNS, nr = 1 + op->nr % (SPEC_GFNS - gfn);

	if (op->kind == RND_X_ADVISE) {
		if (madvise(vmm->mem + RND_OFF(gfn), RND_OFF(nr), MADV_DONTNEED))
			return wrong("MADV_DONTNEED", op->guest, gfn, -errno, 0);
		return NULL;
	}
	munmap(vmm->mem, RND_OFF(SPEC_GFNS));
	vmm->mem = gmem_map(vmm->fd, RND_OFF(SPEC_GFNS));
	madvise(vmm->mem, RND_OFF(SPEC_GFNS), MADV_DONTFORK);
	return NULL;
}

static const char *do_extra(struct rnd_world *w, const struct spec_op *op)
{
	bool lives = w->s.guest[op->guest].life == SPEC_VM_LIVES;
	bool open = w->s.file[op->guest].open;
	struct rnd_mail *mail;
	const char *bad;

	switch (op->kind) {
	case RND_X_GUEST_ARGS:
	case RND_X_MEMINFO:
		if (!lives || w->is_pending[op->guest][op->vcpu])
			return NULL;
		return guest_args(w, op);
	case RND_X_DELETE_SLOT:
		if (!lives)
			return NULL;
		rnd_single_stats.host_ops++;
		mail = &w->vmm[op->guest].shm->mail[op->vcpu];
		bad = rnd_vmm_ask(&w->vmm[op->guest], op->vcpu, RND_REQ_SLOT);
		return bad || mail->ret == -EPERM ? bad :
		       wrong("slot delete", op->guest, 0, mail->ret, -EPERM);
	case RND_X_IOCTL_ARGS:
		rnd_single_stats.host_ops++;
		return open ? ioctl_args(w, op) : NULL;
	default:
		rnd_single_stats.host_ops++;
		return open ? do_memory_extra(w, op) : NULL;
	}
}

/* ---- What there is afterwards ---- */

static const char *compare_attributes(struct rnd_world *w, u32 g)
{
	const struct spec_file *file = &w->s.file[g];
	struct kvm_memory_attributes2 attr;
	u32 i, end;
	int ret;

	for (i = 0; i < SPEC_GFNS; i = end) {
		ret = gmem_get_attr(w->vmm[g].fd, RND_OFF(i), RND_OFF(SPEC_GFNS - i), &attr);
		if (ret)
			return wrong("GET", g, i, ret, 0);
		end = i + attr.size / rnd_page;
		if (end <= i || end > SPEC_GFNS)
			return wrong("end of a run", g, i, end, SPEC_GFNS);
		for (; i < end; i++) {
			if (attr.attributes != (file->private[i] ? GMEM_PRIVATE : GMEM_SHARED))
				return wrong("attribute", g, i, attr.attributes, file->private[i]);
			if (!!(attr.flags & KVM_MEMORY_ATTRIBUTES2_POPULATED) != !!file->pfn[i])
				return wrong("a page there", g, i, attr.flags, !!file->pfn[i]);
		}
	}
	return NULL;
}

/* A hole that is shared is left alone: to look is to fill it. */
static const char *compare_host_view(struct rnd_world *w, u32 g, u32 first, u32 end)
{
	u64 val;
	u32 i, differ;
	int sig;

	for (i = first; i < end; i++) {
		struct spec_frame *f = frame_at(w, g, i);
		bool private = w->s.file[g].private[i];

		if (!private && !f)
			continue;
		rnd_single_stats.checks++;
		sig = rnd_host_check(w->vmm[g].mem + RND_OFF(i), &val, &differ);
		if (sig != (private ? SIGBUS : 0))
			return wrong("host's look", g, i, sig, private ? SIGBUS : 0);
		if (private)
			continue;
		if (val != pattern(f->data) || differ)
			return wrong("content for the host", g, i, val, pattern(f->data));
	}
	return NULL;
}

static const char *compare_guest_view(struct rnd_world *w, u32 g, u32 first, u32 end)
{
	u32 v = 0, nr = 0, gfn[RND_MAX_CMDS];
	struct rnd_mail *mail;
	const char *bad;

	while (v < w->nr_vcpus && w->is_pending[g][v])
		v++;
	if (v == w->nr_vcpus || w->s.guest[g].life != SPEC_VM_LIVES)
		return NULL;

	mail = &w->vmm[g].shm->mail[v];
	for (; first < end && nr < RND_MAX_CMDS; first++) {
		u8 state = w->s.guest[g].entry[first].state;

		if (state != PKVM_PAGE_OWNED && state != PKVM_PAGE_SHARED_OWNED)
			continue;
		mail->cmd[nr] = (struct pkvm_cmd) { PKVM_CMD_CHECK, { RND_GPA(first) } };
		gfn[nr++] = first;
	}
	if (!nr)
		return NULL;
	mail->nr = nr;
	rnd_single_stats.checks += nr;
	bad = rnd_vmm_ask(&w->vmm[g], v, RND_REQ_BATCH);
	if (bad || mail->ret)
		return bad ?: wrong("guest's look", g, first, mail->ret, 0);
	for (u32 i = 0; i < nr; i++) {
		u64 want = pattern(w->s.frame[w->s.guest[g].entry[gfn[i]].pfn].data);

		if (mail->cmd[i].res[0] != want || mail->cmd[i].res[1])
			return wrong("content for the guest", g, gfn[i], mail->cmd[i].res[0], want);
	}
	return NULL;
}

static const char *compare(struct rnd_world *w, u32 guest, u32 first, u32 end, bool all)
{
	const char *bad = NULL;

	for (u32 g = 0; g < SPEC_GUESTS && !bad; g++) {
		if (g != guest && !all)
			continue;
		if (w->s.file[g].open)
			bad = compare_attributes(w, g) ?:
			      compare_host_view(w, g, all ? 0 : first, all ? SPEC_GFNS : end);
		bad = bad ?: compare_guest_view(w, g, all ? 0 : first, all ? SPEC_GFNS : end);
	}
	return bad;
}

/* ---- Lives ---- */

struct rnd_world *rnd_world_new(u32 nr_vcpus, u64 seed)
{
	struct rnd_world *w = calloc(1, sizeof(*w));

	TEST_ASSERT(w, "no memory");
	spec_init(&w->s);
	w->nr_vcpus = nr_vcpus;
	w->seed = seed;
	for (u32 g = 0; g < SPEC_GUESTS; g++)
		w->vmm[g].fd = -1;
	return w;
}

const char *rnd_world_step(struct rnd_world *w, const struct spec_op *op, bool thorough)
{
	u32 first = op->gfn < SPEC_GFNS ? op->gfn : 0;
	u32 end = op->nr && op->nr <= SPEC_GFNS - first ? first + op->nr : SPEC_GFNS;
	const char *bad;

	if (op->kind >= SPEC_NR_KINDS)
		bad = do_extra(w, op);
	else if (op->kind >= SPEC_SYS_GUEST_TOUCH)
		bad = do_guest(w, op);
	else
		bad = do_host(w, op);
	w->steps++;
	if (!bad)
		bad = compare(w, op->guest, first, end,
			      thorough || w->steps % LOOK_AT_ALL == 0);
	return bad ?: spec_host_violation(&w->s);
}

const char *rnd_world_end(struct rnd_world *w, bool failed)
{
	const char *bad = NULL;

	for (u32 i = 0; i < SPEC_FRAMES; i++) {
		if (w->pinned[i])
			drop_pin(w, i);
	}
	for (u32 g = 0; g < SPEC_GUESTS; g++) {
		/* After a failure a vCPU may not come back by itself. */
		struct spec_op op = { SPEC_SYS_DESTROY_VM, g, .val = failed };

		if (w->vmm[g].pid)
			bad = bad ?: do_destroy(w, &op);
		rnd_vmm_close(&w->vmm[g]);
	}
	free(w);
	return bad;
}

int rnd_live(const struct spec_op *ops, u32 nr, u32 nr_vcpus, u64 seed, bool thorough,
	     const char **why)
{
	struct rnd_world *w = rnd_world_new(nr_vcpus, seed);
	const char *at_the_end;
	u32 i;

	*why = NULL;
	for (i = 0; i < nr; i++) {
		*why = rnd_world_step(w, &ops[i], thorough);
		if (*why)
			break;
	}
	at_the_end = rnd_world_end(w, *why);
	rnd_single_stats.lives++;
	if (*why)
		return i;
	*why = at_the_end;
	return *why ? (int)nr - 1 : -1;
}
