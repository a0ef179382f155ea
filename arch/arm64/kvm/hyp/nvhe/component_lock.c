// SPDX-License-Identifier: GPL-2.0-only
/* Which CPU holds which lock: see component_lock.h. Debug builds only. */
#include <linux/bug.h>
#include <linux/percpu.h>

#include <nvhe/component_lock.h>

static DEFINE_PER_CPU(bool, host_lock_is_mine);
static DEFINE_PER_CPU(struct pkvm_hyp_vm *, my_locked_vm);

/* The order: not with a guest's lock held already. */
void pkvm_host_lock_taken(void)
{
	BUG_ON(*this_cpu_ptr(&my_locked_vm));
	*this_cpu_ptr(&host_lock_is_mine) = true;
}

void pkvm_host_lock_dropped(void)
{
	BUG_ON(!*this_cpu_ptr(&host_lock_is_mine));
	*this_cpu_ptr(&host_lock_is_mine) = false;
}

void pkvm_guest_lock_taken(struct pkvm_hyp_vm *vm)
{
	BUG_ON(*this_cpu_ptr(&my_locked_vm));
	*this_cpu_ptr(&my_locked_vm) = vm;
}

void pkvm_guest_lock_dropped(struct pkvm_hyp_vm *vm)
{
	BUG_ON(*this_cpu_ptr(&my_locked_vm) != vm);
	*this_cpu_ptr(&my_locked_vm) = NULL;
}

/* Both locks are held, by this CPU, and the guest's is this guest's. */
void pkvm_assert_locks_held(struct pkvm_hyp_vm *vm)
{
	BUG_ON(!*this_cpu_ptr(&host_lock_is_mine));
	BUG_ON(*this_cpu_ptr(&my_locked_vm) != vm);
}
