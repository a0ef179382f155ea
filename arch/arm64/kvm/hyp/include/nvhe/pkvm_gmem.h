/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_PKVM_GMEM_H__
#define __ARM64_KVM_NVHE_PKVM_GMEM_H__

#include <linux/kvm_host.h>

#include <asm/kvm_hypevents.h>
#include <asm/kvm_pkvm_gmem.h>

#include <nvhe/mem_protect.h>
#include <nvhe/page_transition.h>
#include <nvhe/pkvm.h>

/* What a trace of EL2 calls them. */
static_assert(PKVM_NR_TRANSITIONS == PKVM_NR_TRANSITION_STRS);

/*
 * Software bit of a guest's stage-2 leaf: the page belongs to a guest_memfd, so that
 * the host must take part when it is shared and unshared, and nothing is pinned.
 */
#define PKVM_PROT_GMEM	KVM_PGTABLE_PROT_SW2

u64 pkvm_pages_ready(struct pkvm_hyp_vm *vm, enum pkvm_transition transition, u64 gfn,
		     u64 nr_pages, int *stopped);

int __pkvm_host_donate_guest_range(u64 pfn, u64 gfn, u64 nr_pages,
				   struct pkvm_hyp_vcpu *vcpu);
int __pkvm_guest_share_host_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages);
int __pkvm_guest_unshare_host_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages);
int __pkvm_guest_relinquish_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages);
s64 __pkvm_host_reclaim_guest_range(struct pkvm_hyp_vm *vm, u64 gfn, u64 nr_pages,
				    bool memory_error, struct pkvm_reclaimed *pages);
s64 __pkvm_host_page_owner(phys_addr_t phys);
s64 __pkvm_guest_guard_range(struct pkvm_hyp_vcpu *vcpu, u64 gfn, u64 nr_pages);

void pkvm_memreq_leave(struct kvm_vcpu *vcpu, struct pkvm_memreq req, u64 *exit_code);
bool pkvm_memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val,
		      u64 *exit_code);
int pkvm_memreq_complete(struct pkvm_hyp_vcpu *hyp_vcpu, u64 done);

bool pkvm_mmio_guard_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val, u64 *exit_code);
bool pkvm_gfn_is_guarded(struct pkvm_hyp_vm *vm, u64 gfn);

/* mem_protect.c */
void host_lock_component(void);
void host_unlock_component(void);
void guest_lock_component(struct pkvm_hyp_vm *vm);
void guest_unlock_component(struct pkvm_hyp_vm *vm);
bool pfn_range_is_valid(u64 pfn, u64 nr_pages);
int check_range_allowed_memory(u64 start, u64 end);
int host_stage2_set_owner_metadata_locked(phys_addr_t addr, u64 size, u8 owner_id,
					  u64 meta);
u64 host_stage2_encode_gfn_meta(struct pkvm_hyp_vm *vm, u64 gfn);
kvm_pte_t host_stage2_guest_annotation(struct pkvm_hyp_vm *vm, u64 gfn);
void __host_update_page_state(phys_addr_t addr, u64 size, enum pkvm_page_state state);
int host_stage2_get_guest_info(phys_addr_t phys, struct pkvm_hyp_vm **vm, u64 *gfn);
void pkvm_sme_dvmsync_fw_call(void);
int __host_set_page_state_range(u64 addr, u64 size, enum pkvm_page_state state);
enum pkvm_page_state guest_get_page_state(kvm_pte_t pte, u64 addr);
int __guest_check_pgtable_memcache(struct pkvm_hyp_vcpu *vcpu);
void hyp_poison_page(phys_addr_t phys);

/* Hypercalls of the host, for the table in hyp-main.c. */
void handle___pkvm_host_donate_guest_range(struct kvm_cpu_context *host_ctxt);
void handle___pkvm_host_page_owner(struct kvm_cpu_context *host_ctxt);
void handle___pkvm_host_reclaim_guest_range(struct kvm_cpu_context *host_ctxt);
void handle___pkvm_host_test_access(struct kvm_cpu_context *host_ctxt);
void handle___pkvm_vcpu_complete_memreq(struct kvm_cpu_context *host_ctxt);
#ifdef CONFIG_NVHE_EL2_DEBUG
void pkvm_gmem_selftest(struct pkvm_hyp_vcpu *vcpu, void *virt, u64 gfn);
void handle___pkvm_host_guest_owner(struct kvm_cpu_context *host_ctxt);
#endif

#endif /* __ARM64_KVM_NVHE_PKVM_GMEM_H__ */
