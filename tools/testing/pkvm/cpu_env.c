// SPDX-License-Identifier: GPL-2.0-only
/* What is behind include-cpu/cpu_env.h. */
#include <stdio.h>
#include <stdlib.h>

#include <cpu_env.h>

void (*cpu_step)(const volatile void *where);
u64 cpu_sctlr, cpu_cntvoff, cpu_cntv_ctl, cpu_cntv_cval;
u64 nr_event_counters = 6;
int vm_table_lock;
unsigned int kvm_host_sve_max_vl = 64;

void cpu_warn_on(bool cond, const char *what)
{
	if (!cond)
		return;
	printf("FAIL: WARN_ON(%s)\n", what);
	exit(1);
}

bool pkvm_gfn_is_guarded(struct pkvm_hyp_vm *vm, u64 gfn)
{
	return vm->mmio_guard && (gfn & 1);
}
