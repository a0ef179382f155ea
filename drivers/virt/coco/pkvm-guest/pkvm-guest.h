/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the pKVM guest driver share: the memory calls of the hypervisor.
 */
#ifndef _PKVM_GUEST_H
#define _PKVM_GUEST_H

#include <linux/types.h>

int pkvm_mem_init(size_t granule, unsigned long features);
int pkvm_mem_share(unsigned long addr, int numpages);
int pkvm_mem_unshare(unsigned long addr, int numpages);
int pkvm_mem_relinquish(phys_addr_t phys, size_t size, size_t *done);

#endif /* _PKVM_GUEST_H */
