/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VCPU_RUN_H
#define PVM_VCPU_RUN_H

#include "vmm/vm.h"

int vcpu_start_all(struct vm *vm, mmio_fn mmio);
void vcpu_join_all(struct vm *vm);

#endif
