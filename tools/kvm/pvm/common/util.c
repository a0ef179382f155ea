// SPDX-License-Identifier: GPL-2.0-only
/*
 * Messages and numbers.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "pvm.h"

/* One line, in one write: it may meet the guest's console on the same terminal. */
void say(const char *fmt, ...)
{
	char line[1024];
	va_list ap;
	int n, m;

	n = snprintf(line, sizeof(line), "pvm: ");
	va_start(ap, fmt);
	m = vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	va_end(ap);
	if (m > 0)
		n += m;
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	write_all(STDERR_FILENO, line, n);
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

int write_all(int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

/*
 * To the user, who may read slowly or not at all: gives up when the guest is stopped,
 * of which join_interrupted() tells us. What cannot be written is lost.
 */
void write_console(struct vm *vm, int fd, const void *buf, size_t len)
{
	const char *p = buf;

	while (len && !(vm && __atomic_load_n(&vm->stopping, __ATOMIC_SEQ_CST))) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EAGAIN) {
			struct pollfd full = { .fd = fd, .events = POLLOUT };

			poll(&full, 1, -1);
			continue;
		}
		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			p += n;
			len -= n;
		}
	}
}

/* A signal ends a system call, but not one that is about to begin: so again and again. */
void join_interrupted(pthread_t thread)
{
	struct timespec until;

	do {
		pthread_kill(thread, SIGUSR1);
		clock_gettime(CLOCK_REALTIME, &until);
		until.tv_nsec += 20 * 1000000;
		if (until.tv_nsec >= 1000000000) {
			until.tv_nsec -= 1000000000;
			until.tv_sec++;
		}
	} while (pthread_timedjoin_np(thread, NULL, &until) == ETIMEDOUT);
}

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
