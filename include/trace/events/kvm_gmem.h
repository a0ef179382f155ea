/* SPDX-License-Identifier: GPL-2.0-only */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM kvm

#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE kvm_gmem

#if !defined(_TRACE_KVM_GMEM_H) || defined(TRACE_HEADER_MULTI_READ)
#define _TRACE_KVM_GMEM_H

#include <linux/tracepoint.h>

/*
 * A range of a guest_memfd was to become private or shared: because userspace asked, or
 * because the guest did. Nothing was converted if ret is negative, else all of the range.
 * error is the offset that stopped userspace's request, and offset where there is none.
 */
TRACE_EVENT(kvm_gmem_convert,
	TP_PROTO(struct inode *inode, pgoff_t start, unsigned long nr, u64 attributes,
		 bool by_guest, pgoff_t error, long ret),
	TP_ARGS(inode, start, nr, attributes, by_guest, error, ret),

	TP_STRUCT__entry(
		__field(u64, ino)
		__field(u64, offset)
		__field(u64, size)
		__field(u64, attributes)
		__field(u64, error)
		__field(long, ret)
		__field(bool, by_guest)
	),

	TP_fast_assign(
		__entry->ino = inode->i_ino;
		__entry->offset = (u64)start << PAGE_SHIFT;
		__entry->size = (u64)nr << PAGE_SHIFT;
		__entry->attributes = attributes;
		__entry->error = (u64)error << PAGE_SHIFT;
		__entry->ret = ret;
		__entry->by_guest = by_guest;
	),

	TP_printk("inode %llu offset 0x%llx size 0x%llx attributes 0x%llx by %s error 0x%llx ret %ld",
		  __entry->ino, __entry->offset, __entry->size, __entry->attributes,
		  __entry->by_guest ? "guest" : "host", __entry->error, __entry->ret)
);

#endif /* _TRACE_KVM_GMEM_H */

/* This part must be outside protection */
#include <trace/define_trace.h>
