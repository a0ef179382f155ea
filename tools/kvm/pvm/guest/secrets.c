// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two processes a CPU that hold secrets in all their registers, for tests/hostile-kernel.sh:
 * says "guest: secrets ok" or "guest: secrets FAILED: why". The host's kernel knows a secret
 * where it sees one, by its upper bits, which are nowhere here but in instructions.
 */
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "guest/lines.h"
#include "guest/tries.h"
#include "guest/words.h"

#define ROUNDS		200
#define SPINS		20000
#define MAX_PROCESSES	16

/* With this bit they are those of a guest that is not protected, and found for sure. */
#define CONTROL_BIT	39

/* See hold.S. */
uint64_t hold_secrets(uint64_t common, uint64_t spins);

/* Four processes have others than the next four: two bits are for that. */
static uint64_t common_part(unsigned int process, unsigned int round, bool control)
{
	uint64_t common = 0x5ec2e700ULL << 32 | 0xa7ULL << 24;

	return (common | (uint64_t)(process & 3) << 32 | (round & 0xfff)) ^
	       (uint64_t)control << CONTROL_BIT;
}

static void hold(unsigned int process, bool control)
{
	for (unsigned int round = 0; round < ROUNDS; round++) {
		if (hold_secrets(common_part(process, round, control), SPINS))
			_exit(1);
	}
	_exit(0);
}

void try_secrets(void)
{
	bool control = !strncmp(word_value(SECRETS_WORD), "control", 7), ok = true;
	long nr = 2 * sysconf(_SC_NPROCESSORS_ONLN);
	int status;

	for (long i = 0; i < nr && i < MAX_PROCESSES; i++) {
		pid_t pid = fork();

		if (!pid)
			hold(i, control);
		ok &= pid > 0;
	}
	while (wait(&status) > 0)
		ok &= !status;
	if (ok)
		put("guest: secrets ok");
	else
		failed("secrets", "a register is not as it was");
}
