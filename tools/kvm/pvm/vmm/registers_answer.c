// SPDX-License-Identifier: GPL-2.0-only
/*
 * What pvm tries on the registers of its own guest, where it is asked to. See
 * registers_page.h.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/exit_codes.h"
#include "common/registers_page.h"
#include "common/say.h"
#include "vmm/event.h"
#include "vmm/registers_answer.h"
#include "vmm/vcpu.h"
#include "vmm/vm.h"

/* Reported; PVM_EXIT_*. */
int registers_open(struct vm *vm)
{
	vm->registers_fd = memfd_create(REGISTERS_PAGE_NAME, MFD_CLOEXEC);
	if (vm->registers_fd >= 0 && !ftruncate(vm->registers_fd, sizeof(*vm->registers)))
		vm->registers = mmap(NULL, sizeof(*vm->registers), PROT_READ | PROT_WRITE,
				     MAP_SHARED, vm->registers_fd, 0);
	if (vm->registers && vm->registers != MAP_FAILED)
		return 0;

	vm->registers = NULL;
	say("memfd: %s", strerror(errno));
	return PVM_EXIT_FAIL;
}

void registers_close(struct vm *vm)
{
	if (vm->registers)
		munmap(vm->registers, sizeof(*vm->registers));
	if (vm->registers_fd >= 0)
		close(vm->registers_fd);
}

/* Nothing changes by it: what is written is what was there, if the host may know that. */
static int try_set_pc(struct vcpu *vcpu)
{
	uint64_t pc = 0;
	int ret = vcpu_get_pc(vcpu, &pc);

	return vcpu_set_pc(vcpu, ret ? 0 : pc);
}

static int try_inject_abort(struct vcpu *vcpu)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };

	return ioctl(vcpu->fd, KVM_SET_VCPU_EVENTS, &events) ? -errno : 0;
}

static int try_debug_step(struct vcpu *vcpu)
{
	struct kvm_guest_debug debug = {
		.control = KVM_GUESTDBG_ENABLE | KVM_GUESTDBG_SINGLESTEP,
	};
	int ret = ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug) ? -errno : 0;

	debug.control = 0;
	if (!ret && ioctl(vcpu->fd, KVM_SET_GUEST_DEBUG, &debug))
		say("cannot end the debugging of vCPU %u: %s", vcpu->id, strerror(errno));
	return ret;
}

static int try_one(struct vcpu *vcpu, enum register_try what)
{
	uint64_t pc;

	switch (what) {
	case TRY_READ_REGISTER:
		return vcpu_get_pc(vcpu, &pc);
	case TRY_SET_PC:
		return try_set_pc(vcpu);
	case TRY_INJECT_ABORT:
		return try_inject_abort(vcpu);
	case TRY_DEBUG_STEP:
		return try_debug_step(vcpu);
	default:
		return -EINVAL;
	}
}

/* SIGUSR2 came: has vCPU 0's thread leave the guest. */
void registers_asked(struct vm *vm)
{
	vcpu_kick(&vm->vcpu[0]);
}

/* By each vCPU's thread, outside of the guest; most often there is nothing to do. */
void registers_answer(struct vcpu *vcpu)
{
	struct registers_page *page = vcpu->vm->registers;
	uint32_t asked = __atomic_load_n(&page->asked, __ATOMIC_SEQ_CST);

	if (vcpu->id || asked == page->answered)
		return;
	for (int i = 0; i < NR_REGISTER_TRIES; i++) {
		if (page->which & 1U << i)
			page->got[i] = try_one(vcpu, i);
		event("vCPU %u: asked to try %d on its registers: %d", vcpu->id, i, page->got[i]);
	}
	__atomic_store_n(&page->answered, asked, __ATOMIC_SEQ_CST);
}
