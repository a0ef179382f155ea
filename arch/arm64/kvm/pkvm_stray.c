// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host kernel touched a page that belongs to a protected guest: say so.
 *
 * It never sees the content. An access that is prepared to fail (/proc/kcore) fails; any
 * other makes EL2 take the page from the guest, zeroed, and goes on: the guest is denied,
 * and the host lives. In both cases something is wrong with the host, and this is how
 * its administrator learns what.
 */
#include <linux/extable.h>
#include <linux/kvm_host.h>
#include <linux/ratelimit.h>
#include <linux/spinlock.h>

#include <asm/asm-extable.h>
#include <asm/kvm_asm.h>
#include <asm/kvm_pkvm_gmem.h>
#include <asm/sysreg.h>
#include <asm/virt.h>

/* Which page a kernel address leads to: false if the page tables say none. */
static bool kernel_addr_to_page(unsigned long addr, phys_addr_t *page)
{
	unsigned long flags;
	u64 par;

	local_irq_save(flags);
	asm volatile("at s1e1r, %0" : : "r" (addr));
	isb();
	par = read_sysreg_par();
	local_irq_restore(flags);

	*page = par & SYS_PAR_EL1_PA;
	return !(par & SYS_PAR_EL1_F);
}

/* A word-wise string function ran over the end of its page: it does not use what it got. */
static bool reads_ahead(unsigned long pc)
{
	const struct exception_table_entry *ex = search_exception_tables(pc);

	return ex && ex->type == EX_TYPE_LOAD_UNALIGNED_ZEROPAD;
}

/* What was reported last, so that a loop over one page is reported once. */
static struct {
	s64 owner;
	phys_addr_t page;
} last;
static DEFINE_RAW_SPINLOCK(last_lock);

/* Few lines at once: whoever reads /proc/kcore from end to end meets every page. */
static bool worth_a_line(s64 owner, phys_addr_t page)
{
	static DEFINE_RATELIMIT_STATE(rate, DEFAULT_RATELIMIT_INTERVAL, 5);
	unsigned long flags;
	bool worth;

	raw_spin_lock_irqsave(&last_lock, flags);
	worth = (last.owner != owner || last.page != page) && __ratelimit(&rate);
	if (worth) {
		last.owner = owner;
		last.page = page;
	}
	raw_spin_unlock_irqrestore(&last_lock, flags);

	return worth;
}

/* A VM is gone: its handle and its pages will be used again. */
void pkvm_forget_stray_access(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&last_lock, flags);
	last.page = PHYS_ADDR_MAX;
	raw_spin_unlock_irqrestore(&last_lock, flags);
}

/**
 * pkvm_report_stray_access() - EL2 injected a stage-2 abort into the host kernel
 * @addr: the kernel address that it touched
 * @pc: the instruction
 *
 * Any context but NMI.
 */
void pkvm_report_stray_access(unsigned long addr, unsigned long pc)
{
	phys_addr_t page;
	s64 owner;

	if (in_nmi() || reads_ahead(pc) || !kernel_addr_to_page(addr, &page))
		return;

	owner = kvm_call_hyp_nvhe(__pkvm_host_page_owner, page);
	if (owner < 0 || !worth_a_line(owner, page))
		return;

	pr_warn("kvm: %pS touched the page at %pa, which belongs to protected VM %#llx, gfn %#llx\n",
		(void *)pc, &page, PKVM_PAGE_OWNER_VM(owner), PKVM_PAGE_OWNER_GFN(owner));
}
