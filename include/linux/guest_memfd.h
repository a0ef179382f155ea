/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef _LINUX_GUEST_MEMFD_H
#define _LINUX_GUEST_MEMFD_H

/*
 * What architectures see of guest_memfd's private and shared memory.
 *
 * *Private* and *shared* are attributes of a page offset in the inode: whether host
 * userspace may map it. Who owns the physical page is the trusted side's business
 * (EL2, RMP, S-EPT), and the hooks below are how the two are kept in step.
 *
 * Lock order: slots_lock -> invalidate_lock; mmap_lock -> invalidate_lock -> folio
 * lock -> i_mmap_rwsem -> page table locks; invalidate_lock -> mmu_lock. kvm->srcu
 * may be held around any of them.
 */

#include <linux/fs.h>
#include <linux/guest_memfd_owner.h>
#include <linux/kvm_types.h>
#include <linux/mm_types.h>

struct kvm;
struct kvm_memory_slot;

/* Why a range of a guest_memfd leaves the guest's page tables. */
enum kvm_gmem_invalidate {
	KVM_GMEM_FREE,		/* its pages go back to the page allocator, or its slot goes */
	KVM_GMEM_ERROR,		/* the hardware reported its memory as bad */
	KVM_GMEM_MAKE_PRIVATE,	/* its attribute changes; the content stays */
	KVM_GMEM_MAKE_SHARED,	/* likewise */
};

#ifdef CONFIG_KVM_GUEST_MEMFD
/**
 * kvm_gmem_slot_lock() - look at a slot's file, with its attributes held still
 * @slot: a slot with a guest_memfd; the caller holds kvm->srcu
 *
 * Return: the slot's file with a reference and its invalidate_lock held shared, or
 * NULL if the file is being closed. Undone by kvm_gmem_slot_unlock().
 */
struct file *kvm_gmem_slot_lock(struct kvm_memory_slot *slot);
void kvm_gmem_slot_unlock(struct file *file);

/* The page offset that a slot with a guest_memfd shows at a gfn of its own, and back. */
pgoff_t kvm_gmem_slot_index(struct kvm_memory_slot *slot, gfn_t gfn);
gfn_t kvm_gmem_slot_gfn(struct kvm_memory_slot *slot, pgoff_t index);

/*
 * Does a file decide whether this gfn is private, and if so, is it? The caller holds
 * kvm->srcu. Without the invalidate_lock the answer may be stale: a conversion is an MMU
 * invalidation, which makes the fault that asked retry.
 */
bool kvm_gmem_decides(struct kvm *kvm, gfn_t gfn, bool *private);

/* Does a file decide for any gfn of [start, end)? The caller holds slots_lock. */
bool kvm_gmem_decides_any(struct kvm *kvm, gfn_t start, gfn_t end);

/* Is this offset private? Needs the invalidate_lock, shared or exclusive. */
bool kvm_gmem_is_private(struct inode *inode, pgoff_t index);

/**
 * kvm_gmem_fill() - make the page that a guest's fault needs, and those around it
 * @file: from kvm_gmem_slot_lock()
 * @start: first offset of what may be filled besides
 * @end: first offset after that
 * @index: the offset that the guest needs
 *
 * Holes in [@start, @end) are filled where they are private, and were not left by
 * somebody who gave the memory up. Want of memory for these is no failure.
 *
 * Return: 0, -EHWPOISON or -ENOMEM for @index.
 */
int kvm_gmem_fill(struct file *file, pgoff_t start, pgoff_t end, pgoff_t index);

/**
 * kvm_gmem_next_run() - the next pages that a guest can be given
 * @file: from kvm_gmem_slot_lock()
 * @index: where to look from; set to the first one
 * @end: where to stop
 * @pfn: set to the first one's; the others follow it
 *
 * They are private, there, zeroed or used, and not known to be bad. None of them goes away
 * while the lock is held.
 *
 * Return: how many; 0 if there are no more before @end.
 */
unsigned long kvm_gmem_next_run(struct file *file, pgoff_t *index, pgoff_t end,
				kvm_pfn_t *pfn);

/**
 * typedef kvm_gmem_commit_fn - the trusted side's half of what a guest asked for
 * @arg: the caller's
 * @nr_pages: how many pages are ready, from the first on; never 0
 *
 * Called once with the invalidate_lock held exclusively. Either all of @nr_pages
 * change hands or none does.
 *
 * Return: 0 or a negative errno.
 */
typedef int (*kvm_gmem_commit_fn)(void *arg, unsigned long nr_pages);

/* What a guest asks for. */
enum kvm_gmem_guest_op {
	KVM_GMEM_GUEST_SHARE,
	KVM_GMEM_GUEST_UNSHARE,		/* host mappings go, references must be gone */
	KVM_GMEM_GUEST_RELINQUISH,	/* pages that are the guest's alone are freed */
};

/**
 * kvm_gmem_guest_call() - do what the guest asked for
 * @slot: the guest_memfd slot; the caller holds kvm->srcu
 * @op: what
 * @gfn: first page; [@gfn, @gfn + @nr_pages) lies in @slot
 * @nr_pages: at most this many
 * @commit: called when that many pages are ready; for RELINQUISH it takes them from the
 *	    guest, scrubbed
 * @arg: for @commit
 *
 * RELINQUISH keeps the attributes, and nothing fills the holes before the guest itself
 * touches them.
 *
 * Return: how many pages were done, from @gfn on, at least 1; -EAGAIN if UNSHARE found the
 * first page referenced by somebody (@commit was not called, nothing changed); what
 * @commit returned; -EFAULT if the file is being closed; -ENOMEM.
 */
long kvm_gmem_guest_call(struct kvm_memory_slot *slot, enum kvm_gmem_guest_op op, gfn_t gfn,
			 unsigned long nr_pages, kvm_gmem_commit_fn commit, void *arg);
#endif

/**
 * kvm_arch_gmem_make_shared() - the host gets these pages, in place
 * @kvm: the VM whose file they are in
 * @pfn: first page of a physically contiguous run
 * @nr_pages: its length
 *
 * Called before a range becomes shared, with the invalidate_lock held exclusively, after the
 * range has left the guest's page tables where KVM builds these. The content is not KVM's
 * business: what the architecture can preserve it does.
 *
 * Not to be confused with kvm_arch_gmem_reclaim() and kvm_arch_gmem_invalidate_range(): there
 * the pages are freed, and nothing of the guest's may be left in them.
 *
 * Return: how many pages, from the first on, the host may use now. If these are not all,
 * the range stays private; what has changed is undone when the guest uses it again.
 */
unsigned long kvm_arch_gmem_make_shared(struct kvm *kvm, kvm_pfn_t pfn,
					unsigned long nr_pages);

/**
 * kvm_arch_gmem_owner() - what the trusted side says of a run of frames, to debug
 * @kvm: the VM
 * @gfn: first frame
 * @nr_pages: look no further
 * @owner: the answer
 *
 * Called with the invalidate_lock held shared. Only debug kernels may be able to ask.
 *
 * Return: for how many frames, from the first on, @owner holds; 0 if nobody says anything.
 */
unsigned long kvm_arch_gmem_owner(struct kvm *kvm, gfn_t gfn, unsigned long nr_pages,
				  enum kvm_gmem_owner *owner);

#ifndef CONFIG_KVM_GUEST_MEMFD
static inline bool kvm_gmem_decides(struct kvm *kvm, gfn_t gfn, bool *private)
{
	return false;
}

static inline bool kvm_gmem_decides_any(struct kvm *kvm, gfn_t start, gfn_t end)
{
	return false;
}
#endif

#endif /* _LINUX_GUEST_MEMFD_H */
