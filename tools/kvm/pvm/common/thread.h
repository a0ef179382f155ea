/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_THREAD_H
#define PVM_THREAD_H

#include <pthread.h>

void thread_prepare(void);
void thread_interrupt(pthread_t thread);
void thread_join(pthread_t thread);

#endif
