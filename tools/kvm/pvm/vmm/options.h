/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What a guest is to be, as the user asks for it.
 */
#ifndef PVM_OPTIONS_H
#define PVM_OPTIONS_H

#include <stdbool.h>
#include <stdint.h>

#define PVM_MAX_CPUS	8
#define PVM_MAX_DISKS	8
#define PVM_MAX_NETS	4
#define PVM_MAX_VIRTIO	(PVM_MAX_DISKS + PVM_MAX_NETS + 2)
#define PVM_MIN_MEM	(32ULL << 20)
#define PVM_MAX_MEM	(64ULL << 30)

struct pvm_disk {
	char path[4096];
	bool read_only;
};

struct pvm_net {
	/* One of them is empty. */
	char tap[16];			/* a device's name */
	char socket[108];		/* a path */
	uint8_t mac[6];
	bool have_mac;
};

struct pvm_options {
	const char *kernel;
	const char *initrd;
	const char *append;
	uint64_t mem;
	uint64_t pool;			/* 0: none */
	bool have_pool;			/* given, not the default */
	unsigned int cpus;
	unsigned int timeout;		/* seconds; 0: none */
	uint64_t seed;
	const char *trace, *record;	/* files, or NULL */
	unsigned int nr_disks, nr_nets;
	struct pvm_disk disk[PVM_MAX_DISKS];
	struct pvm_net net[PVM_MAX_NETS];
	bool protect;
	bool anon;
	bool stats;
	bool seeded;
	bool rng;
	bool serial;			/* the only console */
	bool reboot;			/* a reset is a new start */
};

#endif
