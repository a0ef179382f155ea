// SPDX-License-Identifier: GPL-2.0-only
/* Memory failure: a page of a guest_memfd is bad. */
#include <linux/fs.h>
#include <linux/mm.h>
#include <linux/pagemap.h>

#include "gmem.h"

/**
 * kvm_gmem_memory_failure() - take bad memory from the guest
 * @mapping: a guest_memfd's
 * @folio: the bad folio, locked and marked as such; the caller holds a reference
 *
 * The page stays in the file, so that whoever touches it next is told; what to do
 * about that is userspace's decision.
 *
 * The invalidate_lock comes before the folio lock, and conversion takes them in that order,
 * so the folio is unlocked meanwhile. It is taken exclusively: whoever found the folio
 * before it was marked, under the shared lock, has mapped it by then, and loses it here.
 *
 * Return: MF_DELAYED, with @folio locked.
 */
int kvm_gmem_memory_failure(struct address_space *mapping, struct folio *folio)
{
	/* Unlocked, the folio does not keep the inode. */
	struct inode *inode = igrab(mapping->host);
	pgoff_t start = folio->index, end = folio_next_index(folio);

	/* Eviction goes on as soon as it gets the folio lock: no file, no guest. */
	if (!inode)
		return MF_DELAYED;

	folio_unlock(folio);
	filemap_invalidate_lock(mapping);

	/* Still in the file? Then it is where it was, and what a guest has there is bad. */
	if (folio->mapping == mapping) {
		kvm_gmem_invalidate_start(inode, start, end, KVM_GMEM_ERROR);
		kvm_gmem_invalidate_end(inode, start, end);
	}

	filemap_invalidate_unlock(mapping);

	/* Before the folio is locked again: the last reference evicts it. */
	iput(inode);
	folio_lock(folio);

	return MF_DELAYED;
}
