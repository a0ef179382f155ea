/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest that does what the test tells it to, one command at a time.
 *
 * The payload (lib/arm64/pkvm_payload.S) needs one page of memory: no stack, no
 * page tables, no ucall, for a protected guest can be asked to give any other page
 * away. It loads its commands from a gpa without memory behind it and stores the
 * results there, so that every word passes through KVM_EXIT_MMIO and none through
 * guest memory or registers that a host should not see.
 *
 * A vCPU that is idle sits at the store of its last result. A call that KVM_RUN
 * ends with an error stays pending: pkvm_vcpu_resume() goes on with it.
 *
 * Nothing here reads or writes a register once the VM runs. Only vCPU 0 starts by itself:
 * before the first call of all is made, on whichever vCPU, it turns the others on by PSCI.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_GUEST_H
#define SELFTEST_KVM_ARM64_PKVM_GUEST_H

/* The payload's mailbox. Each vCPU exits on its own fd: they need only one. */
#define PKVM_MBOX_GPA		0x10000000
#define PKVM_MBOX_OP		0x00	/* load: operation and counts, see below */
#define PKVM_MBOX_ARG(n)	(0x08 + 8 * (n))	/* load, 5 of them */
#define PKVM_MBOX_RES(n)	(0x40 + 8 * (n))	/* store, 5; 0 comes last */
#define PKVM_MBOX_ESR		0x80	/* store: an exception was taken; last */
#define PKVM_MBOX_FAR		0x88
#define PKVM_MBOX_ELR		0x90
#define PKVM_MBOX_LEFT		0x98	/* store: a batch is told to go on with the next */

#define PKVM_NR_ARGS		5
#define PKVM_NR_RES		5

/* Operation in bits 7:0, number of arguments in 15:8, of results in 23:16. */
#define PKVM_OP_NOP		0
#define PKVM_OP_READ64		1	/* gpa -> value */
#define PKVM_OP_WRITE64		2	/* gpa, value */
#define PKVM_OP_HVC		3	/* x0..x4 -> x0..x3 */
#define PKVM_OP_EXEC		4	/* gpa -> x0 on return */
#define PKVM_OP_ID		5	/* -> MPIDR, CurrentEL, SCTLR */
#define PKVM_OP_OFF		6	/* does not come back */
#define PKVM_OP_FILL		7	/* gpa, count, value, step, stride */
#define PKVM_OP_CHECK		8	/* the same -> mismatches, last gpa, found */
/* gpa, granules, rounds, stamp, granule -> shared, unshared, refused, odd, torn */
#define PKVM_OP_PINGPONG	9
/* gpa of struct pkvm_cmd[], how many, whether there is a GIC to tell it to skip one */
#define PKVM_OP_BATCH		10
#define PKVM_OP_CPU_OFF		11	/* comes back when the vCPU is on again -> context */
#define PKVM_NR_OPS		12

/* The PPI that tells a batch to skip a command. Those of timers and the PMU are higher. */
#define PKVM_SKIP_INTID		20

/* What a batch is made of: struct pkvm_cmd, and enum of its .op. */
#define PKVM_CMD_NOP		0
#define PKVM_CMD_READ64		1	/* gpa -> value */
#define PKVM_CMD_WRITE64	2	/* gpa, value */
#define PKVM_CMD_HVC		3	/* x0..x3 -> x0..x2 */
#define PKVM_CMD_FILL		4	/* gpa, value: each line of the page */
#define PKVM_CMD_CHECK		5	/* gpa -> first line's value, others that differ */
#define PKVM_NR_CMDS		6

#define PKVM_CMD_SIZE		64
#define PKVM_CMD_LINE		64	/* bytes between the words of FILL and CHECK */
#define PKVM_CMD_LINES		64	/* of them in a page */

/* Vendor hypervisor service calls, as 64-bit fast calls. */
#define PKVM_HVC_FEATURES	0x86000000
#define PKVM_HVC_MEMINFO	0xc6000002
#define PKVM_HVC_SHARE		0xc6000003
#define PKVM_HVC_UNSHARE	0xc6000004
#define PKVM_HVC_RELINQUISH	0xc6000009
#define PKVM_HVC_MMIO_GUARD_INFO	0xc6000005
#define PKVM_HVC_MMIO_GUARD_ENROLL	0xc6000006
#define PKVM_HVC_MMIO_GUARD_MAP		0xc6000007
#define PKVM_HVC_MMIO_GUARD_UNMAP	0xc6000008
#define PKVM_HVC_MMIO_RGUARD_MAP	0xc600000a
#define PKVM_HVC_MMIO_RGUARD_UNMAP	0xc600000b

/* PSCI. */
#define PKVM_HVC_CPU_OFF	0x84000002
#define PKVM_HVC_SYSTEM_OFF	0x84000008
#define PKVM_HVC_CPU_ON		0xc4000003

#define PKVM_SUCCESS		0
#define PKVM_NOT_SUPPORTED	(-1)
#define PKVM_INVALID_PARAMETER	(-3)

/* Most granules that one call handles. */
#define PKVM_RANGE_MAX		512

#ifndef __ASSEMBLER__

#include <pthread.h>
#include <linux/kvm.h>
#include <linux/types.h>

#include "guest_memfd_util.h"

#define PKVM_MAX_VCPUS		8

/* Where the payload lives: a page and a slot of its own. */
#define PKVM_CODE_GPA		0x40000000
#define PKVM_CODE_SLOT		31

struct pkvm_vm;

struct pkvm_vcpu {
	struct pkvm_vm *vm;
	struct kvm_run *run;
	int id;
	int fd;
	u64 op;
	u64 args[PKVM_NR_ARGS];
	u64 res[PKVM_NR_RES];
	u64 esr, far, elr;
	/* Commands of a batch that pkvm_vcpu_skip() left undone: the skipped one and all after it. */
	u64 left;
	/* A handler for memory faults was asked for: how often it was needed. */
	u64 nr_faults;
};

/* One command of a batch, in memory that host and guest share. */
struct pkvm_cmd {
	u64 op;
	u64 arg[4];
	u64 res[3];
};

struct pkvm_vm {
	int fd;
	int code_fd;
	void *code;
	size_t run_size;
	u32 flags;
	int nr_vcpus;
	/* The first vCPU that has not been turned on yet; the lock is for that. */
	int next_on;
	pthread_mutex_t lock;
	bool started;
	struct pkvm_vcpu vcpu[PKVM_MAX_VCPUS];
};

#define PKVM_VM_PROTECTED	(1U << 0)
#define PKVM_VM_ANON_CODE	(1U << 1)	/* payload in anonymous memory */
#define PKVM_VM_VGIC		(1U << 2)
#define PKVM_VM_MANUAL_START	(1U << 3)	/* vCPUs but the first stay off */
#define PKVM_VM_SVE		(1U << 4)
/* The same, with vectors of at most @vq times 16 bytes instead of the longest there are. */
#define PKVM_VM_SVE_VQ_SHIFT	8
#define PKVM_VM_SVE_VQ(vq)	(PKVM_VM_SVE | (vq) << PKVM_VM_SVE_VQ_SHIFT)

/* Whether this host runs protected VMs, and backs them by guest_memfd. */
bool pkvm_supported(void);
bool pkvm_gmem_supported(void);
/* For main(): the whole program is skipped where there is nothing to test. */
void pkvm_require_gmem(void);

/* A bare VM, for whoever needs no guest. -errno when refused. */
int pkvm_vm_open(u32 flags);
void pkvm_vm_create(struct pkvm_vm *vm, int nr_vcpus, u32 flags);
void pkvm_vm_destroy(struct pkvm_vm *vm);
/* The parts of it, for tests of the order. Each is a no-op the second time. */
void pkvm_vm_close_fd(struct pkvm_vm *vm);
void pkvm_vm_close_vcpus(struct pkvm_vm *vm);
void pkvm_vm_close_code(struct pkvm_vm *vm);

/*
 * What most tests begin with: a protected VM and a guest_memfd of @size bytes with @flags, all
 * of it in slot 0 at @gpa and mapped at *@mem. Returns the file.
 */
int pkvm_vm_create_gmem(struct pkvm_vm *vm, int nr_vcpus, u64 gpa, u64 size, u64 flags,
			char **mem);
void pkvm_vm_destroy_gmem(struct pkvm_vm *vm, int fd, char *mem, u64 size);

int pkvm_slot_gmem(struct pkvm_vm *vm, u32 slot, u64 gpa, u64 size, int fd,
		   u64 offset);
int pkvm_slot_anon(struct pkvm_vm *vm, u32 slot, u64 gpa, u64 size, void *mem);

/*
 * Run a command to its end. 0: done, results in vcpu->res. -errno: from KVM_RUN,
 * the command is pending. Else one of these. The first call may end with what stopped
 * vCPU 0 while it turned the others on: then this goes on with the next attempt.
 */
enum pkvm_stop {
	PKVM_STOP_EXCEPTION = 1,	/* the guest took one: esr, far, elr */
	PKVM_STOP_OFF,
	PKVM_STOP_OTHER,		/* see vcpu->run */
};

int pkvm_vcpu_call(struct pkvm_vcpu *vcpu, u64 op, const u64 *args, int nr_args,
		   int nr_res);
int pkvm_vcpu_resume(struct pkvm_vcpu *vcpu);

/*
 * A batch: many commands for one exit. The guest reads them from memory and writes their
 * results there. When one of them ends KVM_RUN with an error it is pending:
 * pkvm_vcpu_resume() tries it again, pkvm_vcpu_skip() goes on with the next one. That is
 * an interrupt, taken before the pending instruction is done again: it needs PKVM_VM_VGIC.
 * vcpu->left says which command it was, 0 that the guest has not come to it yet.
 */
int pkvm_vcpu_batch(struct pkvm_vcpu *vcpu, u64 gpa, u64 nr);
int pkvm_vcpu_skip(struct pkvm_vcpu *vcpu);

/* The call ended in KVM_EXIT_MEMORY_FAULT with exactly this. */
bool pkvm_fault_is(const struct pkvm_vcpu *vcpu, u64 flags, u64 gpa, u64 size);

/*
 * What a VMM does: on EFAULT with PRIVATE make the range private in @fd (whose
 * offset 0 is at @gpa_base), and go on. @ret is what the call returned.
 */
int pkvm_vcpu_handle(struct pkvm_vcpu *vcpu, int ret, int fd, u64 gpa_base);

/* Single operations; the plain ones assert that the guest could do them. */
int __guest_read64(struct pkvm_vcpu *vcpu, u64 gpa, u64 *val);
int __guest_write64(struct pkvm_vcpu *vcpu, u64 gpa, u64 val);
u64 guest_read64(struct pkvm_vcpu *vcpu, u64 gpa);
void guest_write64(struct pkvm_vcpu *vcpu, u64 gpa, u64 val);
u64 guest_exec(struct pkvm_vcpu *vcpu, u64 gpa);
void guest_fill(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 val, u64 step,
		u64 stride);
u64 guest_check(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 val, u64 step,
		u64 stride);
int guest_off(struct pkvm_vcpu *vcpu);

/*
 * Hypercalls. __guest_hvc() returns like pkvm_vcpu_call(); the others assert that
 * the call came back to the guest and return its R0, with R1 in *done if not NULL.
 */
int __guest_hvc(struct pkvm_vcpu *vcpu, u64 func, u64 a1, u64 a2, u64 a3);
s64 guest_hvc(struct pkvm_vcpu *vcpu, u64 func, u64 a1, u64 a2, u64 a3,
	      u64 *done);
s64 guest_share(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 *done);
s64 guest_unshare(struct pkvm_vcpu *vcpu, u64 gpa, u64 count, u64 *done);

/* As a guest driver does it: until all is done. Returns the number of calls or -1. */
int guest_hvc_all(struct pkvm_vcpu *vcpu, u64 func, u64 gpa, u64 count);

extern const char pkvm_payload_start[], pkvm_payload_end[];

#endif /* __ASSEMBLER__ */
#endif /* SELFTEST_KVM_ARM64_PKVM_GUEST_H */
