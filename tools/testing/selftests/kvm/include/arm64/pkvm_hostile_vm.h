/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * For tests with the hostile host (CONFIG_PKVM_HOSTILE_HOST, arch/arm64/kvm/pkvm_hostile.c): the
 * VMM of the guest that keeps secrets in all its registers, and how the host is told what to do.
 */
#ifndef SELFTEST_KVM_ARM64_PKVM_HOSTILE_VM_H
#define SELFTEST_KVM_ARM64_PKVM_HOSTILE_VM_H

#include <pthread.h>

#include "pkvm_guest.h"
#include "pkvm_secrets.h"

#define HOSTILE		"/sys/kernel/debug/kvm/pkvm_hostile"

/* About what one iteration of the guest comes to on one vCPU. */
#define EXITS_PER_ITERATION	32

struct secrets_vm {
	int fd, image_fd, touch_fd;
	char *image;
	int nr_vcpus;
	int nr_used;		/* by the guest; the others stay off */
	int run_size;
	unsigned long seconds;	/* after which the guest is given up */
	struct secrets_vcpu {
		struct secrets_vm *vm;
		int id, fd;
		struct kvm_run *run;
		pthread_t thread;
		u64 refused;
		u32 told;	/* kinds of reports that count once */
	} vcpu[SECRETS_MAX_VCPUS];
	u64 reports[8];		/* by kind */
	u32 ids;		/* stands for all ID registers, as the guest read them */
	char smash[64];		/* what the host is told once the guest is ready */
	int other;		/* an exit that should not be */
	bool over;
};

/*
 * @flags: PKVM_VM_PROTECTED or 0. @context: x0 of the first vCPU, see pkvm_secrets.h.
 * secrets_vm_create() is prepare, init of all vCPUs, and arguments.
 */
void secrets_vm_create(struct secrets_vm *vm, u32 flags, int nr_vcpus, int nr_used, u64 context);
void secrets_vm_prepare(struct secrets_vm *vm, u32 flags, int nr_vcpus, int nr_used);
void secrets_init_vcpu(struct secrets_vcpu *vcpu);
void secrets_vm_arguments(struct secrets_vm *vm, u64 context);
void secrets_set_core(struct secrets_vcpu *vcpu, u64 reg, u64 value);
void secrets_vm_destroy(struct secrets_vm *vm);

/* All vCPUs run until the guest is over, and signals come all the time. */
void secrets_vm_live(struct secrets_vm *vm);

void hostile_tell(const char *file, const char *format, ...);
/* The value in the first line that begins with that; ~0 if there is none. */
u64 hostile_ask(const char *file, const char *name);
void hostile_show(const char *file, int lines);
/* Of all classes but those of entries that were refused. */
u64 hostile_all_exits(void);

#endif /* SELFTEST_KVM_ARM64_PKVM_HOSTILE_VM_H */
