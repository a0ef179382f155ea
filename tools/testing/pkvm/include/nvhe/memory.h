/* SPDX-License-Identifier: GPL-2.0-only */
/* What EL2's logic needs of <nvhe/memory.h>, for a build as an ordinary program. */
#ifndef __PKVM_TEST_NVHE_MEMORY_H
#define __PKVM_TEST_NVHE_MEMORY_H

#include <stdbool.h>

#include <linux/types.h>

/* The values do not matter to the logic, as long as they differ and fit the software bits. */
enum pkvm_page_state {
	PKVM_PAGE_OWNED,
	PKVM_PAGE_SHARED_OWNED,
	PKVM_PAGE_SHARED_BORROWED,
	PKVM_NOPAGE,
	PKVM_POISON,
	PKVM_GUARDED,
};

struct hyp_page {
	unsigned int __host_state : 4;
	unsigned int __hyp_state : 4;
};

#endif
