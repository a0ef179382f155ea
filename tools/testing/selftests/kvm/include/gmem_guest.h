/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest of either architecture whose memory a guest_memfd is: of the type that has private
 * memory. It does one load or store at a time, wherever the test says.
 */
#ifndef SELFTEST_KVM_GMEM_GUEST_H
#define SELFTEST_KVM_GMEM_GUEST_H

#include "guest_memfd_util.h"

/*
 * GMEM_LOW_GPA and GMEM_HIGH_GPA are where a VMM puts RAM of more than 2 GiB: this much, a
 * hole, and the rest. GMEM_BEYOND_TOP is the error of a slot beyond gmem_guest_top().
 */
#if defined(__aarch64__)
#include "pkvm_guest.h"

/* Not from 0 on: the payload's mailbox and its code are in the first 2 GiB. */
#define GMEM_LOW_GPA	(2ULL << 30)
#define GMEM_HIGH_GPA	(6ULL << 30)
#define GMEM_BEYOND_TOP	(-EFAULT)

struct gmem_guest {
	struct pkvm_vm vm;
};
#elif defined(__x86_64__)
#define GMEM_LOW_GPA	0ULL
#define GMEM_HIGH_GPA	(4ULL << 30)
#define GMEM_BEYOND_TOP	(-EINVAL)

struct gmem_guest {
	int fd, vcpu;
	struct kvm_run *run;
	size_t run_size;
	u64 *own;
};
#endif

/* For main(): the whole program is skipped where there is no such guest. */
void gmem_require_guest(void);

void gmem_guest_create(struct gmem_guest *g);
/* All that belongs to the VM but its guest_memfds. */
void gmem_guest_close(struct gmem_guest *g);
int gmem_guest_vm(struct gmem_guest *g);
struct kvm_run *gmem_guest_run(struct gmem_guest *g);

/*
 * One access, and the same again: 0 when it is done, -errno of KVM_RUN, or GMEM_OTHER_EXIT,
 * for which see gmem_guest_run(). The access is pending then, and gmem_guest_go_on() tries it
 * again.
 */
#define GMEM_OTHER_EXIT	1

int gmem_guest_load(struct gmem_guest *g, u64 gpa, u64 *val);
int gmem_guest_store(struct gmem_guest *g, u64 gpa, u64 val);
int gmem_guest_go_on(struct gmem_guest *g, u64 *val);

/* Makes @count of the guest's pages the host's, with their content. */
bool gmem_guest_gives(struct gmem_guest *g, u64 gpa, u64 count, int fd, u64 offset);
/* Has a page been freed under the guest? */
bool gmem_guest_lost(struct gmem_guest *g, u64 gpa);
/* Where the guest's addresses end. */
u64 gmem_guest_top(struct gmem_guest *g);

#endif /* SELFTEST_KVM_GMEM_GUEST_H */
