/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_GMEM_H__
#define __KVM_GMEM_H__

/* Between guest_memfd.c and the gmem_*.c beside it. */

#include <linux/guest_memfd.h>
#include <linux/guest_memfd_range.h>
#include <linux/kvm_host.h>
#include <linux/maple_tree.h>
#include <linux/mempolicy.h>

/**
 * struct kvm_gmem_attrs - what is known of every offset of one inode
 * @tree: runs of offsets whose attributes differ from @initial, as xa_mk_value()
 * @holes: runs of offsets that were given up, by PUNCH_HOLE or by the guest: that nothing
 *	   is there is meant. What has come back since is in the page cache
 * @initial: the attributes of an offset that no run of @tree covers
 * @holes_everywhere: there was no memory to be exact in @holes
 *
 * All of it is guarded by the mapping's invalidate_lock.
 */
struct kvm_gmem_attrs {
	struct maple_tree tree;
	struct maple_tree holes;
	u64 initial;
	bool holes_everywhere;
};

/* A change that is sure to fit: prepared, then stored or dropped. */
struct kvm_gmem_attr_change {
	struct ma_state mas;
	void *entry;
};

void kvm_gmem_attrs_init(struct kvm_gmem_attrs *attrs, struct inode *inode, u64 initial);
void kvm_gmem_attrs_destroy(struct kvm_gmem_attrs *attrs, struct inode *inode);
u64 kvm_gmem_attrs_load(struct kvm_gmem_attrs *attrs, pgoff_t index);
pgoff_t kvm_gmem_attrs_run(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t end);
int kvm_gmem_attrs_prepare(struct kvm_gmem_attrs *attrs,
			   struct kvm_gmem_attr_change *change,
			   pgoff_t start, pgoff_t end, u64 value);
void kvm_gmem_attrs_store(struct kvm_gmem_attr_change *change);

void kvm_gmem_attrs_give_up(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t end);
bool kvm_gmem_attrs_given_up(struct kvm_gmem_attrs *attrs, pgoff_t start, pgoff_t *end);

/* guest_memfd.c */
struct kvm_gmem_attrs *kvm_gmem_attrs(struct inode *inode);
bool kvm_gmem_owns_attrs(struct inode *inode);
struct kvm *kvm_gmem_file_to_kvm(struct file *file);
struct xarray *kvm_gmem_file_bindings(struct file *file);
struct folio *kvm_gmem_get_folio(struct inode *inode, pgoff_t index);
struct shared_policy *kvm_gmem_policy(struct inode *inode);
struct file *kvm_gmem_get_file(struct kvm_memory_slot *slot);
void kvm_gmem_invalidate_start(struct inode *inode, pgoff_t start, pgoff_t end,
			       enum kvm_gmem_invalidate why);
void kvm_gmem_invalidate_end(struct inode *inode, pgoff_t start, pgoff_t end);

/* gmem_convert.c */
u64 kvm_gmem_initial_attrs(struct kvm *kvm, u64 flags);
enum kvm_gfn_range_filter kvm_gmem_invalidate_filter(struct inode *inode,
						     enum kvm_gmem_invalidate why);
long kvm_gmem_ioctl(struct file *file, unsigned int ioctl, unsigned long arg);
pgoff_t kvm_gmem_isolate_range(struct address_space *mapping, pgoff_t start, pgoff_t end);

/* gmem_folio.c */
bool kvm_gmem_release_folio(struct folio *folio, gfp_t gfp);
struct folio *kvm_gmem_get_shared_folio(struct inode *inode, pgoff_t index);
pgoff_t kvm_gmem_presence_run(struct inode *inode, pgoff_t start, pgoff_t end, u64 *flags);

/* gmem_error.c */
int kvm_gmem_memory_failure(struct address_space *mapping, struct folio *folio);

/* gmem_debugfs.c */
void kvm_gmem_debugfs_add(struct file *file);
void kvm_gmem_debugfs_remove(struct file *file);

#endif /* __KVM_GMEM_H__ */
