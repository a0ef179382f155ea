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

/* The page offset that a slot with a guest_memfd shows at a gfn of its own. */
pgoff_t kvm_gmem_slot_index(struct kvm_memory_slot *slot, gfn_t gfn);

/*
 * Does a file decide whether this gfn is private, and if so, is it? The caller holds
 * kvm->srcu. Without the invalidate_lock the answer may be stale: a conversion is an MMU
 * invalidation, which makes the fault that asked retry.
 */
bool kvm_gmem_decides(struct kvm *kvm, gfn_t gfn, bool *private);

/* Does a file decide for any gfn of [start, end)? The caller holds slots_lock. */
bool kvm_gmem_decides_any(struct kvm *kvm, gfn_t start, gfn_t end);

/*
 * Is this offset private? Was it given up, so that a hole there is meant? Both need the
 * invalidate_lock, shared or exclusive.
 */
bool kvm_gmem_is_private(struct inode *inode, pgoff_t index);
bool kvm_gmem_was_given_up(struct inode *inode, pgoff_t index);

/**
 * kvm_gmem_slot_folio() - the folio behind a gfn, made and zeroed if need be
 * @file: from kvm_gmem_slot_lock()
 * @index: page offset in the file
 * @create: whether a hole is filled
 *
 * Return: an unlocked, up-to-date folio with a reference, or an ERR_PTR: -ENOENT for
 * a hole, -EHWPOISON for bad memory, -ENOMEM.
 */
struct folio *kvm_gmem_slot_folio(struct file *file, pgoff_t index, bool create);

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

/**
 * kvm_gmem_guest_convert() - convert a range because the guest asked for it
 * @slot: the guest_memfd slot; the caller holds kvm->srcu
 * @gfn: first page; [@gfn, @gfn + @nr_pages) lies in @slot
 * @nr_pages: at most this many
 * @private: to private (host mappings go, references must be gone) or to shared
 * @commit: called when that many pages are ready
 * @arg: for @commit
 *
 * Return: the number of pages converted, from @gfn on, at least 1; -EAGAIN if the
 * first page is referenced by somebody (@commit was not called, nothing changed);
 * what @commit returned; -EFAULT if the file is being closed; -ENOMEM.
 */
long kvm_gmem_guest_convert(struct kvm_memory_slot *slot, gfn_t gfn,
			    unsigned long nr_pages, bool private,
			    kvm_gmem_commit_fn commit, void *arg);

/**
 * kvm_gmem_guest_relinquish() - free pages because the guest gave them up
 * @slot: the guest_memfd slot; the caller holds kvm->srcu
 * @gfn: first page; [@gfn, @gfn + @nr_pages) lies in @slot and is the guest's alone
 * @nr_pages: how many
 * @commit: takes them from the guest, scrubbed, so that they can be freed
 * @arg: for @commit
 *
 * The attributes stay. Nothing fills the holes before the guest itself touches them.
 *
 * Return: @nr_pages; what @commit returned, and nothing was freed; -EFAULT if the file
 * is being closed.
 */
long kvm_gmem_guest_relinquish(struct kvm_memory_slot *slot, gfn_t gfn,
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
