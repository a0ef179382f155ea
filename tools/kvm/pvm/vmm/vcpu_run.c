// SPDX-License-Identifier: GPL-2.0-only
/*
 * The vCPUs' threads, one each, and what they come out of KVM_RUN for.
 */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>

#include <linux/kvm.h>

#include "common/exit_codes.h"
#include "common/gmem.h"
#include "common/layout.h"
#include "common/say.h"
#include "common/thread.h"
#include "vmm/event.h"
#include "vmm/registers_answer.h"
#include "vmm/stats.h"
#include "vmm/vcpu.h"
#include "vmm/vcpu_run.h"
#include "vmm/vm.h"

/* A guest that faults on one page so often without getting on never will. */
#define MAX_SAME_FAULT	10000

#define BARRED_MS	5000

/*
 * The guest needs [gpa, gpa + size) private, or shared: see to it, and run again.
 * This is all that a VMM does about private memory, on every architecture.
 */
static int vcpu_memory_fault(struct vcpu *vcpu)
{
	struct vm *vm = vcpu->vm;
	uint64_t gpa = vcpu->run->memory_fault.gpa;
	uint64_t size = vcpu->run->memory_fault.size;
	uint64_t flags = vcpu->run->memory_fault.flags;
	bool private = flags & KVM_MEMORY_EXIT_FLAG_PRIVATE;
	uint64_t offset = gpa - PVM_RAM_BASE, stuck = 0;
	int ret;

	if (vm->gmem_fd < 0 || flags & ~KVM_MEMORY_EXIT_FLAG_PRIVATE ||
	    gpa < PVM_RAM_BASE || offset >= vm->opt->mem ||
	    !size || size > vm->opt->mem - offset) {
		say("vCPU %u stopped: a memory fault at %#llx (size %#llx, flags %#llx) that pvm cannot resolve",
		    vcpu->id, (unsigned long long)gpa, (unsigned long long)size,
		    (unsigned long long)flags);
		return PVM_EXIT_GUEST;
	}

	if (gpa != vcpu->fault_gpa)
		vcpu->fault_count = 0;
	vcpu->fault_gpa = gpa;
	if (++vcpu->fault_count > MAX_SAME_FAULT) {
		say("vCPU %u stopped: it faults on %#llx again and again", vcpu->id,
		    (unsigned long long)gpa);
		return PVM_EXIT_FAIL;
	}

	ret = gmem_set(vm->gmem_fd, offset, size, private, &stuck);
	event("vCPU %u: memory fault: %#llx, %#llx bytes to %s: %d", vcpu->id,
	      (unsigned long long)gpa, (unsigned long long)size,
	      private ? "private" : "shared", ret);
	if (!ret)
		return 0;
	say("vCPU %u stopped: cannot make %#llx %s: %s%s", vcpu->id,
	    (unsigned long long)(PVM_RAM_BASE + stuck), private ? "private" : "shared",
	    strerror(-ret),
	    ret == -EAGAIN ? " (a process on the host holds a reference to it)" : "");
	return PVM_EXIT_FAIL;
}

static void vcpu_mmio(struct vcpu *vcpu)
{
	uint64_t addr = vcpu->run->mmio.phys_addr;
	uint32_t len = vcpu->run->mmio.len;
	uint8_t *data = vcpu->run->mmio.data;
	bool is_write = vcpu->run->mmio.is_write;

	if (len > sizeof(vcpu->run->mmio.data))
		return;
	vcpu->vm->mmio(vcpu->vm, addr, data, len, is_write);
	event("vCPU %u: mmio %s %#llx, %u bytes, first %#x", vcpu->id,
	      is_write ? "write" : "read", (unsigned long long)addr, len, len ? *data : 0);
}

static int vcpu_system_event(struct vcpu *vcpu)
{
	event("vCPU %u: system event %u", vcpu->id, vcpu->run->system_event.type);
	switch (vcpu->run->system_event.type) {
	case KVM_SYSTEM_EVENT_SHUTDOWN:
		return PVM_EXIT_OK;
	case KVM_SYSTEM_EVENT_RESET:
		say("the guest asked for a reset");
		return PVM_EXIT_RESET;
	default:
		say("the guest ended with system event %u", vcpu->run->system_event.type);
		return PVM_EXIT_GUEST;
	}
}

/* -1 to go on, or PVM_EXIT_* when reported. */
static int vcpu_exit(struct vcpu *vcpu)
{
	switch (vcpu->run->exit_reason) {
	case KVM_EXIT_MMIO:
		vcpu_mmio(vcpu);
		return -1;
	case KVM_EXIT_SYSTEM_EVENT:
		return vcpu_system_event(vcpu);
	case KVM_EXIT_INTR:
		return -1;
	case KVM_EXIT_INTERNAL_ERROR:
		say("vCPU %u stopped: KVM internal error %u", vcpu->id,
		    vcpu->run->internal.suberror);
		return PVM_EXIT_GUEST;
	case KVM_EXIT_FAIL_ENTRY:
		say("vCPU %u stopped: KVM could not enter the guest (%#llx)", vcpu->id,
		    vcpu->run->fail_entry.hardware_entry_failure_reason);
		return PVM_EXIT_FAIL;
	case KVM_EXIT_ARM_NISV:
		say("vCPU %u stopped: the guest touched %#llx, where nothing is, with an instruction that pvm does not decode",
		    vcpu->id, vcpu->run->arm_nisv.fault_ipa);
		return PVM_EXIT_GUEST;
	default:
		say("vCPU %u stopped: KVM exit %u, which pvm does not know", vcpu->id,
		    vcpu->run->exit_reason);
		return PVM_EXIT_GUEST;
	}
}

/*
 * The hypervisor lets no vCPU in after the guest's SYSTEM_OFF or SYSTEM_RESET: the one that
 * called it is about to say so.
 */
static int vcpu_barred(struct vcpu *vcpu)
{
	struct pollfd stop = { .fd = vcpu->vm->stop_fd, .events = POLLIN };

	if (poll(&stop, 1, BARRED_MS) > 0)
		return -1;
	say("vCPU %u stopped: the hypervisor does not let it run", vcpu->id);
	return PVM_EXIT_FAIL;
}

static int vcpu_error(struct vcpu *vcpu, int err)
{
	bool memory = vcpu->run->exit_reason == KVM_EXIT_MEMORY_FAULT;

	switch (err) {
	case EINVAL:
		if (vcpu->run->exit_reason == KVM_EXIT_FAIL_ENTRY)
			return vcpu_barred(vcpu);
		break;
	case EINTR:
	case EAGAIN:
		return -1;
	case EFAULT:
		if (memory) {
			int ret = vcpu_memory_fault(vcpu);

			return ret ?: -1;
		}
		break;
	case EHWPOISON:
		say("vCPU %u stopped: the guest's page at %#llx was destroyed (by PUNCH_HOLE or by a memory error), and its content is lost",
		    vcpu->id, memory ? (unsigned long long)vcpu->run->memory_fault.gpa : 0);
		return PVM_EXIT_GUEST;
	case ENOMEM:
		say("vCPU %u stopped: no memory: %s", vcpu->id, vcpu->vm->opt->anon ?
		    "pinned memory is charged to RLIMIT_MEMLOCK: raise it (ulimit -l), or leave out --anon" :
		    "the host has none left for the guest");
		return PVM_EXIT_FAIL;
	}
	say("vCPU %u stopped: KVM_RUN: %s (exit %u)", vcpu->id, strerror(err),
	    vcpu->run->exit_reason);
	return PVM_EXIT_FAIL;
}

/* Before it looks whether it is to stop, which is what a kick may be for as well. */
static void vcpu_kicked(struct vcpu *vcpu)
{
	if (!__atomic_exchange_n(&vcpu->run->immediate_exit, 0, __ATOMIC_SEQ_CST))
		return;
	registers_answer(vcpu);
}

static void *vcpu_main(void *arg)
{
	struct vcpu *vcpu = arg;
	int code = -1;

	if (!vcpu->id)
		stats_begin(vcpu->vm);
	while (code < 0 && !vm_stopping(vcpu->vm)) {
		if (ioctl(vcpu->fd, KVM_RUN, 0) < 0)
			code = vcpu_error(vcpu, errno);
		else
			code = vcpu_exit(vcpu);
		if (code < 0)
			vcpu_kicked(vcpu);
	}
	if (code >= 0)
		vm_stop(vcpu->vm, code);
	return NULL;
}

/* What is not memory is for mmio. Reported; PVM_EXIT_*. */
int vcpu_start_all(struct vm *vm, mmio_fn mmio)
{
	vm->mmio = mmio;
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		int ret = vcpu_init(&vm->vcpu[i]);

		if (ret) {
			say("cannot initialise vCPU %u: %s", i, strerror(-ret));
			return PVM_EXIT_FAIL;
		}
	}

	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		struct vcpu *vcpu = &vm->vcpu[i];
		int ret = pthread_create(&vcpu->thread, NULL, vcpu_main, vcpu);

		if (ret) {
			say("cannot start a thread for vCPU %u: %s", i, strerror(ret));
			vm_stop(vm, PVM_EXIT_FAIL);
			return PVM_EXIT_FAIL;
		}
		vcpu->started = true;
	}
	return 0;
}

/* After vm_stop(). */
void vcpu_join_all(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++)
		vcpu_kick(&vm->vcpu[i]);
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpu[i].started)
			thread_join(vm->vcpu[i].thread);
		vm->vcpu[i].started = false;
	}
}
