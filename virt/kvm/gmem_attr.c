// SPDX-License-Identifier: GPL-2.0-only
/*
 * The attribute of every page offset of a guest_memfd inode: private or shared; and which
 * offsets were given up.
 *
 * A maple tree of runs, so that the cost follows the number of runs and not of pages:
 * converting a gigabyte stores one entry. Neighbouring runs of equal value are merged,
 * and a run that returns to the inode's initial value leaves the tree.
 *
 * All of it is guarded by the mapping's invalidate_lock: exclusive to change, shared to
 * read. kvm_gmem_attrs_load() may also be used without it where a stale answer is
 * caught later (MMU notifier retry); the tree is in RCU mode for that.
 */
#include <linux/pagemap.h>
#include <linux/xarray.h>

#include "gmem.h"

static void init_runs(struct maple_tree *tree, struct inode *inode)
{
	mt_init_flags(tree, MT_FLAGS_USE_RCU | MT_FLAGS_LOCK_EXTERN);
	mt_set_external_lock(tree, &inode->i_mapping->invalidate_lock);
}

void kvm_gmem_attrs_init(struct kvm_gmem_attrs *attrs, struct inode *inode, u64 initial)
{
	init_runs(&attrs->tree, inode);
	init_runs(&attrs->holes, inode);
	attrs->initial = initial;
	attrs->holes_everywhere = false;
}

/* Nobody can reach the inode any more; the lock only satisfies the tree's assertions. */
void kvm_gmem_attrs_destroy(struct kvm_gmem_attrs *attrs, struct inode *inode)
{
	if (mtree_empty(&attrs->tree) && mtree_empty(&attrs->holes))
		return;

	filemap_invalidate_lock(inode->i_mapping);
	__mt_destroy(&attrs->tree);
	__mt_destroy(&attrs->holes);
	filemap_invalidate_unlock(inode->i_mapping);
}

static u64 entry_to_value(struct kvm_gmem_attrs *attrs, void *entry)
{
	return entry ? xa_to_value(entry) : attrs->initial;
}

u64 kvm_gmem_attrs_load(struct kvm_gmem_attrs *attrs, pgoff_t index)
{
	return entry_to_value(attrs, mtree_load(&attrs->tree, index));
}

static pgoff_t run_end(struct maple_tree *tree, pgoff_t start, pgoff_t end)
{
	MA_STATE(mas, tree, start, start);

	rcu_read_lock();
	mas_walk(&mas);
	rcu_read_unlock();

	return min(mas.last, end - 1) + 1;
}

/**
 * kvm_gmem_attrs_run() - where the run that holds an offset ends
 * @attrs: the inode's attributes; invalidate_lock held
 * @start: an offset
 * @end: do not look beyond; @end > @start
 *
 * Return: the first offset after @start, at most @end, with another value.
 */
pgoff_t kvm_gmem_attrs_run(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t end)
{
	return run_end(&attrs->tree, start, end);
}

/*
 * Grow [*start, *last] over neighbours of the same value, so that they become one run.
 * Runs of the initial value are holes in the tree, which merges them by itself.
 */
static void merge_neighbours(struct maple_tree *tree, void *entry,
			     pgoff_t *start, pgoff_t *last)
{
	MA_STATE(mas, tree, 0, 0);

	if (!entry)
		return;

	rcu_read_lock();
	if (*start) {
		mas_set(&mas, *start - 1);
		if (mas_walk(&mas) == entry)
			*start = mas.index;
	}
	if (*last != ULONG_MAX) {
		mas_set(&mas, *last + 1);
		if (mas_walk(&mas) == entry)
			*last = mas.last;
	}
	rcu_read_unlock();
}

static int prepare_run(struct maple_tree *tree, struct kvm_gmem_attr_change *change,
		       pgoff_t start, pgoff_t last)
{
	merge_neighbours(tree, change->entry, &start, &last);

	mas_init(&change->mas, tree, start);
	mas_set_range(&change->mas, start, last);

	/* The store is memory too: a checkerboard is charged to who makes it. */
	return mas_preallocate(&change->mas, change->entry, GFP_KERNEL_ACCOUNT);
}

/**
 * kvm_gmem_attrs_prepare() - make sure that a change will fit
 * @attrs: the inode's attributes; invalidate_lock held exclusively until the change is
 *	   stored or dropped
 * @change: filled in
 * @start: first offset
 * @end: first offset after the range; @end > @start
 * @value: the new attributes
 *
 * Nothing that can fail is left to kvm_gmem_attrs_store(), which must follow, or
 * mas_destroy(&change->mas).
 *
 * Return: 0 or -ENOMEM.
 */
int kvm_gmem_attrs_prepare(struct kvm_gmem_attrs *attrs,
			   struct kvm_gmem_attr_change *change,
			   pgoff_t start, pgoff_t end, u64 value)
{
	change->entry = value == attrs->initial ? NULL : xa_mk_value(value);
	return prepare_run(&attrs->tree, change, start, end - 1);
}

void kvm_gmem_attrs_store(struct kvm_gmem_attr_change *change)
{
	mas_store_prealloc(&change->mas, change->entry);
}

/**
 * kvm_gmem_attrs_give_up() - remember that a range is empty on purpose
 * @attrs: the inode's attributes; invalidate_lock held exclusively
 * @start: first offset
 * @end: first offset after the range; @end > @start
 *
 * Cannot fail: without memory to be exact every hole counts as given up.
 */
void kvm_gmem_attrs_give_up(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t end)
{
	struct kvm_gmem_attr_change change = { .entry = xa_mk_value(1) };

	if (prepare_run(&attrs->holes, &change, start, end - 1))
		attrs->holes_everywhere = true;
	else
		kvm_gmem_attrs_store(&change);
}

/**
 * kvm_gmem_attrs_given_up() - was an offset given up?
 * @attrs: the inode's attributes; invalidate_lock held
 * @start: the offset
 * @end: set to the first offset after @start that differs, if it lies before *@end
 */
bool kvm_gmem_attrs_given_up(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t *end)
{
	if (attrs->holes_everywhere)
		return true;

	*end = run_end(&attrs->holes, start, *end);
	return mtree_load(&attrs->holes, start);
}
