/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Helpers for tests of guest_memfd's per-page attributes, on any architecture:
 * the two ioctls, accesses that may end in a signal, references that block a
 * conversion, and a watch on the kernel log.
 */
#ifndef SELFTEST_KVM_GUEST_MEMFD_UTIL_H
#define SELFTEST_KVM_GUEST_MEMFD_UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <linux/types.h>
#include <linux/kvm.h>
#include <linux/kvm_gmem.h>

#include "test_util.h"

#define GMEM_PRIVATE	KVM_MEMORY_ATTRIBUTE_PRIVATE
#define GMEM_SHARED	0ULL

/* What error_offset holds before a call: shows whether the kernel wrote to it. */
#define GMEM_NO_OFFSET	(~0ULL - 0xfff)

/* What a system call returned, or -errno. */
static inline int gmem_ret(long r)
{
	return r < 0 ? -errno : (int)r;
}

/* ---- VMs, files, slots and attributes (guest_memfd_util.c) ---- */

/* All of these return 0, a value >= 0, or -errno; none of them asserts. */
int gmem_check_cap(int fd, unsigned long cap);
/* The VM type that has private memory and needs no special hardware set-up. */
unsigned long gmem_private_vm_type(void);
/* For main(): the whole program is skipped where there is no such VM, or it has no attributes. */
void gmem_require_private(void);
int gmem_vm_open(unsigned long type);
int gmem_create(int vm_fd, u64 size, u64 flags);
int gmem_set_slot(int vm_fd, u32 slot, u64 gpa, u64 size, void *hva, int fd,
		  u64 offset);
int gmem_set_attr_err(int fd, u64 offset, u64 size, u64 attributes,
		      u64 *error_offset);
int gmem_set_attr(int fd, u64 offset, u64 size, u64 attributes);
int gmem_get_attr(int fd, u64 offset, u64 size,
		  struct kvm_memory_attributes2 *attr);
int gmem_punch(int fd, u64 offset, u64 size);

/* Of one page, asserting that it can be read: its attribute, GET's flags, is it in memory? */
u64 gmem_attr_of(int fd, u64 offset);
u64 gmem_presence(int fd, u64 offset);
bool gmem_populated(int fd, u64 offset);

#define GMEM_BAD	(KVM_MEMORY_ATTRIBUTES2_POPULATED | KVM_MEMORY_ATTRIBUTES2_POISONED)

/* What the map in debugfs calls these flags of GET's; NULL if they cannot be. */
const char *gmem_presence_word(u64 flags);

void *gmem_map(int fd, u64 size);

/* A file that is shared to begin with, and where the host has it mapped. */
struct gmem_file {
	int fd;
	char *mem;
	u64 size;
};

void gmem_file_create(struct gmem_file *f, int vm_fd, u64 size);
void gmem_file_close(struct gmem_file *f);

/* ---- Accesses (guest_memfd_access.c) ---- */

/*
 * One access by host userspace: 0, or the signal it ended in. The accessed cache
 * line is cleaned and invalidated, because a guest without an MMU goes past it.
 */
int gmem_host_read64(const void *addr, u64 *val);
int gmem_host_write64(void *addr, u64 val);
/* Any other access, by @fn: 0, or the signal it ended in. @fn must hold nothing. */
int gmem_try(void (*fn)(void *addr), void *addr);
/* The si_code of the signal that this thread's last access ended in. */
int gmem_signal_code(void);
/* For places where the access has to work. */
u64 gmem_host_get64(const void *addr);
void gmem_host_set64(void *addr, u64 val);

/* A kernel access on userspace's behalf: 0 or -errno. */
int gmem_kernel_read(const void *addr);
int gmem_kernel_write(void *addr);
int gmem_process_vm_read(pid_t pid, const void *addr, u64 *val);

/* Page frame behind a mapped address, 0 when not present or not permitted. */
u64 gmem_pfn(const void *addr);

/*
 * Tells the kernel that a page frame is bad: 0, or -errno where it cannot be told. The frame
 * is lost until the machine is started anew.
 */
int gmem_report_bad_memory(u64 pfn);

/* ---- The map in debugfs (guest_memfd_debugfs.c) ---- */

/* The map of a file in debugfs, and where it is; @pid made the VM. */
int gmem_map_path(char *path, size_t size, pid_t pid, int vm_fd, int fd);
int gmem_map_open(pid_t pid, int vm_fd, int fd);
/*
 * A map without the trusted side's words, in place, and without the lines that they alone tell
 * apart: what a kernel shows that cannot ask. A line on which the two disagree stays as it is.
 */
void gmem_map_host_view(char *map);

/* ---- References (guest_memfd_pin.c) ---- */

/* Something that holds a reference to mapped pages until it is dropped. */
enum gmem_pin_kind {
	GMEM_PIN_VMSPLICE,	/* a short reference, kept in a pipe */
	GMEM_PIN_IO_URING,	/* FOLL_LONGTERM, a registered buffer */
	GMEM_PIN_GUP_TEST,	/* FOLL_LONGTERM, needs CONFIG_GUP_TEST */
	GMEM_NR_PINS,
};

struct gmem_pin {
	enum gmem_pin_kind kind;
	int fd[2];
};

const char *gmem_pin_name(enum gmem_pin_kind kind);
int gmem_pin_take(struct gmem_pin *pin, enum gmem_pin_kind kind, void *addr,
		  size_t size);
void gmem_pin_drop(struct gmem_pin *pin);

/* ---- The host around a test (guest_memfd_host.c) ---- */

/* Descriptors to another process. */
int gmem_send_fd(int sock, int fd);
int gmem_recv_fd(int sock);

/* The kernel log from here on: how many lines report a kernel bug. */
int gmem_kmsg_open(void);
int gmem_kmsg_bad(int fd);

u64 gmem_now_us(void);

/* Text to a file of the kernel's, by its path or in a directory: 0 or -errno. */
int gmem_write_file(const char *path, const char *text);
int gmem_write_to(const char *dir, const char *file, const char *text);
/* The beginning of such a file, by one read(); "" if there is none. */
void gmem_read_file(const char *path, char *text, size_t size);
/*
 * The number behind @name, with which a line of such a file begins; "" if it has only one.
 * False if there is none.
 */
bool gmem_read_field(const char *dir, const char *file, const char *name, u64 *val);

u64 gmem_meminfo_kb(const char *name);
/*
 * Free memory: MemFree, and what the page allocator keeps in per-CPU lists, which comes to
 * megabytes and goes back and forth.
 */
u64 gmem_free_kb(void);
/*
 * The same, once it is above @enough_kb or 10 s have passed: what dead processes leave is
 * freed behind their backs (RCU, deferred fput), a while after they were waited for.
 */
u64 gmem_settled_free_kb(u64 enough_kb);
/*
 * What nobody leaks and is not free all the same: caches that have grown, and, where KASAN
 * runs, its quarantine of freed objects (1/32 of the memory) and what it notes of them.
 */
u64 gmem_free_slack_kb(void);
u64 gmem_status_kb(const char *name);

#endif /* SELFTEST_KVM_GUEST_MEMFD_UTIL_H */
