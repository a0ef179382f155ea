/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __KVM_ARM_PKVM_HOSTILE_H
#define __KVM_ARM_PKVM_HOSTILE_H

/* What the parts of the hostile host share. Who may touch what stands in pkvm_hostile.c. */

#include <linux/bits.h>
#include <linux/kvm_host.h>
#include <linux/seq_file.h>

/* How a vCPU came out of the guest, as far as the host is told. */
enum hostile_class {
	HOSTILE_IRQ,
	HOSTILE_SERROR,
	HOSTILE_WFX,
	HOSTILE_HVC,
	HOSTILE_SYS,
	HOSTILE_IABT,
	HOSTILE_DABT,		/* of a data abort only that it happened */
	HOSTILE_LOAD,
	HOSTILE_STORE,		/* with the value that was stored */
	HOSTILE_MEMREQ,
	HOSTILE_REFUSED,	/* EL2 did not enter the guest */
	HOSTILE_OTHER,
	HOSTILE_NR_CLASSES,
	HOSTILE_ANY = HOSTILE_NR_CLASSES,
};

/* What is overwritten before an entry. */
#define HOSTILE_REGS		BIT(0)
#define HOSTILE_PC		BIT(1)
#define HOSTILE_PSTATE		BIT(2)
#define HOSTILE_SYSREGS		BIT(3)
#define HOSTILE_FP		BIT(4)
#define HOSTILE_INCREMENT	BIT(5)
#define HOSTILE_EXCEPT		BIT(6)
#define HOSTILE_MDCR		BIT(7)
#define HOSTILE_HCR		BIT(8)
#define HOSTILE_DEBUG		BIT(9)
#define HOSTILE_TIMER		BIT(10)
#define HOSTILE_IDS		BIT(11)
#define HOSTILE_KVM		BIT(12)
#define HOSTILE_MEMREQS		BIT(13)
#define HOSTILE_FAULT		BIT(14)
#define HOSTILE_FLAGS		BIT(15)
#define HOSTILE_VGIC		BIT(16)
#define HOSTILE_SERRORS		BIT(17)
/* With HOSTILE_KVM: a pointer to nowhere. Only where no other thread is at work in the VM. */
#define HOSTILE_WILD		BIT(18)
/* What the host has of the whole VM. Again only where no other thread is at work in it. */
#define HOSTILE_VM		BIT(19)
#define HOSTILE_MODES		GENMASK(19, 0)

/* A vCPU of the target; the attacker's own state, by vcpu_id. */
#define HOSTILE_MAX_VCPUS	16

struct hostile_vcpu {
	u64 random;
	u64 exits;
	u64 func;			/* R0 at the last exit */
	u64 completed;			/* at the last exit: hostile_nr_completed() */
	enum hostile_class last;
};

struct hostile {
	pid_t target;			/* tgid of the VMM, 0: nobody, -1: every one */
	bool control;			/* not its protected VMs, but the others; only watched */
	u64 anti_tag;			/* the complement of what is looked for */
	u64 tag_mask;			/* 0: nothing is looked for */
	u32 modes;
	int except;			/* the exception to be injected, -1: any */
	u64 seed;
	u64 gadget;			/* where the guest's PC is to go, 0: anywhere */
	struct kvm *kvm;		/* the VM that was seen last, never followed */
	struct kvm *other_kvm;		/* another one of the VMM's, held, to be pointed at */
	struct hostile_vcpu vcpu[HOSTILE_MAX_VCPUS];
};

extern struct hostile hostile;

static inline struct hostile_vcpu *hostile_vcpu(struct kvm_vcpu *vcpu)
{
	return &hostile.vcpu[vcpu->vcpu_id % HOSTILE_MAX_VCPUS];
}

u64 hostile_random(struct hostile_vcpu *hv);
const char *hostile_class_name(enum hostile_class class);
int hostile_parse_class(const char *name);

/* pkvm_hostile_watch.c: what the host sees of the guest */
void hostile_watch_exit(struct kvm_vcpu *vcpu, enum hostile_class class);
void hostile_note_store(struct kvm_vcpu *vcpu, bool memory);
void hostile_note_written(u32 offset, u64 value, enum hostile_class class);
void hostile_scan_ram(void);
void hostile_show_findings(struct seq_file *m);
u64 hostile_nr_hits(void);
void hostile_forget_findings(void);

/* pkvm_hostile_smash.c: what the host writes */
int hostile_smash_init(void);
void hostile_smash_entry(struct kvm_vcpu *vcpu);
void hostile_smash_exit(struct kvm_vcpu *vcpu, enum hostile_class class);
void hostile_smash_undo(struct kvm_vcpu *vcpu);
void hostile_field_name(u32 offset, char *buf, size_t size);

/* pkvm_hostile_attack.c: single attacks */
int hostile_attack(char *line);
struct kvm *hostile_get_vm(bool newest);
u64 hostile_nr_completed(struct kvm_vcpu *vcpu);
void hostile_attack_entry(struct kvm_vcpu *vcpu);
void hostile_attack_exit(struct kvm_vcpu *vcpu);
void hostile_show_attacks(struct seq_file *m);
void hostile_forget_attacks(void);

/* A value for one field at the next entries that follow an exit of that class. */
struct hostile_order {
	int vcpu;			/* vcpu_id, -1: any */
	int class;			/* HOSTILE_ANY: any */
	u64 func;			/* of an HVC, 0: any */
	int field;
	u32 index;
	u64 value;
	u32 left, done;
};

int hostile_find_field(const char *name);
int hostile_field_words(int field);
void *hostile_field_word(int field, struct kvm_vcpu *vcpu, u32 index, size_t *size);
const struct hostile_order *hostile_next_order(struct kvm_vcpu *vcpu, unsigned int *nr);

#endif /* __KVM_ARM_PKVM_HOSTILE_H */
