// SPDX-License-Identifier: GPL-2.0-only
/*
 * debugfs: the map of each guest_memfd, kvm/PID-FD/guest_memfd-INODE, a line per run:
 *
 *   start-end private|shared resident|poisoned|hole|given-up gfn-gfn slot N
 *
 * or "unbound" in place of gfns and slot. Offsets are in bytes, ends are exclusive, numbers
 * but the slot's are hexadecimal. Where the trusted side can be asked, the line of a slot goes
 * on with its word on these frames, "el2 absent|owned|shared|poisoned|broken", and with
 * "DISAGREES" if that cannot be true together with the rest.
 *
 * The invalidate_lock is held shared for as much as fits the reader's buffer: attributes,
 * pages and bindings of these lines belong together, the lines of another read need not.
 */
#include <linux/debugfs.h>
#include <linux/kvm_host.h>
#include <linux/pagemap.h>
#include <linux/seq_file.h>

#include "gmem.h"

struct map_run {
	pgoff_t start;
	pgoff_t end;
	bool private;
	u64 presence;
	struct kvm_memory_slot *slot;
	enum kvm_gmem_owner owner;
};

unsigned long __weak kvm_arch_gmem_owner(struct kvm *kvm, gfn_t gfn, unsigned long nr_pages,
					 enum kvm_gmem_owner *owner)
{
	return 0;
}

/* The slot that shows @start, if any; *end is lowered to where that changes. */
static struct kvm_memory_slot *bound_run(struct xarray *bindings, pgoff_t start,
					 pgoff_t *end)
{
	struct kvm_memory_slot *slot = xa_load(bindings, start);
	unsigned long next = start;

	if (slot)
		*end = min(*end, slot->gmem.pgoff + slot->npages);
	else if (xa_find(bindings, &next, *end - 1, XA_PRESENT))
		*end = next;

	return slot;
}

/* The trusted side's word on what @slot shows from @start on; *end is lowered likewise. */
static enum kvm_gmem_owner owner_run(struct kvm *kvm, struct kvm_memory_slot *slot,
				     pgoff_t start, pgoff_t *end)
{
	enum kvm_gmem_owner owner = KVM_GMEM_OWNER_UNKNOWN, next;
	gfn_t gfn = slot->base_gfn + start - slot->gmem.pgoff;
	unsigned long nr = 0, more;

	do {
		more = kvm_arch_gmem_owner(kvm, gfn + nr, *end - start - nr, &next);
		if (!more || (nr && next != owner))
			break;
		owner = next;
		nr += more;
		cond_resched();
	} while (start + nr < *end);

	if (nr)
		*end = start + nr;
	return owner;
}

static void find_run(struct file *file, pgoff_t start, struct map_run *run)
{
	struct inode *inode = file_inode(file);

	run->start = start;
	run->private = kvm_gmem_is_private(inode, start);
	run->end = kvm_gmem_attrs_run(kvm_gmem_attrs(inode), start,
				      i_size_read(inode) >> PAGE_SHIFT);
	run->slot = bound_run(kvm_gmem_file_bindings(file), start, &run->end);
	run->owner = KVM_GMEM_OWNER_UNKNOWN;
	if (run->slot)
		run->owner = owner_run(kvm_gmem_file_to_kvm(file), run->slot, start, &run->end);

	/* Last: a fault fills a hole before it gives the page to the guest. */
	run->end = kvm_gmem_presence_run(inode, start, run->end, &run->presence);
}

/* What is being shown; found once, for pages come under the shared lock. */
struct map_iter {
	struct file *file;
	struct map_run run;
};

static void *map_at(struct map_iter *iter, loff_t pos)
{
	if (pos >= i_size_read(file_inode(iter->file)) >> PAGE_SHIFT)
		return NULL;

	find_run(iter->file, pos, &iter->run);
	return iter;
}

static void *map_start(struct seq_file *m, loff_t *pos)
{
	struct map_iter *iter = m->private;

	filemap_invalidate_lock_shared(iter->file->f_mapping);
	return map_at(iter, *pos);
}

static void *map_next(struct seq_file *m, void *v, loff_t *pos)
{
	struct map_iter *iter = v;

	*pos = iter->run.end;
	return map_at(iter, *pos);
}

static void map_stop(struct seq_file *m, void *v)
{
	struct map_iter *iter = m->private;

	filemap_invalidate_unlock_shared(iter->file->f_mapping);
}

static const char *presence_word(u64 presence)
{
	if (presence & KVM_MEMORY_ATTRIBUTES2_POISONED)
		return "poisoned";
	if (presence & KVM_MEMORY_ATTRIBUTES2_POPULATED)
		return "resident";
	return presence & KVM_MEMORY_ATTRIBUTES2_GIVEN_UP ? "given-up" : "hole";
}

static void show_owner(struct seq_file *m, const struct map_run *run)
{
	static const char * const words[KVM_GMEM_NR_OWNERS] = {
		[KVM_GMEM_OWNER_ABSENT]		= "absent",
		[KVM_GMEM_OWNER_GUEST]		= "owned",
		[KVM_GMEM_OWNER_SHARED]		= "shared",
		[KVM_GMEM_OWNER_POISONED]	= "poisoned",
		[KVM_GMEM_OWNER_BROKEN]		= "broken",
	};

	if (run->owner < KVM_GMEM_NR_OWNERS && words[run->owner])
		seq_printf(m, " el2 %s", words[run->owner]);
	if (kvm_gmem_owner_disagrees(run->owner, run->private,
				     run->presence & KVM_MEMORY_ATTRIBUTES2_POPULATED))
		seq_puts(m, " DISAGREES");
}

static int map_show(struct seq_file *m, void *v)
{
	struct map_iter *iter = v;
	struct map_run *run = &iter->run;
	gfn_t first, last;

	seq_printf(m, "%016llx-%016llx %s %s ", (u64)run->start << PAGE_SHIFT,
		   (u64)run->end << PAGE_SHIFT, run->private ? "private" : "shared",
		   presence_word(run->presence));

	if (run->slot && kvm_gmem_index_to_gfns(run->slot->base_gfn, run->slot->gmem.pgoff,
						run->slot->npages, run->start, run->end,
						&first, &last))
		seq_printf(m, "%llx-%llx slot %d", first, last, run->slot->id);
	else
		seq_puts(m, "unbound");
	show_owner(m, run);
	seq_putc(m, '\n');

	return 0;
}

static const struct seq_operations map_sops = {
	.start	= map_start,
	.next	= map_next,
	.stop	= map_stop,
	.show	= map_show,
};

static int map_open(struct inode *inode, struct file *file)
{
	struct map_iter *iter = __seq_open_private(file, &map_sops, sizeof(*iter));

	if (!iter)
		return -ENOMEM;
	iter->file = inode->i_private;
	return 0;
}

static const struct file_operations map_fops = {
	.owner		= THIS_MODULE,
	.open		= map_open,
	.read		= seq_read,
	.llseek		= seq_lseek,
	.release	= seq_release_private,
};

static void map_name(struct file *file, char *name, size_t size)
{
	snprintf(name, size, "guest_memfd-%llu", (u64)file_inode(file)->i_ino);
}

/**
 * kvm_gmem_debugfs_add() - show the map of a new guest_memfd
 * @file: the file, which its VM's directory does not keep alive
 *
 * A failure is nobody's concern.
 */
void kvm_gmem_debugfs_add(struct file *file)
{
	struct dentry *dir = kvm_gmem_file_to_kvm(file)->debugfs_dentry;
	char name[40];

	if (IS_ERR_OR_NULL(dir))
		return;

	map_name(file, name, sizeof(name));
	debugfs_create_file(name, 0400, dir, file, &map_fops);
}

/**
 * kvm_gmem_debugfs_remove() - the file is being released
 * @file: the file; neither slots_lock nor the invalidate_lock is held, for this waits
 *	  for readers
 */
void kvm_gmem_debugfs_remove(struct file *file)
{
	struct dentry *dir = kvm_gmem_file_to_kvm(file)->debugfs_dentry;
	char name[40];

	if (IS_ERR_OR_NULL(dir))
		return;

	map_name(file, name, sizeof(name));
	debugfs_lookup_and_remove(name, dir);
}
