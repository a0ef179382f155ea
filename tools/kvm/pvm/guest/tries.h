/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * What the guest does besides, each if its word is on the command line.
 */
#ifndef PVM_GUEST_TRIES_H
#define PVM_GUEST_TRIES_H

/* The devices, as tests/devices.sh wants it. */
#define DEVICES_WORD	"pvm.devices"
void try_devices(void);

/* The drivers of a protected guest, as tests/drivers.sh wants it. */
#define DRIVERS_WORD	"pvm.drivers"
void try_drivers(void);

/* =N: takes the last CPU off and on so often, as tests/cpus.sh wants it. */
#define CPUS_WORD	"pvm.cpus="
void try_cpus(void);

/* =yes, =control: holds secrets in its registers, as tests/hostile-kernel.sh wants it. */
#define SECRETS_WORD	"pvm.secrets="
void try_secrets(void);

/* DEMO_WORD: talks with `pvm demo`. */
void dialogue(void);

/* Where its drivers are. */
#define SHARE_DEV	"/dev/pkvm-share"
#define RELINQUISH	"/sys/module/pkvm_relinquish/parameters/enabled"

#endif
