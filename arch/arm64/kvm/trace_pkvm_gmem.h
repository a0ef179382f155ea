/* SPDX-License-Identifier: GPL-2.0-only */
#if !defined(_TRACE_PKVM_GMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PKVM_GMEM_H

#include <linux/kvm_host.h>
#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#define PKVM_NO_PFN	(~0ULL)

/*
 * Pages of the guest's memory change hands. vm is the handle by which EL2 knows the VM, and
 * which EL2's own events have too; pfn is the frame behind gfn, PKVM_NO_PFN where there is none;
 * nr is what was asked for, and ret how much of it was done, from the first page on, or why
 * nothing was.
 */
DECLARE_EVENT_CLASS(pkvm_gmem_run,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(u64, pfn)
		__field(unsigned long, nr)
		__field(long, ret)
		__field(u32, vm)
	),

	TP_fast_assign(
		__entry->vm = kvm->arch.pkvm.handle;
		__entry->gfn = gfn;
		__entry->pfn = pfn;
		__entry->nr = nr;
		__entry->ret = ret;
	),

	TP_printk("vm 0x%x gfn 0x%llx pfn 0x%llx nr %lu ret %ld", __entry->vm, __entry->gfn,
		  __entry->pfn, __entry->nr, __entry->ret)
);

/* They became the guest's. */
DEFINE_EVENT(pkvm_gmem_run, pkvm_gmem_donate,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret)
);

/* A guest's SHARE, UNSHARE or RELINQUISH. */
DEFINE_EVENT(pkvm_gmem_run, pkvm_gmem_share,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret)
);

DEFINE_EVENT(pkvm_gmem_run, pkvm_gmem_unshare,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret)
);

DEFINE_EVENT(pkvm_gmem_run, pkvm_gmem_relinquish,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret)
);

/* RELINQUISH of what the guest does not have: the host is told, and nothing is done. */
DEFINE_EVENT(pkvm_gmem_run, pkvm_gmem_absent,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, kvm_pfn_t pfn, unsigned long nr, long ret),
	TP_ARGS(kvm, gfn, pfn, nr, ret)
);

/* The host has taken back what the guest had in a range of frames. */
TRACE_EVENT(pkvm_gmem_reclaim,
	TP_PROTO(struct kvm *kvm, gfn_t gfn, unsigned long nr,
		 const struct pkvm_reclaimed *pages, bool memory_error),
	TP_ARGS(kvm, gfn, nr, pages, memory_error),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(unsigned long, nr)
		__field(unsigned long, owned)
		__field(unsigned long, shared)
		__field(u32, vm)
		__field(bool, memory_error)
	),

	TP_fast_assign(
		__entry->vm = kvm->arch.pkvm.handle;
		__entry->gfn = gfn;
		__entry->nr = nr;
		__entry->owned = pages->owned;
		__entry->shared = pages->shared;
		__entry->memory_error = memory_error;
	),

	TP_printk("vm 0x%x gfn 0x%llx nr %lu owned %lu shared %lu%s", __entry->vm,
		  __entry->gfn, __entry->nr, __entry->owned, __entry->shared,
		  __entry->memory_error ? " memory error" : "")
);

#endif /* _TRACE_PKVM_GMEM_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_pkvm_gmem

#include <trace/define_trace.h>
