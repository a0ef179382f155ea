// SPDX-License-Identifier: GPL-2.0-only
/*
 * Numbers, sizes and addresses as the user writes and reads them.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/array_size.h"
#include "common/layout.h"
#include "common/numbers.h"
#include "common/say.h"

const char *size_text(uint64_t bytes, char *buf, size_t len)
{
	static const char unit[] = { 0, 'K', 'M', 'G' };
	unsigned int i = 0;

	while (i + 1 < ARRAY_SIZE(unit) && bytes && bytes % 1024 == 0) {
		bytes /= 1024;
		i++;
	}
	if (unit[i])
		snprintf(buf, len, "%llu%c", (unsigned long long)bytes, unit[i]);
	else
		snprintf(buf, len, "%llu", (unsigned long long)bytes);
	return buf;
}

static int parse(const char *option, const char *text, bool suffix, uint64_t min,
		 uint64_t max, uint64_t *val)
{
	static const char units[] = "KMG";
	unsigned long long n;
	const char *unit;
	char *end;

	/* strtoull() takes blanks and a minus sign; we do not. */
	if (!isdigit((unsigned char)text[0])) {
		say("%s: '%s' is not a number", option, text);
		return -EINVAL;
	}

	errno = 0;
	n = strtoull(text, &end, 0);
	if (errno)
		goto too_large;

	unit = suffix && *end ? strchr(units, toupper((unsigned char)*end)) : NULL;
	if (unit) {
		unsigned int shift = 10 * (unit - units + 1);

		if (n > ULLONG_MAX >> shift)
			goto too_large;
		n <<= shift;
		end++;
	}
	if (*end) {
		say("%s: '%s' is not a number%s", option, text,
		    suffix ? " with an optional K, M or G" : "");
		return -EINVAL;
	}
	if (n < min || n > max) {
		say("%s: %s is out of range: %llu to %llu is possible", option, text,
		    (unsigned long long)min, (unsigned long long)max);
		return -ERANGE;
	}

	*val = n;
	return 0;

too_large:
	say("%s: %s is too large a number", option, text);
	return -ERANGE;
}

int parse_u64(const char *option, const char *text, uint64_t min, uint64_t max,
	      uint64_t *val)
{
	return parse(option, text, false, min, max, val);
}

int parse_size(const char *option, const char *text, uint64_t min, uint64_t max,
	       uint64_t *val)
{
	int ret = parse(option, text, true, 0, UINT64_MAX, val);
	char lo[32], hi[32];

	if (ret)
		return ret;
	if (*val < min || *val > max) {
		say("%s: %s is out of range: %s to %s is possible", option, text,
		    size_text(min, lo, sizeof(lo)), size_text(max, hi, sizeof(hi)));
		return -ERANGE;
	}
	if (*val % PVM_PAGE) {
		say("%s: %s is not a multiple of the page size, %llu", option, text, PVM_PAGE);
		return -EINVAL;
	}
	return 0;
}

int parse_mac(const char *option, const char *text, uint8_t *mac)
{
	char more;

	if (sscanf(text, "%2hhx:%2hhx:%2hhx:%2hhx:%2hhx:%2hhx%c", &mac[0], &mac[1], &mac[2],
		   &mac[3], &mac[4], &mac[5], &more) != 6 ||
	    strspn(text, "0123456789abcdefABCDEF:") != strlen(text)) {
		say("%s: '%s' is no MAC address: six hexadecimal bytes with ':' between", option,
		    text);
		return -EINVAL;
	}
	if (mac[0] & 1) {
		say("%s: %s is the address of a group: the first byte must be even", option, text);
		return -EINVAL;
	}
	return 0;
}

int parse_pid(const char *text, pid_t *pid)
{
	uint64_t val;
	int ret = parse_u64("PID", text, 1, INT_MAX, &val);

	if (!ret)
		*pid = val;
	return ret;
}
