// SPDX-License-Identifier: GPL-2.0-only
/*
 * A PL031 that only tells the time, so that a distribution has a date. It is the host's
 * time: a protected guest should not rest its secrets on it.
 */
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include "devices/rtc.h"

#define RTC_DR	0x00	/* seconds */
#define RTC_CR	0x0c	/* control: runs */

/* A vCPU's access. What is no register reads as the zero that is in data. */
void rtc_access(uint64_t reg, uint8_t *data, uint32_t len, bool is_write)
{
	uint32_t val;

	if (is_write || len != sizeof(val))
		return;
	switch (reg) {
	case RTC_DR:
		val = time(NULL);
		break;
	case RTC_CR:
		val = 1;
		break;
	default:
		return;
	}
	memcpy(data, &val, sizeof(val));
}
