/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_REGISTERS_ANSWER_H
#define PVM_REGISTERS_ANSWER_H

struct vcpu;
struct vm;

int registers_open(struct vm *vm);
void registers_close(struct vm *vm);
void registers_asked(struct vm *vm);
void registers_answer(struct vcpu *vcpu);

#endif
