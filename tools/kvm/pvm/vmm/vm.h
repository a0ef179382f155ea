/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A guest: all that is made for it, by whom it is made. vm.c itself has the VM and its end; each
 * other part is taken down by the file that made it, in reverse order.
 */
#ifndef PVM_VM_H
#define PVM_VM_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "vmm/options.h"

struct vm;
struct kvm_run;
struct registers_page;
struct serial;
struct virtio_dev;

struct vcpu {
	struct vm *vm;
	unsigned int id;
	int fd;
	int stats_fd;			/* of stats.c; -1 without --stats */
	struct kvm_run *run;
	size_t run_size;
	/* Of vcpu_run.c. */
	pthread_t thread;
	bool started;
	/* The last memory fault, to tell a retry from a loop. */
	uint64_t fault_gpa;
	unsigned int fault_count;
};

/* What KVM counts for a vCPU; names in stats.c. */
#define STATS_NR_COUNTERS	7

/* With --stats. */
struct stats {
	unsigned int matched;		/* of the console's line, with init's first */
	bool booted;
	uint64_t begin_ns, begin_cpu_ns;
	uint64_t boot_ns, boot_cpu_ns;
	uint64_t resident;		/* bytes of guest memory */
	uint64_t count[STATS_NR_COUNTERS];
	uint64_t destroy_ns;
	/* At the guest's end: pages that are its own, that it shares, and that are not there. */
	bool have_pages;
	uint64_t private, shared, absent;
};

/* A file that is loaded into guest memory. */
struct image_file {
	const char *path;
	int fd;				/* -1: there is none */
	uint64_t size;
	uint64_t gpa;
};

/* An access of a vCPU to what is not memory. */
typedef void (*mmio_fn)(struct vm *vm, uint64_t addr, uint8_t *data, uint32_t len,
			bool is_write);

struct vm {
	const struct pvm_options *opt;

	/* image.c */
	struct image_file kernel, initrd;
	uint64_t kernel_end;		/* gpa, as the Image's header says */
	uint64_t dtb_start;
	uint64_t pool_start;		/* gpa; the pool ends where RAM ends */

	/* devices.c */
	struct virtio_dev *virtio[PVM_MAX_VIRTIO];
	unsigned int nr_virtio;
	struct virtio_dev *console;	/* one of them, or NULL */

	/* vm.c */
	int kvm_fd;
	int fd;
	pthread_mutex_t stop_lock;
	int stop_fd;			/* eventfd: readable when stopping */
	bool stopping;			/* atomic; guarded by stop_lock for writing */
	int stop_code;			/* guarded by stop_lock */

	/* registers_answer.c */
	int registers_fd;
	struct registers_page *registers;

	/*
	 * memory.c: guest RAM, and the host's mapping of it. Only memory.c touches that: any
	 * page may become private at any time.
	 */
	int gmem_fd;			/* -1 with --anon */
	void *ram;

	/* vcpu.c, vcpu_run.c */
	unsigned int nr_vcpus;
	struct vcpu vcpu[PVM_MAX_CPUS];
	mmio_fn mmio;

	/* gic.c */
	int gic_fd;

	/* serial.c */
	struct serial *serial;

	/* stats.c */
	struct stats stats;
};

void vm_prepare(struct vm *vm, const struct pvm_options *opt);

/* Reported; PVM_EXIT_*. */
int vm_create(struct vm *vm);
void vm_destroy(struct vm *vm);
int vm_irq_line(struct vm *vm, unsigned int spi, bool level);
int vm_ioeventfd(struct vm *vm, uint64_t gpa, int fd);
void vm_stop(struct vm *vm, int code);

static inline bool vm_stopping(struct vm *vm)
{
	return __atomic_load_n(&vm->stopping, __ATOMIC_SEQ_CST);
}

#endif
