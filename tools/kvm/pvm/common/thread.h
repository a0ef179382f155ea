/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_THREAD_H
#define PVM_THREAD_H

#include <pthread.h>

void join_interrupted(pthread_t thread);

#endif
