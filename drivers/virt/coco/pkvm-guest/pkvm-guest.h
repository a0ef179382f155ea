/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the files of the pKVM guest driver share: the hypervisor's calls on memory and on
 * the pages of devices.
 */
#ifndef _PKVM_GUEST_H
#define _PKVM_GUEST_H

#include <linux/types.h>

/* pkvm-mem.c */
int pkvm_mem_init(size_t granule, unsigned long features);
int pkvm_mem_share(unsigned long addr, int numpages);
int pkvm_mem_unshare(unsigned long addr, int numpages);
int pkvm_mem_relinquish(phys_addr_t phys, size_t size, size_t *done);
int pkvm_call_range(u32 func_id, phys_addr_t phys, size_t size, size_t granule, bool ranges,
		    size_t *done);

/* pkvm-mmio.c */
void pkvm_mmio_init(size_t granule);
int pkvm_mmio_enroll(void);
int pkvm_mmio_guard(phys_addr_t phys, size_t size);
int pkvm_mmio_get(phys_addr_t phys, size_t size);
void pkvm_mmio_put(phys_addr_t phys, size_t size);

/* pkvm-ioremap.c */
void pkvm_ioremap_init(size_t granule);
bool pkvm_fixmap_maps(unsigned long pfn);

#endif /* _PKVM_GUEST_H */
