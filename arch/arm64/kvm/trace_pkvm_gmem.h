/* SPDX-License-Identifier: GPL-2.0-only */
#if !defined(_TRACE_PKVM_GMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_PKVM_GMEM_H

#include <linux/tracepoint.h>

#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

/* Pages became the guest's; physically contiguous. */
TRACE_EVENT(pkvm_gmem_donate,
	TP_PROTO(gfn_t gfn, kvm_pfn_t pfn, unsigned long nr),
	TP_ARGS(gfn, pfn, nr),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(u64, pfn)
		__field(unsigned long, nr)
	),

	TP_fast_assign(
		__entry->gfn = gfn;
		__entry->pfn = pfn;
		__entry->nr = nr;
	),

	TP_printk("gfn 0x%llx pfn 0x%llx nr %lu", __entry->gfn, __entry->pfn, __entry->nr)
);

/* A guest's SHARE, UNSHARE or RELINQUISH: what it asked for and what came of it. */
DECLARE_EVENT_CLASS(pkvm_gmem_convert,
	TP_PROTO(gfn_t gfn, unsigned long nr, long ret),
	TP_ARGS(gfn, nr, ret),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(unsigned long, nr)
		__field(long, ret)
	),

	TP_fast_assign(
		__entry->gfn = gfn;
		__entry->nr = nr;
		__entry->ret = ret;
	),

	TP_printk("gfn 0x%llx nr %lu ret %ld", __entry->gfn, __entry->nr, __entry->ret)
);

DEFINE_EVENT(pkvm_gmem_convert, pkvm_gmem_share,
	TP_PROTO(gfn_t gfn, unsigned long nr, long ret),
	TP_ARGS(gfn, nr, ret)
);

DEFINE_EVENT(pkvm_gmem_convert, pkvm_gmem_unshare,
	TP_PROTO(gfn_t gfn, unsigned long nr, long ret),
	TP_ARGS(gfn, nr, ret)
);

DEFINE_EVENT(pkvm_gmem_convert, pkvm_gmem_relinquish,
	TP_PROTO(gfn_t gfn, unsigned long nr, long ret),
	TP_ARGS(gfn, nr, ret)
);

/* A range of guest frames, pages or not, that the host has taken back. */
TRACE_EVENT(pkvm_gmem_reclaim,
	TP_PROTO(gfn_t gfn, unsigned long nr, bool memory_error),
	TP_ARGS(gfn, nr, memory_error),

	TP_STRUCT__entry(
		__field(u64, gfn)
		__field(unsigned long, nr)
		__field(bool, memory_error)
	),

	TP_fast_assign(
		__entry->gfn = gfn;
		__entry->nr = nr;
		__entry->memory_error = memory_error;
	),

	TP_printk("gfn 0x%llx nr %lu%s", __entry->gfn, __entry->nr,
		  __entry->memory_error ? " memory error" : "")
);

#endif /* _TRACE_PKVM_GMEM_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace_pkvm_gmem

#include <trace/define_trace.h>
