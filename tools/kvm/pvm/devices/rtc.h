/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_RTC_H
#define PVM_RTC_H

#include <stdbool.h>
#include <stdint.h>

void rtc_access(uint64_t reg, uint8_t *data, uint32_t len, bool is_write);

#endif
