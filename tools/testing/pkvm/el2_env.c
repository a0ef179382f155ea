// SPDX-License-Identifier: GPL-2.0-only
/*
 * What EL2's guest_memfd code calls, for a build as an ordinary program: see el2_env.h.
 *
 * Everything is as helpful to a bug as the hardware is: a TLB holds whatever has been valid
 * until it is flushed, and at every store to a table it is asked whether the host reaches a
 * page that a guest believes its own.
 */
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <nvhe/component_lock.h>
#include <nvhe/pkvm_gmem.h>

#include "el2_internal.h"

struct host_mmu host_mmu;
struct hyp_page el2_vmemmap[EL2_FIRST_PFN + EL2_MAX_PAGES];
struct pkvm_hyp_vm el2_vm[SPEC_GUESTS];
struct pkvm_hyp_vcpu el2_vcpu[SPEC_GUESTS][SPEC_VCPUS];
struct kvm_vcpu el2_host_vcpu[SPEC_GUESTS][SPEC_VCPUS];
struct pkvm_hyp_vcpu *el2_loaded;
struct el2_memory el2_memory[SPEC_FRAMES + 1];
char el2_complaint[256];
jmp_buf el2_escape;
u64 el2_elr;
bool el2_loading;
unsigned int el2_budget;

static void complain(const char *what, const char *file, int line)
{
	if (!el2_complaint[0])
		snprintf(el2_complaint, sizeof(el2_complaint), "%s (%s:%d)", what, file, line);
}

void el2_warn(const char *what, const char *file, int line)
{
	complain(what, file, line);
}

void el2_bug(const char *what, const char *file, int line)
{
	complain(what, file, line);
	longjmp(el2_escape, 1);
}

#define CHECK(ok)	do { if (!(ok)) complain(#ok, __FILE__, __LINE__); } while (0)

struct el2_memory *el2_memory_of(u64 phys)
{
	u64 pfn = phys >> PAGE_SHIFT;

	return &el2_memory[pfn - EL2_FIRST_PFN <= SPEC_FRAMES ? pfn - EL2_FIRST_PFN : SPEC_FRAMES];
}

/* Page tables */

static struct el2_table *table_at(struct kvm_pgtable *pgt, u64 addr)
{
	return &pgt->table[(addr - pgt->base) / PMD_SIZE];
}

kvm_pte_t *el2_leaf(struct kvm_pgtable *pgt, u64 addr)
{
	struct el2_table *table = table_at(pgt, addr);

	return table->present ? &table->leaf[(addr >> PAGE_SHIFT) % SPEC_TABLE] : NULL;
}

/* What pays for a table where there is none: false if nothing does. */
static bool pay_for_table(struct kvm_pgtable *pgt, u64 addr, struct kvm_hyp_memcache *cache)
{
	if (el2_leaf(pgt, addr))
		return true;
	if (!cache || !cache->nr_pages)
		return false;
	cache->nr_pages--;
	return true;
}

/* Which entry translates this address, and how? Blocks look like their pages. */
kvm_pte_t el2_translate(struct kvm_pgtable *pgt, u64 addr)
{
	struct el2_table *table = table_at(pgt, addr);

	if (table->present)
		return table->leaf[(addr >> PAGE_SHIFT) % SPEC_TABLE];
	return table->block ? table->block + ALIGN_DOWN(addr, PAGE_SIZE) % PMD_SIZE : 0;
}

kvm_pte_t el2_stale(struct kvm_pgtable *pgt, u64 addr)
{
	return table_at(pgt, addr)->stale[(addr >> PAGE_SHIFT) % SPEC_TABLE];
}

static bool in_table(const struct kvm_pgtable *pgt, const volatile void *where, u64 *addr)
{
	size_t offset = (const volatile char *)where - (const volatile char *)pgt->table;
	const struct el2_table *table;

	if (offset >= sizeof(pgt->table))
		return false;
	table = &pgt->table[offset / sizeof(*table)];
	*addr = pgt->base + (table - pgt->table) * PMD_SIZE +
		(((const kvm_pte_t *)where - table->leaf) << PAGE_SHIFT);
	return true;
}

static bool believes_itself_alone(kvm_pte_t pte)
{
	return kvm_pte_valid(pte) &&
	       pkvm_getstate(kvm_pgtable_stage2_pte_prot(pte)) == PKVM_PAGE_OWNED;
}

/* Seen by another CPU, at this moment: the host where a guest believes itself alone? */
static void check_guest_alone(kvm_pte_t pte)
{
	if (!believes_itself_alone(pte))
		return;
	CHECK(!kvm_pte_valid(el2_translate(&host_mmu.pgt, kvm_pte_to_phys(pte))));
	CHECK(!el2_stale(&host_mmu.pgt, kvm_pte_to_phys(pte)));
}

static void check_host_let_in(u64 phys)
{
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (u64 gfn = 0; gfn < SPEC_GFNS; gfn++) {
			kvm_pte_t pte = el2_translate(&el2_vm[g].pgt, gfn << PAGE_SHIFT);

			CHECK(!believes_itself_alone(pte) || kvm_pte_to_phys(pte) != phys);
		}
	}
}

/* Somebody has used every entry while it was valid. */
void el2_wrote(const volatile void *where, u64 old)
{
	struct kvm_pgtable *pgt = NULL;
	kvm_pte_t pte;
	u64 addr = 0;

	if (el2_loading)
		return;
	if (in_table(&host_mmu.pgt, where, &addr))
		pgt = &host_mmu.pgt;
	for (unsigned int g = 0; !pgt && g < SPEC_GUESTS; g++) {
		if (in_table(&el2_vm[g].pgt, where, &addr))
			pgt = &el2_vm[g].pgt;
	}
	/* Something else that is written once. */
	if (!pgt)
		return;

	pte = *(const volatile kvm_pte_t *)where;
	if (pgt != &host_mmu.pgt)
		check_guest_alone(pte);
	else if (kvm_pte_valid(pte))
		check_host_let_in(addr);
	if (kvm_pte_valid(old) && !kvm_pte_valid(pte))
		table_at(pgt, addr)->stale[(addr >> PAGE_SHIFT) % SPEC_TABLE] = old;
}

static void count_page(void *addr, int by)
{
	u64 where;

	for (unsigned int g = 0; g <= SPEC_GUESTS; g++) {
		struct kvm_pgtable *pgt = g < SPEC_GUESTS ? &el2_vm[g].pgt : &host_mmu.pgt;

		if (in_table(pgt, addr, &where)) {
			table_at(pgt, where)->refs += by;
			return;
		}
	}
	complain("reference of no table", __FILE__, __LINE__);
}

void el2_get_page(void *addr)
{
	count_page(addr, 1);
}

void el2_put_page(void *addr)
{
	count_page(addr, -1);
}

/* As a walk is: holes and blocks are leaves of their level. */
int kvm_pgtable_walk(struct kvm_pgtable *pgt, u64 addr, u64 size,
		     struct kvm_pgtable_walker *walker)
{
	u64 cur = ALIGN_DOWN(addr, PAGE_SIZE), end = cur + size, limit = BIT(pgt->ia_bits);

	if (cur > limit || end > limit || end < cur)
		return -ERANGE;

	while (cur < end) {
		struct el2_table *table = table_at(pgt, cur);
		kvm_pte_t *ptep = el2_leaf(pgt, cur);
		struct kvm_pgtable_visit_ctx ctx = {
			.ptep = ptep ? ptep : &table->block, .arg = walker->arg,
			.start = addr, .addr = cur, .end = end, .flags = walker->flags,
			.level = ptep ? KVM_PGTABLE_LAST_LEVEL : KVM_PGTABLE_LAST_LEVEL - 1,
		};
		int ret;

		ctx.old = *ctx.ptep;
		ret = walker->cb(&ctx, KVM_PGTABLE_WALK_LEAF);
		if (ret)
			return ret;
		cur = ALIGN_DOWN(cur, kvm_granule_size(ctx.level)) + kvm_granule_size(ctx.level);
	}
	return 0;
}

int kvm_pgtable_get_leaf(struct kvm_pgtable *pgt, u64 addr, kvm_pte_t *ptep, s8 *level)
{
	if (ALIGN_DOWN(addr, PAGE_SIZE) >= BIT(pgt->ia_bits))
		return -ERANGE;
	*level = table_at(pgt, addr)->present ? KVM_PGTABLE_LAST_LEVEL : KVM_PGTABLE_LAST_LEVEL - 1;
	*ptep = el2_translate(pgt, addr);
	return 0;
}

/* A table in place of a hole or of a block; the block's pages are not carried over. */
static struct el2_table *make_table(struct kvm_pgtable *pgt, u64 addr)
{
	struct el2_table *table = table_at(pgt, addr);

	if (!table->present) {
		memset(table, 0, sizeof(*table));
		table->present = true;
	}
	return table;
}

void el2_set_leaf(struct kvm_pgtable *pgt, u64 addr, kvm_pte_t pte)
{
	struct el2_table *table = make_table(pgt, addr);
	unsigned int i = (addr >> PAGE_SHIFT) % SPEC_TABLE;

	table->refs += !!pte - !!table->leaf[i];
	table->leaf[i] = pte;
	el2_wrote(&table->leaf[i], 0);
	table->stale[i] = 0;
}

int kvm_pgtable_stage2_map(struct kvm_pgtable *pgt, u64 addr, u64 size, u64 phys,
			   enum kvm_pgtable_prot prot, void *mc, int flags)
{
	(void)flags;
	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		if (!pay_for_table(pgt, addr + i, mc))
			return -ENOMEM;
		el2_set_leaf(pgt, addr + i, kvm_phys_to_pte(phys + i) | prot | 1);
	}
	return 0;
}

int kvm_pgtable_stage2_annotate(struct kvm_pgtable *pgt, u64 addr, u64 size, void *mc,
				unsigned int type, kvm_pte_t annotation)
{
	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		if (!pay_for_table(pgt, addr + i, mc))
			return -ENOMEM;
		el2_set_leaf(pgt, addr + i,
			     FIELD_PREP(KVM_INVALID_PTE_TYPE_MASK, type) | annotation);
	}
	return 0;
}

int kvm_pgtable_stage2_unmap(struct kvm_pgtable *pgt, u64 addr, u64 size)
{
	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		if (el2_leaf(pgt, addr + i))
			el2_set_leaf(pgt, addr + i, 0);
	}
	return 0;
}

void kvm_tlb_flush_vmid_range(struct kvm_s2_mmu *mmu, phys_addr_t addr, size_t size)
{
	struct kvm_pgtable *pgt = mmu->pgt;

	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		if (addr + i - pgt->base < EL2_MAX_TABLES * PMD_SIZE)
			table_at(pgt, addr + i)->stale[((addr + i) >> PAGE_SHIFT) % SPEC_TABLE] = 0;
	}
}

/* No guest, and not yet the host, may reach a page while it is scrubbed or cleaned. */
static void check_unreachable(u64 phys)
{
	/* Nor may that go on for long. */
	if (!el2_budget--)
		complain("too many pages in one call", __FILE__, __LINE__);
	CHECK(!kvm_pte_valid(el2_translate(&host_mmu.pgt, phys)) ||
	      get_host_state(hyp_phys_to_page(phys)) == PKVM_PAGE_SHARED_BORROWED);
	for (unsigned int g = 0; g < SPEC_GUESTS; g++) {
		for (u64 ipa = 0; ipa < SPEC_GFNS << PAGE_SHIFT; ipa += PAGE_SIZE) {
			kvm_pte_t stale = el2_stale(&el2_vm[g].pgt, ipa);
			kvm_pte_t pte = el2_translate(&el2_vm[g].pgt, ipa);

			CHECK(!kvm_pte_valid(pte) || kvm_pte_to_phys(pte) != phys);
			CHECK(!stale || kvm_pte_to_phys(stale) != phys);
		}
	}
}

void kvm_flush_dcache_to_poc(void *addr, size_t size)
{
	(void)size;
	check_unreachable(((struct el2_memory *)addr - el2_memory + EL2_FIRST_PFN) << PAGE_SHIFT);
	((struct el2_memory *)addr)->dirty = false;
}

void *hyp_fixmap_map(phys_addr_t phys)
{
	return el2_memory_of(phys);
}

void hyp_fixmap_unmap(void)
{
}

void hyp_poison_page(phys_addr_t phys)
{
	check_unreachable(phys);
	el2_memory_of(phys)->data = 0;
	el2_memory_of(phys)->dirty = false;
	el2_memory_of(phys)->touched = true;
}

/* The host's stage 2 */

bool pfn_range_is_valid(u64 pfn, u64 nr_pages)
{
	return pfn < EL2_PA_LIMIT && EL2_PA_LIMIT - pfn >= nr_pages;
}

static bool is_memory(u64 addr)
{
	return (addr >> PAGE_SHIFT) - EL2_FIRST_PFN <= SPEC_FRAMES;
}

int check_range_allowed_memory(u64 start, u64 end)
{
	if (is_memory(start) != is_memory(end - 1))
		return -EINVAL;
	return is_memory(start) ? 0 : -EPERM;
}

int host_stage2_idmap_locked(phys_addr_t addr, u64 size, enum kvm_pgtable_prot prot)
{
	for (u64 i = 0; i < size; i += PAGE_SIZE) {
		/* A block that is whole says it already. */
		if (!el2_leaf(&host_mmu.pgt, addr + i) && table_at(&host_mmu.pgt, addr + i)->block)
			continue;
		el2_set_leaf(&host_mmu.pgt, addr + i, kvm_phys_to_pte(addr + i) | prot | 1);
	}
	return 0;
}

void __host_update_page_state(phys_addr_t addr, u64 size, enum pkvm_page_state state)
{
	for (u64 i = 0; i < size; i += PAGE_SIZE)
		hyp_phys_to_page(addr + i)->__host_state = state;
}

void pkvm_sme_dvmsync_fw_call(void)
{
}

u64 host_stage2_encode_gfn_meta(struct pkvm_hyp_vm *vm, u64 gfn)
{
	return (gfn << 16) | vm->kvm.arch.pkvm.handle;
}

kvm_pte_t el2_host_annotation(u8 owner_id, u64 meta)
{
	return FIELD_PREP(KVM_INVALID_PTE_TYPE_MASK, KVM_HOST_INVALID_PTE_TYPE_DONATION) |
	       FIELD_PREP(GENMASK(3, 1), owner_id) | FIELD_PREP(GENMASK(59, 4), meta);
}

kvm_pte_t host_stage2_guest_annotation(struct pkvm_hyp_vm *vm, u64 gfn)
{
	return el2_host_annotation(PKVM_ID_GUEST, host_stage2_encode_gfn_meta(vm, gfn));
}

int host_stage2_set_owner_metadata_locked(phys_addr_t addr, u64 size, u8 owner_id, u64 meta)
{
	CHECK(host_mmu.locked);
	if (owner_id == PKVM_ID_HOST)
		return -EINVAL;
	for (u64 i = 0; i < size; i += PAGE_SIZE)
		el2_set_leaf(&host_mmu.pgt, addr + i, el2_host_annotation(owner_id, meta));
	__host_update_page_state(addr, size, PKVM_NOPAGE);
	return 0;
}

int host_stage2_set_owner_locked(phys_addr_t addr, u64 size, u8 owner_id)
{
	CHECK(host_mmu.locked);
	if (owner_id != PKVM_ID_HOST)
		return host_stage2_set_owner_metadata_locked(addr, size, owner_id, 0);
	for (u64 i = 0; i < size; i += PAGE_SIZE)
		check_unreachable(addr + i);
	host_stage2_idmap_locked(addr, size, PKVM_HOST_MEM_PROT);
	__host_update_page_state(addr, size, PKVM_PAGE_OWNED);
	return 0;
}

int __host_set_page_state_range(u64 addr, u64 size, enum pkvm_page_state state)
{
	CHECK(host_mmu.locked);
	if (get_host_state(hyp_phys_to_page(addr)) == PKVM_NOPAGE)
		host_stage2_idmap_locked(addr, size, PKVM_HOST_MEM_PROT);
	__host_update_page_state(addr, size, state);
	return 0;
}

/* Who has a page that the host has not, as the host's own entry says. */
int host_stage2_get_guest_info(phys_addr_t phys, struct pkvm_hyp_vm **vm, u64 *gfn)
{
	kvm_pte_t pte;

	CHECK(host_mmu.locked && vm_table_lock);
	if (!is_memory(phys))
		return -EFAULT;
	pte = el2_translate(&host_mmu.pgt, phys);
	if (kvm_pte_valid(pte) || !pte)
		return -EAGAIN;
	if (FIELD_GET(GENMASK(3, 1), pte) != PKVM_ID_GUEST)
		return -EPERM;
	*vm = get_pkvm_hyp_vm(FIELD_GET(GENMASK(59, 4), pte) & 0xffff);
	*gfn = FIELD_GET(GENMASK(59, 4), pte) >> 16;
	return *vm ? 0 : -EAGAIN;
}

/* Guests */

enum pkvm_page_state guest_get_page_state(kvm_pte_t pte, u64 addr)
{
	(void)addr;
	if (FIELD_GET(KVM_INVALID_PTE_TYPE_MASK, pte) == KVM_GUEST_INVALID_PTE_TYPE_POISONED)
		return PKVM_POISON;
	if (FIELD_GET(KVM_INVALID_PTE_TYPE_MASK, pte) == KVM_GUEST_INVALID_PTE_TYPE_GUARDED)
		return PKVM_GUARDED;
	if (!kvm_pte_valid(pte))
		return PKVM_NOPAGE;
	return pkvm_getstate(kvm_pgtable_stage2_pte_prot(pte));
}

int __guest_check_pgtable_memcache(struct pkvm_hyp_vcpu *vcpu)
{
	return vcpu->vcpu.arch.pkvm_memcache.nr_pages ? 0 : -ENOMEM;
}

int refill_memcache(struct kvm_hyp_memcache *mc, unsigned long min_pages,
		    struct kvm_hyp_memcache *host_mc)
{
	mc->nr_pages = min_pages;
	host_mc->nr_pages = 0;
	return 0;
}

struct pkvm_hyp_vcpu *pkvm_get_loaded_hyp_vcpu(void)
{
	return el2_loaded;
}

struct pkvm_hyp_vm *get_pkvm_hyp_vm(pkvm_handle_t handle)
{
	return handle >= 1 && handle <= SPEC_GUESTS && el2_vm[handle - 1].exists ?
	       &el2_vm[handle - 1] : NULL;
}

void put_pkvm_hyp_vm(struct pkvm_hyp_vm *vm)
{
	(void)vm;
}

/* Memory that is not guest_memfd's: the base's own code, in short. */
static int change_pinned(struct pkvm_hyp_vcpu *vcpu, u64 gfn, enum pkvm_page_state from,
			 enum pkvm_page_state to)
{
	u64 ipa = gfn << PAGE_SHIFT, phys;
	struct pkvm_hyp_vm *vm = vcpu->vm;
	kvm_pte_t pte = el2_translate(&vm->pgt, ipa);

	CHECK(!host_mmu.locked && !vm->locked);
	CHECK(!(pte & PKVM_PROT_GMEM));
	if (guest_get_page_state(pte, ipa) != from)
		return -EPERM;
	phys = kvm_pte_to_phys(pte);
	if (to == PKVM_PAGE_OWNED)
		el2_set_leaf(&host_mmu.pgt, phys, host_stage2_guest_annotation(vm, gfn));
	el2_set_leaf(&vm->pgt, ipa, kvm_phys_to_pte(phys) | 1 |
		     pkvm_mkstate(KVM_PGTABLE_PROT_RWX, to));
	if (to == PKVM_PAGE_SHARED_OWNED)
		host_stage2_idmap_locked(phys, PAGE_SIZE, PKVM_HOST_MEM_PROT);
	__host_update_page_state(phys, PAGE_SIZE, to == PKVM_PAGE_OWNED ?
				 PKVM_NOPAGE : PKVM_PAGE_SHARED_BORROWED);
	return 0;
}

int __pkvm_guest_share_host(struct pkvm_hyp_vcpu *vcpu, u64 gfn)
{
	return change_pinned(vcpu, gfn, PKVM_PAGE_OWNED, PKVM_PAGE_SHARED_OWNED);
}

int __pkvm_guest_unshare_host(struct pkvm_hyp_vcpu *vcpu, u64 gfn)
{
	return change_pinned(vcpu, gfn, PKVM_PAGE_SHARED_OWNED, PKVM_PAGE_OWNED);
}

/* Locks; component_lock.c knows the order, here is whether they are free. */

hyp_spinlock_t vm_table_lock;

void hyp_spin_lock(hyp_spinlock_t *lock)
{
	BUG_ON(*lock);
	*lock = true;
}

void hyp_spin_unlock(hyp_spinlock_t *lock)
{
	BUG_ON(!*lock);
	*lock = false;
}

void host_lock_component(void)
{
	hyp_spin_lock(&host_mmu.locked);
	pkvm_host_lock_taken();
}

void host_unlock_component(void)
{
	pkvm_host_lock_dropped();
	hyp_spin_unlock(&host_mmu.locked);
}

void guest_lock_component(struct pkvm_hyp_vm *vm)
{
	hyp_spin_lock(&vm->locked);
	pkvm_guest_lock_taken(vm);
}

void guest_unlock_component(struct pkvm_hyp_vm *vm)
{
	pkvm_guest_lock_dropped(vm);
	hyp_spin_unlock(&vm->locked);
}
