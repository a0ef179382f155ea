// SPDX-License-Identifier: GPL-2.0-only
/*
 * When the trusted side's word and the host's belief contradict each other
 * (linux/guest_memfd_owner.h): every combination, against a list of those that are fine.
 */
#include <stdio.h>

#include <linux/guest_memfd_owner.h>

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

static const struct {
	enum kvm_gmem_owner owner;
	bool private, populated;
} fine[] = {
	/* Nobody can be asked, or the guest has nothing there: the host may believe anything. */
	{ KVM_GMEM_OWNER_UNKNOWN,	false,	false },
	{ KVM_GMEM_OWNER_UNKNOWN,	false,	true },
	{ KVM_GMEM_OWNER_UNKNOWN,	true,	false },
	{ KVM_GMEM_OWNER_UNKNOWN,	true,	true },
	{ KVM_GMEM_OWNER_ABSENT,	false,	false },
	{ KVM_GMEM_OWNER_ABSENT,	false,	true },
	{ KVM_GMEM_OWNER_ABSENT,	true,	false },
	{ KVM_GMEM_OWNER_ABSENT,	true,	true },
	/* Punched; or bad memory, which stays in the file. */
	{ KVM_GMEM_OWNER_POISONED,	false,	false },
	{ KVM_GMEM_OWNER_POISONED,	false,	true },
	{ KVM_GMEM_OWNER_POISONED,	true,	false },
	{ KVM_GMEM_OWNER_POISONED,	true,	true },
	/* The guest has a page: it is in the file. */
	{ KVM_GMEM_OWNER_GUEST,		true,	true },
	{ KVM_GMEM_OWNER_SHARED,	false,	true },
	{ KVM_GMEM_OWNER_SHARED,	true,	true },
};

static bool is_fine(int owner, bool private, bool populated)
{
	for (unsigned int i = 0; i < ARRAY_SIZE(fine); i++) {
		if ((int)fine[i].owner == owner && fine[i].private == private &&
		    fine[i].populated == populated)
			return true;
	}
	return false;
}

int main(void)
{
	unsigned int checks = 0, failed = 0;

	/* And a word that does not exist. */
	for (int owner = 0; owner <= KVM_GMEM_NR_OWNERS; owner++) {
		for (int i = 0; i < 4; i++) {
			bool got = kvm_gmem_owner_disagrees((enum kvm_gmem_owner)owner, i & 1,
							    i & 2);

			checks++;
			if (got == is_fine(owner, i & 1, i & 2)) {
				printf("owner %d private %d populated %d: %d\n", owner, i & 1,
				       !!(i & 2), got);
				failed++;
			}
		}
	}

	printf("%u checks, %u failed\n", checks, failed);
	return failed ? 1 : 0;
}
