/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GUEST_H
#define PVM_GUEST_H

/* On the guest's command line: try the devices, as tests/devices.sh wants it. */
#define DEVICES_WORD	"pvm.devices"

/* init.c */
void put(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
int has_word(const char *path, const char *word);

/* devices.c */
void try_devices(void);

#endif
