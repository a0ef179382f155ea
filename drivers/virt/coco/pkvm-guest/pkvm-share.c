// SPDX-License-Identifier: GPL-2.0-only
/*
 * /dev/pkvm-share: memory that a protected guest's userspace shares with the host.
 *
 * mmap() gives zeroed pages that have been SHAREd, in place; they are UNSHAREd and freed
 * when the last mapping goes. Userspace tells the host where they are by means of its
 * own (as root it can read the guest physical address from /proc/self/pagemap).
 *
 * The host reads and writes the pages at any time: treat what is in them as input from
 * an attacker.
 */
#include <linux/cc_platform.h>
#include <linux/miscdevice.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/set_memory.h>
#include <linux/slab.h>

#define PKVM_SHARE_MAX_PAGES	1024

/**
 * struct pkvm_share - the pages of one mapping
 * @users: VMAs that map them: fork and split add, the last one to close frees
 * @nr: how many pages are allocated and shared
 * @pages: each on its own, so that any number can be had
 */
struct pkvm_share {
	refcount_t users;
	unsigned int nr;
	struct page *pages[];
};

/*
 * The mappings are gone. Somebody in the guest may still have pinned a page: that only
 * delays its being freed, since it is private again by then.
 *
 * A page that the host does not give back stays shared and is leaked: it must not become
 * memory that the guest believes private.
 */
static void pkvm_share_free(struct pkvm_share *share)
{
	while (share->nr--) {
		struct page *page = share->pages[share->nr];

		if (set_memory_encrypted((unsigned long)page_address(page), 1)) {
			pr_warn_ratelimited("pkvm-share: the host kept a page; leaking it\n");
			continue;
		}
		__free_page(page);
	}
	kfree(share);
}

static struct pkvm_share *pkvm_share_alloc(unsigned int nr)
{
	struct pkvm_share *share = kzalloc(struct_size(share, pages, nr), GFP_KERNEL_ACCOUNT);
	struct page *page;

	if (!share)
		return NULL;

	refcount_set(&share->users, 1);
	for (; share->nr < nr; share->nr++) {
		page = alloc_page(GFP_KERNEL_ACCOUNT | __GFP_ZERO);
		if (!page)
			goto fail;
		/* Whose it is after an error nobody knows: leaked, as in pkvm_share_free(). */
		if (set_memory_decrypted((unsigned long)page_address(page), 1))
			goto fail;
		share->pages[share->nr] = page;
	}

	return share;
fail:
	pkvm_share_free(share);
	return NULL;
}

static void pkvm_share_vma_open(struct vm_area_struct *vma)
{
	struct pkvm_share *share = vma->vm_private_data;

	refcount_inc(&share->users);
}

static void pkvm_share_vma_close(struct vm_area_struct *vma)
{
	struct pkvm_share *share = vma->vm_private_data;

	if (refcount_dec_and_test(&share->users))
		pkvm_share_free(share);
}

static const struct vm_operations_struct pkvm_share_vm_ops = {
	.open	= pkvm_share_vma_open,
	.close	= pkvm_share_vma_close,
};

static int pkvm_share_mmap(struct file *file, struct vm_area_struct *vma)
{
	unsigned long nr = vma_pages(vma);
	struct pkvm_share *share;
	int ret;

	if (!(vma->vm_flags & VM_SHARED) || vma->vm_pgoff || nr > PKVM_SHARE_MAX_PAGES)
		return -EINVAL;

	share = pkvm_share_alloc(nr);
	if (!share)
		return -ENOMEM;

	vm_flags_set(vma, VM_DONTEXPAND | VM_DONTDUMP);
	ret = vm_map_pages(vma, share->pages, nr);
	if (ret) {
		zap_vma_range(vma, vma->vm_start, nr * PAGE_SIZE);
		pkvm_share_free(share);
		return ret;
	}

	vma->vm_private_data = share;
	vma->vm_ops = &pkvm_share_vm_ops;
	return 0;
}

static const struct file_operations pkvm_share_fops = {
	.owner	= THIS_MODULE,
	.mmap	= pkvm_share_mmap,
};

static struct miscdevice pkvm_share_dev = {
	.minor	= MISC_DYNAMIC_MINOR,
	.name	= "pkvm-share",
	.fops	= &pkvm_share_fops,
	.mode	= 0600,
};

static int __init pkvm_share_init(void)
{
	if (!cc_platform_has(CC_ATTR_MEM_ENCRYPT))
		return -ENODEV;

	return misc_register(&pkvm_share_dev);
}
module_init(pkvm_share_init);

MODULE_DESCRIPTION("Shared memory for the userspace of a protected pKVM guest");
MODULE_LICENSE("GPL");
