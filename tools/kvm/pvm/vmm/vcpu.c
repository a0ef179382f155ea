// SPDX-License-Identifier: GPL-2.0-only
/*
 * vCPUs as KVM has them, and their registers. What their threads do is in vcpu_run.c.
 */
#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/exit_codes.h"
#include "common/say.h"
#include "common/thread.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

#define CORE_REG(name)	(KVM_REG_ARM64 | KVM_REG_SIZE_U64 | KVM_REG_ARM_CORE |		\
			 (offsetof(struct kvm_regs, name) / sizeof(uint32_t)))

static int set_reg(struct vcpu *vcpu, uint64_t id, uint64_t val)
{
	struct kvm_one_reg reg = { .id = id, .addr = (uintptr_t)&val };

	return ioctl(vcpu->fd, KVM_SET_ONE_REG, &reg) ? -errno : 0;
}

int vcpu_set_pc(struct vcpu *vcpu, uint64_t pc)
{
	return set_reg(vcpu, CORE_REG(regs.pc), pc);
}

int vcpu_get_pc(struct vcpu *vcpu, uint64_t *pc)
{
	struct kvm_one_reg reg = { .id = CORE_REG(regs.pc), .addr = (uintptr_t)pc };

	return ioctl(vcpu->fd, KVM_GET_ONE_REG, &reg) ? -errno : 0;
}

/*
 * All vCPUs before the first KVM_RUN: EL2 then closes the VM. Reported; PVM_EXIT_*.
 */
int vcpu_create_all(struct vm *vm)
{
	int run_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);

	if (run_size <= 0) {
		say("KVM_GET_VCPU_MMAP_SIZE: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}

	for (unsigned int i = 0; i < vm->opt->cpus; i++) {
		struct vcpu *vcpu = &vm->vcpu[i];

		vcpu->vm = vm;
		vcpu->id = i;
		vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)i);
		if (vcpu->fd < 0) {
			say("--cpus: cannot create vCPU %u: %s", i, strerror(errno));
			return PVM_EXIT_FAIL;
		}
		vm->nr_vcpus = i + 1;
		vcpu->run_size = run_size;
		vcpu->run = mmap(NULL, run_size, PROT_READ | PROT_WRITE, MAP_SHARED,
				 vcpu->fd, 0);
		if (vcpu->run == MAP_FAILED) {
			vcpu->run = NULL;
			say("cannot map vCPU %u: %s", i, strerror(errno));
			return PVM_EXIT_FAIL;
		}
	}
	return 0;
}

/* Once their threads have ended, or where they never began. */
void vcpu_destroy_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpu[i].run)
			munmap(vm->vcpu[i].run, vm->vcpu[i].run_size);
		close(vm->vcpu[i].fd);
	}
}

static bool has(const struct vm *vm, long extension)
{
	return ioctl(vm->fd, KVM_CHECK_EXTENSION, extension) > 0;
}

/* All that EL2 lets a protected guest have, where the CPU has it: an ordinary one gets no more. */
static unsigned int features(const struct vm *vm)
{
	unsigned int features = 1U << KVM_ARM_VCPU_PSCI_0_2;

	if (has(vm, KVM_CAP_ARM_PTRAUTH_ADDRESS) && has(vm, KVM_CAP_ARM_PTRAUTH_GENERIC))
		features |= 1U << KVM_ARM_VCPU_PTRAUTH_ADDRESS |
			    1U << KVM_ARM_VCPU_PTRAUTH_GENERIC;
	if (has(vm, KVM_CAP_ARM_SVE))
		features |= 1U << KVM_ARM_VCPU_SVE;

	return features;
}

/* 0, or -errno. */
int vcpu_init(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	struct kvm_vcpu_init init;
	int sve = KVM_ARM_VCPU_SVE;

	if (ioctl(vm->fd, KVM_ARM_PREFERRED_TARGET, &init))
		return -errno;

	memset(init.features, 0, sizeof(init.features));
	init.features[0] = features(vm);
	if (vcpu->id)
		init.features[0] |= 1U << KVM_ARM_VCPU_POWER_OFF;

	if (ioctl(vcpu->fd, KVM_ARM_VCPU_INIT, &init))
		return -errno;
	/* With vectors as long as there are. */
	if (init.features[0] & (1U << sve) && ioctl(vcpu->fd, KVM_ARM_VCPU_FINALIZE, &sve))
		return -errno;
	if (vcpu->id)
		return 0;

	/* The only registers that a VMM sets, and never once the guest runs. */
	return vcpu_set_pc(vcpu, vm->kernel.gpa) ?:
	       set_reg(vcpu, CORE_REG(regs.regs[0]), vm->dtb_start);
}

/* Has its thread come out of KVM_RUN. immediate_exit before the signal: none is lost between. */
void vcpu_kick(struct vcpu *vcpu)
{
	if (!vcpu->started)
		return;
	__atomic_store_n(&vcpu->run->immediate_exit, 1, __ATOMIC_SEQ_CST);
	thread_interrupt(vcpu->thread);
}
