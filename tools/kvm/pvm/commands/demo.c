// SPDX-License-Identifier: GPL-2.0-only
/*
 * pvm demo: runs a guest, and checks from outside what the host can see of it.
 *
 * The guest runs in a `pvm run` of its own; we hold a second reference to its
 * guest_memfd, as a curious user of the host would, and outlive it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "commands/commands.h"
#include "commands/demo_parts.h"
#include "common/exit_codes.h"
#include "common/say.h"
#include "guest/demo.h"
#include "inspection/target.h"
#include "inspection/trace.h"
#include "vmm/options.h"

#define FD_TRIES	1000
#define FD_PAUSE_US	10000

/* The guest's console: to our stdout as it is, and line by line to demo_line(). */
static void demo_relay(struct demo *d, int fd)
{
	char buf[4096], line[512];
	size_t len = 0;
	ssize_t n;

	while ((n = read(fd, buf, sizeof(buf))) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			break;
		write_all(STDOUT_FILENO, buf, n);
		for (ssize_t i = 0; i < n; i++) {
			if (buf[i] == '\n') {
				line[len] = 0;
				demo_line(d, line);
				len = 0;
			} else if (buf[i] != '\r' && len < sizeof(line) - 1) {
				line[len++] = buf[i];
			}
		}
	}
}

/* `pvm run` with our arguments and a word for the guest's init; its console in *console. */
static pid_t demo_spawn(int argc, char **argv, const char *append, int *console)
{
	char words[1024];
	char **args;
	int fds[2], null;
	pid_t pid;

	args = calloc(argc + 4, sizeof(*args));
	if (!args || pipe2(fds, O_CLOEXEC)) {
		free(args);
		return -1;
	}
	args[0] = "pvm";
	args[1] = "run";
	for (int i = 1; i < argc; i++)
		args[i + 1] = argv[i];
	snprintf(words, sizeof(words), "%s%s" DEMO_WORD, append, *append ? " " : "");
	args[argc + 1] = "--append";
	args[argc + 2] = words;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		null = open("/dev/null", O_RDONLY);
		if (null < 0 || dup2(null, STDIN_FILENO) < 0 ||
		    dup2(fds[1], STDOUT_FILENO) < 0)
			_exit(PVM_EXIT_FAIL);
		execv("/proc/self/exe", args);
		_exit(PVM_EXIT_FAIL);
	}
	free(args);
	close(fds[1]);
	if (pid < 0)
		close(fds[0]);
	*console = fds[0];
	return pid;
}

/* Waits until the VMM has its guest_memfd, or is gone. */
static bool demo_attach(struct demo *d, pid_t pid)
{
	siginfo_t info;

	for (int i = 0; i < FD_TRIES; i++) {
		if (!target_open(pid, &d->target, true)) {
			d->ram = mmap(NULL, d->target.size, PROT_READ | PROT_WRITE,
				      MAP_SHARED, d->target.fd, 0);
			if (d->ram != MAP_FAILED)
				return true;
			say("cannot map the guest_memfd: %s", strerror(errno));
			target_close(&d->target);
			return false;
		}
		info.si_pid = 0;
		if (!waitid(P_PID, pid, &info, WEXITED | WNOHANG | WNOWAIT) && info.si_pid)
			return false;
		usleep(FD_PAUSE_US);
	}
	say("the VMM made no guest_memfd");
	return false;
}

int cmd_demo(int argc, char **argv)
{
	static struct demo d;
	struct pvm_options opt;
	int ret, status, console, code;
	pid_t pid;

	ret = options_parse(argc, argv, &opt);
	if (ret)
		return ret;
	if (opt.anon || !opt.protect) {
		say("demo shows a protected guest in a guest_memfd: leave out --unprotected and --anon");
		return PVM_EXIT_USAGE;
	}

	d.target.fd = -1;
	d.trace_err = trace_start();
	d.trace.active = !d.trace_err;

	pid = demo_spawn(argc, argv, opt.append, &console);
	if (pid < 0) {
		say("cannot start pvm run: %s", strerror(errno));
		trace_stop(&d.trace);
		return PVM_EXIT_FAIL;
	}
	d.have_target = demo_attach(&d, pid);
	demo_relay(&d, console);
	close(console);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	code = WIFEXITED(status) ? WEXITSTATUS(status) : PVM_EXIT_SIGNAL + WTERMSIG(status);

	/* It never ran: its own message says why, and a table would say nothing. */
	if (!d.have_target && code) {
		trace_stop(&d.trace);
		return code;
	}

	demo_result(&d, ROW_EXIT, !code, code ? "pvm run returned %d" : "power-off", code);
	demo_after(&d);
	demo_kmsg(&d);
	trace_stop(&d.trace);
	ret = demo_print(&d);
	if (d.have_target) {
		munmap(d.ram, d.target.size);
		target_close(&d.target);
	}
	if (fflush(stdout))
		return PVM_EXIT_FAIL;
	return ret ? PVM_EXIT_FAIL : PVM_EXIT_OK;
}
