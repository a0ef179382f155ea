/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_MEMORY_H
#define PVM_MEMORY_H

#include <stddef.h>
#include <stdint.h>

struct vm;

int memory_create(struct vm *vm);
void memory_destroy(struct vm *vm);
int memory_seal(struct vm *vm);
int memory_load(struct vm *vm, uint64_t gpa, int fd, uint64_t len);

/* -EFAULT where guest memory cannot be reached. */
int memory_read(struct vm *vm, uint64_t gpa, void *buf, size_t len);
int memory_write(struct vm *vm, uint64_t gpa, const void *buf, size_t len);
int memory_pread(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len);
int memory_pwrite(struct vm *vm, uint64_t gpa, int fd, uint64_t pos, size_t len);

#endif
