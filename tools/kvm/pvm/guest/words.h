/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef PVM_GUEST_WORDS_H
#define PVM_GUEST_WORDS_H

#include <stdbool.h>

bool has_word(const char *path, const char *word);
const char *word_value(const char *word);

#endif
