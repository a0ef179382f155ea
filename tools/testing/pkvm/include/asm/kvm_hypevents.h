/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PKVM_TEST_KVM_HYPEVENTS_H
#define PKVM_TEST_KVM_HYPEVENTS_H

/* EL2's events go nowhere here. */
#define PKVM_NR_TRANSITION_STRS	PKVM_NR_TRANSITIONS
#define trace_pkvm_transition(handle, transition, gfn, nr_pages, ret)	\
	((void)(handle), (void)(transition), (void)(gfn), (void)(nr_pages), (void)(ret))

#endif
