// SPDX-License-Identifier: GPL-2.0-only
/*
 * Conversion of guest_memfd memory between private and shared, in place.
 *
 * The host asks by ioctl, the guest by hypercall; both come to the same steps under the
 * exclusive invalidate_lock:
 *
 *  1. to private: take the range out of host page tables and require that the page
 *     cache is the only one left to hold its folios. User faults take the lock shared,
 *     so nobody gets a new reference until it is dropped;
 *  2. reserve the memory that recording the change takes;
 *  3. the trusted side agrees (host's call) or commits (guest's call);
 *  4. record the change, which cannot fail.
 *
 * Nothing visible changes before step 3, so that every failure leaves the state as it
 * was (host page tables are rebuilt by the next fault).
 */
#include <linux/kvm_host.h>
#include <linux/pagemap.h>
#include <linux/swap.h>
#include <linux/uaccess.h>

#include "gmem.h"

#define CREATE_TRACE_POINTS
#include <trace/events/kvm_gmem.h>

unsigned long __weak kvm_arch_gmem_make_shared(struct kvm *kvm, kvm_pfn_t pfn,
					       unsigned long nr_pages)
{
	return nr_pages;
}

/*
 * A file that does not own its attributes is what VMs with private memory had before: all
 * private, and the VM's attributes decide what its guest sees.
 */
u64 kvm_gmem_initial_attrs(struct kvm *kvm, u64 flags)
{
	if (!(flags & GUEST_MEMFD_FLAG_INIT_SHARED))
		return KVM_MEMORY_ATTRIBUTE_PRIVATE;

	if (!(flags & GUEST_MEMFD_FLAG_MMAP) && kvm_arch_has_private_mem(kvm))
		return KVM_MEMORY_ATTRIBUTE_PRIVATE;

	return 0;
}

/*
 * Which of the guest's mappings go. Making a range private that is private already must
 * leave it alone: what leaves TDX's S-EPT has lost its content.
 */
enum kvm_gfn_range_filter kvm_gmem_invalidate_filter(struct inode *inode,
						     enum kvm_gmem_invalidate why)
{
	if (why == KVM_GMEM_MAKE_PRIVATE)
		return KVM_FILTER_SHARED;
	if (why == KVM_GMEM_MAKE_SHARED)
		return KVM_FILTER_PRIVATE;

	if (kvm_gmem_owns_attrs(inode))
		return KVM_FILTER_SHARED | KVM_FILTER_PRIVATE;

	return kvm_gmem_attrs(inode)->initial ? KVM_FILTER_PRIVATE : KVM_FILTER_SHARED;
}

/*
 * Is the page cache, beside the caller's one reference, the only holder of the folio?
 * Its lock is taken to wait for a fault that found the folio before we had the
 * invalidate_lock.
 */
static bool folio_is_isolated(struct address_space *mapping, struct folio *folio,
			      enum lru_cache_drained *drained)
{
	bool isolated;

	folio_lock(folio);
	if (folio_mapped(folio))
		unmap_mapping_pages(mapping, folio->index, folio_nr_pages(folio), false);

	/* LRU batches hold references too; they are drained once for the whole range. */
	lru_cache_drain_for_folio(folio, 1, drained);
	isolated = folio_ref_count(folio) == folio_expected_ref_count(folio) + 1;
	folio_unlock(folio);

	return isolated;
}

/**
 * kvm_gmem_isolate_range() - take memory away from the host
 * @mapping: the inode's; invalidate_lock held exclusively
 * @start: first offset
 * @end: first offset after the range
 *
 * Return: the first offset that somebody still references, or @end. Holes are nobody's.
 */
pgoff_t kvm_gmem_isolate_range(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	enum lru_cache_drained drained = LRU_CACHE_NOT_DRAINED;
	pgoff_t index = start, busy = end;
	struct folio_batch fbatch;
	unsigned int i;

	unmap_mapping_pages(mapping, start, end - start, false);

	folio_batch_init(&fbatch);
	while (busy == end && filemap_get_folios(mapping, &index, end - 1, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];

			if (!folio_is_isolated(mapping, folio, &drained)) {
				busy = max(folio->index, start);
				break;
			}
		}
		folio_batch_release(&fbatch);
		cond_resched();
	}

	return busy;
}

/* Offsets in a row whose pages are physically contiguous. */
struct page_run {
	pgoff_t index;
	kvm_pfn_t pfn;
	unsigned long nr;
};

/* Gives the host a run. If it may not have it, *stop becomes the first such offset. */
static bool make_run_shared(struct kvm *kvm, const struct page_run *run, pgoff_t *stop)
{
	unsigned long done = run->nr ? kvm_arch_gmem_make_shared(kvm, run->pfn, run->nr) : 0;

	if (done == run->nr)
		return true;

	*stop = run->index + done;
	return false;
}

/*
 * Let the trusted side give the host what is in [start, end). Returns the first offset
 * that the host may not have, or end.
 */
static pgoff_t make_range_shared(struct kvm *kvm, struct address_space *mapping,
				 pgoff_t start, pgoff_t end)
{
	pgoff_t index = start, stop = end;
	struct page_run run = {};
	struct folio_batch fbatch;
	unsigned int i;

	folio_batch_init(&fbatch);
	while (stop == end && filemap_get_folios(mapping, &index, end - 1, &fbatch)) {
		for (i = 0; i < folio_batch_count(&fbatch); i++) {
			struct folio *folio = fbatch.folios[i];
			pgoff_t first = max(folio->index, start);
			unsigned long nr = min(folio_next_index(folio), end) - first;
			kvm_pfn_t pfn = folio_pfn(folio) + first - folio->index;

			if (first == run.index + run.nr && pfn == run.pfn + run.nr) {
				run.nr += nr;
				continue;
			}
			if (!make_run_shared(kvm, &run, &stop))
				break;
			run = (struct page_run) { first, pfn, nr };
		}
		/* Truncation needs the invalidate_lock: the pages stay without a reference. */
		folio_batch_release(&fbatch);
		cond_resched();
	}
	if (stop == end)
		make_run_shared(kvm, &run, &stop);

	return stop;
}

/* The host's conversion; *error is the offset that stopped it. */
static int convert_locked(struct kvm *kvm, struct inode *inode, pgoff_t start,
			  pgoff_t end, u64 value, pgoff_t *error)
{
	bool private = value & KVM_MEMORY_ATTRIBUTE_PRIVATE;
	struct address_space *mapping = inode->i_mapping;
	struct kvm_gmem_attr_change change;
	int ret;

	if (private) {
		*error = kvm_gmem_isolate_range(mapping, start, end);
		if (*error != end)
			return -EAGAIN;
	}

	*error = start;
	ret = kvm_gmem_attrs_prepare(kvm_gmem_attrs(inode), &change, start, end, value);
	if (ret)
		return ret;

	/* A fault that looked at the old attribute is made to look again. */
	kvm_gmem_invalidate_start(inode, start, end,
				  private ? KVM_GMEM_MAKE_PRIVATE : KVM_GMEM_MAKE_SHARED);

	*error = private ? end : make_range_shared(kvm, mapping, start, end);
	if (*error == end)
		kvm_gmem_attrs_store(&change);
	else
		ret = -EPERM;

	kvm_gmem_invalidate_end(inode, start, end);

	if (ret)
		mas_destroy(&change.mas);
	return ret;
}

/* Everything that can be said about a request without looking at the memory. */
static int check_request(struct file *file, const struct kvm_memory_attributes2 *req)
{
	unsigned int i;

	if (!kvm_gmem_owns_attrs(file_inode(file)))
		return -ENOTTY;

	if (!kvm_arch_has_private_mem(kvm_gmem_file_to_kvm(file)))
		return -EINVAL;

	if (req->flags || (req->attributes & ~(u64)KVM_MEMORY_ATTRIBUTE_PRIVATE))
		return -EINVAL;

	for (i = 0; i < ARRAY_SIZE(req->reserved); i++) {
		if (req->reserved[i])
			return -EINVAL;
	}

	if (!kvm_gmem_range_valid(req->offset, req->size, i_size_read(file_inode(file))))
		return -EINVAL;

	return 0;
}

/* What binary statistics say of the host's conversions. */
static void count_conversion(struct kvm *kvm, int ret)
{
	if (!ret)
		atomic64_inc(&kvm->stat.generic.gmem_conversions);
	else if (ret == -EAGAIN)
		atomic64_inc(&kvm->stat.generic.gmem_conversions_busy);
}

static int set_attributes(struct file *file, struct kvm_memory_attributes2 *req)
{
	struct kvm *kvm = kvm_gmem_file_to_kvm(file);
	struct inode *inode = file_inode(file);
	pgoff_t start = req->offset >> PAGE_SHIFT;
	pgoff_t end = start + (req->size >> PAGE_SHIFT);
	pgoff_t error = start;
	int ret;

	filemap_invalidate_lock(inode->i_mapping);
	ret = convert_locked(kvm, inode, start, end, req->attributes, &error);
	trace_kvm_gmem_convert(inode, start, end - start, req->attributes, false,
			       ret ? error : start, ret);
	filemap_invalidate_unlock(inode->i_mapping);
	count_conversion(kvm, ret);

	if (ret)
		req->error_offset = (u64)error << PAGE_SHIFT;
	return ret;
}

static int get_attributes(struct file *file, struct kvm_memory_attributes2 *req)
{
	struct inode *inode = file_inode(file);
	pgoff_t start = req->offset >> PAGE_SHIFT;
	pgoff_t end = start + (req->size >> PAGE_SHIFT);

	filemap_invalidate_lock_shared(inode->i_mapping);
	req->attributes = kvm_gmem_attrs_load(kvm_gmem_attrs(inode), start);
	end = kvm_gmem_attrs_run(kvm_gmem_attrs(inode), start, end);
	end = kvm_gmem_presence_run(inode, start, end, &req->flags);
	filemap_invalidate_unlock_shared(inode->i_mapping);

	req->size = (u64)(end - start) << PAGE_SHIFT;
	return 0;
}

/*
 * The user's struct is read and written outside the invalidate_lock: it may lie in a
 * mapping of the very file, whose faults take that lock.
 */
long kvm_gmem_ioctl(struct file *file, unsigned int ioctl, unsigned long arg)
{
	void __user *argp = (void __user *)arg;
	struct kvm_memory_attributes2 req;
	int ret;

	if (ioctl != KVM_SET_MEMORY_ATTRIBUTES2 && ioctl != KVM_GET_MEMORY_ATTRIBUTES2)
		return -ENOTTY;

	if (copy_from_user(&req, argp, sizeof(req)))
		return -EFAULT;

	ret = check_request(file, &req);
	if (ret)
		return ret;

	if (ioctl == KVM_SET_MEMORY_ATTRIBUTES2)
		ret = set_attributes(file, &req);
	else
		ret = get_attributes(file, &req);

	/* A SET that succeeded has nothing to say, and must not fail any more. */
	if ((ioctl == KVM_GET_MEMORY_ATTRIBUTES2 || ret) &&
	    copy_to_user(argp, &req, sizeof(req)))
		return -EFAULT;

	return ret;
}
