// SPDX-License-Identifier: GPL-2.0-only
/* Debug kernels ask EL2 who owns a protected guest's pages. */
#include <linux/guest_memfd.h>
#include <linux/kvm_host.h>

#include <asm/kvm_pkvm.h>

unsigned long kvm_arch_gmem_owner(struct kvm *kvm, gfn_t gfn, unsigned long nr_pages,
				  enum kvm_gmem_owner *owner)
{
	struct arm_smccc_res res = {};

	if (!kvm_vm_is_protected(kvm))
		return 0;

	/* A teardown must not begin while EL2 looks the VM up by its handle. */
	read_lock(&kvm->mmu_lock);
	if (pkvm_hyp_vm_is_created(kvm))
		arm_smccc_1_1_hvc(KVM_HOST_SMCCC_FUNC(__pkvm_host_guest_owner),
				  kvm->arch.pkvm.handle, gfn, (u64)nr_pages, &res);
	read_unlock(&kvm->mmu_lock);

	if (WARN_ON_ONCE(res.a0 != SMCCC_RET_SUCCESS || (long)res.a1 < 0))
		return 0;

	*owner = res.a2;
	return res.a1;
}
