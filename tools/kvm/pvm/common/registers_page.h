/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a host might try on the registers of a guest that runs: how `pvm poke` and `pvm demo`
 * ask `pvm run` for it.
 *
 * KVM takes a vCPU's ioctls from the process that made the VM only. Any other gets EIO,
 * whatever file descriptors it has got hold of, and that says nothing of who owns the
 * registers. So `pvm run` tries it itself, on vCPU 0, by that vCPU's thread, between one
 * KVM_RUN and the next: the vCPU is locked while it runs.
 *
 * Who asks has taken a copy of pvm run's page (target_get()), which needs ptrace rights. It
 * says there what to try, and sends SIGUSR2.
 */
#ifndef PVM_REGISTERS_PAGE_H
#define PVM_REGISTERS_PAGE_H

#include <stdint.h>

#define REGISTERS_PAGE_NAME	"pvm-registers"

enum register_try {
	TRY_READ_REGISTER, TRY_SET_PC, TRY_INJECT_ABORT, TRY_DEBUG_STEP, NR_REGISTER_TRIES
};

/* Both processes have it; the numbers are atomic. */
struct registers_page {
	uint32_t asked, answered;	/* how often; the same when nobody waits */
	uint32_t which;			/* of enum register_try, as bits */
	int32_t got[NR_REGISTER_TRIES];	/* 0 or -errno */
};

#endif
