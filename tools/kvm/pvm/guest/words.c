// SPDX-License-Identifier: GPL-2.0-only
/*
 * Words of the command line, and of other files.
 */
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "guest/words.h"

/* What stands in the file from there on; NULL if the word does not. */
static const char *find_word(const char *path, const char *word)
{
	static char text[2048];
	int fd = open(path, O_RDONLY);
	ssize_t len = fd < 0 ? -1 : read(fd, text, sizeof(text) - 1);

	if (fd >= 0)
		close(fd);
	text[len < 0 ? 0 : len] = 0;
	return strstr(text, word);
}

bool has_word(const char *path, const char *word)
{
	return find_word(path, word);
}

/* Of a word of the command line; what follows it may follow the value as well. */
const char *word_value(const char *word)
{
	const char *p = find_word("/proc/cmdline", word);

	return p ? p + strlen(word) : "";
}
