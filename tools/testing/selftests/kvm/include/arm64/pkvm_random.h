/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The random tester with guests in it: what its parts share. See arm64/pkvm_gmem_random.c.
 *
 * The sizes of the specification (SPEC_GFNS and so on) come from the Makefile.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_RANDOM_H
#define SELFTEST_KVM_ARM64_PKVM_RANDOM_H

#include "pkvm_guest.h"
#include <nvhe/pkvm_spec.h>

#define RND_MEM_GPA	0x80000000ULL
#define RND_LIST_GPA	0x50000000ULL
#define RND_LIST_SLOT	30
#define RND_MAX_CMDS	64
#define RND_MAX_OPS	256
/* The file of a guest in the concurrent mode, in pages. */
#define RND_CONCURRENT_PAGES	512
/* The first of them are anybody's, the others belong to vCPUs. */
#define RND_ANYBODYS	(RND_CONCURRENT_PAGES / 4)
/* What a guest writes where nobody else may look, and elsewhere. */
#define RND_SECRET	0x5ec2e70000000000ULL
#define RND_OPEN	0x09e7000000000000ULL
#define RND_MARK(val)	((val) & 0xffffff0000000000ULL)

extern size_t rnd_page;
#define RND_GPA(n)	(RND_MEM_GPA + (u64)(n) * rnd_page)
#define RND_OFF(n)	((u64)(n) * rnd_page)

/* xorshift: one state for each stream. */
struct rnd {
	u64 state;
};

void rnd_seed(struct rnd *r, u64 seed, u64 stream);
u32 rnd_below(struct rnd *r, u32 limit);

/* ---- A VM in a process of its own (pkvm_random_vmm.c) ---- */

enum rnd_calls { RND_SHARE, RND_UNSHARE, RND_RELINQUISH, RND_MEMINFO, RND_OTHER, RND_NR_CALLS };

extern const char *const rnd_call_names[RND_NR_CALLS];

struct rnd_stats {
	u64 calls[RND_NR_CALLS];	/* guests' hypercalls, by kind */
	u64 accesses;			/* pages that guests filled or checked */
	u64 batches, exits;		/* of them memory faults told to the VMM */
	u64 host_ops;			/* system calls and accesses of host userspace */
	u64 checks;			/* pages compared, or looked at for an invariant */
	u64 lives;
};

void rnd_count_call(struct rnd_stats *stats, u64 func);
void rnd_add_stats(struct rnd_stats *to, const struct rnd_stats *from);

enum rnd_request {
	RND_REQ_BATCH,		/* run cmd[0..nr) until it ends or is stopped */
	RND_REQ_RESUME,		/* go on with what is pending */
	RND_REQ_SKIP,		/* do not */
	RND_REQ_SLOT,		/* try to delete the slot of the memory */
	RND_REQ_CONCURRENT,	/* concurrent mode: see pkvm_random_concurrent_vcpu.c */
};

/* What goes between a vCPU's thread and the parent. @turn: even is the parent's. */
struct rnd_mail {
	u32 turn;
	u32 request, nr;
	int ret;
	u32 exit_reason;
	u64 fault_flags, fault_gpa, fault_size;
	struct pkvm_cmd cmd[RND_MAX_CMDS];
};

/* What a vCPU of the concurrent mode knows of a page of its own. */
enum rnd_page_is { RND_GONE, RND_OWNED, RND_SHARED, RND_UNKNOWN };

struct rnd_own {
	u8 is[RND_CONCURRENT_PAGES];
	u64 val[RND_CONCURRENT_PAGES];
};

struct rnd_shared {
	u32 nr_vcpus, nr_pages, stop, pause;
	u64 seed, life;
	struct rnd_mail mail[SPEC_VCPUS];
	struct rnd_stats stats[SPEC_VCPUS];
	struct rnd_own own;
	char problem[256];	/* of the child; says what it has seen */
};

struct rnd_vmm {
	pid_t pid;		/* 0: there is no VM */
	int shm_fd, fd;		/* fd: of the file, -1 when closed */
	struct rnd_shared *shm;
	char *mem;
	u32 nr_pages;
};

/* The program again, as a VMM: does not return. */
int rnd_vmm_main(int shm_fd, int sock);
/* NULL or what went wrong. @readd: the slot is made twice. */
const char *rnd_vmm_start(struct rnd_vmm *vmm, u32 nr_vcpus, u32 nr_pages, u64 seed, u64 life,
			  bool readd);
/* The process ends: by itself, or killed at once. */
const char *rnd_vmm_end(struct rnd_vmm *vmm, bool kill_it);
void rnd_vmm_close(struct rnd_vmm *vmm);
void rnd_vmm_post(struct rnd_vmm *vmm, u32 vcpu, enum rnd_request request);
const char *rnd_vmm_wait(struct rnd_vmm *vmm, u32 vcpu);
const char *rnd_vmm_ask(struct rnd_vmm *vmm, u32 vcpu, enum rnd_request request);
/* A vCPU's own life, in the child. */
void rnd_concurrent_vcpu(struct rnd_shared *shm, struct pkvm_vcpu *vcpu,
			 struct pkvm_cmd *list, int fd);
int rnd_run_list(struct rnd_shared *shm, struct pkvm_vcpu *vcpu, struct pkvm_cmd *list, u32 nr);

/* What the host sees of a page: 0 and the first line's value, or the signal. */
int rnd_host_check(char *page, u64 *val, u32 *differ);
int rnd_host_fill(char *page, u64 val);

/* ---- One operation at a time (pkvm_random_single.c) ---- */

/* What the specification does not have, because it changes nothing. */
enum rnd_extra {
	RND_X_GUEST_ARGS = SPEC_NR_KINDS,	/* a guest's call with wrong arguments: val says which */
	RND_X_MEMINFO,
	RND_X_IOCTL_ARGS,		/* likewise, the host's ioctl */
	RND_X_DELETE_SLOT,
	RND_X_ADVISE,			/* MADV_DONTNEED on gfn, nr */
	RND_X_REMAP,			/* munmap, mmap */
	RND_NR_KINDS,
};

struct rnd_world;

struct rnd_world *rnd_world_new(u32 nr_vcpus, u64 seed);
const char *rnd_world_step(struct rnd_world *w, const struct spec_op *op, bool thorough);
const char *rnd_world_end(struct rnd_world *w, bool failed);
extern struct rnd_stats rnd_single_stats;

/* Whole lives: -1, or at which operation it went wrong and why. */
int rnd_live(const struct spec_op *ops, u32 nr, u32 nr_vcpus, u64 seed, bool thorough,
	     const char **problem);

/* ---- Rows of operations (pkvm_random_ops.c) ---- */

u32 rnd_make_life(struct rnd *r, struct spec_op *ops, u32 nr_vcpus);
u32 rnd_take(struct spec_op *ops, const u8 *data, size_t size, u32 nr_vcpus);
int rnd_load(const char *path, struct spec_op *ops, u32 nr_vcpus, u32 *nr);
int rnd_save(const char *path, const struct spec_op *ops, u32 nr);
void rnd_print(const struct spec_op *ops, u32 nr);
/* @fails returns at which operation a row goes wrong, or -1. */
u32 rnd_shrink(struct spec_op *ops, u32 nr,
	       int (*fails)(const struct spec_op *ops, u32 nr, void *arg), void *arg);

/* ---- All at once (pkvm_random_concurrent.c) ---- */

/* NULL, or what went wrong in this life of all guests. */
const char *rnd_concurrent_life(u64 seed, u64 life, u32 nr_vcpus, u64 ms, struct rnd_stats *stats);

#endif /* SELFTEST_KVM_ARM64_PKVM_RANDOM_H */
