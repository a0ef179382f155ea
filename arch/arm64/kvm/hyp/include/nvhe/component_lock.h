/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_COMPONENT_LOCK_H__
#define __ARM64_KVM_NVHE_COMPONENT_LOCK_H__

/*
 * The locks of what EL2 knows about memory, in the order in which they are taken: the host's
 * (host_lock_component()), the hypervisor's, a guest's (guest_lock_component()). Whoever
 * needs the table of VMs as well takes vm_table_lock before any of them.
 *
 * Debug builds know which CPU holds the host's and a guest's lock: that somebody holds
 * it, which is all that hyp_assert_lock_held() sees, proves nothing.
 */

struct pkvm_hyp_vm;

#ifdef CONFIG_NVHE_EL2_DEBUG
void pkvm_host_lock_taken(void);
void pkvm_host_lock_dropped(void);
void pkvm_guest_lock_taken(struct pkvm_hyp_vm *vm);
void pkvm_guest_lock_dropped(struct pkvm_hyp_vm *vm);
void pkvm_assert_locks_held(struct pkvm_hyp_vm *vm);
#else
static inline void pkvm_host_lock_taken(void) { }
static inline void pkvm_host_lock_dropped(void) { }
static inline void pkvm_guest_lock_taken(struct pkvm_hyp_vm *vm) { }
static inline void pkvm_guest_lock_dropped(struct pkvm_hyp_vm *vm) { }
static inline void pkvm_assert_locks_held(struct pkvm_hyp_vm *vm) { }
#endif

#endif /* __ARM64_KVM_NVHE_COMPONENT_LOCK_H__ */
