// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a VMM without privileges can try against the CPU of a protected guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/time.h>

#include "pkvm_attack.h"

#define UNPRIVILEGED	1000
#define TRACEFS		"/sys/kernel/tracing/"

/* What was opened while there were privileges. */
static int kmsg_fd = -1, trace_fd = -1, trace_enable_fd = -1;

void attack_drop_privileges(void)
{
	pkvm_require_gmem();

	kmsg_fd = gmem_kmsg_open();
	trace_fd = open(TRACEFS "trace_pipe", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	trace_enable_fd = open(TRACEFS "events/kvm/kvm_mmio/enable", O_WRONLY | O_CLOEXEC);

	TEST_ASSERT(!setgroups(0, NULL) && !setresgid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) &&
		    !setresuid(UNPRIVILEGED, UNPRIVILEGED, UNPRIVILEGED) &&
		    !prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
		    "privileges could not be given up: errno %d", errno);
	TEST_ASSERT(!attack_has_privileges(), "there are privileges left");
}

bool attack_has_privileges(void)
{
	char text[4096], *cap;

	gmem_read_file("/proc/self/status", text, sizeof(text));
	cap = strstr(text, "\nCapEff:");
	TEST_ASSERT(cap, "no capabilities in /proc/self/status");
	return getuid() != UNPRIVILEGED || geteuid() != UNPRIVILEGED ||
	       strtoull(cap + strlen("\nCapEff:"), NULL, 16) || !setuid(0);
}

int attack_kmsg_bad(void)
{
	return gmem_kmsg_bad(kmsg_fd);
}

bool attack_trace(bool on)
{
	return trace_fd >= 0 && trace_enable_fd >= 0 &&
	       write(trace_enable_fd, on ? "1" : "0", 1) == 1;
}

bool attack_trace_has(u64 word)
{
	char text[65536], hex[32];
	bool found = false;
	ssize_t n;

	snprintf(hex, sizeof(hex), "%lx", (unsigned long)word);
	while ((n = read(trace_fd, text, sizeof(text) - 1)) > 0) {
		text[n] = '\0';
		found |= !!strstr(text, hex);
	}
	return found;
}

void attack_vm_create(struct attack *a, int nr_vcpus, u32 flags)
{
	size_t page = getpagesize(), size = ATTACK_NR_PAGES * page;
	int ret;

	memset(a, 0, sizeof(*a));
	a->page = page;
	TEST_ASSERT(attack_guest_end - attack_guest_start <= page, "too much code");

	pkvm_vm_create(&a->vm, nr_vcpus, flags);
	a->vcpu = &a->vm.vcpu[0];
	a->other = nr_vcpus > 1 ? &a->vm.vcpu[1] : NULL;

	a->fd = gmem_create(a->vm.fd, size,
			    GUEST_MEMFD_FLAG_MMAP | GUEST_MEMFD_FLAG_INIT_SHARED);
	TEST_ASSERT(a->fd >= 0, "guest_memfd: %d", a->fd);
	a->mem = gmem_map(a->fd, size);
	memcpy(attack_hva(a, ATTACK_PAGE_CODE), attack_guest_start,
	       attack_guest_end - attack_guest_start);
	__builtin___clear_cache(a->mem, a->mem + page);

	if (flags & PKVM_VM_PROTECTED) {
		ret = gmem_set_attr(a->fd, 0, size, GMEM_PRIVATE);
		TEST_ASSERT(!ret, "memory to private: %d", ret);
	}
	ret = pkvm_slot_gmem(&a->vm, 0, ATTACK_MEM_GPA, size, a->fd, 0);
	TEST_ASSERT(!ret, "slot: %d", ret);
}

void attack_vm_destroy(struct attack *a)
{
	pkvm_vm_destroy_gmem(&a->vm, a->fd, a->mem, ATTACK_NR_PAGES * a->page);
}

u64 attack_gpa(const struct attack *a, int nr)
{
	return ATTACK_MEM_GPA + nr * a->page;
}

char *attack_hva(const struct attack *a, int nr)
{
	return a->mem + nr * a->page;
}

u64 attack_code(const char *routine)
{
	return ATTACK_MEM_GPA + (routine - attack_guest_start);
}

int attack_exec(struct pkvm_vcpu *vcpu, const char *routine, u64 a1, u64 a2, u64 a3)
{
	u64 args[] = { attack_code(routine), a1, a2, a3 };

	return pkvm_vcpu_call(vcpu, PKVM_OP_EXEC, args, 4, 4);
}

u64 attack_gadget(u32 insn)
{
	const u32 *p;

	for (p = (const u32 *)pkvm_payload_start; p < (const u32 *)pkvm_payload_end; p++) {
		if (*p == insn)
			return PKVM_CODE_GPA + ((const char *)p - pkvm_payload_start);
	}
	TEST_FAIL("the payload has no instruction %#x", insn);
	return 0;
}

static int vcpu_ioctl_errno(struct pkvm_vcpu *vcpu, unsigned long cmd, void *arg)
{
	return ioctl(vcpu->fd, cmd, arg) < 0 ? -errno : 0;
}

int attack_get_any(struct pkvm_vcpu *vcpu, u64 id, void *buf)
{
	struct kvm_one_reg reg = { id, (u64)buf };

	return vcpu_ioctl_errno(vcpu, KVM_GET_ONE_REG, &reg);
}

int attack_set_reg(struct pkvm_vcpu *vcpu, u64 id, u64 val)
{
	struct kvm_one_reg reg = { id, (u64)&val };

	return vcpu_ioctl_errno(vcpu, KVM_SET_ONE_REG, &reg);
}

int attack_get_reg(struct pkvm_vcpu *vcpu, u64 id, u64 *val)
{
	*val = 0;
	return attack_get_any(vcpu, id, val);
}

int attack_set_mp_state(struct pkvm_vcpu *vcpu, u32 state)
{
	struct kvm_mp_state mp = { .mp_state = state };

	return vcpu_ioctl_errno(vcpu, KVM_SET_MP_STATE, &mp);
}

int attack_get_mp_state(struct pkvm_vcpu *vcpu)
{
	struct kvm_mp_state mp = { .mp_state = ~0 };
	int ret = vcpu_ioctl_errno(vcpu, KVM_GET_MP_STATE, &mp);

	return ret ?: (int)mp.mp_state;
}

int attack_init(struct pkvm_vcpu *vcpu, u32 features)
{
	struct kvm_vcpu_init init = {};

	TEST_ASSERT(!ioctl(vcpu->vm->fd, KVM_ARM_PREFERRED_TARGET, &init),
		    "preferred target: errno %d", errno);
	init.features[0] = features;
	return vcpu_ioctl_errno(vcpu, KVM_ARM_VCPU_INIT, &init);
}

int attack_debug(struct pkvm_vcpu *vcpu, u32 control, u64 break_at)
{
	struct kvm_guest_debug dbg = { .control = control };

	/* Any EL and state, all four bytes, enabled. */
	dbg.arch.dbg_bcr[0] = 0x1e7;
	dbg.arch.dbg_bvr[0] = break_at;
	return vcpu_ioctl_errno(vcpu, KVM_SET_GUEST_DEBUG, &dbg);
}

int attack_abort(struct pkvm_vcpu *vcpu)
{
	struct kvm_vcpu_events events = { .exception.ext_dabt_pending = 1 };

	return vcpu_ioctl_errno(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

int attack_serror(struct pkvm_vcpu *vcpu)
{
	struct kvm_vcpu_events events = { .exception.serror_pending = 1 };

	return vcpu_ioctl_errno(vcpu, KVM_SET_VCPU_EVENTS, &events);
}

static bool has_word(const void *buf, size_t size, u64 val)
{
	const char *p = buf;
	size_t i;

	for (i = 0; i + sizeof(val) <= size; i++) {
		if (!memcmp(p + i, &val, sizeof(val)))
			return true;
	}
	return false;
}

int attack_find_in_regs(struct pkvm_vcpu *vcpu, u64 val)
{
	struct kvm_reg_list probe = { .n = 0 }, *list;
	char buf[2048];
	int found = 0;
	u64 i;

	if (!ioctl(vcpu->fd, KVM_GET_REG_LIST, &probe) || errno != E2BIG)
		return 0;
	list = calloc(1, sizeof(*list) + probe.n * sizeof(u64));
	TEST_ASSERT(list, "no memory for a list of registers");
	list->n = probe.n;
	if (ioctl(vcpu->fd, KVM_GET_REG_LIST, list))
		list->n = 0;

	for (i = 0; i < list->n; i++) {
		memset(buf, 0, sizeof(buf));
		if (!attack_get_any(vcpu, list->reg[i], buf) &&
		    has_word(buf, 1 << ((list->reg[i] & KVM_REG_SIZE_MASK) >>
					KVM_REG_SIZE_SHIFT), val))
			found++;
	}
	free(list);
	return found;
}

bool attack_find_in_run(struct pkvm_vcpu *vcpu, u64 val)
{
	return has_word(vcpu->run, vcpu->vm->run_size, val);
}

int attack_set_call(struct pkvm_vcpu *vcpu, u64 pc, u64 x0, u64 x1, u64 x2)
{
	return !attack_set_reg(vcpu, ATTACK_REG_PC, pc) +
	       !attack_set_reg(vcpu, ATTACK_REG_X(0), x0) +
	       !attack_set_reg(vcpu, ATTACK_REG_X(1), x1) +
	       !attack_set_reg(vcpu, ATTACK_REG_X(2), x2) +
	       !attack_set_reg(vcpu, ATTACK_REG_X(3), 0) +
	       !attack_set_reg(vcpu, ATTACK_REG_X(19), PKVM_MBOX_GPA);
}

static struct kvm_run *alarm_run;

static void on_alarm(int sig)
{
	alarm_run->immediate_exit = 1;
}

/* A limit to what @vcpu may take. It comes again and again: the guest is to be left for sure. */
static void set_limit(struct pkvm_vcpu *vcpu, int ms)
{
	struct sigaction sa = { .sa_handler = on_alarm };
	struct timeval time = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };
	struct itimerval limit = { .it_value = time, .it_interval = time };

	if (ms)
		alarm_run = vcpu->run;
	TEST_ASSERT(!sigaction(SIGALRM, &sa, NULL), "sigaction: errno %d", errno);
	TEST_ASSERT(!setitimer(ITIMER_REAL, &limit, NULL), "setitimer: errno %d", errno);
	if (!ms)
		vcpu->run->immediate_exit = 0;
}

int attack_run(struct pkvm_vcpu *vcpu, int ms)
{
	int ret;

	set_limit(vcpu, ms);
	ret = vcpu_ioctl_errno(vcpu, KVM_RUN, NULL);
	set_limit(vcpu, 0);
	return ret;
}

int attack_resume(struct pkvm_vcpu *vcpu, int ms)
{
	int ret;

	set_limit(vcpu, ms);
	ret = pkvm_vcpu_resume(vcpu);
	set_limit(vcpu, 0);
	return ret;
}

int attack_call(struct pkvm_vcpu *vcpu, int ms, u64 op, const u64 *args, int nr_args, int nr_res)
{
	int ret;

	set_limit(vcpu, ms);
	ret = pkvm_vcpu_call(vcpu, op, args, nr_args, nr_res);
	set_limit(vcpu, 0);
	return ret;
}

bool attack_never_runs(struct pkvm_vcpu *vcpu)
{
	int i, ret;

	for (i = 0; i < 3; i++) {
		ret = attack_run(vcpu, 50);
		if (ret == -EINTR || ret == -EPERM || ret == -EINVAL)
			continue;
		fprintf(stderr, "# KVM_RUN: %d, exit %u\n", ret, vcpu->run->exit_reason);
		return false;
	}
	return true;
}

s64 guest_cpu_on(struct pkvm_vcpu *vcpu, u64 mpidr, u64 entry, u64 context)
{
	return guest_hvc(vcpu, PSCI_CPU_ON, mpidr, entry, context, NULL);
}

u64 guest_mpidr(struct pkvm_vcpu *vcpu)
{
	int ret = pkvm_vcpu_call(vcpu, PKVM_OP_ID, NULL, 0, 3);

	TEST_ASSERT(!ret, "the guest's MPIDR: %d", ret);
	return vcpu->res[0];
}

bool guest_cpu_off(struct pkvm_vcpu *vcpu, u64 mpidr, struct pkvm_vcpu *by)
{
	u64 code = attack_code(attack_cpu_off);
	int i, ret;

	/* It sleeps in KVM_RUN then: only another vCPU can tell. */
	ret = attack_call(vcpu, 5, PKVM_OP_EXEC, &code, 1, 1);
	for (i = 0; ret == -EINTR && i < 100; i++) {
		if (guest_hvc(by, PSCI_AFFINITY_INFO, mpidr, 0, 0, NULL) == 1)
			return true;
		ret = attack_resume(vcpu, 5);
	}
	fprintf(stderr, "# CPU_OFF: KVM_RUN %d, answer %ld\n", ret, (long)vcpu->res[0]);
	return false;
}

u64 attack_mpidr(int id)
{
	return (id & 0xf) | ((u64)(id >> 4) & 0xff) << 8 | ((u64)(id >> 12) & 0xff) << 16;
}
