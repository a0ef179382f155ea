// SPDX-License-Identifier: GPL-2.0-only
/*
 * SVE of protected vCPUs: their vectors' memory and length.
 *
 * The memory comes with the hyp vCPU itself: the host gives both in one piece, EL2 zeroes both
 * when it takes and when it returns them, and the host reads neither meanwhile. It has room for
 * the longest vectors that the host uses, so no size of the host's is believed. Whether there
 * is SVE was decided with the VM's features, when EL2 made the VM.
 */
#include <linux/kvm_host.h>
#include <linux/mm.h>

#include <asm/kvm_pkvm.h>

#include <nvhe/pkvm.h>
#include <nvhe/pvm_vcpu.h>

/**
 * pvm_hyp_vcpu_size() - how much memory the host gives for a vCPU
 * @vm: any VM
 *
 * Return: bytes, whole pages; from the features that EL2 has of the VM.
 */
size_t pvm_hyp_vcpu_size(struct pkvm_hyp_vm *vm)
{
	return PAGE_ALIGN(sizeof(struct pkvm_hyp_vcpu) + pkvm_vcpu_sve_size(&vm->kvm));
}

/**
 * pvm_init_sve() - a protected vCPU's vectors
 * @hyp_vcpu: zeroed memory of pvm_hyp_vcpu_size() bytes; not yet registered
 * @max_vl: bytes in a vector, as the host would have it
 *
 * Return: 0, or -EINVAL if there are no such vectors.
 */
int pvm_init_sve(struct pkvm_hyp_vcpu *hyp_vcpu, unsigned int max_vl)
{
	struct kvm_vcpu *vcpu = &hyp_vcpu->vcpu;

	max_vl = min(max_vl, kvm_host_sve_max_vl);
	if (!sve_vl_valid(max_vl))
		return -EINVAL;

	BUILD_BUG_ON(sizeof(*hyp_vcpu) % SVE_VQ_BYTES);
	vcpu->arch.sve_state = (void *)(hyp_vcpu + 1);
	vcpu->arch.sve_max_vl = max_vl;
	vcpu_set_flag(vcpu, VCPU_SVE_FINALIZED);

	return 0;
}

/**
 * pvm_reset_sve() - a vCPU begins: its vectors, predicates and FFR are zero
 * @vcpu: loaded, and not running
 */
void pvm_reset_sve(struct kvm_vcpu *vcpu)
{
	if (vcpu_has_sve(vcpu))
		memset(vcpu->arch.sve_state, 0, vcpu_sve_state_size(vcpu));
}
