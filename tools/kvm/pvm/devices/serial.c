// SPDX-License-Identifier: GPL-2.0-only
/*
 * An ns16550a: the guest's first console. Output is written at once, so that the
 * transmitter is always empty.
 */
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/layout.h"
#include "devices/output.h"
#include "devices/serial.h"
#include "vmm/vm.h"

#define REG_DATA	0	/* RBR, THR; DLL */
#define REG_IER		1	/* DLM */
#define REG_IIR		2	/* FCR on write */
#define REG_LCR		3
#define REG_MCR		4
#define REG_LSR		5
#define REG_MSR		6
#define REG_SCR		7

#define IER_RDI		0x01
#define IER_THRI	0x02
#define IIR_NONE	0x01
#define IIR_THRI	0x02
#define IIR_RDI		0x04
#define IIR_FIFO	0xc0
#define FCR_ENABLE	0x01
#define FCR_CLEAR_RX	0x02
#define LCR_DLAB	0x80
#define MCR_LOOP	0x10
#define LSR_DR		0x01
#define LSR_THRE	0x20
#define LSR_TEMT	0x40
#define MSR_PRESENT	0xb0	/* DCD, DSR, CTS */

#define RX_SIZE		256	/* a power of two */

struct serial {
	struct vm *vm;
	int out_fd;
	pthread_mutex_t lock;
	/* Guarded by lock. */
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	bool thr_pending;
	bool irq_level;
	uint8_t rx[RX_SIZE];
	unsigned int rx_head, rx_tail;
};

struct serial *serial_create(struct vm *vm, int out_fd)
{
	struct serial *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->vm = vm;
	s->out_fd = out_fd;
	pthread_mutex_init(&s->lock, NULL);
	return s;
}

void serial_destroy(struct serial *s)
{
	if (!s)
		return;
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static uint8_t serial_iir(struct serial *s)
{
	if (s->ier & IER_RDI && s->rx_head != s->rx_tail)
		return IIR_RDI;
	if (s->ier & IER_THRI && s->thr_pending)
		return IIR_THRI;
	return IIR_NONE;
}

static void serial_update_irq(struct serial *s)
{
	bool level = serial_iir(s) != IIR_NONE;

	if (level == s->irq_level)
		return;
	s->irq_level = level;
	vm_irq_line(s->vm, PVM_UART_IRQ, level);
}

static bool serial_rx_push(struct serial *s, uint8_t byte)
{
	if (s->rx_head - s->rx_tail == RX_SIZE)
		return false;
	s->rx[s->rx_head++ % RX_SIZE] = byte;
	return true;
}

static uint8_t serial_read(struct serial *s, uint64_t reg)
{
	uint8_t val = 0;

	switch (reg) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB)
			return s->dll;
		if (s->rx_head != s->rx_tail)
			val = s->rx[s->rx_tail++ % RX_SIZE];
		return val;
	case REG_IER:
		return s->lcr & LCR_DLAB ? s->dlm : s->ier;
	case REG_IIR:
		val = serial_iir(s);
		if (val == IIR_THRI)
			s->thr_pending = false;
		return val | (s->fcr & FCR_ENABLE ? IIR_FIFO : 0);
	case REG_LCR:
		return s->lcr;
	case REG_MCR:
		return s->mcr;
	case REG_LSR:
		return LSR_THRE | LSR_TEMT | (s->rx_head != s->rx_tail ? LSR_DR : 0);
	case REG_MSR:
		if (!(s->mcr & MCR_LOOP))
			return MSR_PRESENT;
		/* Loopback: RTS, DTR, OUT1, OUT2 come back as CTS, DSR, RI, DCD. */
		return (s->mcr & 0x02) << 3 | (s->mcr & 0x01) << 5 | (s->mcr & 0x0c) << 4;
	case REG_SCR:
		return s->scr;
	}
	return 0;
}

/* The user may not be reading: what takes long is not done under the lock. */
static void serial_output(struct serial *s, uint8_t val)
{
	pthread_mutex_unlock(&s->lock);
	output_console(s->vm, s->out_fd, &val, 1);
	pthread_mutex_lock(&s->lock);
}

static void serial_write(struct serial *s, uint64_t reg, uint8_t val)
{
	switch (reg) {
	case REG_DATA:
		if (s->lcr & LCR_DLAB) {
			s->dll = val;
			return;
		}
		if (s->mcr & MCR_LOOP)
			serial_rx_push(s, val);
		else
			serial_output(s, val);
		s->thr_pending = true;
		return;
	case REG_IER:
		if (s->lcr & LCR_DLAB) {
			s->dlm = val;
			return;
		}
		if (val & ~s->ier & IER_THRI)
			s->thr_pending = true;
		s->ier = val & 0x0f;
		return;
	case REG_IIR:
		s->fcr = val;
		if (val & FCR_CLEAR_RX)
			s->rx_tail = s->rx_head;
		return;
	case REG_LCR:
		s->lcr = val;
		return;
	case REG_MCR:
		s->mcr = val & 0x1f;
		return;
	case REG_SCR:
		s->scr = val;
		return;
	}
}

/* One register is one byte; wider accesses reach only the first. */
void serial_access(struct serial *s, uint64_t reg, uint8_t *data, bool is_write)
{
	pthread_mutex_lock(&s->lock);
	if (is_write)
		serial_write(s, reg, *data);
	else
		*data = serial_read(s, reg);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}

size_t serial_input_room(struct serial *s)
{
	size_t room;

	pthread_mutex_lock(&s->lock);
	room = RX_SIZE - (s->rx_head - s->rx_tail);
	pthread_mutex_unlock(&s->lock);
	return room;
}

void serial_input(struct serial *s, const uint8_t *buf, size_t len)
{
	pthread_mutex_lock(&s->lock);
	for (size_t i = 0; i < len; i++)
		serial_rx_push(s, buf[i]);
	serial_update_irq(s);
	pthread_mutex_unlock(&s->lock);
}
