/* SPDX-License-Identifier: GPL-2.0-only */

/* EL2's own account of what happens to a protected guest's guest_memfd pages. */

#if !defined(__ARM64_KVM_PKVM_HYPEVENTS_H__) || defined(HYP_EVENT_MULTI_READ)
#define __ARM64_KVM_PKVM_HYPEVENTS_H__

#ifndef __PKVM_TRANSITION_STR
#define __PKVM_TRANSITION_STR

/* The values of enum pkvm_transition, which only EL2 sees. */
#define PKVM_NR_TRANSITION_STRS	8

#ifndef __KVM_NVHE_HYPERVISOR__
static inline const char *__pkvm_transition_str(u32 transition)
{
	static const char * const strs[PKVM_NR_TRANSITION_STRS] = {
		"donate",
		"share",
		"unshare",
		"relinquish",
		"guard",
		"reclaim",
		"reclaim_dying",
		"fail",
	};

	return transition < ARRAY_SIZE(strs) ? strs[transition] : "unknown";
}
#endif
#endif

/*
 * ret: how many of nr pages or frames were done, or why none. No padding: the offsets that
 * tracefs shows for an event's fields know of none.
 */
HYP_EVENT(pkvm_transition,
	HE_PROTO(u16 vm, u32 transition, u64 gfn, u64 nr, s64 ret),
	HE_STRUCT(
		he_field(u16, vm)
		he_field(u32, transition)
		he_field(u64, gfn)
		he_field(u64, nr)
		he_field(s64, ret)
	),
	HE_ASSIGN(
		__entry->vm = vm;
		__entry->transition = transition;
		__entry->gfn = gfn;
		__entry->nr = nr;
		__entry->ret = ret;
	),
	HE_PRINTK("vm=0x%x op=%s gfn=0x%llx nr=%llu ret=%lld", __entry->vm,
		  __pkvm_transition_str(__entry->transition), __entry->gfn, __entry->nr,
		  __entry->ret)
);
#endif
