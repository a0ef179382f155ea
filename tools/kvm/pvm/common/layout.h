/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The guest's physical address space. RAM lies in one file, offset 0 being PVM_RAM_BASE: who
 * looks at a guest from outside counts on it.
 */
#ifndef PVM_LAYOUT_H
#define PVM_LAYOUT_H

#define PVM_GICD_BASE	0x08000000ULL
#define PVM_GICD_SIZE	0x00010000ULL
#define PVM_GICR_BASE	0x080a0000ULL
#define PVM_GICR_SIZE	0x00020000ULL	/* per vCPU */
#define PVM_UART_BASE	0x09000000ULL
#define PVM_UART_SIZE	0x00001000ULL
#define PVM_UART_IRQ	1		/* SPI number, from 0 */
#define PVM_RTC_BASE	0x09010000ULL
#define PVM_RTC_SIZE	0x00001000ULL
#define PVM_VIRTIO_BASE	0x0a000000ULL
#define PVM_VIRTIO_SIZE	0x00001000ULL	/* per device */
#define PVM_VIRTIO_IRQ	16		/* SPI number of the first device */
#define PVM_RAM_BASE	0x80000000ULL

#define PVM_NR_IRQS	128
#define PVM_PAGE	4096ULL

#endif
