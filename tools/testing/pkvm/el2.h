/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The real logic of EL2 as an implementation of the specification: see pkvm_spec.h for what
 * the operations are, and el2_env.h for what the logic stands on here.
 */
#ifndef __PKVM_TEST_EL2_H
#define __PKVM_TEST_EL2_H

#include <nvhe/pkvm_spec.h>

/*
 * el2_load() - make EL2's tables say what an abstract state says
 * @shape: the same state can be in other tables. Bit 0: the host has no blocks; bit 1: it has
 *	   not touched its pages; bit 2: guests have tables before they have pages
 */
void el2_load(const struct spec *s, unsigned int shape);

/* el2_step() - what EL2 does; only operations of the first layer */
void el2_step(const struct spec_op *op, struct spec_result *r);

/*
 * el2_compare() - do EL2's tables, its records and the memory say what a state says?
 *
 * Also that no TLB remembers what no table says any more, and that nothing complained.
 * Returns NULL or what is wrong, to be printed.
 */
const char *el2_compare(const struct spec *s);

#endif /* __PKVM_TEST_EL2_H */
