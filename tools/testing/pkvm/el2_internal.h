/* SPDX-License-Identifier: GPL-2.0-only */
/* Between el2_env.c and el2.c. */
#ifndef __PKVM_TEST_EL2_INTERNAL_H
#define __PKVM_TEST_EL2_INTERNAL_H

#include <setjmp.h>

#include <el2_env.h>

/* One page. @dirty: a guest may have written past the caches since they were cleaned. */
struct el2_memory {
	u8 data;
	bool dirty;
	bool touched;		/* EL2 wrote it */
};

extern struct pkvm_hyp_vm el2_vm[SPEC_GUESTS];
extern struct pkvm_hyp_vcpu el2_vcpu[SPEC_GUESTS][SPEC_VCPUS];
extern struct kvm_vcpu el2_host_vcpu[SPEC_GUESTS][SPEC_VCPUS];
extern struct pkvm_hyp_vcpu *el2_loaded;
extern struct el2_memory el2_memory[SPEC_FRAMES + 1];
extern char el2_complaint[256];
extern jmp_buf el2_escape;
extern unsigned int el2_budget;		/* looks at pages that are left to one operation */
extern bool el2_loading;		/* the tables are not EL2's yet */

struct el2_memory *el2_memory_of(u64 phys);
kvm_pte_t *el2_leaf(struct kvm_pgtable *pgt, u64 addr);
kvm_pte_t el2_translate(struct kvm_pgtable *pgt, u64 addr);
kvm_pte_t el2_stale(struct kvm_pgtable *pgt, u64 addr);
void el2_set_leaf(struct kvm_pgtable *pgt, u64 addr, kvm_pte_t pte);
void el2_get_page(void *addr);
void el2_put_page(void *addr);
kvm_pte_t el2_host_annotation(u8 owner_id, u64 meta);

#endif /* __PKVM_TEST_EL2_INTERNAL_H */
