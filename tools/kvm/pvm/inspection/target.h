/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * A process that runs a guest, and its guest_memfd.
 */
#ifndef PVM_TARGET_H
#define PVM_TARGET_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct target {
	pid_t pid;
	int pidfd;
	int fd;				/* -1: let go of */
	uint64_t size;
	uint64_t inode;
};

int target_open(pid_t pid, struct target *t, bool quiet);
void target_close(struct target *t);
int target_get(const struct target *t, const char *name);
int target_take(struct target *t);
void target_drop(struct target *t);
bool target_ended(struct target *t, int *sig_fd, int ms);

#endif
