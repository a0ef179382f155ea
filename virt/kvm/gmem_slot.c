// SPDX-License-Identifier: GPL-2.0-only
/* What architectures ask about the guest_memfd behind a slot: see guest_memfd.h. */
#include <linux/kvm_host.h>
#include <linux/pagemap.h>

#include "gmem.h"

pgoff_t kvm_gmem_slot_index(struct kvm_memory_slot *slot, gfn_t gfn)
{
	return kvm_gmem_gfn_to_index(slot->base_gfn, slot->gmem.pgoff, gfn);
}

gfn_t kvm_gmem_slot_gfn(struct kvm_memory_slot *slot, pgoff_t index)
{
	return slot->base_gfn + (index - slot->gmem.pgoff);
}

bool kvm_gmem_is_private(struct inode *inode, pgoff_t index)
{
	return kvm_gmem_attrs_load(kvm_gmem_attrs(inode), index) &
	       KVM_MEMORY_ATTRIBUTE_PRIVATE;
}

bool kvm_gmem_decides(struct kvm *kvm, gfn_t gfn, bool *private)
{
	struct kvm_memory_slot *slot;
	struct file *file;

	if (!kvm_arch_has_private_mem(kvm))
		return false;

	/* Such a slot has a file that was made with GUEST_MEMFD_FLAG_MMAP. */
	slot = gfn_to_memslot(kvm, gfn);
	if (!slot || !kvm_memslot_is_gmem_only(slot))
		return false;

	file = kvm_gmem_get_file(slot);
	if (!file)
		return false;

	*private = kvm_gmem_is_private(file_inode(file), kvm_gmem_slot_index(slot, gfn));
	fput(file);
	return true;
}
EXPORT_SYMBOL_FOR_KVM_INTERNAL(kvm_gmem_decides);

bool kvm_gmem_decides_any(struct kvm *kvm, gfn_t start, gfn_t end)
{
	struct kvm_memslot_iter iter;

	kvm_for_each_memslot_in_gfn_range(&iter, kvm_memslots(kvm), start, end) {
		if (kvm_memslot_is_gmem_only(iter.slot))
			return true;
	}

	return false;
}

struct file *kvm_gmem_slot_lock(struct kvm_memory_slot *slot)
{
	struct file *file = kvm_gmem_get_file(slot);

	if (file)
		filemap_invalidate_lock_shared(file->f_mapping);

	return file;
}

void kvm_gmem_slot_unlock(struct file *file)
{
	filemap_invalidate_unlock_shared(file->f_mapping);
	fput(file);
}
