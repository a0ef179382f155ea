/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_ARRAY_SIZE_H
#define PVM_ARRAY_SIZE_H

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))

#endif
