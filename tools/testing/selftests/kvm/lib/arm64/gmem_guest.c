// SPDX-License-Identifier: GPL-2.0-only
/*
 * A guest that does one load or store at a time, see gmem_guest.h: a protected VM.
 */
#include <errno.h>
#include <fcntl.h>
#include <unistd.h>
#include <linux/sizes.h>

#include "gmem_guest.h"

void gmem_require_guest(void)
{
	__TEST_REQUIRE(getpagesize() == SZ_4K, "pages of %d bytes", getpagesize());
	pkvm_require_gmem();
}

void gmem_guest_create(struct gmem_guest *g)
{
	pkvm_vm_create(&g->vm, 1, PKVM_VM_PROTECTED);
}

void gmem_guest_close(struct gmem_guest *g)
{
	pkvm_vm_destroy(&g->vm);
}

int gmem_guest_vm(struct gmem_guest *g)
{
	return g->vm.fd;
}

struct kvm_run *gmem_guest_run(struct gmem_guest *g)
{
	return g->vm.vcpu[0].run;
}

static int guest_result(int ret)
{
	return ret > 0 ? GMEM_OTHER_EXIT : ret;
}

int gmem_guest_load(struct gmem_guest *g, u64 gpa, u64 *val)
{
	return guest_result(__guest_read64(&g->vm.vcpu[0], gpa, val));
}

int gmem_guest_store(struct gmem_guest *g, u64 gpa, u64 val)
{
	return guest_result(__guest_write64(&g->vm.vcpu[0], gpa, val));
}

int gmem_guest_go_on(struct gmem_guest *g, u64 *val)
{
	int ret = guest_result(pkvm_vcpu_resume(&g->vm.vcpu[0]));

	*val = g->vm.vcpu[0].res[0];
	return ret;
}

/* What was the guest's becomes the host's: only the guest can say so. */
bool gmem_guest_gives(struct gmem_guest *g, u64 gpa, u64 count, int fd, u64 offset)
{
	return guest_hvc_all(&g->vm.vcpu[0], PKVM_HVC_SHARE, gpa, count) > 0;
}

/* A page under the guest was freed: it is told so, and never gets another one there. */
bool gmem_guest_lost(struct gmem_guest *g, u64 gpa)
{
	return guest_share(&g->vm.vcpu[0], gpa, 1, NULL) == PKVM_INVALID_PARAMETER;
}

/* The VM chooses nothing: pKVM gives all VMs what the hardware can do. */
u64 gmem_guest_top(struct gmem_guest *g)
{
	int kvm = open("/dev/kvm", O_RDWR | O_CLOEXEC);
	int bits = gmem_check_cap(kvm, KVM_CAP_ARM_VM_IPA_SIZE);

	TEST_ASSERT(bits > 0, "KVM_CAP_ARM_VM_IPA_SIZE: %d", bits);
	close(kvm);
	return 1ULL << bits;
}
