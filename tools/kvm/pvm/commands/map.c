// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm map: who can see the guest's memory, once or again and again.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "commands/commands.h"
#include "common/exit_codes.h"
#include "common/numbers.h"
#include "common/say.h"
#include "inspection/map.h"
#include "inspection/picture.h"
#include "inspection/target.h"

#define MAX_SECONDS	86400

static bool is_number(const char *text)
{
	return text && *text && strspn(text, "0123456789") == strlen(text);
}

/*
 * --watch takes a number or none: what follows it is a number of seconds, but for a PID
 * that would be missing otherwise.
 */
int map_parse(int argc, char **argv, struct map_options *opt)
{
	const char *pid = NULL, *seconds = NULL;

	*opt = (struct map_options) { .seconds = 1 };
	for (int i = 1; i < argc; i++) {
		char *arg = argv[i];

		if (!strcmp(arg, "--watch")) {
			opt->watch = true;
			if (!seconds && is_number(argv[i + 1]))
				seconds = argv[++i];
		} else if (!strncmp(arg, "--watch=", 8)) {
			opt->watch = true;
			if (parse_u64("--watch", arg + 8, 1, MAX_SECONDS, &opt->seconds))
				return PVM_EXIT_USAGE;
		} else if (!strcmp(arg, "--svg") && i + 1 < argc) {
			opt->svg = argv[++i];
		} else if (!strncmp(arg, "--svg=", 6)) {
			opt->svg = arg + 6;
		} else if (*arg != '-' && !pid) {
			pid = arg;
		} else {
			if (!strcmp(arg, "--svg"))
				say("--svg needs a value");
			else if (*arg == '-')
				say("there is no option '%s': map has --watch and --svg", arg);
			else
				say("map takes one PID, but there are '%s' and '%s'", pid, arg);
			return PVM_EXIT_USAGE;
		}
	}
	if (!pid) {
		pid = seconds;
		seconds = NULL;
	}
	if (!pid) {
		say("map takes one PID: that of a running pvm");
		return PVM_EXIT_USAGE;
	}
	if (seconds && parse_u64("--watch", seconds, 1, MAX_SECONDS, &opt->seconds))
		return PVM_EXIT_USAGE;
	return parse_pid(pid, &opt->pid) ? PVM_EXIT_USAGE : 0;
}

/* Whoever looks at the file meanwhile sees a whole picture. */
static int write_svg(const char *path, const struct map *map)
{
	char tmp[4096];
	FILE *f;
	int ret;

	if (snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= (int)sizeof(tmp))
		return -ENAMETOOLONG;
	f = fopen(tmp, "we");
	if (!f)
		return -errno;
	map_draw_svg(f, map);
	ret = ferror(f) ? -EIO : 0;
	if (fclose(f) && !ret)
		ret = -errno;
	if (!ret && rename(tmp, path))
		ret = -errno;
	if (ret)
		unlink(tmp);
	return ret;
}

/* Over what was there, line by line: a terminal that is cleared first would flicker. */
static void show_in_place(const char *text)
{
	static unsigned int lines;

	if (lines)
		printf("\033[%uA", lines);
	for (lines = 0; *text; lines++) {
		const char *end = strchrnul(text, '\n');

		printf("%.*s\033[K\n", (int)(end - text), text);
		text = *end ? end + 1 : end;
	}
	printf("\033[J");
}

static int show(const struct map *map, const struct map_options *opt)
{
	bool terminal = isatty(STDOUT_FILENO);
	static bool again;
	size_t size;
	char *text;
	FILE *f = open_memstream(&text, &size);
	int ret;

	if (!f)
		return -errno;
	map_draw(f, map, terminal && !getenv("NO_COLOR"));
	if (fclose(f))
		return -ENOMEM;
	if (opt->watch && terminal)
		show_in_place(text);
	else
		printf("%s%s", again ? "---\n" : "", text);
	free(text);
	again = true;
	ret = opt->svg ? write_svg(opt->svg, map) : 0;
	if (ret)
		say("--svg: cannot write %s: %s", opt->svg, strerror(-ret));
	else if (fflush(stdout))
		ret = -errno;
	return ret;
}

static int snapshot(const struct target *t, const struct map_options *opt)
{
	struct map map;
	int ret = map_read(t, &map);

	if (ret == -ENOTTY)
		say("this kernel cannot tell private pages from shared ones (KVM_GET_MEMORY_ATTRIBUTES2)");
	else if (ret)
		say("cannot read the map: %s", strerror(-ret));
	else if (show(&map, opt))
		ret = -EIO;
	map_free(&map);
	return ret == -ENOTTY ? PVM_EXIT_HOST : ret ? PVM_EXIT_FAIL : PVM_EXIT_OK;
}

/*
 * Between two looks the file is let go of: who holds it keeps the VM. The guest has ended
 * when its process has, or has closed the file.
 */
static int watch(struct target *t, const struct map_options *opt)
{
	int sig_fd, ret;
	sigset_t set;

	/* Even where they are ignored, as in a shell's background. */
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	sig_fd = signalfd(-1, &set, SFD_CLOEXEC);
	if (sig_fd < 0) {
		say("signalfd: %s", strerror(errno));
		return PVM_EXIT_FAIL;
	}

	do {
		ret = snapshot(t, opt);
		target_drop(t);
		if (ret || target_ended(t, &sig_fd, opt->seconds * 1000) || sig_fd < 0)
			break;
	} while (!target_take(t));
	if (sig_fd >= 0) {
		close(sig_fd);
		if (!ret)
			say("the guest has ended");
	}
	return ret;
}

int cmd_map(int argc, char **argv)
{
	struct map_options opt;
	struct target t;
	int ret;

	ret = map_parse(argc, argv, &opt);
	if (ret)
		return ret;
	if (target_open(opt.pid, &t, false))
		return PVM_EXIT_FAIL;
	ret = opt.watch ? watch(&t, &opt) : snapshot(&t, &opt);
	target_close(&t);
	return ret;
}
