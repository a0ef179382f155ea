/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_PKVM_GMEM_H__
#define __ARM64_KVM_PKVM_GMEM_H__

/* guest_memfd-backed protected VMs: what the host kernel (EL1) and EL2 agree on. */

#include <linux/bits.h>
#include <linux/sizes.h>
#include <linux/types.h>

/* The most granules that one SHARE, UNSHARE, RELINQUISH or MMIO guard call of a guest does. */
#define PKVM_MEMREQ_MAX_PAGES	512

/*
 * The most pages that one donation covers: less than a table's worth, so that the
 * guest's stage 2 never gets a block, which SHARE and PUNCH_HOLE would have to split.
 */
#define PKVM_DONATE_MAX_PAGES	256

/* How many of a guest's pages one hypercall takes back: bounds the time at EL2. */
#define PKVM_RECLAIM_MAX_PAGES	256

/* What __pkvm_host_page_owner() returns: which guest has a page, and where. */
#define PKVM_PAGE_OWNER_VM(owner)	((u64)(owner) & GENMASK_ULL(15, 0))
#define PKVM_PAGE_OWNER_GFN(owner)	((u64)(owner) >> 16)

/* What a protected guest asked for and EL2 cannot finish without the host. */
enum pkvm_memreq_op {
	PKVM_MEMREQ_NONE,
	PKVM_MEMREQ_MAP,	/* the page to be shared is not mapped: map, then replay */
	PKVM_MEMREQ_SHARE,
	PKVM_MEMREQ_UNSHARE,
	PKVM_MEMREQ_RELINQUISH,
	PKVM_MEMREQ_ABSENT,	/* pages to be relinquished are not mapped: nothing to do */
	PKVM_MEMREQ_TABLES,	/* MMIO guard needs page tables: give, then replay */
};

/**
 * struct pkvm_memreq - a guest's pending memory request
 * @op: enum pkvm_memreq_op
 * @nr_pages: how many pages EL2 found in the right state, from @gfn on; at most
 *	      PKVM_MEMREQ_MAX_PAGES. 0 for MAP and TABLES
 * @gfn: the first page
 *
 * EL2 keeps its own in the hyp vCPU and never believes the copy that the host gets. It
 * is recorded on a guest exit and dies with its completion or at the next guest entry.
 */
struct pkvm_memreq {
	u32 op;
	u32 nr_pages;
	u64 gfn;
};

/* Pages that the host took back, by what they were to the guest. */
struct pkvm_reclaimed {
	u64 owned;
	u64 shared;
};

/* Binary statistics of a VM, in pages; several vCPUs count at a time. */
struct pkvm_gmem_vm_stat {
	atomic64_t pages_donated;
	atomic64_t pages_shared;
	atomic64_t pages_unshared;
	atomic64_t pages_relinquished;
	atomic64_t pages_reclaimed;
	/* What the guest has now, for itself alone and shared with the host. */
	atomic64_t private;
	atomic64_t shared;
};

/* Exits of a vCPU to userspace. */
struct pkvm_gmem_vcpu_stat {
	u64 private_exits;	/* the page is to be made private first */
	u64 busy_exits;		/* UNSHARE of a page that somebody holds */
	u64 poison_exits;	/* the page was destroyed */
};

/* STATS_DESC_COUNTER(VM_GMEM, field) and the like for the fields of these two. */
#define PKVM_GMEM_STATS_DESC(scope, stat, type, unit, base, exp, sz, bsz)	\
{										\
	STATS_DESC_COMMON(type, unit, base, exp, sz, bsz),			\
	.offset = offsetof(struct kvm_##scope##_stat, gmem.stat),		\
	.name = "gmem_" #stat,							\
}
#define VM_GMEM_STATS_DESC(stat, ...)	PKVM_GMEM_STATS_DESC(vm, stat, __VA_ARGS__)
#define VCPU_GMEM_STATS_DESC(stat, ...)	PKVM_GMEM_STATS_DESC(vcpu, stat, __VA_ARGS__)

#ifndef __KVM_NVHE_HYPERVISOR__
struct kvm;
struct kvm_memory_slot;
struct kvm_vcpu;

int pkvm_guest_abort(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		     phys_addr_t ipa);
int pkvm_gmem_abort(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		    phys_addr_t ipa);
int pkvm_handle_memreq(struct kvm_vcpu *vcpu);
void pkvm_gmem_teardown(struct kvm *kvm);
void pkvm_gmem_note_force_reclaim(void);

/* pkvm_stray.c */
void pkvm_forget_stray_access(void);

/* mmu.c: map one page of a protected guest, whatever backs its slot. */
int pkvm_map_page(struct kvm_vcpu *vcpu, struct kvm_memory_slot *slot,
		  phys_addr_t ipa);
#endif

#endif /* __ARM64_KVM_PKVM_GMEM_H__ */
