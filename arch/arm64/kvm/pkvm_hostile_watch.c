// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile host's reading half: after an exit it looks for the guest's secrets wherever the
 * host can read: its vCPU and VM and what else is on their pages, the VMM's page, the CPU's own
 * registers; on demand in all memory that EL2 lets it use.
 *
 * A secret is known by its upper bits. Nothing here holds those, only their complement, so that
 * the attacker never finds itself.
 */
#include <linux/ioport.h>
#include <linux/kvm_host.h>
#include <linux/mm.h>
#include <linux/sched.h>
#include <linux/spinlock.h>
#include <linux/uaccess.h>

#include <asm/cpufeature.h>
#include <asm/kvm_emulate.h>
#include <asm/kvm_pkvm.h>

#include "pkvm_hostile.h"

enum finding_kind {
	FOUND_SECRET,
	FOUND_WRITTEN,			/* no secret, but nothing that EL2 may tell */
	FOUND_MEMORY_STORE,		/* the value of a store to memory */
	FOUND_STORE,			/* the value of a store that no slot answers */
};

static const char *const kind_name[] = {
	[FOUND_SECRET] = "secret", [FOUND_WRITTEN] = "written",
	[FOUND_MEMORY_STORE] = "memory-store", [FOUND_STORE] = "store",
};

struct finding {
	enum finding_kind kind;
	const char *where;		/* a string that stays */
	u64 at;
	enum hostile_class class;	/* of the first */
	u64 count;
	u64 anti_value;			/* the complement of the first */
};

#define MAX_FINDINGS	256

/* Guarded by findings_lock, which is taken with interrupts off. */
static struct finding findings[MAX_FINDINGS];
static unsigned int nr_findings;
static u64 nr_by_kind[ARRAY_SIZE(kind_name)];
static DEFINE_RAW_SPINLOCK(findings_lock);

static void note(enum finding_kind kind, const char *where, u64 at, u64 value,
		 enum hostile_class class)
{
	struct finding *f;
	unsigned long flags;
	unsigned int i;

	raw_spin_lock_irqsave(&findings_lock, flags);
	nr_by_kind[kind]++;
	for (i = 0; i < nr_findings; i++) {
		f = &findings[i];
		if (f->kind == kind && f->where == where && f->at == at)
			break;
	}
	if (i == nr_findings && i < MAX_FINDINGS) {
		findings[nr_findings++] = (struct finding) {
			.kind = kind, .where = where, .at = at, .class = class,
			.anti_value = ~value,
		};
	}
	if (i < MAX_FINDINGS)
		findings[i].count++;
	raw_spin_unlock_irqrestore(&findings_lock, flags);
}

void hostile_forget_findings(void)
{
	unsigned long flags;

	raw_spin_lock_irqsave(&findings_lock, flags);
	nr_findings = 0;
	memset(nr_by_kind, 0, sizeof(nr_by_kind));
	raw_spin_unlock_irqrestore(&findings_lock, flags);
}

u64 hostile_nr_hits(void)
{
	return nr_by_kind[FOUND_SECRET];
}

void hostile_note_written(u32 offset, u64 value, enum hostile_class class)
{
	note(FOUND_WRITTEN, "vcpu", offset, value, class);
}

void hostile_note_store(struct kvm_vcpu *vcpu, bool memory)
{
	u64 gpa = kvm_vcpu_get_fault_ipa(vcpu);
	u64 value = vcpu_get_reg(vcpu, kvm_vcpu_dabt_get_rd(vcpu));

	note(memory ? FOUND_MEMORY_STORE : FOUND_STORE, "gpa", gpa & PAGE_MASK, value,
	     HOSTILE_STORE);
}

static void show_finding(struct seq_file *m, const struct finding *f)
{
	char name[64];

	if (!strcmp(f->where, "vcpu"))
		hostile_field_name(f->at, name, sizeof(name));
	else
		snprintf(name, sizeof(name), "%s+%#llx", f->where, f->at);
	seq_printf(m, "%s %s times %llu first-class %s first-value %#llx\n", kind_name[f->kind],
		   name, f->count, hostile_class_name(f->class), ~f->anti_value);
}

void hostile_show_findings(struct seq_file *m)
{
	struct finding f;
	unsigned long flags;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(kind_name); i++)
		seq_printf(m, "%s %llu\n", kind_name[i], nr_by_kind[i]);
	for (i = 0; i < READ_ONCE(nr_findings); i++) {
		raw_spin_lock_irqsave(&findings_lock, flags);
		f = findings[i];
		raw_spin_unlock_irqrestore(&findings_lock, flags);
		show_finding(m, &f);
	}
}

static __always_inline bool is_secret(u64 value)
{
	return (~value & hostile.tag_mask) == hostile.anti_tag;
}

/* @start is word-aligned; @base is where the offsets that are shown begin. */
static void look(const char *where, const void *base, const void *start, const void *end,
		 enum hostile_class class)
{
	const u64 *p;

	for (p = start; (void *)p < end; p++) {
		u64 value = READ_ONCE_NOCHECK(*p);

		if (is_secret(value))
			note(FOUND_SECRET, where, (void *)p - base, value, class);
	}
}

/* A struct that is shared with EL2, and what else is on its pages. */
static void look_at_pages(const char *where, const char *around, void *obj, size_t size,
			  enum hostile_class class)
{
	void *first = (void *)PAGE_ALIGN_DOWN((unsigned long)obj);
	void *last = (void *)PAGE_ALIGN((unsigned long)obj + size);

	look(around, first, first, obj, class);
	look(where, obj, obj, obj + size, class);
	look(around, first, PTR_ALIGN(obj + size, sizeof(u64)), last, class);
}

static void look_at_word(const char *where, u64 value, enum hostile_class class)
{
	if (is_secret(value))
		note(FOUND_SECRET, where, 0, value, class);
}

#define LOOK_AT_REG(r)	look_at_word(#r, read_sysreg(r), class)
#define LOOK_AT_SYS(r)	look_at_word(#r, read_sysreg_s(SYS_##r), class)

static void look_at_keys(enum hostile_class class)
{
	if (system_supports_address_auth()) {
		LOOK_AT_SYS(APIAKEYLO_EL1);
		LOOK_AT_SYS(APIAKEYHI_EL1);
		LOOK_AT_SYS(APIBKEYLO_EL1);
		LOOK_AT_SYS(APIBKEYHI_EL1);
		LOOK_AT_SYS(APDAKEYLO_EL1);
		LOOK_AT_SYS(APDAKEYHI_EL1);
		LOOK_AT_SYS(APDBKEYLO_EL1);
		LOOK_AT_SYS(APDBKEYHI_EL1);
	}
	if (system_supports_generic_auth()) {
		LOOK_AT_SYS(APGAKEYLO_EL1);
		LOOK_AT_SYS(APGAKEYHI_EL1);
	}
}

static void look_at_debug_regs(enum hostile_class class)
{
	/* There are two of each on every CPU. */
	LOOK_AT_REG(dbgbvr0_el1);
	LOOK_AT_REG(dbgbvr1_el1);
	LOOK_AT_REG(dbgbcr0_el1);
	LOOK_AT_REG(dbgbcr1_el1);
	LOOK_AT_REG(dbgwvr0_el1);
	LOOK_AT_REG(dbgwvr1_el1);
	LOOK_AT_REG(dbgwcr0_el1);
	LOOK_AT_REG(dbgwcr1_el1);
	LOOK_AT_REG(mdscr_el1);
}

/* Every register of EL1 and EL0 that a guest has, too. */
static void look_at_sys_regs(enum hostile_class class)
{
	LOOK_AT_REG(tpidr_el0);
	LOOK_AT_REG(tpidrro_el0);
	LOOK_AT_REG(tpidr_el1);
	LOOK_AT_REG(sp_el0);
	LOOK_AT_REG(par_el1);
	LOOK_AT_REG(contextidr_el1);
	LOOK_AT_REG(amair_el1);
	LOOK_AT_REG(mair_el1);
	LOOK_AT_REG(ttbr0_el1);
	LOOK_AT_REG(ttbr1_el1);
	LOOK_AT_REG(tcr_el1);
	LOOK_AT_REG(sctlr_el1);
	LOOK_AT_REG(actlr_el1);
	LOOK_AT_REG(cpacr_el1);
	LOOK_AT_REG(vbar_el1);
	LOOK_AT_REG(esr_el1);
	LOOK_AT_REG(far_el1);
	LOOK_AT_REG(elr_el1);
	LOOK_AT_REG(spsr_el1);
	LOOK_AT_REG(afsr0_el1);
	LOOK_AT_REG(afsr1_el1);
	LOOK_AT_REG(cntkctl_el1);
	LOOK_AT_REG(cntv_cval_el0);
	LOOK_AT_REG(cntv_ctl_el0);
	LOOK_AT_REG(cntp_cval_el0);
	LOOK_AT_REG(fpcr);
	LOOK_AT_REG(fpsr);
	look_at_debug_regs(class);
	look_at_keys(class);
}

#define STORE_PAIR(n, m)	"stp q" #n ", q" #m ", [%0], #32\n\t"

/* Whose they are does not matter: it is what the host's kernel can read here and now. */
static void look_at_fp_regs(enum hostile_class class)
{
	u64 v[64], *to = v;

	asm volatile(".arch_extension fp\n\t"
		     STORE_PAIR(0, 1) STORE_PAIR(2, 3) STORE_PAIR(4, 5) STORE_PAIR(6, 7)
		     STORE_PAIR(8, 9) STORE_PAIR(10, 11) STORE_PAIR(12, 13) STORE_PAIR(14, 15)
		     STORE_PAIR(16, 17) STORE_PAIR(18, 19) STORE_PAIR(20, 21) STORE_PAIR(22, 23)
		     STORE_PAIR(24, 25) STORE_PAIR(26, 27) STORE_PAIR(28, 29) STORE_PAIR(30, 31)
		     ".arch_extension nofp" : "+r" (to) : : "memory");
	look("fp", v, v, v + ARRAY_SIZE(v), class);
	memzero_explicit(v, sizeof(v));
}

/* Interrupts off, right after the exit. */
void hostile_watch_exit(struct kvm_vcpu *vcpu, enum hostile_class class)
{
	if (!hostile.tag_mask)
		return;

	look_at_fp_regs(class);
	look_at_sys_regs(class);
	look_at_pages("vcpu", "vcpu-page", vcpu, sizeof(*vcpu), class);
	look_at_pages("kvm", "kvm-page", vcpu->kvm, sizeof(*vcpu->kvm), class);
	look("run", vcpu->run, vcpu->run, (void *)vcpu->run + PAGE_SIZE, class);
}

static int scan_page(unsigned long pfn, void *copy)
{
	u64 before = hostile_nr_hits();

	/* EL2 may have taken it meanwhile. */
	if (copy_from_kernel_nofault(copy, pfn_to_kaddr(pfn), PAGE_SIZE))
		return 0;

	look("ram", (void *)(copy - PFN_PHYS(pfn)), copy, copy + PAGE_SIZE, HOSTILE_ANY);
	if (hostile_nr_hits() != before)
		memzero_explicit(copy, PAGE_SIZE);
	return 1;
}

static int scan_range(unsigned long pfn, unsigned long nr, void *copy)
{
	while (nr) {
		unsigned long i, ask = min(nr, 512UL);
		unsigned long may = kvm_call_hyp_nvhe(__pkvm_host_test_access, pfn, ask);

		for (i = 0; i < may; i++)
			scan_page(pfn + i, copy);
		/* That one belongs to somebody else. */
		i = min(ask, may + 1);
		pfn += i;
		nr -= i;
		cond_resched();
	}
	return 0;
}

static int scan_system_ram(unsigned long pfn, unsigned long nr, void *copy)
{
	return scan_range(pfn, nr, copy);
}

void hostile_scan_ram(void)
{
	void *copy;

	if (!hostile.tag_mask)
		return;
	copy = (void *)__get_free_page(GFP_KERNEL);
	if (!copy)
		return;
	walk_system_ram_range(0, PHYS_PFN(PHYS_ADDR_MAX), copy, scan_system_ram);
	free_page((unsigned long)copy);
}
