// SPDX-License-Identifier: GPL-2.0-only
/*
 * The hostile host's writing half: before an entry the fields of the host's struct kvm_vcpu,
 * and of its struct kvm, get other values, after the exit the host gets back what it needs to
 * live on.
 *
 * What EL2 wrote at the exit stays: a word that still has the attacker's value was not written
 * by EL2, and becomes what it was. Everything here runs with interrupts off between the two
 * hooks, on one CPU, and that CPU's record is its own.
 */
#include <linux/kvm_host.h>
#include <linux/percpu.h>
#include <linux/slab.h>

#include <asm/arch_timer.h>
#include <asm/kvm_emulate.h>
#include <asm/kvm_hyp.h>
#include <kvm/arm_arch_timer.h>

#include "pkvm_hostile.h"

enum hostile_fill {
	FILL_RANDOM,
	FILL_PC,
	FILL_PSTATE,
	FILL_IFLAGS,
	FILL_MDCR,
	FILL_HCR,
	FILL_OWNER,
	FILL_MDSCR,
	FILL_DEBUG,
	FILL_VSESR,
	FILL_VSE,
	FILL_KVM,
	FILL_FLIP,
};

struct hostile_field {
	const char *name;
	u32 modes;
	u32 offset, size;
	u32 at;				/* where in a CPU's record */
	enum hostile_fill fill;
	bool of_vm;			/* in struct kvm */
	bool guests;			/* belongs to the guest: EL2 has nothing to say there */
	bool restore;			/* whatever EL2 wrote */
};

#define FIELD(_modes, _fill, _member, ...) {				\
	.name = #_member, .modes = (_modes), .fill = FILL_##_fill,	\
	.offset = offsetof(struct kvm_vcpu, _member),			\
	.size = sizeof_field(struct kvm_vcpu, _member), __VA_ARGS__ }

#define VM_FIELD(_fill, _member) {					\
	.name = "kvm." #_member, .modes = HOSTILE_VM, .fill = FILL_##_fill, \
	.offset = offsetof(struct kvm, _member),			\
	.size = sizeof_field(struct kvm, _member), .of_vm = true }

static struct hostile_field fields[] = {
	FIELD(HOSTILE_REGS, RANDOM, arch.ctxt.regs.regs, .guests = true),
	FIELD(HOSTILE_REGS, RANDOM, arch.ctxt.regs.sp, .guests = true),
	FIELD(HOSTILE_PC, PC, arch.ctxt.regs.pc, .guests = true),
	FIELD(HOSTILE_PSTATE, PSTATE, arch.ctxt.regs.pstate, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.spsr_abt, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.spsr_und, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.spsr_irq, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.spsr_fiq, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.sys_regs, .guests = true),
	FIELD(HOSTILE_SYSREGS, RANDOM, arch.ctxt.vncr_array),
	FIELD(HOSTILE_FP, RANDOM, arch.ctxt.fp_regs, .guests = true),
	FIELD(HOSTILE_FP, RANDOM, arch.sve_state),
	FIELD(HOSTILE_FP, RANDOM, arch.sve_max_vl),
	FIELD(HOSTILE_INCREMENT | HOSTILE_EXCEPT, IFLAGS, arch.iflags),
	FIELD(HOSTILE_MDCR, MDCR, arch.mdcr_el2),
	/* EL2 clears a bit in what the host has there. */
	FIELD(HOSTILE_HCR, HCR, arch.hcr_el2, .restore = true),
	FIELD(HOSTILE_HCR, RANDOM, arch.hcrx_el2),
	FIELD(HOSTILE_HCR, RANDOM, arch.fgt),
	FIELD(HOSTILE_SERRORS, VSE, arch.hcr_el2, .restore = true),
	FIELD(HOSTILE_SERRORS, VSESR, arch.vsesr_el2),
	FIELD(HOSTILE_DEBUG, OWNER, arch.debug_owner),
	FIELD(HOSTILE_DEBUG, DEBUG, arch.vcpu_debug_state, .guests = true),
	FIELD(HOSTILE_DEBUG, DEBUG, arch.external_debug_state, .guests = true),
	FIELD(HOSTILE_DEBUG, MDSCR, arch.external_mdscr_el1, .guests = true),
	FIELD(HOSTILE_IDS, RANDOM, vcpu_id),
	FIELD(HOSTILE_IDS, RANDOM, vcpu_idx),
	FIELD(HOSTILE_IDS, RANDOM, arch.pid),
	FIELD(HOSTILE_KVM, KVM, kvm),
	FIELD(HOSTILE_KVM, RANDOM, arch.hw_mmu),
	FIELD(HOSTILE_MEMREQS, RANDOM, arch.pkvm_memreq),
	FIELD(HOSTILE_FAULT, RANDOM, arch.fault),
	FIELD(HOSTILE_FLAGS, RANDOM, arch.cflags),
	FIELD(HOSTILE_FLAGS, RANDOM, arch.sflags),
	FIELD(HOSTILE_FLAGS, RANDOM, arch.reset_state),
	/* What EL2 gives back of garbage would be garbage to the host's vGIC. */
	FIELD(HOSTILE_VGIC, RANDOM, arch.vgic_cpu.vgic_v3.vgic_lr, .restore = true),
	FIELD(HOSTILE_VGIC, RANDOM, arch.vgic_cpu.vgic_v3.vgic_hcr, .restore = true),
	FIELD(HOSTILE_VGIC, RANDOM, arch.vgic_cpu.vgic_v3.used_lrs, .restore = true),
	/* Features and identity: EL2 took what it takes of them when it made the VM. */
	VM_FIELD(RANDOM, created_vcpus),
	VM_FIELD(RANDOM, arch.flags),
	VM_FIELD(RANDOM, arch.vcpu_features),
	VM_FIELD(RANDOM, arch.id_regs),
	VM_FIELD(RANDOM, arch.midr_el1),
	VM_FIELD(RANDOM, arch.revidr_el1),
	VM_FIELD(RANDOM, arch.aidr_el1),
	VM_FIELD(RANDOM, arch.ctr_el0),
	VM_FIELD(RANDOM, arch.fgu),
	VM_FIELD(RANDOM, arch.mmu.vtcr),
	VM_FIELD(RANDOM, arch.vgic.vgic_model),
	VM_FIELD(RANDOM, arch.timer_data),
	VM_FIELD(RANDOM, arch.pkvm.handle),
	VM_FIELD(FLIP, arch.pkvm.is_protected),
	/* Single registers, for orders. */
	FIELD(0, RANDOM, arch.ctxt.sys_regs[MPIDR_EL1], .guests = true),
	FIELD(0, RANDOM, arch.ctxt.sys_regs[SCTLR_EL1], .guests = true),
	FIELD(0, RANDOM, arch.ctxt.sys_regs[TTBR0_EL1], .guests = true),
	FIELD(0, RANDOM, arch.ctxt.sys_regs[VBAR_EL1], .guests = true),
};

/* What one CPU did to the vCPU that it is about to enter. */
struct hostile_record {
	struct kvm_vcpu *vcpu;
	struct kvm *kvm;		/* its own, whatever vcpu->kvm says meanwhile */
	DECLARE_BITMAP(active, ARRAY_SIZE(fields));
	u8 *saved, *given;
	struct kvm *other_kvm;		/* a copy that is no VM, to be pointed at */
	bool cntvoff;
	bool debug;
	u64 daif, mdscr, bvr, bcr, wvr, wcr;
};

static DEFINE_PER_CPU(struct hostile_record, record);

/* Once, before the first target. */
int hostile_smash_init(void)
{
	u32 size = 0;
	int cpu;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		fields[i].at = size;
		size += ALIGN(fields[i].size, sizeof(u64));
	}

	for_each_possible_cpu(cpu) {
		struct hostile_record *r = per_cpu_ptr(&record, cpu);

		if (r->given)
			continue;
		r->saved = kzalloc(size, GFP_KERNEL);
		r->given = kzalloc(size, GFP_KERNEL);
		r->other_kvm = kzalloc_obj(*r->other_kvm, GFP_KERNEL);
		if (!r->saved || !r->given || !r->other_kvm)
			return -ENOMEM;
	}
	return 0;
}

int hostile_find_field(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (!strcmp(fields[i].name, name))
			return i;
	}
	return -ENOENT;
}

int hostile_field_words(int field)
{
	return DIV_ROUND_UP(fields[field].size, sizeof(u64));
}

static void *field_at(const struct hostile_field *f, struct kvm_vcpu *vcpu, struct kvm *kvm)
{
	return (f->of_vm ? (void *)kvm : (void *)vcpu) + f->offset;
}

/* Where word @index of a field is, outside of all entries; @size: how much of it there is. */
void *hostile_field_word(int field, struct kvm_vcpu *vcpu, u32 index, size_t *size)
{
	const struct hostile_field *f = &fields[field];
	u32 at = index * sizeof(u64);

	*size = min(f->size - at, (u32)sizeof(u64));
	return field_at(f, vcpu, vcpu->kvm) + at;
}

/* Words of 64 bits have an index; what EL2 shows is named by it. */
void hostile_field_name(u32 offset, char *buf, size_t size)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct hostile_field *f = &fields[i];

		if (!f->of_vm && offset >= f->offset && offset < f->offset + f->size) {
			snprintf(buf, size, "%s[%u]", f->name, (offset - f->offset) / 8);
			return;
		}
	}
	snprintf(buf, size, "vcpu+%#x", offset);
}

static u64 pick(struct hostile_vcpu *hv, const u64 *from, unsigned int nr)
{
	return from[hostile_random(hv) % nr];
}

static u64 random_pstate(struct hostile_vcpu *hv)
{
	static const u64 modes[] = {
		PSR_MODE_EL0t, PSR_MODE_EL1t, PSR_MODE_EL1h, PSR_MODE_EL2t, PSR_MODE_EL2h,
		PSR_MODE_EL3h, PSR_MODE32_BIT | PSR_AA32_MODE_USR,
		PSR_MODE32_BIT | PSR_AA32_MODE_SVC, PSR_MODE32_BIT | PSR_AA32_MODE_HYP,
	};
	u64 others = PSR_MODE_MASK | PSR_MODE32_BIT;

	return (hostile_random(hv) & GENMASK(31, 0) & ~others) |
	       pick(hv, modes, ARRAY_SIZE(modes));
}

static u64 random_iflags(struct hostile_vcpu *hv, u64 iflags)
{
	u32 modes = hostile.modes & (HOSTILE_INCREMENT | HOSTILE_EXCEPT);
	u64 except = hostile.except < 0 ? hostile_random(hv) % 8 : hostile.except;

	/* A device that never answers is a denial, and ends the test. */
	if (modes & HOSTILE_EXCEPT && hostile_random(hv) & 1)
		return iflags;
	if (modes == HOSTILE_INCREMENT || (modes != HOSTILE_EXCEPT && hostile_random(hv) & 1))
		return unpack_vcpu_flag(INCREMENT_PC);
	return unpack_vcpu_flag(PENDING_EXCEPTION) | except << __EXCEPT_SHIFT;
}

/* Breakpoints and watchpoints that would hit: the gadget, and all memory. */
static u64 random_debug(struct hostile_vcpu *hv, unsigned int word)
{
	const u64 enable = BIT(0) | GENMASK(2, 1) | GENMASK(8, 5);
	unsigned int kind = word / KVM_ARM_MAX_DBG_REGS;

	switch (kind) {
	case 0:
		return enable;
	case 2:
		return enable | GENMASK(12, 3) | 31ULL << 24;
	default:
		return hostile.gadget ?: hostile_random(hv) & ~3ULL;
	}
}

/*
 * Other threads of the VMM may follow the pointer meanwhile, and get along with a copy. What EL2
 * could believe is different there. Where there are none, it may also lead nowhere, or to a VM
 * that EL2 has pinned as well.
 */
static u64 other_kvm(struct hostile_record *r, struct kvm *kvm, struct hostile_vcpu *hv)
{
	struct kvm *other = r->other_kvm;

	if (hostile.modes & HOSTILE_WILD) {
		u64 which = hostile_random(hv) % 3;

		if (which == 0)
			return hostile_random(hv);
		if (which == 1 && hostile.other_kvm)
			return (u64)hostile.other_kvm;
	}

	memcpy(other, kvm, sizeof(*other));
	other->arch.pkvm.handle = hostile_random(hv);
	other->arch.flags = hostile_random(hv);
	other->arch.vcpu_features[0] = hostile_random(hv);
	other->arch.midr_el1 = hostile_random(hv);
	return (u64)other;
}

static u64 value_for(const struct hostile_field *f, struct kvm_vcpu *vcpu, unsigned int word)
{
	struct hostile_vcpu *hv = hostile_vcpu(vcpu);
	struct hostile_record *r = this_cpu_ptr(&record);

	switch (f->fill) {
	case FILL_PC:
		return hostile.gadget ?: hostile_random(hv);
	case FILL_PSTATE:
		return random_pstate(hv);
	case FILL_IFLAGS:
		return random_iflags(hv, vcpu->arch.iflags);
	case FILL_MDCR:
		return hostile_random(hv) & 1 ? MDCR_EL2_TDE | MDCR_EL2_HPME : hostile_random(hv);
	case FILL_HCR:
		/* An SError is the host's to pend, and another mode. */
		return (hostile_random(hv) & ~HCR_VSE) | (vcpu->arch.hcr_el2 & HCR_VSE);
	case FILL_OWNER:
		return hostile_random(hv) % 3;
	case FILL_MDSCR:
		return MDSCR_EL1_SS | MDSCR_EL1_KDE | MDSCR_EL1_MDE;
	case FILL_DEBUG:
		return random_debug(hv, word);
	case FILL_VSESR:
		return hostile_random(hv) & ESR_ELx_ISS_MASK;
	case FILL_VSE:
		return vcpu->arch.hcr_el2 | HCR_VSE;
	case FILL_KVM:
		return other_kvm(r, vcpu->kvm, hv);
	case FILL_FLIP:
		return !*(u8 *)field_at(f, vcpu, r->kvm);
	default:
		return hostile_random(hv);
	}
}

static void save_field(struct hostile_record *r, unsigned int i, struct kvm_vcpu *vcpu)
{
	const struct hostile_field *f = &fields[i];

	if (!test_and_set_bit(i, r->active)) {
		memcpy(r->saved + f->at, field_at(f, vcpu, r->kvm), f->size);
		memcpy(r->given + f->at, field_at(f, vcpu, r->kvm), f->size);
	}
}

/* Other vCPUs' threads find their targets by it: without, interrupts between vCPUs are lost. */
static bool is_needed(const struct hostile_field *f, unsigned int done)
{
	return !f->of_vm && !(hostile.modes & HOSTILE_IDS) &&
	       f->offset + done == offsetof(struct kvm_vcpu, arch.ctxt.sys_regs[MPIDR_EL1]);
}

static void smash_field(struct hostile_record *r, unsigned int i, struct kvm_vcpu *vcpu)
{
	const struct hostile_field *f = &fields[i];
	unsigned int done, step;

	save_field(r, i, vcpu);
	for (done = 0; done < f->size; done += step) {
		u64 value = value_for(f, vcpu, done / 8);

		step = min(f->size - done, (u32)sizeof(value));
		if (!is_needed(f, done))
			memcpy(r->given + f->at + done, &value, step);
	}
}

/* A value for a word of one field; little endian, so that it fits the narrow ones as well. */
static void follow_order(struct hostile_record *r, const struct hostile_order *o,
			 struct kvm_vcpu *vcpu)
{
	const struct hostile_field *f = &fields[o->field];
	u32 at = o->index * sizeof(u64);

	save_field(r, o->field, vcpu);
	memcpy(r->given + f->at + at, &o->value, min(f->size - at, (u32)sizeof(u64)));
}

/* The guest's timer registers are the hardware's at this point, and so is its offset. */
static void smash_timer(struct hostile_record *r, struct hostile_vcpu *hv)
{
	write_sysreg_el0(hostile_random(hv), SYS_CNTV_CVAL);
	write_sysreg_el0(hostile_random(hv) & 3, SYS_CNTV_CTL);
	isb();
	kvm_call_hyp_nvhe(__kvm_timer_set_cntvoff, hostile_random(hv));
	r->cntvoff = true;
}

/* The CPU's own debug registers; the host must not be their first victim. */
static void smash_debug_regs(struct hostile_record *r, struct hostile_vcpu *hv)
{
	r->daif = read_sysreg(daif);
	asm volatile("msr daifset, #8" : : : "memory");
	r->mdscr = read_sysreg(mdscr_el1);
	r->bvr = read_sysreg(dbgbvr0_el1);
	r->bcr = read_sysreg(dbgbcr0_el1);
	r->wvr = read_sysreg(dbgwvr0_el1);
	r->wcr = read_sysreg(dbgwcr0_el1);
	r->debug = true;

	write_sysreg(random_debug(hv, KVM_ARM_MAX_DBG_REGS), dbgbvr0_el1);
	write_sysreg(random_debug(hv, 0), dbgbcr0_el1);
	write_sysreg(0, dbgwvr0_el1);
	write_sysreg(random_debug(hv, 2 * KVM_ARM_MAX_DBG_REGS), dbgwcr0_el1);
	write_sysreg(r->mdscr | MDSCR_EL1_SS | MDSCR_EL1_KDE | MDSCR_EL1_MDE, mdscr_el1);
	isb();
}

static void restore_debug_regs(struct hostile_record *r)
{
	write_sysreg(r->mdscr, mdscr_el1);
	write_sysreg(r->bcr, dbgbcr0_el1);
	write_sysreg(r->bvr, dbgbvr0_el1);
	write_sysreg(r->wcr, dbgwcr0_el1);
	write_sysreg(r->wvr, dbgwvr0_el1);
	isb();
	write_sysreg(r->daif, daif);
	r->debug = false;
}

void hostile_smash_entry(struct kvm_vcpu *vcpu)
{
	struct hostile_record *r = this_cpu_ptr(&record);
	struct hostile_vcpu *hv = hostile_vcpu(vcpu);
	const struct hostile_order *o;
	u32 modes = hostile.modes;
	unsigned int i, nr = 0;

	/* Interrupts that are pending for ever let no guest come to anything. */
	if (hostile_random(hv) % 4)
		modes &= ~HOSTILE_VGIC;

	r->kvm = vcpu->kvm;
	bitmap_zero(r->active, ARRAY_SIZE(fields));
	for (i = 0; i < ARRAY_SIZE(fields); i++) {
		if (fields[i].modes & modes)
			smash_field(r, i, vcpu);
	}
	while ((o = hostile_next_order(vcpu, &nr)))
		follow_order(r, o, vcpu);
	if (modes & HOSTILE_TIMER)
		smash_timer(r, hv);
	if (modes & HOSTILE_DEBUG)
		smash_debug_regs(r, hv);

	r->vcpu = vcpu;
	for_each_set_bit(i, r->active, ARRAY_SIZE(fields))
		memcpy(field_at(&fields[i], vcpu, r->kvm), r->given + fields[i].at, fields[i].size);
}

/* The width in which EL2 writes a field. */
static unsigned int grain(const struct hostile_field *f)
{
	return f->size % 8 == 0 ? 8 : f->size % 4 == 0 ? 4 : 1;
}

/* What EL2 may say in what is otherwise the guest's: see the table in the documentation. */
static bool may_be_told(u32 offset)
{
	return offset == offsetof(struct kvm_vcpu, arch.ctxt.regs.pstate) ||
	       offset == offsetof(struct kvm_vcpu, arch.ctxt.sys_regs[SCTLR_EL1]) ||
	       (offset >= offsetof(struct kvm_vcpu, arch.ctxt.regs.regs[0]) &&
		offset < offsetof(struct kvm_vcpu, arch.ctxt.regs.regs[4]));
}

static void look_at_field(struct hostile_record *r, const struct hostile_field *f,
			  struct kvm_vcpu *vcpu, enum hostile_class class)
{
	u64 *now = (void *)vcpu + f->offset, *given = (void *)r->given + f->at;
	unsigned int i;

	for (i = 0; f->guests && i < f->size / 8; i++) {
		if (now[i] && now[i] != given[i] && !may_be_told(f->offset + i * 8))
			hostile_note_written(f->offset + i * 8, now[i], class);
	}
}

static void restore_field(struct hostile_record *r, const struct hostile_field *f,
			  struct kvm_vcpu *vcpu)
{
	u8 *now = field_at(f, vcpu, r->kvm), *given = r->given + f->at, *saved = r->saved + f->at;
	unsigned int step = grain(f), i;

	/* Those of an exit are EL2's to set, and those of the entry are over. */
	if (f->fill == FILL_IFLAGS)
		memset(saved, 0, f->size);

	for (i = 0; i < f->size; i += step) {
		if (f->restore || !memcmp(now + i, given + i, step))
			memcpy(now + i, saved + i, step);
	}
}

/* First of all: until then the host must not follow a pointer in its vCPU. */
void hostile_smash_undo(struct kvm_vcpu *vcpu)
{
	struct hostile_record *r = this_cpu_ptr(&record);
	unsigned int i;

	if (r->vcpu != vcpu)
		return;
	if (r->debug)
		restore_debug_regs(r);
	for_each_set_bit(i, r->active, ARRAY_SIZE(fields)) {
		if (!fields[i].guests)
			restore_field(r, &fields[i], vcpu);
	}
	if (r->cntvoff)
		kvm_call_hyp_nvhe(__kvm_timer_set_cntvoff, timer_get_offset(vcpu_vtimer(vcpu)));
	r->cntvoff = false;
}

/* Then, with the exit's class known: what did EL2 write? */
void hostile_smash_exit(struct kvm_vcpu *vcpu, enum hostile_class class)
{
	struct hostile_record *r = this_cpu_ptr(&record);
	unsigned int i;

	if (r->vcpu != vcpu)
		return;
	for_each_set_bit(i, r->active, ARRAY_SIZE(fields)) {
		look_at_field(r, &fields[i], vcpu, class);
		if (fields[i].guests)
			restore_field(r, &fields[i], vcpu);
	}
	r->vcpu = NULL;
}
