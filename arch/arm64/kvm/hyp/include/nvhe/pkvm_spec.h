/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The ownership of memory between a host, the hypervisor and protected guests, as a pure
 * function on an abstract machine:
 *
 *	new state, result = spec_step(old state, operation)
 *
 * Written from the contract (Documentation/virt/kvm/arm/pkvm_gmem.rst says the same in
 * prose), and not from the code. There are two layers. Operations of the first are what
 * anybody can do to EL2, a malicious host kernel included; whatever it does, the invariants
 * of EL2 hold. Those of the second are what userspace and guests see of an honest host
 * kernel: guest_memfd's attributes, its page cache, references and mappings. They are made
 * of the first ones, and keep the machine's other invariants too.
 *
 * The state is small and has no pointers, so that it can be compared, copied and hashed as
 * bytes. The sizes are fixed at build time: two pages for exhaustive searches, more for
 * random ones.
 *
 * Ordinary programs (tools/testing/pkvm) compile it beside EL2's own files, and EL2 does for
 * its run-time oracle (oracle.c), where the machine is no more than the pages that one
 * operation is about and their neighbours.
 */
#ifndef __ARM64_KVM_NVHE_PKVM_SPEC_H__
#define __ARM64_KVM_NVHE_PKVM_SPEC_H__

#include <linux/array_size.h>
#include <linux/types.h>

#ifdef __KVM_NVHE_HYPERVISOR__
/* The most that one operation is about, and neighbours; see oracle.h. */
#define SPEC_FRAMES	520
#define SPEC_GFNS	520
#define SPEC_GUESTS	1
/* What crosses the end of a table does not get that far. */
#define SPEC_TABLE	SPEC_GFNS
#define spec_frames(s)	((s)->nr_frames)
#define spec_gfns(s)	((s)->nr_gfns)
#else
#define spec_frames(s)	((void)(s), SPEC_FRAMES)
#define spec_gfns(s)	((void)(s), SPEC_GFNS)
#endif

#ifndef SPEC_FRAMES
#define SPEC_FRAMES	2	/* physical pages */
#endif
#ifndef SPEC_GFNS
#define SPEC_GFNS	2	/* of each guest's address space, and offsets of its file */
#endif
#ifndef SPEC_GUESTS
#define SPEC_GUESTS	2
#endif
#ifndef SPEC_VCPUS
#define SPEC_VCPUS	1	/* of each guest */
#endif
#ifndef SPEC_TABLE
#define SPEC_TABLE	2	/* entries of a page table; a power of two */
#endif

/* Numbers of pages that are none of the machine's frames. */
#define SPEC_PFN_HYP	SPEC_FRAMES		/* the hypervisor's own */
#define SPEC_PFN_NONE	(SPEC_FRAMES + 1)	/* no memory there */
#define SPEC_PFN_LIMIT	0xffff			/* beyond every physical address */
#define SPEC_GFN_LIMIT	0xffff			/* the last frame there can be */
#define SPEC_NR_HUGE	0xffff			/* wraps around */

enum spec_kind {
	/* Any host kernel may call EL2 with any arguments. */
	SPEC_HOST_DONATE_GUEST,		/* guest, pfn, gfn, nr */
	SPEC_HOST_RECLAIM_GUEST,	/* guest, gfn, nr; SPEC_MEMORY_ERROR */
	SPEC_HOST_TEST_ACCESS,		/* pfn, nr */
	SPEC_HOST_PAGE_OWNER,		/* pfn */
	SPEC_HOST_COMPLETE,		/* guest, vcpu, nr */
	SPEC_HOST_ENTER_GUEST,		/* guest, vcpu */
	SPEC_HOST_INIT_VM,		/* guest */
	SPEC_HOST_START_TEARDOWN_VM,	/* guest */
	SPEC_HOST_FINALIZE_TEARDOWN_VM,	/* guest */
	/* What the base kernel's EL2 does; the other states that a page can be in. */
	SPEC_HOST_DONATE_PINNED,	/* guest, pfn, gfn */
	SPEC_HOST_SHARE_HYP,		/* pfn */
	SPEC_HOST_UNSHARE_HYP,		/* pfn */
	SPEC_HOST_DONATE_HYP,		/* pfn */
	SPEC_HYP_DONATE_HOST,		/* pfn */
	SPEC_HOST_WRITE,		/* pfn, val */
	/* Guests. The calls are one vCPU's; accesses are all the same. */
	SPEC_GUEST_SHARE,		/* guest, vcpu, gfn, nr; flags */
	SPEC_GUEST_UNSHARE,
	SPEC_GUEST_RELINQUISH,
	SPEC_GUEST_GUARD,
	SPEC_GUEST_ENROLL,		/* in MMIO guard; gfn and nr must be 0 */
	SPEC_GUEST_WRITE,		/* guest, gfn, val */
	SPEC_NR_EL2_KINDS,

	/* An honest host kernel, for userspace ... */
	SPEC_SYS_CREATE = SPEC_NR_EL2_KINDS,	/* guest */
	SPEC_SYS_CONVERT,		/* guest, gfn, nr; SPEC_PRIVATE */
	SPEC_SYS_PUNCH_HOLE,		/* guest, gfn, nr */
	SPEC_SYS_USER_TOUCH,		/* guest, gfn, val */
	SPEC_SYS_GET_REFERENCE,		/* guest, gfn */
	SPEC_SYS_PUT_REFERENCE,		/* pfn */
	SPEC_SYS_MEMORY_FAILURE,	/* guest, gfn */
	SPEC_SYS_DESTROY_VM,		/* guest */
	SPEC_SYS_CLOSE_FILE,		/* guest */
	/* ... and for guests; what is busy goes to userspace. */
	SPEC_SYS_GUEST_TOUCH,		/* guest, gfn, val */
	SPEC_SYS_GUEST_SHARE,		/* guest, vcpu, gfn, nr */
	SPEC_SYS_GUEST_UNSHARE,
	SPEC_SYS_GUEST_RELINQUISH,
	SPEC_SYS_GUEST_GUARD,
	SPEC_SYS_GUEST_ENROLL,
	SPEC_NR_KINDS,
};

/* spec_op.flags */
#define SPEC_MEMORY_ERROR	(1 << 0)
#define SPEC_NO_TABLES		(1 << 1)	/* nothing to pay for page tables with */
#define SPEC_NOT_LOADED		(1 << 2)	/* no vCPU is loaded */
#define SPEC_MISALIGNED		(1 << 3)	/* the guest's address */
#define SPEC_RESERVED		(1 << 4)	/* the guest sets a register that must be 0 */
#define SPEC_PRIVATE		(1 << 5)

/* Also the format of replay files, and of a fuzzer's input. */
struct spec_op {
	uint8_t kind, guest, vcpu, flags;
	uint16_t pfn, gfn, nr, val;
};

/*
 * How an operation ended. @ret is an errno or a count. A guest's call is answered (@r0, @r1)
 * or leaves to the host. For userspace: @private_exit asks for memory to be made private.
 */
struct spec_result {
	int64_t ret;
	uint64_t r0, r1;
	uint16_t stopped_at;	/* of a conversion: error_offset, in pages */
	bool answered, left, private_exit;
};

/* What one guest has at one frame of its address space. */
struct spec_entry {
	uint8_t state;		/* enum pkvm_page_state */
	bool gmem;		/* the page is a guest_memfd's */
	uint16_t pfn;		/* if the guest has a page */
};

enum spec_life { SPEC_NO_VM, SPEC_VM_LIVES, SPEC_VM_DIES };
enum spec_request { SPEC_REQ_NONE, SPEC_REQ_MAP, SPEC_REQ_SHARE, SPEC_REQ_UNSHARE,
		    SPEC_REQ_RELINQUISH, SPEC_REQ_ABSENT, SPEC_REQ_TABLES };

/* A guest's call that waits for the host. */
struct spec_record {
	uint8_t op;		/* enum spec_request */
	uint8_t pad;
	uint16_t gfn, nr;
};

struct spec_guest {
	uint8_t life;		/* enum spec_life */
	bool enrolled;		/* in MMIO guard, for good */
	struct spec_record record[SPEC_VCPUS];
	struct spec_entry entry[SPEC_GFNS];
};

/*
 * One physical page. @data is its content. @secret: a guest wrote it while the page was its
 * alone; the host must not see it before the guest shares it.
 */
struct spec_frame {
	uint8_t host;		/* enum pkvm_page_state */
	uint8_t hyp;
	uint8_t data;
	bool secret;
	/* The honest host kernel's: */
	uint8_t refs;		/* beyond the page cache's */
	bool mapped;		/* by userspace */
	bool bad;		/* kept by EL2 after a memory failure */
	bool hwpoison;		/* the same, as the host knows it */
	uint8_t in_file;	/* the guest whose file it is in, + 1 */
};

/* guest_memfd's inode of one guest. */
struct spec_file {
	bool open;
	bool private[SPEC_GFNS];
	bool given_up[SPEC_GFNS];
	uint16_t pfn[SPEC_GFNS];	/* + 1; 0 is a hole */
};

struct spec {
#ifdef __KVM_NVHE_HYPERVISOR__
	/* So many are in use. */
	uint16_t nr_frames, nr_gfns;
#endif
	struct spec_guest guest[SPEC_GUESTS];
	struct spec_frame frame[SPEC_FRAMES];
	struct spec_file file[SPEC_GUESTS];
};

extern const char *const spec_kind_names[SPEC_NR_KINDS];
extern const char *const spec_state_names[];

void spec_init(struct spec *s);

/**
 * spec_el2_step() - the specification of EL2
 * @s: the state before; becomes the state after
 * @op: what is done, of the first layer. Every value is legal, not all succeed
 * @r: filled in, see spec_step()
 */
void spec_el2_step(struct spec *s, const struct spec_op *op, struct spec_result *r);

/**
 * spec_step() - the specification, both layers
 * @s: the state before; becomes the state after
 * @op: what is done. Every value is legal, not all succeed
 * @r: filled in. Where spec_asks(), the caller sets ret before to what the implementation
 *     returned (or 0): how far one call goes is its choice, within limits
 */
void spec_step(struct spec *s, const struct spec_op *op, struct spec_result *r);

/* Is there more than one right result? */
bool spec_asks(const struct spec_op *op);

/**
 * struct spec_follower - does with an EL2 what an honest host kernel does with the abstract one
 * @before: called with each operation on EL2; sets r->ret as spec_step() wants it
 * @after: called with the new state and the result that it must have
 */
struct spec_follower {
	void (*before)(const struct spec_op *op, struct spec_result *r);
	void (*after)(const struct spec *s, const struct spec_op *op, const struct spec_result *r);
};

extern const struct spec_follower *spec_follower;

/* Returns the name of the first invariant that does not hold, or NULL. */
const char *spec_violation(const struct spec *s);	/* whatever the host does */
const char *spec_host_violation(const struct spec *s);	/* with an honest host kernel */

/* The same of what one step leads to: the name of what must not happen. */
const char *spec_step_violation(const struct spec *before, const struct spec *after);

/*
 * What the host can observe of the state. That this stays the same while a guest writes to
 * its private memory is an invariant of steps, not of states: see spec_leaks().
 */
void spec_host_view(const struct spec *s, struct spec *view);

/* Does what the host sees of this step depend on what it must not know? */
bool spec_leaks(const struct spec *s, const struct spec_op *op);

void spec_print(const struct spec *s);
void spec_print_op(const struct spec_op *op);

#endif /* __ARM64_KVM_NVHE_PKVM_SPEC_H__ */
