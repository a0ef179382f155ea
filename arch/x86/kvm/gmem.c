// SPDX-License-Identifier: GPL-2.0-only
/* guest_memfd memory that becomes shared in place: what x86's VM types have to do. */
#include <linux/kvm_host.h>

#include <asm/sev.h>

#include "x86.h"

/* How many pages, from the first on, the RMP does not assign to a guest. */
static unsigned long count_shared_in_rmp(kvm_pfn_t pfn, unsigned long nr_pages)
{
	unsigned long i;
	bool assigned;
	int level;

	for (i = 0; i < nr_pages; i++) {
		if (snp_lookup_rmpentry(pfn + i, &assigned, &level) || assigned)
			break;
	}

	return i;
}

/*
 * Software-protected memory is the host's all the time.
 *
 * TDX: the invalidation before this call has taken the pages out of the S-EPT. If that failed,
 * the VM is bugged, and nothing of it is shown to the host any more.
 *
 * SNP: the RMP is told here, and asked whether it has done it: a page that it still
 * assigns to the guest stays private, for the host would fault on it.
 */
unsigned long kvm_arch_gmem_make_shared(struct kvm *kvm, kvm_pfn_t pfn,
					unsigned long nr_pages)
{
	switch (kvm->arch.vm_type) {
	case KVM_X86_SNP_VM:
		kvm_x86_call(gmem_make_shared)(pfn, nr_pages);
		return count_shared_in_rmp(pfn, nr_pages);
	case KVM_X86_TDX_VM:
		return kvm->vm_bugged ? 0 : nr_pages;
	default:
		return nr_pages;
	}
}
