/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GUEST_H
#define PVM_GUEST_H

#include <stdbool.h>

/* On the guest's command line: try the devices, as tests/devices.sh wants it. */
#define DEVICES_WORD	"pvm.devices"

/* The drivers of a protected guest, as tests/drivers.sh wants it. */
#define DRIVERS_WORD	"pvm.drivers"

/* =N: take the last CPU off and on so often, as tests/cpus.sh wants it. */
#define CPUS_WORD	"pvm.cpus="

/* The host says by a line whether the guest ends in a reset or in power-off. */
#define END_WORD	"pvm.end"

#define RELINQUISH	"/sys/module/pkvm_relinquish/parameters/enabled"

/* init.c */
void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int has_word(const char *path, const char *word);
const char *word_value(const char *word);
bool failed(const char *name, const char *why);
const char *listen_to_console(const char *why);

/* devices.c */
void try_devices(void);

/* cpus.c */
void try_cpus(void);

/* drivers.c */
void try_drivers(void);

#endif
