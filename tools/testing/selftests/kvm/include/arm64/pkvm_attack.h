/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a VMM without privileges can try against the CPU of a protected guest: its ioctls, one
 * by one, none of them asserting; and a guest with code of its own to try them on
 * (lib/arm64/pkvm_attack_guest.S), run by the payload of pkvm_guest.h.
 *
 * The program gives up all privileges before its first test: what is left is /dev/kvm, open.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_ATTACK_H
#define SELFTEST_KVM_ARM64_PKVM_ATTACK_H

/* Memory of the guest that has no slot. PROBE is a device's as far as the VMM cares. */
#define ATTACK_MEM_GPA		0x80000000
#define ATTACK_PROBE_GPA	0x20000000
#define ATTACK_HOLE_GPA		0xc0000000

/* Pages of the guest's memory: its code, two secrets, a page for its own use, free ones. */
#define ATTACK_PAGE_CODE	0
#define ATTACK_PAGE_SECRET	1
#define ATTACK_PAGE_OTHER	2
#define ATTACK_PAGE_RECORD	3
#define ATTACK_PAGE_FREE	4
#define ATTACK_NR_PAGES		16

/* What a vCPU finds in its registers when it starts: attack_boot() stores it, 8 bytes each. */
#define ATTACK_BOOT_X(n)	(n)	/* 0..30 */
#define ATTACK_BOOT_SP		31
#define ATTACK_BOOT_SCTLR	32
#define ATTACK_BOOT_DAIF	33
#define ATTACK_BOOT_EL		34
#define ATTACK_BOOT_SPSEL	35
#define ATTACK_BOOT_MPIDR	36
#define ATTACK_BOOT_TTBR0	37
#define ATTACK_BOOT_TTBR1	38
#define ATTACK_BOOT_VBAR	39
#define ATTACK_BOOT_TPIDR	40
#define ATTACK_BOOT_TPIDR0	41
#define ATTACK_BOOT_CONTEXTIDR	42
#define ATTACK_BOOT_NZCV	43
#define ATTACK_BOOT_V0		44
#define ATTACK_BOOT_MARK	45	/* written last: 1 */
#define ATTACK_BOOT_WORDS	46

/* MMIO guard, of the same service. */
#define ATTACK_HVC_GUARD_INFO	0xc6000005
#define ATTACK_HVC_GUARD_ENROLL	0xc6000006
#define ATTACK_HVC_GUARD_MAP	0xc6000007

#define PSCI_VERSION_FN		0x84000000
#define PSCI_CPU_SUSPEND32	0x84000001
#define PSCI_CPU_SUSPEND	0xc4000001
#define PSCI_CPU_OFF		0x84000002
#define PSCI_CPU_ON32		0x84000003
#define PSCI_CPU_ON		0xc4000003
#define PSCI_AFFINITY_INFO32	0x84000004
#define PSCI_AFFINITY_INFO	0xc4000004
#define PSCI_MIGRATE		0xc4000005
#define PSCI_MIGRATE_INFO_TYPE	0x84000006
#define PSCI_SYSTEM_OFF		0x84000008
#define PSCI_SYSTEM_RESET	0x84000009
#define PSCI_FEATURES		0x8400000a
#define PSCI_SYSTEM_SUSPEND	0xc400000e
#define PSCI_SYSTEM_RESET2_32	0x84000012
#define PSCI_SYSTEM_RESET2	0xc4000012
#define PSCI_SYSTEM_OFF2	0xc4000015

#define PSCI_INVALID_PARAMS	(-2)
#define PSCI_ALREADY_ON		(-4)
#define PSCI_ON_PENDING		(-5)
#define PSCI_INTERNAL_FAILURE	(-6)

#ifndef __ASSEMBLER__

#include "pkvm_guest.h"

#define ATTACK_REG_CORE(name)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE | \
				 KVM_REG_ARM_CORE_REG(name))
#define ATTACK_REG_X(n)		(ATTACK_REG_CORE(regs.regs[0]) + 2 * (n))
#define ATTACK_REG_PC		ATTACK_REG_CORE(regs.pc)
#define ATTACK_REG_PSTATE	ATTACK_REG_CORE(regs.pstate)
#define ATTACK_REG_MPIDR	ARM64_SYS_REG(3, 0, 0, 0, 5)
#define ATTACK_REG_SCTLR	ARM64_SYS_REG(3, 0, 1, 0, 0)
#define ATTACK_REG_TTBR0	ARM64_SYS_REG(3, 0, 2, 0, 0)

/* Two instructions of the payload, as gadgets. */
#define ATTACK_INSN_HVC		0xd4000002	/* hvc #0 */
#define ATTACK_INSN_LOAD	0xf9400000	/* ldr x0, [x0] */

struct attack {
	struct pkvm_vm vm;
	struct pkvm_vcpu *vcpu;		/* the first one, which runs */
	struct pkvm_vcpu *other;	/* the second, if there is one */
	int fd;				/* the guest_memfd, slot 0, from ATTACK_MEM_GPA on */
	char *mem;			/* all of it as the host maps it */
	size_t page;
};

/*
 * For main(): whatever a test needs privileges for is opened here, then they are given up for
 * good. The whole program is skipped where there are no protected VMs with guest_memfd.
 */
void attack_drop_privileges(void);
bool attack_has_privileges(void);
/* The kernel log since the last look: lines that report a kernel bug. */
int attack_kmsg_bad(void);
/*
 * The kvm_mmio trace of all VMs: false where there is no tracefs. What is there of it is used
 * up; true if it has @word somewhere. What passes through the mailbox is in it.
 */
bool attack_trace(bool on);
bool attack_trace_has(u64 word);

/* A VM with its code in place and all its memory private if it is protected. @flags: PKVM_VM_* */
void attack_vm_create(struct attack *a, int nr_vcpus, u32 flags);
void attack_vm_destroy(struct attack *a);
u64 attack_gpa(const struct attack *a, int nr);
char *attack_hva(const struct attack *a, int nr);

/* A routine of pkvm_attack_guest.S, which gets x1..x3 and leaves x0..x3 in vcpu->res. */
u64 attack_code(const char *routine);
int attack_exec(struct pkvm_vcpu *vcpu, const char *routine, u64 a1, u64 a2, u64 a3);
/* The first such instruction of the payload. */
u64 attack_gadget(u32 insn);

/* 0 or -errno. */
int attack_set_reg(struct pkvm_vcpu *vcpu, u64 id, u64 val);
int attack_get_reg(struct pkvm_vcpu *vcpu, u64 id, u64 *val);
int attack_set_mp_state(struct pkvm_vcpu *vcpu, u32 state);
int attack_get_mp_state(struct pkvm_vcpu *vcpu);
int attack_init(struct pkvm_vcpu *vcpu, u32 features);
int attack_debug(struct pkvm_vcpu *vcpu, u32 control, u64 break_at);
int attack_abort(struct pkvm_vcpu *vcpu);
int attack_serror(struct pkvm_vcpu *vcpu);
/* A register of any size: KVM_GET_ONE_REG into @buf. */
int attack_get_any(struct pkvm_vcpu *vcpu, u64 id, void *buf);
/* How many of the registers that KVM lists hold @val in any of their 8-byte words. */
int attack_find_in_regs(struct pkvm_vcpu *vcpu, u64 val);
bool attack_find_in_run(struct pkvm_vcpu *vcpu, u64 val);

/* A call that the VMM would like the guest to make: how many of its registers were taken. */
int attack_set_call(struct pkvm_vcpu *vcpu, u64 pc, u64 x0, u64 x1, u64 x2);

/*
 * Bounded in time: -EINTR after @ms milliseconds. One KVM_RUN, and pkvm_vcpu_resume() and
 * pkvm_vcpu_call().
 */
int attack_run(struct pkvm_vcpu *vcpu, int ms);
int attack_resume(struct pkvm_vcpu *vcpu, int ms);
int attack_call(struct pkvm_vcpu *vcpu, int ms, u64 op, const u64 *args, int nr_args,
		int nr_res);
/* Some of them: true if nothing of the guest's was seen to run, as each was refused, or slept. */
bool attack_never_runs(struct pkvm_vcpu *vcpu);

/* The guest's own calls. */
s64 guest_cpu_on(struct pkvm_vcpu *vcpu, u64 mpidr, u64 entry, u64 context);
u64 guest_mpidr(struct pkvm_vcpu *vcpu);
/* CPU_OFF of @vcpu, whose MPIDR is @mpidr; true once @by is told that it is off. */
bool guest_cpu_off(struct pkvm_vcpu *vcpu, u64 mpidr, struct pkvm_vcpu *by);
/* MPIDR of a vCPU by its id, as KVM makes them; U(ni), MT and so on not among them. */
u64 attack_mpidr(int id);

extern const char attack_guest_start[], attack_guest_end[];
extern const char attack_ldrb[], attack_ldrh[], attack_ldrsb[], attack_ldrsh_w[],
	attack_ldr_w[], attack_ldrsw[], attack_ldr[], attack_ldp[], attack_ldr_post[],
	attack_stp[], attack_str_post[], attack_str[], attack_str_not[], attack_strb[],
	attack_two_loads[], attack_enroll[], attack_secrets[], attack_counters[], attack_boot[],
	attack_cpu_off[], attack_smc[], attack_count[], attack_count_mid[], attack_spin[],
	attack_pmcr[], attack_impdef[], attack_set_pmcr[], attack_mdscr[];

#endif /* __ASSEMBLER__ */
#endif /* SELFTEST_KVM_ARM64_PKVM_ATTACK_H */
