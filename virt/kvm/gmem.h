/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_GMEM_H__
#define __KVM_GMEM_H__

/* Between guest_memfd.c, gmem_attr.c and gmem_convert.c. */

#include <linux/guest_memfd.h>
#include <linux/maple_tree.h>

/**
 * struct kvm_gmem_attrs - the attributes of every offset of one inode
 * @tree: runs of offsets whose attributes differ from @initial, as xa_mk_value();
 *	  guarded by the mapping's invalidate_lock
 * @initial: what an offset has that no run covers
 * @punched: a hole has been punched somewhere: from now on a hole may be meant
 */
struct kvm_gmem_attrs {
	struct maple_tree tree;
	u64 initial;
	bool punched;
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

/* guest_memfd.c */
struct kvm_gmem_attrs *kvm_gmem_attrs(struct inode *inode);
bool kvm_gmem_owns_attrs(struct inode *inode);
struct kvm *kvm_gmem_file_to_kvm(struct file *file);
struct folio *kvm_gmem_get_folio(struct inode *inode, pgoff_t index);
struct file *kvm_gmem_get_file(struct kvm_memory_slot *slot);
void kvm_gmem_invalidate_start(struct inode *inode, pgoff_t start, pgoff_t end,
			       enum kvm_gmem_invalidate why);
void kvm_gmem_invalidate_end(struct inode *inode, pgoff_t start, pgoff_t end);

/* gmem_convert.c */
long kvm_gmem_ioctl(struct file *file, unsigned int ioctl, unsigned long arg);
struct folio *kvm_gmem_get_shared_folio(struct inode *inode, pgoff_t index);

#endif /* __KVM_GMEM_H__ */
