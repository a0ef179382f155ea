/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of EL2 that a protected vCPU's files (hyp/nvhe/pvm_*.c) stand on: registers that are
 * variables, flags, and atomics between whose steps another CPU may run. What is behind the
 * declarations is cpu_env.c.
 */
#ifndef PKVM_TEST_CPU_ENV_H
#define PKVM_TEST_CPU_ENV_H

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include <linux/bits.h>
#include <linux/types.h>

typedef int32_t s32;

#define U32_MAX			0xffffffffU
#define SZ_4K			0x1000
#define BIT_ULL(n)		(1ULL << (n))
#define lower_32_bits(x)	((u32)(x))
#define unlikely(x)		(x)
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define FIELD_PREP(mask, val)	(((u64)(val) * ((mask) & -(mask))) & (mask))
#define WARN_ON(cond)		cpu_warn_on(cond, #cond)

void cpu_warn_on(bool cond, const char *what);

/*
 * Memory that other CPUs look at: before each access, and after each store, any of them may do
 * anything. cpu_step() is told what is accessed.
 */

extern void (*cpu_step)(const volatile void *where);

#define STEP(ptr)		(cpu_step ? cpu_step(ptr) : (void)0)
#define READ_ONCE(x) ({						\
	const volatile __typeof__(x) *__ptr = &(x);		\
								\
	STEP(__ptr);						\
	*__ptr;							\
})
#define WRITE_ONCE(x, val) do {					\
	volatile __typeof__(x) *__ptr = &(x);			\
								\
	STEP(__ptr);						\
	*__ptr = (val);						\
	STEP(__ptr);						\
} while (0)
/* Steps are in order. */
#define smp_load_acquire(ptr)	READ_ONCE(*(ptr))

struct atomic {
	int counter;
};

#define atomic_t			struct atomic

#define atomic_read(v)			READ_ONCE((v)->counter)
#define atomic_read_acquire(v)		READ_ONCE((v)->counter)
#define atomic_set(v, i)		WRITE_ONCE((v)->counter, i)
#define atomic_set_release(v, i)	WRITE_ONCE((v)->counter, i)

static inline int atomic_cmpxchg(atomic_t *v, int old, int new)
{
	int was;

	STEP(&v->counter);
	was = v->counter;
	if (was == old)
		v->counter = new;
	return was;
}

/* ESR_ELx, PSTATE and the like, as the architecture has them. */

#define ESR_ELx_EC_SHIFT	26
#define ESR_ELx_EC_MASK		(0x3fUL << ESR_ELx_EC_SHIFT)
#define ESR_ELx_EC(esr)		(((esr) & ESR_ELx_EC_MASK) >> ESR_ELx_EC_SHIFT)
#define ESR_ELx_EC_UNKNOWN	0x00UL
#define ESR_ELx_EC_WFx		0x01UL
#define ESR_ELx_EC_HVC64	0x16UL
#define ESR_ELx_EC_SYS64	0x18UL
#define ESR_ELx_EC_IABT_LOW	0x20UL
#define ESR_ELx_EC_IABT_CUR	0x21UL
#define ESR_ELx_EC_DABT_LOW	0x24UL
#define ESR_ELx_EC_DABT_CUR	0x25UL
#define ESR_ELx_EC_SERROR	0x2fUL
#define ESR_ELx_IL		BIT(25)
#define ESR_ELx_ISS_MASK	GENMASK(24, 0)
#define ESR_ELx_ISV		BIT(24)
#define ESR_ELx_SAS_SHIFT	22
#define ESR_ELx_SAS		GENMASK(23, 22)
#define ESR_ELx_SSE		BIT(21)
#define ESR_ELx_SRT_SHIFT	16
#define ESR_ELx_SRT_MASK	GENMASK(20, 16)
#define ESR_ELx_SF		BIT(15)
#define ESR_ELx_AR		BIT(14)
#define ESR_ELx_CM		BIT(8)
#define ESR_ELx_S1PTW		BIT(7)
#define ESR_ELx_WNR		BIT(6)
#define ESR_ELx_FSC		GENMASK(5, 0)
#define ESR_ELx_FSC_EXTABT	0x10
#define ESR_ELx_WFx_ISS_RN	GENMASK(9, 5)
#define ESR_ELx_WFx_ISS_RV	BIT(2)
#define ESR_ELx_WFx_ISS_WFxT	BIT(1)
#define ESR_ELx_SYS64_ISS_RT_SHIFT	5
#define ESR_ELx_SYS64_ISS_RT_MASK	GENMASK(9, 5)
#define ESR_ELx_SYS64_ISS_DIR_READ	1

#define PSR_MODE_MASK		0xf
#define PSR_MODE_EL0t		0
#define PSR_MODE_EL1h		5
#define PSR_F_BIT		BIT(6)
#define PSR_I_BIT		BIT(7)
#define PSR_A_BIT		BIT(8)
#define PSR_D_BIT		BIT(9)
#define SCTLR_ELx_EE		BIT(25)
#define SCTLR_EL1_E0E		BIT(24)
#define HCR_VSE			BIT(8)
#define HCR_TWI			BIT(13)
#define HCR_TWE			BIT(14)
#define PKVM_HCR_EL2_HOST_PVM	(HCR_VSE | HCR_TWI | HCR_TWE)
#define MDCR_EL2_HPMN_MASK	GENMASK(4, 0)
#define MPIDR_HWID_BITMASK	0xff00ffffffUL
#define MPIDR_LEVEL_SHIFT(l)	((l) == 3 ? 32 : (l) * 8)
#define ARCH_TIMER_CTRL_IT_STAT	BIT(2)
#define ARM_SMCCC_VERSION_FUNC_ID	0x80000000

static inline bool esr_fsc_is_translation_fault(unsigned long esr)
{
	unsigned long level = (esr & ESR_ELx_FSC) - 4;

	return level < 4 || level == 0x2b - 4;
}

#define ARM_EXCEPTION_CODE(x)	((x) & ~(1U << 31))
#define ARM_SERROR_PENDING(x)	(!!((x) & (1U << 31)))
/* From 0 on. */
enum {
	ARM_EXCEPTION_IRQ, ARM_EXCEPTION_EL1_SERROR, ARM_EXCEPTION_TRAP, ARM_EXCEPTION_IL,
	ARM_EXCEPTION_PKVM_MEMREQ, ARM_EXCEPTION_PKVM_OFF,
};

/* Registers that are in the hardware, of one CPU and one guest at a time. */

extern u64 cpu_sctlr, cpu_cntvoff, cpu_cntv_ctl, cpu_cntv_cval;

#define SYS_SCTLR		cpu_sctlr
#define SYS_CNTV_CTL		cpu_cntv_ctl
#define SYS_CNTV_CVAL		cpu_cntv_cval
#define read_sysreg_el1(reg)	(reg)
#define read_sysreg_el0(reg)	(reg)
#define write_sysreg_el0(val, reg)	((reg) = (val))
#define write_sysreg(val, reg)	((void)(cpu_##reg = (val)))
#define cpu_cntvoff_el2		cpu_cntvoff
#define isb()			((void)0)

extern u64 nr_event_counters;
#define host_data_ptr(x)	(&(x))

/* A vCPU; there are more system registers than anything here looks at. */

enum vcpu_sysreg {
	MPIDR_EL1 = 1, SCTLR_EL1, ESR_EL1, FAR_EL1, CNTV_CVAL_EL0, CNTV_CTL_EL0, CNTP_CTL_EL0,
	CSSELR_EL1, VBAR_EL1, TTBR0_EL1, APIAKEYLO_EL1, NR_SYS_REGS = 32,
};

struct user_pt_regs {
	u64 regs[31];
	u64 sp;
	u64 pc;
	u64 pstate;
};

struct kvm_cpu_context {
	struct user_pt_regs regs;
	u64 spsr_abt, spsr_und, spsr_irq, spsr_fiq;
	struct { u64 vregs[64]; u32 fpsr, fpcr; } fp_regs;
	u64 sys_regs[NR_SYS_REGS];
	void *__hyp_running_vcpu;
	u64 *vncr_array;
};

struct kvm_vcpu_fault_info {
	u64 esr_el2, far_el2, hpfar_el2, disr_el1;
};

enum pkvm_memreq_op {
	PKVM_MEMREQ_NONE, PKVM_MEMREQ_SHARE, PKVM_MEMREQ_UNSHARE, PKVM_MEMREQ_RELINQUISH,
};

struct kvm_vcpu_arch {
	struct kvm_cpu_context ctxt;
	struct kvm_vcpu_fault_info fault;
	u64 hcr_el2, mdcr_el2, vsesr_el2;
	u64 debug_state[16];
	u8 cflags, iflags;
	enum { VCPU_DEBUG_FREE, VCPU_DEBUG_HOST_OWNED } debug_owner;
	struct { enum pkvm_memreq_op op; } pkvm_memreq;
	int pid;
	void *sve_state;
	unsigned int sve_max_vl;
};

struct kvm {
	unsigned int created_vcpus;
	bool is_protected, has_sve;
};

struct kvm_vcpu {
	int vcpu_id;
	struct kvm *kvm;
	struct kvm_vcpu_arch arch;
};

#include <nvhe/pvm_vcpu.h>

#define CPU_MAX_VCPUS	4
#define KVM_MAX_VCPUS	512

struct pkvm_hyp_vcpu {
	struct kvm_vcpu vcpu;
	struct kvm_vcpu *host_vcpu;
	struct pvm_vcpu pvm;
} __attribute__((aligned(16)));

struct pkvm_hyp_vm {
	struct kvm kvm;
	struct pvm_vm pvm;
	bool mmio_guard;
	struct pkvm_hyp_vcpu *vcpus[CPU_MAX_VCPUS];
};

static inline struct pkvm_hyp_vm *pkvm_hyp_vcpu_to_hyp_vm(struct pkvm_hyp_vcpu *hyp_vcpu)
{
	return container_of(hyp_vcpu->vcpu.kvm, struct pkvm_hyp_vm, kvm);
}

extern int vm_table_lock;
#define hyp_assert_lock_held(lock)	((void)(lock))

/* Flags: a field of the vCPU's, a value, and the bits in which it is. */

#define VCPU_INITIALIZED	cflags, 1, 1
#define VCPU_SVE_FINALIZED	cflags, 2, 2
#define PENDING_EXCEPTION	iflags, 1, 1
#define INCREMENT_PC		iflags, 2, 2
#define EXCEPT_MASK		iflags, 0xe, 0xe
#define EXCEPT_AA64_EL1_SYNC	iflags, 0x0, 0xe
#define EXCEPT_AA64_EL1_IRQ	iflags, 0x2, 0xe
#define EXCEPT_AA64_EL2_SYNC	iflags, 0x8, 0xe

#define __unpack_vcpu_flag(field, flag, mask)	\
	((void)sizeof(((struct kvm_vcpu *)0)->arch.field), (flag) & (mask))
#define unpack_vcpu_flag(...)			__unpack_vcpu_flag(__VA_ARGS__)
#define __vcpu_get_flag(v, field, flag, mask)	((v)->arch.field & ((flag) | (mask)))
#define vcpu_get_flag(v, ...)			__vcpu_get_flag(v, __VA_ARGS__)
#define __vcpu_set_flag(v, field, flag, mask)	\
	((v)->arch.field = ((v)->arch.field & ~(mask)) | (flag))
#define vcpu_set_flag(v, ...)			__vcpu_set_flag(v, __VA_ARGS__)

#define ctxt_sys_reg(ctxt, r)		((ctxt)->sys_regs[r])
#define __vcpu_sys_reg(v, r)		((v)->arch.ctxt.sys_regs[r])
#define __vcpu_assign_sys_reg(v, r, val)	((v)->arch.ctxt.sys_regs[r] = (val))
#define vcpu_cpsr(v)			(&(v)->arch.ctxt.regs.pstate)
#define vcpu_pc(v)			(&(v)->arch.ctxt.regs.pc)
#define kvm_vcpu_get_esr(v)		((v)->arch.fault.esr_el2)
#define kvm_vcpu_get_hfar(v)		((v)->arch.fault.far_el2)
#define kvm_vcpu_trap_get_class(v)	ESR_ELx_EC(kvm_vcpu_get_esr(v))
#define kvm_vcpu_trap_is_iabt(v)	(kvm_vcpu_trap_get_class(v) == ESR_ELx_EC_IABT_LOW)
#define smccc_get_function(v)		((u32)(v)->arch.ctxt.regs.regs[0])
#define smccc_get_arg1(v)		((v)->arch.ctxt.regs.regs[1])
#define smccc_get_arg2(v)		((v)->arch.ctxt.regs.regs[2])
#define smccc_get_arg3(v)		((v)->arch.ctxt.regs.regs[3])

static inline void smccc_set_retval(struct kvm_vcpu *vcpu, u64 a, u64 b, u64 c, u64 d)
{
	memcpy(vcpu->arch.ctxt.regs.regs, (u64[]) { a, b, c, d }, 4 * sizeof(u64));
}

static inline void vcpu_set_reg(struct kvm_vcpu *vcpu, u8 reg, u64 val)
{
	if (reg != 31)
		vcpu->arch.ctxt.regs.regs[reg] = val;
}

#define kvm_pend_exception(v, ...) do {				\
	WARN_ON(vcpu_get_flag(v, INCREMENT_PC));		\
	vcpu_set_flag(v, PENDING_EXCEPTION);			\
	vcpu_set_flag(v, __VA_ARGS__);				\
} while (0)

#define INVALID_GPA		(~0UL)
#define hyp_phys_to_pfn(phys)	((phys) >> 12)

/* Bit 63 says that the register was read; the frame is in bits 43:4. */
static inline phys_addr_t kvm_vcpu_get_fault_ipa(const struct kvm_vcpu *vcpu)
{
	u64 hpfar = vcpu->arch.fault.hpfar_el2;

	return hpfar >> 63 ? (hpfar & GENMASK(43, 4)) << 8 : INVALID_GPA;
}

/* What the guest has guarded: every frame with an odd number, if it guards any. */
bool pkvm_gfn_is_guarded(struct pkvm_hyp_vm *vm, u64 gfn);

/* SVE: 32 vectors of vl bytes, 16 predicates and FFR of vl / 8, and what is between. */

#define PAGE_SIZE		4096
#define PAGE_ALIGN(n)		(((n) + PAGE_SIZE - 1) & ~(PAGE_SIZE - 1UL))
#define SVE_VQ_BYTES		16
#define sve_vl_valid(vl)	((vl) >= 16 && (vl) <= 8192 && (vl) % 16 == 0)
#define SVE_SIZE(vl)		((size_t)(vl) * 32 + (vl) / 8 * 17)
#define vcpu_has_sve(v)		((v)->kvm->has_sve)
#define vcpu_sve_state_size(v)	SVE_SIZE((v)->arch.sve_max_vl)
#define pkvm_vcpu_sve_size(kvm)	\
	((kvm)->is_protected && (kvm)->has_sve ? SVE_SIZE(kvm_host_sve_max_vl) : 0)
#define min(a, b)		((a) < (b) ? (a) : (b))
#define BUILD_BUG_ON(cond)	_Static_assert(!(cond), #cond)

extern unsigned int kvm_host_sve_max_vl;

/* pvm_smccc.c; what it calls is its test's. */

#define PVM_NR_WORKAROUNDS	3
#define memzero_explicit(p, n)	memset(p, 0, n)
#define kvm_has_feat(...)	guest_has_ssbs

extern s32 pvm_arch_workaround[PVM_NR_WORKAROUNDS];
extern bool pvm_trng_available, guest_has_ssbs;

bool kvm_handle_pvm_hvc64(struct kvm_vcpu *vcpu, u64 *exit_code);
bool pkvm_memreq_call(struct kvm_vcpu *vcpu, enum pkvm_memreq_op op, u64 *val, u64 *exit_code);
bool pkvm_mmio_guard_call(struct kvm_vcpu *vcpu, u32 func_id, u64 *val, u64 *exit_code);

/* The run-time oracle has no business in a program that is one itself. */
static inline void oracle_exit(struct pkvm_hyp_vcpu *hyp_vcpu, int exit_code) { }
static inline void oracle_entry_begin(struct pkvm_hyp_vcpu *hyp_vcpu) { }
static inline void oracle_entry_end(struct pkvm_hyp_vcpu *hyp_vcpu) { }

#endif /* PKVM_TEST_CPU_ENV_H */
