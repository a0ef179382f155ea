// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a guest asks for by hypercall: to share memory of its own, to take it back, to
 * give it up. The trusted side has checked that it may and commits at the right moment,
 * under the exclusive invalidate_lock: see gmem_convert.c for the order of the steps.
 */
#include <linux/kvm_host.h>
#include <linux/pagemap.h>

#include <trace/events/kvm_gmem.h>

#include "gmem.h"

static long convert_locked(struct inode *inode, pgoff_t start, unsigned long nr_pages,
			   bool private, kvm_gmem_commit_fn commit, void *arg)
{
	u64 value = private ? KVM_MEMORY_ATTRIBUTE_PRIVATE : 0;
	struct kvm_gmem_attr_change change;
	long ret;

	if (private)
		nr_pages = kvm_gmem_isolate_range(inode->i_mapping, start,
						  start + nr_pages) - start;
	if (!nr_pages)
		return -EAGAIN;

	ret = kvm_gmem_attrs_prepare(kvm_gmem_attrs(inode), &change, start,
				     start + nr_pages, value);
	if (ret)
		return ret;

	/*
	 * The trusted side changes the guest's page tables itself, and the mappings stay:
	 * there is no fault to be made to look again.
	 */
	ret = commit(arg, nr_pages);
	if (ret) {
		mas_destroy(&change.mas);
		return ret;
	}

	kvm_gmem_attrs_store(&change);
	return nr_pages;
}

static long relinquish_locked(struct inode *inode, pgoff_t start, unsigned long nr_pages,
			      kvm_gmem_commit_fn commit, void *arg)
{
	pgoff_t end = start + nr_pages;
	long ret = commit(arg, nr_pages);

	if (ret)
		return ret;

	kvm_gmem_attrs_give_up(kvm_gmem_attrs(inode), start, end);
	truncate_inode_pages_range(inode->i_mapping, (loff_t)start << PAGE_SHIFT,
				   ((loff_t)end << PAGE_SHIFT) - 1);
	return nr_pages;
}

long kvm_gmem_guest_call(struct kvm_memory_slot *slot, enum kvm_gmem_guest_op op, gfn_t gfn,
			 unsigned long nr_pages, kvm_gmem_commit_fn commit, void *arg)
{
	pgoff_t start = kvm_gmem_slot_index(slot, gfn);
	struct file *file = kvm_gmem_get_file(slot);
	struct inode *inode;
	long ret;

	if (!file)
		return -EFAULT;

	inode = file_inode(file);
	filemap_invalidate_lock(inode->i_mapping);
	if (op == KVM_GMEM_GUEST_RELINQUISH)
		ret = relinquish_locked(inode, start, nr_pages, commit, arg);
	else
		ret = convert_locked(inode, start, nr_pages,
				     op == KVM_GMEM_GUEST_UNSHARE, commit, arg);
	if (op != KVM_GMEM_GUEST_RELINQUISH)
		trace_kvm_gmem_convert(inode, start, ret > 0 ? ret : nr_pages,
				       op == KVM_GMEM_GUEST_UNSHARE ?
				       KVM_MEMORY_ATTRIBUTE_PRIVATE : 0, true, start,
				       min(ret, 0L));
	filemap_invalidate_unlock(inode->i_mapping);
	fput(file);

	return ret;
}
