/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The part of EL2 that its guest_memfd code stands on, small enough to be looked at whole:
 * page tables of two levels, a vmemmap, TLBs that remember what they may, and locks that know
 * whether they are held. For a build of hyp/nvhe/{pkvm_gmem,pkvm_memreq,pkvm_mmio,page_run}.c as
 * an ordinary program; what is behind the declarations is el2_env.c.
 */
#ifndef __PKVM_TEST_EL2_ENV_H
#define __PKVM_TEST_EL2_ENV_H

#include <errno.h>
#include <stddef.h>

#include <linux/align.h>
#include <linux/bits.h>
#include <linux/minmax.h>
#include <linux/mm.h>
#include <linux/types.h>

#include <asm/kvm_pkvm_gmem.h>
#include <nvhe/memory.h>

#include <nvhe/pkvm_spec.h>

#define __field_shift(mask)	__builtin_ctzl(mask)
#define FIELD_PREP(mask, val)	(((u64)(val) << __field_shift(mask)) & (mask))
#define FIELD_GET(mask, val)	(((u64)(val) & (mask)) >> __field_shift(mask))
#define ALIGN_DOWN(x, a)	((x) & ~((u64)(a) - 1))
#define min_t(type, a, b)	min((type)(a), (type)(b))
#define check_add_overflow(a, b, d)	__builtin_add_overflow(a, b, d)
#define container_of(ptr, type, member)	((type *)((char *)(ptr) - offsetof(type, member)))
#define DEFINE_PER_CPU(type, name)	type name
#define this_cpu_ptr(ptr)	(ptr)
#define __always_unused		__attribute__((__unused__))

void el2_warn(const char *what, const char *file, int line);
void el2_bug(const char *what, const char *file, int line) __attribute__((__noreturn__));
void el2_wrote(const volatile void *where, u64 old);

#define WARN_ON(cond) ({						\
	bool __warn = !!(cond);						\
	if (__warn)							\
		el2_warn(#cond, __FILE__, __LINE__);			\
	__warn;								\
})
#define BUG_ON(cond) do {						\
	if (cond)							\
		el2_bug(#cond, __FILE__, __LINE__);			\
} while (0)
#define READ_ONCE(x)		(*(volatile __typeof__(x) *)&(x))
/* Every store to a page table is a moment at which another CPU may look. */
#define WRITE_ONCE(x, val) do {						\
	u64 __old = (u64)(x);						\
	*(volatile __typeof__(x) *)&(x) = (val);			\
	el2_wrote(&(x), __old);						\
} while (0)
#define dsb(x)			((void)#x)

/* Page tables */

typedef u64 kvm_pte_t;

#define PTRS_PER_PTE		((u64)SPEC_TABLE)
#define PMD_SIZE		(PTRS_PER_PTE * PAGE_SIZE)
#define KVM_PGTABLE_LAST_LEVEL	3
#define KVM_INVALID_PTE_TYPE_MASK		GENMASK(63, 60)
#define KVM_HOST_INVALID_PTE_TYPE_DONATION	2
#define KVM_GUEST_INVALID_PTE_TYPE_POISONED	3
#define KVM_GUEST_INVALID_PTE_TYPE_GUARDED	4

/* As many of them as EL2's code names; the software's bits first. */
enum kvm_pgtable_prot {
	KVM_PGTABLE_PROT_SW2	= BIT(57),
	KVM_PGTABLE_PROT_SW1	= BIT(56),
	KVM_PGTABLE_PROT_SW0	= BIT(55),
	KVM_PGTABLE_PROT_R	= BIT(4),
	KVM_PGTABLE_PROT_W	= BIT(3),
	KVM_PGTABLE_PROT_X	= BIT(2),
};
#define KVM_PGTABLE_PROT_RW	(KVM_PGTABLE_PROT_R | KVM_PGTABLE_PROT_W)
#define KVM_PGTABLE_PROT_RWX	(KVM_PGTABLE_PROT_RW | KVM_PGTABLE_PROT_X)
#define PKVM_HOST_MEM_PROT	KVM_PGTABLE_PROT_RWX
#define PKVM_PAGE_STATE_PROT_MASK	(KVM_PGTABLE_PROT_SW0 | KVM_PGTABLE_PROT_SW1)

#define EL2_PTE_PROT_MASK	(KVM_PGTABLE_PROT_RWX | GENMASK(58, 55))
#define EL2_PTE_PHYS_MASK	GENMASK(47, PAGE_SHIFT)

static inline bool kvm_pte_valid(kvm_pte_t pte)
{
	return pte & 1;
}

static inline u64 kvm_pte_to_phys(kvm_pte_t pte)
{
	return pte & EL2_PTE_PHYS_MASK;
}

static inline kvm_pte_t kvm_phys_to_pte(u64 phys)
{
	return phys & EL2_PTE_PHYS_MASK;
}

static inline u64 kvm_granule_size(s8 level)
{
	return level < KVM_PGTABLE_LAST_LEVEL ? PMD_SIZE : PAGE_SIZE;
}

static inline enum kvm_pgtable_prot kvm_pgtable_stage2_pte_prot(kvm_pte_t pte)
{
	return pte & EL2_PTE_PROT_MASK;
}

static inline enum kvm_pgtable_prot pkvm_mkstate(enum kvm_pgtable_prot prot,
						 enum pkvm_page_state state)
{
	return (prot & ~PKVM_PAGE_STATE_PROT_MASK) | FIELD_PREP(PKVM_PAGE_STATE_PROT_MASK, state);
}

static inline enum pkvm_page_state pkvm_getstate(enum kvm_pgtable_prot prot)
{
	return FIELD_GET(PKVM_PAGE_STATE_PROT_MASK, prot);
}

struct kvm_pgtable_mm_ops {
	void (*get_page)(void *addr);
	void (*put_page)(void *addr);
};

#define EL2_MAX_PAGES	(SPEC_FRAMES + 2 * SPEC_TABLE + SPEC_GFNS)
#define EL2_MAX_TABLES	(EL2_MAX_PAGES / SPEC_TABLE)

/* Root entries are holes, blocks or tables; each table's memory is set aside. */
struct el2_table {
	kvm_pte_t block;
	bool present;
	unsigned int refs;		/* by entries that are not zero */
	kvm_pte_t leaf[SPEC_TABLE];
	kvm_pte_t stale[SPEC_TABLE];	/* was valid; some TLB may still hold it */
};

struct kvm_s2_mmu {
	struct kvm_pgtable *pgt;
};

struct kvm_pgtable {
	u32 ia_bits;
	struct kvm_pgtable_mm_ops *mm_ops;
	struct kvm_s2_mmu *mmu;
	u64 base;			/* the address of the first table's first page */
	struct el2_table table[EL2_MAX_TABLES];
};

enum kvm_pgtable_walk_flags {
	KVM_PGTABLE_WALK_LEAF = 1,
};

struct kvm_pgtable_visit_ctx {
	kvm_pte_t *ptep;
	kvm_pte_t old;
	void *arg;
	u64 start, addr, end;
	s8 level;
	enum kvm_pgtable_walk_flags flags;
};

struct kvm_pgtable_walker {
	int (*const cb)(const struct kvm_pgtable_visit_ctx *ctx,
			enum kvm_pgtable_walk_flags visit);
	void *const arg;
	const enum kvm_pgtable_walk_flags flags;
};

int kvm_pgtable_walk(struct kvm_pgtable *pgt, u64 addr, u64 size,
		     struct kvm_pgtable_walker *walker);
int kvm_pgtable_stage2_map(struct kvm_pgtable *pgt, u64 addr, u64 size, u64 phys,
			   enum kvm_pgtable_prot prot, void *mc, int flags);
int kvm_pgtable_stage2_annotate(struct kvm_pgtable *pgt, u64 addr, u64 size, void *mc,
				unsigned int type, kvm_pte_t annotation);
int kvm_pgtable_get_leaf(struct kvm_pgtable *pgt, u64 addr, kvm_pte_t *ptep, s8 *level);
void kvm_tlb_flush_vmid_range(struct kvm_s2_mmu *mmu, phys_addr_t addr, size_t size);
void kvm_flush_dcache_to_poc(void *addr, size_t size);
void *hyp_fixmap_map(phys_addr_t phys);
void hyp_fixmap_unmap(void);

/* Pages and who has them */

#define EL2_FIRST_PFN		(4UL * SPEC_TABLE)	/* of the machine's frames */
#define EL2_PA_LIMIT		(1UL << 20)	/* no physical address has this pfn */

extern struct hyp_page el2_vmemmap[EL2_FIRST_PFN + EL2_MAX_PAGES];

#define hyp_phys_to_pfn(phys)	((phys) >> PAGE_SHIFT)
#define hyp_pfn_to_phys(pfn)	((phys_addr_t)((pfn) << PAGE_SHIFT))
#define hyp_phys_to_page(phys)	(&el2_vmemmap[hyp_phys_to_pfn(phys)])

static inline enum pkvm_page_state get_host_state(struct hyp_page *page)
{
	return page->__host_state;
}

enum pkvm_component_id { PKVM_ID_HOST, PKVM_ID_HYP, PKVM_ID_GUEST };

int host_stage2_set_owner_locked(phys_addr_t addr, u64 size, u8 owner_id);
int host_stage2_idmap_locked(phys_addr_t addr, u64 size, enum kvm_pgtable_prot prot);

/* vCPUs and VMs */

typedef u16 pkvm_handle_t;

struct user_pt_regs {
	u64 regs[31];
	u64 pc;
};

struct kvm_cpu_context {
	struct user_pt_regs regs;
};

struct kvm_hyp_memcache {
	unsigned long nr_pages;
};

struct kvm_vcpu_arch {
	struct kvm_cpu_context ctxt;
	struct kvm_hyp_memcache pkvm_memcache;
	struct pkvm_memreq pkvm_memreq;
};

struct kvm_vcpu {
	struct kvm_vcpu_arch arch;
};

struct kvm {
	struct {
		struct {
			pkvm_handle_t handle;
			bool is_dying;
		} pkvm;
		struct kvm_s2_mmu mmu;
	} arch;
};

struct pkvm_hyp_vcpu;

struct pkvm_hyp_vm {
	struct kvm kvm;
	struct kvm_pgtable pgt;
	struct kvm_pgtable_mm_ops mm_ops;
	bool locked;
	bool exists;
	bool mmio_guard;
	struct pkvm_hyp_vcpu *vcpus;
};

struct pkvm_hyp_vcpu {
	struct kvm_vcpu vcpu;
	struct kvm_vcpu *host_vcpu;
	struct pkvm_hyp_vm *vm;
};

struct host_mmu {
	struct {
		struct kvm_s2_mmu mmu;
	} arch;
	struct kvm_pgtable pgt;
	struct kvm_pgtable_mm_ops mm_ops;
	bool locked;
};

extern struct host_mmu host_mmu;

static inline struct pkvm_hyp_vm *pkvm_hyp_vcpu_to_hyp_vm(struct pkvm_hyp_vcpu *vcpu)
{
	return vcpu->vm;
}

#define hyp_spinlock_t	bool

extern hyp_spinlock_t vm_table_lock;

void hyp_spin_lock(hyp_spinlock_t *lock);
void hyp_spin_unlock(hyp_spinlock_t *lock);

struct pkvm_hyp_vcpu *pkvm_get_loaded_hyp_vcpu(void);
struct pkvm_hyp_vm *get_pkvm_hyp_vm(pkvm_handle_t handle);
void put_pkvm_hyp_vm(struct pkvm_hyp_vm *vm);
int refill_memcache(struct kvm_hyp_memcache *mc, unsigned long min_pages,
		    struct kvm_hyp_memcache *host_mc);
int __pkvm_guest_share_host(struct pkvm_hyp_vcpu *vcpu, u64 gfn);
int __pkvm_guest_unshare_host(struct pkvm_hyp_vcpu *vcpu, u64 gfn);

#define pkvm_hyp_vcpu_is_protected(vcpu)	((void)(vcpu), true)
#define pkvm_hyp_vm_is_protected(vm)		((void)(vm), true)

#define cpu_reg(ctxt, r)	((ctxt)->regs.regs[r])
#define DECLARE_REG(type, name, ctxt, reg)	type name = (type)cpu_reg(ctxt, reg)

extern u64 el2_elr;

#define SYS_ELR				0
#define read_sysreg_el2(reg)		((void)(reg), el2_elr)
#define write_sysreg_el2(val, reg)	((void)(reg), el2_elr = (val))
#define ARM_EXCEPTION_PKVM_MEMREQ	4
#define SMCCC_RET_SUCCESS		0L
#define SMCCC_RET_NOT_SUPPORTED		(-1L)
#define SMCCC_RET_INVALID_PARAMETER	(-3L)
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_INFO_FUNC_ID	0xc6000005
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_ENROLL_FUNC_ID	0xc6000006
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_MAP_FUNC_ID		0xc6000007
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_GUARD_UNMAP_FUNC_ID	0xc6000008
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_MAP_FUNC_ID	0xc600000a
#define ARM_SMCCC_VENDOR_HYP_KVM_MMIO_RGUARD_UNMAP_FUNC_ID	0xc600000b
#define ARM_SMCCC_KVM_MMIO_GUARD_RANGES				BIT(0)
#define smccc_get_arg1(vcpu)	((vcpu)->arch.ctxt.regs.regs[1])
#define smccc_get_arg2(vcpu)	((vcpu)->arch.ctxt.regs.regs[2])
#define smccc_get_arg3(vcpu)	((vcpu)->arch.ctxt.regs.regs[3])
#define vcpu_pc(vcpu)		(&(vcpu)->arch.ctxt.regs.pc)

static inline void smccc_set_retval(struct kvm_vcpu *vcpu, u64 a0, u64 a1, u64 a2, u64 a3)
{
	u64 *regs = vcpu->arch.ctxt.regs.regs;

	regs[0] = a0;
	regs[1] = a1;
	regs[2] = a2;
	regs[3] = a3;
}

#endif /* __PKVM_TEST_EL2_ENV_H */
