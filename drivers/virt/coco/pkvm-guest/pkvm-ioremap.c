// SPDX-License-Identifier: GPL-2.0-only
/*
 * Which pages of devices the kernel maps: what MMIO guard is told.
 *
 * Only mappings with device attributes count. Anything else is memory, a device's at most
 * (a frame buffer, say), and the host has a memory slot for it. After boot all of them are
 * made by ioremap() and its kind, and by pci_remap_iospace(). What is in the fixmap when
 * the guest enrolls is found there: the early console, and what early_ioremap() has mapped.
 * Nothing on arm64 maps a device there later: what APEI does is memory.
 *
 * What the kernel does not map is not guarded: userspace that maps a device which has no
 * driver (/dev/mem, UIO) gets SIGBUS.
 */
#define pr_fmt(fmt) "pkvm-guest: " fmt

#include <linux/arm-smccc.h>
#include <linux/cache.h>
#include <linux/init.h>
#include <linux/io.h>
#include <linux/kstrtox.h>
#include <linux/mm.h>
#include <linux/pgtable.h>
#include <linux/printk.h>
#include <linux/vmalloc.h>

#include <asm/fixmap.h>
#include <asm/hypervisor.h>

#include "pkvm-guest.h"

static bool wanted __ro_after_init = true;

/* "off" leaves the guest as exposed as one that knows nothing of MMIO guard. */
static int __init parse_mmio_guard(char *arg)
{
	return kstrtobool(arg, &wanted);
}
early_param("pkvm_guest.mmio_guard", parse_mmio_guard);

static bool is_device(pteval_t val)
{
	pteval_t attr = val & PTE_ATTRINDX_MASK;

	return attr == PTE_ATTRINDX(MT_DEVICE_nGnRE) || attr == PTE_ATTRINDX(MT_DEVICE_nGnRnE);
}

static int ioremap_hook(phys_addr_t phys, size_t size, pgprot_t *prot)
{
	if (!is_device(pgprot_val(*prot)))
		return 0;
	/* What ioremap() is about to refuse. */
	if (!size || phys + size - 1 < phys)
		return 0;

	return pkvm_mmio_get(phys, size);
}

/* All of a mapping of ioremap()'s has the attributes of its first page or block. */
static bool maps_device(unsigned long addr)
{
	pud_t pud = READ_ONCE(*pud_offset(p4d_offset(pgd_offset_k(addr), addr), addr));
	pmd_t pmd;
	pte_t pte;

	if (pud_none(pud) || pud_leaf(pud))
		return is_device(pud_val(pud)) && pud_leaf(pud);
	pmd = READ_ONCE(*pmd_offset(&pud, addr));
	if (pmd_none(pmd) || pmd_leaf(pmd))
		return is_device(pmd_val(pmd)) && pmd_leaf(pmd);
	pte = READ_ONCE(*pte_offset_kernel(&pmd, addr));
	return pte_valid(pte) && is_device(pte_val(pte));
}

/* Before it is unmapped: afterwards nobody knows what it was. */
static void iounmap_hook(const void *vaddr)
{
	struct vm_struct *area = find_vm_area(vaddr);

	if (area && area->flags & VM_IOREMAP && maps_device((unsigned long)vaddr))
		pkvm_mmio_put(area->phys_addr, get_vm_area_size(area));
}

/* The device page that a slot of the fixmap maps, or false. */
static bool fixmap_device(enum fixed_addresses idx, unsigned long *pfn)
{
	pte_t *ptep = virt_to_kpte(__fix_to_virt(idx));
	pte_t pte;

	if (!ptep)
		return false;
	pte = READ_ONCE(*ptep);
	*pfn = pte_pfn(pte);
	return pte_valid(pte) && is_device(pte_val(pte));
}

/**
 * pkvm_fixmap_maps() - does a device page have a mapping in the fixmap?
 * @pfn: of the page
 *
 * Those are not counted, and the early console's never goes.
 */
bool pkvm_fixmap_maps(unsigned long pfn)
{
	unsigned long other;

	for (int idx = FIX_EARLYCON_MEM_BASE; idx <= FIX_BTMAP_BEGIN; idx++) {
		if (fixmap_device(idx, &other) && other == pfn)
			return true;
	}

	return false;
}

/* Returns how many pages could not be guarded; *@nr is how many were. */
static unsigned int guard_fixmap(unsigned int *nr)
{
	unsigned int refused = 0;
	unsigned long pfn;

	*nr = 0;
	for (int idx = FIX_EARLYCON_MEM_BASE; idx <= FIX_BTMAP_BEGIN; idx++) {
		if (!fixmap_device(idx, &pfn))
			continue;
		if (pkvm_mmio_guard(PFN_PHYS(pfn), PAGE_SIZE))
			refused++;
		else
			++*nr;
	}

	return refused;
}

static int pkvm_ioremap_enroll(void)
{
	unsigned int nr, refused;
	int ret;

	ret = pkvm_mmio_enroll();
	if (ret) {
		pr_warn("MMIO guard: cannot enroll: error %d\n", ret);
		return ret;
	}
	/* No message before this is done: it would go to one of these pages. */
	refused = guard_fixmap(&nr);
	if (refused)
		pr_warn("MMIO guard: %u pages mapped early are no devices'\n", refused);
	pr_info("MMIO guard: enrolled, with %u pages mapped early\n", nr);
	return 0;
}

/**
 * pkvm_ioremap_init() - use MMIO guard, if the hypervisor has it
 * @granule: of the hypervisor's memory calls
 *
 * On the boot CPU, as soon as it can make hypercalls: interrupts are masked, and nothing
 * has been ioremapped yet, since that needs the slab allocator.
 */
void pkvm_ioremap_init(size_t granule)
{
	if (!kvm_arm_hyp_service_available(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_MAP))
		return;
	if (!wanted) {
		pr_info("MMIO guard: off: the host may see what is stored to memory\n");
		return;
	}

	pkvm_mmio_init(granule);
	/* Without these it is on by itself, or not needed. */
	if (kvm_arm_hyp_service_available(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_INFO) &&
	    kvm_arm_hyp_service_available(ARM_SMCCC_KVM_FUNC_MMIO_GUARD_ENROLL) &&
	    pkvm_ioremap_enroll())
		return;
	arm64_ioremap_prot_hook_register(ioremap_hook);
	arm64_iounmap_hook_register(iounmap_hook);
}
