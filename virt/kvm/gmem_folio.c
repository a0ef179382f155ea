// SPDX-License-Identifier: GPL-2.0-only
/*
 * The folios of a guest_memfd: found for host userspace, made for a guest.
 *
 * What a guest is given around a fault is made in physically contiguous blocks where
 * there are such: the trusted side then changes hands of a block in one call, and the
 * page allocator is asked once. In the page cache each page is a folio of its own, for
 * pages are shared, punched and given back one by one.
 *
 * All of it runs under the invalidate_lock, shared or exclusive: no folio goes away.
 */
#include <linux/gfp.h>
#include <linux/kvm_host.h>
#include <linux/mempolicy.h>
#include <linux/pagemap.h>

#include "gmem.h"

static u64 presence(struct address_space *mapping, pgoff_t index)
{
	struct folio *folio = xa_load(&mapping->i_pages, index);

	if (!folio)
		return 0;

	return KVM_MEMORY_ATTRIBUTES2_POPULATED |
	       (folio_test_hwpoison(folio) ? KVM_MEMORY_ATTRIBUTES2_POISONED : 0);
}

/**
 * kvm_gmem_presence_run() - what is in memory of a file, and up to where
 * @inode: a guest_memfd inode; invalidate_lock held
 * @start: an offset
 * @end: do not look beyond; @end > @start
 * @flags: set to the KVM_MEMORY_ATTRIBUTES2_* that hold for all of the run; 0 is a hole that
 *	   nobody has made
 *
 * Return: the first offset after @start, at most @end, for which others hold.
 */
pgoff_t kvm_gmem_presence_run(struct inode *inode, pgoff_t start, pgoff_t end, u64 *flags)
{
	struct address_space *mapping = inode->i_mapping;
	pgoff_t index = start + 1;

	/* Holes are filled under the shared lock: what was one just now need not be. */
	*flags = presence(mapping, start);
	if (!*flags) {
		if (kvm_gmem_attrs_given_up(kvm_gmem_attrs(inode), start, &end))
			*flags = KVM_MEMORY_ATTRIBUTES2_GIVEN_UP;
		return xa_find(&mapping->i_pages, &index, end - 1, XA_PRESENT) ? index : end;
	}

	while (index < end && presence(mapping, index) == *flags) {
		index++;
		cond_resched();
	}

	return index;
}

/*
 * Folios leave by truncation only, which takes them from the guest first. To soft offline
 * one that is clean and not mapped looks as good as free otherwise.
 */
bool kvm_gmem_release_folio(struct folio *folio, gfp_t gfp)
{
	return false;
}

/**
 * kvm_gmem_get_shared_folio() - the folio for a host user fault
 * @inode: a guest_memfd inode
 * @index: page offset
 *
 * The lock is held from the look at the attribute until the folio is locked: a
 * conversion that comes later waits for the folio lock, that is until the caller has
 * put the page into the page table, and takes it out again. Faulters that sleep on the
 * folio lock hold the invalidate_lock and so cannot hold references that would make a
 * conversion fail.
 *
 * Return: a locked folio, or an ERR_PTR: -EACCES for private memory.
 */
struct folio *kvm_gmem_get_shared_folio(struct inode *inode, pgoff_t index)
{
	struct address_space *mapping = inode->i_mapping;
	struct folio *folio = ERR_PTR(-EACCES);

	filemap_invalidate_lock_shared(mapping);
	if (!kvm_gmem_is_private(inode, index))
		folio = kvm_gmem_get_folio(inode, index);
	filemap_invalidate_unlock_shared(mapping);

	return folio;
}

/* Up to date means zeroed once: no stale kernel data for the guest or for userspace. */
static void make_uptodate(struct folio *folio)
{
	if (folio_test_uptodate(folio))
		return;

	folio_zero_range(folio, 0, folio_size(folio));
	folio_mark_uptodate(folio);
}

/* The page that a fault needs. */
static int fill_one(struct inode *inode, pgoff_t index)
{
	struct folio *folio = kvm_gmem_get_folio(inode, index);
	int ret = 0;

	if (IS_ERR(folio))
		return PTR_ERR(folio);

	if (folio_test_hwpoison(folio))
		ret = -EHWPOISON;
	else
		make_uptodate(folio);
	folio_unlock(folio);
	folio_put(folio);

	return ret;
}

/* Nobody has asked for these pages: nobody is killed for them, and no attempt is repeated. */
static gfp_t gfp_around(struct address_space *mapping)
{
	return mapping_gfp_mask(mapping) | __GFP_NORETRY | __GFP_NOWARN;
}

/* Pages that are zeroed, and each its own; NULL if that many in a row cannot be had at once. */
static struct page *alloc_block(struct address_space *mapping, unsigned int order)
{
	gfp_t gfp = gfp_around(mapping) & ~__GFP_RECLAIM;
	struct page *page = alloc_pages(gfp | __GFP_ZERO, order);

	if (page)
		split_page(page, order);
	return page;
}

/* Another vCPU may have been faster: its page stays, and ours goes. */
static int add_page(struct address_space *mapping, struct page *page, pgoff_t index,
		    gfp_t gfp)
{
	struct folio *folio = page_folio(page);
	int ret = filemap_add_folio(mapping, folio, index, gfp);

	if (!ret) {
		folio_mark_uptodate(folio);
		folio_unlock(folio);
	}
	folio_put(folio);

	return ret == -EEXIST ? 0 : ret;
}

/* Put a block's pages where they belong. From the first error on they are freed. */
static int add_block(struct address_space *mapping, struct page *page, pgoff_t start,
		     unsigned int order, pgoff_t skip, int ret)
{
	long i;

	for (i = 0; i < 1L << order; i++) {
		if (start + i == skip)
			continue;
		if (ret)
			__free_page(page + i);
		else
			ret = add_page(mapping, page + i, start + i, gfp_around(mapping));
	}

	return ret;
}

/* Fill holes with as large a block as can be had. Returns how many offsets are done with. */
static long fill_block(struct address_space *mapping, pgoff_t start, pgoff_t end)
{
	unsigned int order = ilog2(end - start);
	struct page *page;

	while (!(page = alloc_block(mapping, order)) && order)
		order--;
	if (!page)
		return -ENOMEM;

	return add_block(mapping, page, start, order, ULONG_MAX, 0) ?: 1L << order;
}

/* Has any offset a memory policy of its own? */
static bool has_policy(struct inode *inode)
{
#ifdef CONFIG_NUMA
	return !RB_EMPTY_ROOT(&kvm_gmem_policy(inode)->root);
#else
	return false;
#endif
}

/* The policy has a say in where each page comes from: no blocks. */
static long fill_by_policy(struct address_space *mapping, struct mempolicy *policy,
			   pgoff_t index)
{
	struct folio *folio = __filemap_get_folio_mpol(mapping, index, FGP_LOCK | FGP_CREAT,
						       gfp_around(mapping), policy);

	if (IS_ERR(folio))
		return PTR_ERR(folio);

	if (!folio_test_hwpoison(folio))
		make_uptodate(folio);
	folio_unlock(folio);
	folio_put(folio);

	return 1;
}

static long fill_some(struct inode *inode, pgoff_t start, pgoff_t end)
{
	struct mempolicy *policy;
	long ret;

	if (!has_policy(inode))
		return fill_block(inode->i_mapping, start, end);

	policy = mpol_shared_policy_lookup(kvm_gmem_policy(inode), start);
	ret = fill_by_policy(inode->i_mapping, policy, start);
	mpol_cond_put(policy);

	return ret;
}

/*
 * Whether an offset is a hole that may be filled although nobody has asked for it, and up
 * to where (*end) the answer is the same.
 */
static bool may_fill(struct inode *inode, pgoff_t start, pgoff_t *end)
{
	u64 flags;

	*end = kvm_gmem_attrs_run(kvm_gmem_attrs(inode), start, *end);
	*end = kvm_gmem_presence_run(inode, start, *end, &flags);

	return kvm_gmem_is_private(inode, start) && !flags;
}

/*
 * The page that the fault needs, with the largest block in [start, end), all holes, that
 * holds it: its own page comes first, so that the others never take its place in a full
 * cgroup. Returns false if there is no such block.
 */
static bool fill_needed_block(struct address_space *mapping, pgoff_t start, pgoff_t end,
			      pgoff_t index, int *ret)
{
	unsigned int order = ilog2(end - start);
	struct page *page = alloc_block(mapping, order);

	if (!page)
		return false;

	if (index >= start + (1UL << order))
		start = end - (1UL << order);

	*ret = add_page(mapping, page + (index - start), index, mapping_gfp_mask(mapping));
	add_block(mapping, page, start, order, index, *ret);
	return true;
}

/* The page that the fault needs; what is around it in its block comes with it for little. */
static int fill_needed(struct inode *inode, pgoff_t start, pgoff_t end, pgoff_t index)
{
	pgoff_t stop = end;
	bool holes;
	int ret;

	for (; start <= index; start = stop) {
		stop = end;
		holes = may_fill(inode, start, &stop);
		if (stop > index)
			break;
	}

	if (holes && !has_policy(inode) &&
	    fill_needed_block(inode->i_mapping, start, stop, index, &ret) && ret)
		return ret;

	/* Whoever made it, it may be bad, or just being zeroed. */
	return fill_one(inode, index);
}

int kvm_gmem_fill(struct file *file, pgoff_t start, pgoff_t end, pgoff_t index)
{
	struct inode *inode = file_inode(file);
	int ret = fill_needed(inode, start, end, index);
	pgoff_t stop;
	long nr = 1;

	for (; !ret && start < end && nr > 0; start = stop) {
		stop = end;
		if (!may_fill(inode, start, &stop))
			continue;
		while (start < stop && nr > 0) {
			nr = fill_some(inode, start, stop);
			start += nr;
		}
	}

	return ret;
}

/* Pages in a row, in the file and in memory, that are zeroed or used, and not bad. */
static unsigned long contiguous_run(struct address_space *mapping, pgoff_t *index,
				    pgoff_t end, kvm_pfn_t *pfn)
{
	unsigned long nr = 0;
	struct folio *folio;
	pgoff_t cur;

	for (cur = *index; cur < end; cur++) {
		folio = xa_load(&mapping->i_pages, cur);
		if (folio && (!folio_test_uptodate(folio) || folio_test_hwpoison(folio)))
			folio = NULL;

		if (nr && (!folio || folio_pfn(folio) + cur - folio->index != *pfn + nr))
			break;
		if (!folio)
			continue;
		if (!nr++) {
			*index = cur;
			*pfn = folio_pfn(folio) + cur - folio->index;
		}
	}

	return nr;
}

unsigned long kvm_gmem_next_run(struct file *file, pgoff_t *index, pgoff_t end,
				kvm_pfn_t *pfn)
{
	struct inode *inode = file_inode(file);
	unsigned long nr = 0;
	pgoff_t stop;

	for (; !nr && *index < end; *index = nr ? *index : stop) {
		stop = kvm_gmem_attrs_run(kvm_gmem_attrs(inode), *index, end);
		if (kvm_gmem_is_private(inode, *index))
			nr = contiguous_run(inode->i_mapping, index, stop, pfn);
	}

	return nr;
}
