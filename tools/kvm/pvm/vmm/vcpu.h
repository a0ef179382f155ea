/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_VCPU_H
#define PVM_VCPU_H

#include <stdint.h>

struct vcpu;
struct vm;

int vcpu_create_all(struct vm *vm);
void vcpu_destroy_all(struct vm *vm);
int vcpu_init(struct vcpu *vcpu);
int vcpu_get_pc(struct vcpu *vcpu, uint64_t *pc);
int vcpu_set_pc(struct vcpu *vcpu, uint64_t pc);
void vcpu_kick(struct vcpu *vcpu);

#endif
