/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __ARM64_KVM_NVHE_ORACLE_WINDOW_H__
#define __ARM64_KVM_NVHE_ORACLE_WINDOW_H__

/*
 * What the oracle sees of memory: the frames and pages that one operation is about, and their
 * neighbours, as a state of the abstract machine. Between oracle.c and oracle_window.c; all of
 * it is guarded by the oracle's lock.
 */

#include <asm/kvm_pgtable.h>

#include <nvhe/pkvm.h>
#include <nvhe/pkvm_spec.h>

#define ORACLE_NOWHERE	(~0ULL)

/**
 * struct oracle_window - a few frames of one guest and a few physical pages
 * @gfn: which frame of the guest's an abstract one is
 * @pfn: which physical page an abstract one is
 * @pte_before: the host's entry of a page, if it is not valid, else 0
 * @pte_now: the same, later
 * @before: when the locks were taken first
 * @now: when they were dropped last
 * @want: what the specification says that it should be now
 */
struct oracle_window {
	u64 gfn[SPEC_GFNS];
	u64 pfn[SPEC_FRAMES];
	kvm_pte_t pte_before[SPEC_FRAMES], pte_now[SPEC_FRAMES];
	struct spec before, now, want;
};

extern struct oracle_window oracle_window;

/* Making @before; the locks of what is looked at are held. */
void oracle_window_init(void);
void oracle_copy_state(struct spec *to, const struct spec *from);
int oracle_add_frame(u64 pfn);
int oracle_add_gfn(struct pkvm_hyp_vm *vm, u64 gfn);
void oracle_add_present(struct pkvm_hyp_vm *vm, u64 gfn, u64 end);

/* @vm is NULL where only the host's lock is held: then the frames alone. */
void oracle_read_now(struct pkvm_hyp_vm *vm);
void oracle_check_unchanged(struct pkvm_hyp_vm *vm);
void oracle_check_remembered(struct pkvm_hyp_vm *vm);
void oracle_remember(struct pkvm_hyp_vm *vm);
void oracle_forget(void);
void oracle_check_host_block(u64 pfn);
void oracle_compare(struct pkvm_hyp_vm *vm);

/* oracle.c: says what differs, and stops the machine. */

void __noreturn oracle_stop(const char *what, u64 gfn, u64 pfn, u64 want, u64 got);
void __noreturn oracle_stop_state(const char *what, u64 gfn, u64 pfn, u8 want, u8 got);
void __noreturn oracle_stop_vcpu(struct pkvm_hyp_vcpu *hyp_vcpu, const char *what,
				 const char *exit, unsigned int where, u64 want, u64 got);

/* oracle_cpu.c */

void oracle_count_cpus(u64 *nr_entries, u64 *nr_exits);

#endif /* __ARM64_KVM_NVHE_ORACLE_WINDOW_H__ */
