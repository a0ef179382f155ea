// SPDX-License-Identifier: GPL-2.0-only
/*
 * Random numbers for the guest: the host's, or with --seed a sequence that repeats.
 */
#include <errno.h>
#include <stdint.h>
#include <string.h>
#include <sys/random.h>

#include "devices/random.h"
#include "vmm/options.h"

/* Each stream is a sequence of its own: who asks first does not matter. */
void random_init(struct random *r, const struct pvm_options *opt, unsigned int stream)
{
	r->seeded = opt->seeded;
	r->state = opt->seed ^ (uint64_t)stream << 56;
}

/* splitmix64 */
static uint64_t next(struct random *r)
{
	uint64_t z = r->state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

int random_fill(struct random *r, void *buf, size_t len)
{
	uint8_t *p = buf;

	while (len) {
		uint64_t val;
		ssize_t n;

		if (r->seeded) {
			val = next(r);
			n = len < sizeof(val) ? len : sizeof(val);
			memcpy(p, &val, n);
		} else {
			/* A host that has just booted may have none yet. */
			n = getrandom(p, len, GRND_NONBLOCK);
			if (n < 0 && errno == EINTR)
				continue;
			if (n < 0)
				return -errno;
		}
		p += n;
		len -= n;
	}
	return 0;
}
