// SPDX-License-Identifier: GPL-2.0-only
/*
 * --stats: what a guest cost the host, from the first KVM_RUN to the first line of its
 * init, and at its end. Times are the host's clocks: where an instruction counter drives
 * them (QEMU's -icount shift=0), a nanosecond is an instruction.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <linux/kvm.h>

#include "common/gmem.h"
#include "common/layout.h"
#include "common/say.h"
#include "vmm/options.h"
#include "vmm/stats.h"
#include "vmm/vm.h"

/* How the first line of the demonstration guest's init begins. */
static const char init_line[] = "guest: ";

static const char *const counters[STATS_NR_COUNTERS] = {
	"exits", "hvc_exit_stat", "wfi_exit_stat", "wfe_exit_stat", "mmio_exit_user",
	"mmio_exit_kernel", "signal_exits",
};

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000ULL + ts.tv_nsec;
}

/*
 * A system call that only its immediate tells from others: a log of all exceptions that
 * the machine takes (QEMU's -d int) can be cut there.
 */
static void mark_begin(void)
{
#ifdef __aarch64__
	register long nr asm("x8") = SYS_getpid;
	register long ret asm("x0");

	asm volatile("svc #0xb001" : "=r" (ret) : "r" (nr) : "memory");
#endif
}

static void mark_end(void)
{
#ifdef __aarch64__
	register long nr asm("x8") = SYS_getpid;
	register long ret asm("x0");

	asm volatile("svc #0xb002" : "=r" (ret) : "r" (nr) : "memory");
#endif
}

/* Adds one vCPU's counters to ours. */
static int count_vcpu(int stats_fd, uint64_t *sum)
{
	struct kvm_stats_header head;
	struct kvm_stats_desc *desc;
	size_t desc_size;
	uint64_t val;
	int ret = 0;

	if (pread(stats_fd, &head, sizeof(head), 0) != sizeof(head))
		return -EIO;
	desc_size = sizeof(*desc) + head.name_size;
	desc = malloc(desc_size);
	if (!desc)
		return -ENOMEM;
	for (uint32_t i = 0; i < head.num_desc && !ret; i++) {
		if (pread(stats_fd, desc, desc_size, head.desc_offset + i * desc_size) !=
		    (ssize_t)desc_size) {
			ret = -EIO;
			break;
		}
		for (unsigned int j = 0; j < STATS_NR_COUNTERS; j++) {
			if (strncmp(desc->name, counters[j], head.name_size))
				continue;
			if (pread(stats_fd, &val, sizeof(val), head.data_offset + desc->offset) !=
			    sizeof(val))
				ret = -EIO;
			else
				sum[j] += val;
		}
	}
	free(desc);
	return ret;
}

static int count_all(struct vm *vm, uint64_t *sum)
{
	int ret = 0;

	memset(sum, 0, STATS_NR_COUNTERS * sizeof(*sum));
	for (unsigned int i = 0; i < vm->nr_vcpus && !ret; i++) {
		if (vm->vcpu[i].stats_fd < 0)
			return -EBADF;
		ret = count_vcpu(vm->vcpu[i].stats_fd, sum);
	}
	return ret;
}

/* While no vCPU runs: to get the fd has to wait for that. */
void stats_open(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus && vm->opt->stats; i++) {
		vm->vcpu[i].stats_fd = ioctl(vm->vcpu[i].fd, KVM_GET_STATS_FD);
		if (vm->vcpu[i].stats_fd < 0)
			say("--stats: this kernel does not count for vCPUs: %s", strerror(errno));
	}
}

void stats_close(struct vm *vm)
{
	for (unsigned int i = 0; i < vm->nr_vcpus; i++) {
		if (vm->vcpu[i].stats_fd >= 0)
			close(vm->vcpu[i].stats_fd);
	}
}

/* How much of guest memory the host has allocated by now. */
static uint64_t resident(struct vm *vm)
{
	uint64_t pages = vm->opt->mem / PVM_PAGE, sum = 0;
	unsigned char *vec;
	struct gmem_run run;

	if (vm->gmem_fd >= 0) {
		for (uint64_t off = 0; off < vm->opt->mem; off += run.size) {
			if (gmem_next_run(vm->gmem_fd, off, vm->opt->mem, &run))
				return 0;
			sum += run.populated ? run.size : 0;
		}
		return sum;
	}

	vec = malloc(pages);
	if (vec && !mincore(vm->ram, vm->opt->mem, vec)) {
		for (uint64_t i = 0; i < pages; i++)
			sum += vec[i] & 1 ? PVM_PAGE : 0;
	}
	free(vec);
	return sum;
}

/* On vCPU 0's thread, before it enters the guest for the first time. */
void stats_begin(struct vm *vm)
{
	struct stats *s = &vm->stats;

	if (!vm->opt->stats)
		return;
	s->begin_ns = clock_ns(CLOCK_MONOTONIC);
	s->begin_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
	mark_begin();
}

/* The guest's init speaks. Nothing below may come before the clocks are read. */
static void stats_boot(struct vm *vm)
{
	struct stats *s = &vm->stats;
	int ret;

	mark_end();
	s->boot_cpu_ns = clock_ns(CLOCK_PROCESS_CPUTIME_ID) - s->begin_cpu_ns;
	s->boot_ns = clock_ns(CLOCK_MONOTONIC) - s->begin_ns;
	ret = count_all(vm, s->count);
	if (ret)
		say("--stats: cannot read the vCPUs' counters: %s", strerror(-ret));
	s->resident = resident(vm);
	s->booted = !ret;
}

static void stats_byte(struct vm *vm, uint8_t byte)
{
	struct stats *s = &vm->stats;

	if (s->booted)
		return;
	if (byte == '\n')
		s->matched = 0;
	else if (s->matched < sizeof(init_line) - 1)
		s->matched = byte == (uint8_t)init_line[s->matched] ? s->matched + 1 :
			     sizeof(init_line);
	if (s->matched == sizeof(init_line) - 1) {
		s->matched = sizeof(init_line);
		stats_boot(vm);
	}
}

/* Every byte that the guest writes to a console. */
void stats_console(struct vm *vm, uint8_t byte)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

	if (!vm->opt->stats)
		return;
	pthread_mutex_lock(&lock);
	stats_byte(vm, byte);
	pthread_mutex_unlock(&lock);
}

/* What the guest has at its end. */
static void stats_pages(struct vm *vm)
{
	struct stats *s = &vm->stats;
	struct gmem_run run;

	if (vm->gmem_fd < 0)
		return;
	for (uint64_t off = 0; off < vm->opt->mem; off += run.size) {
		if (gmem_next_run(vm->gmem_fd, off, vm->opt->mem, &run))
			return;
		if (!run.populated)
			s->absent += run.size / PVM_PAGE;
		else if (run.private)
			s->private += run.size / PVM_PAGE;
		else
			s->shared += run.size / PVM_PAGE;
	}
	s->have_pages = true;
}

void stats_destroy_begin(struct vm *vm)
{
	if (vm->opt->stats)
		stats_pages(vm);
	vm->stats.destroy_ns = clock_ns(CLOCK_MONOTONIC);
}

/* One line of JSON; "boot" is null if the guest's init has not spoken. */
void stats_print(struct vm *vm, int code)
{
	const struct pvm_options *opt = vm->opt;
	struct stats *s = &vm->stats;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	printf("{\"protected\":%s,\"memory\":\"%s\",\"mem\":%llu,\"cpus\":%u,\"boot\":",
	       opt->protect ? "true" : "false", opt->anon ? "anonymous" : "guest_memfd",
	       (unsigned long long)opt->mem, opt->cpus);
	if (s->booted) {
		printf("{\"ns\":%llu,\"cpu_ns\":%llu,\"resident\":%llu",
		       (unsigned long long)s->boot_ns, (unsigned long long)s->boot_cpu_ns,
		       (unsigned long long)s->resident);
		for (unsigned int i = 0; i < STATS_NR_COUNTERS; i++)
			printf(",\"%s\":%llu", counters[i], (unsigned long long)s->count[i]);
		printf("}");
	} else {
		printf("null");
	}
	if (s->have_pages)
		printf(",\"pages\":{\"private\":%llu,\"shared\":%llu,\"absent\":%llu}",
		       (unsigned long long)s->private, (unsigned long long)s->shared,
		       (unsigned long long)s->absent);
	else
		printf(",\"pages\":null");
	printf(",\"destroy_ns\":%llu,\"exit_code\":%d}\n",
	       (unsigned long long)(now - s->destroy_ns), code);
	fflush(stdout);
}
