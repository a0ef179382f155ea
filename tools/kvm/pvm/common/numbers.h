/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_NUMBERS_H
#define PVM_NUMBERS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Reported, with the option's name. */
int parse_u64(const char *option, const char *text, uint64_t min, uint64_t max,
	      uint64_t *val);
int parse_size(const char *option, const char *text, uint64_t min, uint64_t max,
	       uint64_t *val);
int parse_mac(const char *option, const char *text, uint8_t *mac);
int parse_pid(const char *text, pid_t *pid);

const char *size_text(uint64_t bytes, char *buf, size_t len);

#endif
