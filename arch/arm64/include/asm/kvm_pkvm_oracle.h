/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_PKVM_ORACLE_H__
#define __ARM64_KVM_PKVM_ORACLE_H__

/* The run-time oracle: what EL2 tells the host. See hyp/nvhe/oracle.c. */

#include <linux/types.h>

#define PKVM_ORACLE_MAX_KINDS	24

/**
 * struct pkvm_oracle_page - a page of the host's that EL2 writes
 * @what: what is wrong; empty if nothing is
 * @operation: what was being done
 * @vm: the guest's handle, and with what arguments
 * @at_gfn: the guest frame that differs; ~0 if it is not about one
 * @at_pfn: the same of the physical page
 * @want: what the specification says, and in words if there are any
 * @got: what EL2 has
 * @pages: how many states were compared, on request
 * @kind: how many operations of each kind were compared, on request
 */
struct pkvm_oracle_page {
	char what[64];
	char operation[32];
	u64 vm, pfn, gfn, nr;
	u64 at_gfn, at_pfn;
	u64 want, got;
	char want_name[16], got_name[16];
	u64 pages;
	struct {
		char name[32];
		u64 count;
	} kind[PKVM_ORACLE_MAX_KINDS];
};

#ifndef __KVM_NVHE_HYPERVISOR__
#include <asm/hyp_image.h>

/* Where that page is; 0 if the oracle is off. */
extern phys_addr_t kvm_nvhe_sym(pkvm_oracle_page_phys);
#endif

#ifdef CONFIG_PKVM_ORACLE
void pkvm_oracle_print(void);
#else
static inline void pkvm_oracle_print(void) { }
#endif

#endif /* __ARM64_KVM_PKVM_ORACLE_H__ */
