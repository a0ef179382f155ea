// SPDX-License-Identifier: GPL-2.0-only
/*
 * Init of the emulated host.
 *
 * Runs /run.sh, which the runner put into the initramfs, and hands what it writes to
 * virtio ports named "stdout" and "stderr"; its exit code goes to the port "verdict",
 * last. The console is left to the kernel. Without /run.sh: a shell on the console.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const struct {
	const char *type, *where, *options;
} mounts[] = {
	{ "proc", "/proc" },
	{ "sysfs", "/sys" },
	{ "devtmpfs", "/dev" },
	{ "devpts", "/dev/pts" },
	{ "tmpfs", "/dev/shm" },
	{ "tmpfs", "/tmp" },
	{ "debugfs", "/sys/kernel/debug" },
	{ "tracefs", "/sys/kernel/tracing" },
	{ "cgroup2", "/sys/fs/cgroup" },
};

static char *const shell[] = { "/bin/sh", "-l", NULL };
static char *const script[] = { "/bin/sh", "/run.sh", NULL };

static void mount_all(void)
{
	for (unsigned int i = 0; i < sizeof(mounts) / sizeof(*mounts); i++) {
		mkdir(mounts[i].where, 0755);
		/* What the kernel was built without is not there, and not missed. */
		mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL);
	}
}

/* Opens the virtio port of this name; -1 if the machine has none. */
static int open_port(const char *name)
{
	char path[64], line[64];

	for (int i = 0; i < 16; i++) {
		FILE *f;
		int match;

		snprintf(path, sizeof(path), "/sys/class/virtio-ports/vport0p%d/name", i);
		f = fopen(path, "r");
		if (!f)
			continue;
		match = fgets(line, sizeof(line), f) && !strcmp(strtok(line, "\n"), name);
		fclose(f);
		if (!match)
			continue;
		snprintf(path, sizeof(path), "/dev/vport0p%d", i);
		return open(path, O_WRONLY | O_CLOEXEC);
	}
	return -1;
}

static void write_all(int fd, const char *buf, ssize_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, buf, len);

		if (n < 0 && errno != EINTR)
			return;
		if (n > 0) {
			buf += n;
			len -= n;
		}
	}
}

static pid_t spawn(char *const argv[], int in, int out, int err, int tty)
{
	pid_t pid = fork();

	if (pid)
		return pid;
	setsid();
	if (tty)
		ioctl(in, TIOCSCTTY, 1);
	dup2(in, 0);
	dup2(out, 1);
	dup2(err, 2);
	signal(SIGPIPE, SIG_DFL);
	execv(argv[0], argv);
	_exit(127);
}

/* Waits for one child, reaping whatever else ends; false if it still runs. */
static int reap(pid_t pid, int *status, int flags)
{
	int s;

	for (;;) {
		pid_t got = waitpid(-1, &s, flags);

		if (got == pid) {
			*status = s;
			return 1;
		}
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return 0;
	}
}

static int run_script(void)
{
	static const char *const names[] = { "stdout", "stderr" };
	int ends[2][2], port[2], status = 0, done = 0;
	struct pollfd fds[2];
	char buf[4096];
	pid_t pid;

	for (int i = 0; i < 2; i++) {
		port[i] = open_port(names[i]);
		if (port[i] < 0 || pipe2(ends[i], O_CLOEXEC))
			return 125;
		fcntl(ends[i][0], F_SETFL, O_NONBLOCK);
		fds[i] = (struct pollfd){ .fd = ends[i][0], .events = POLLIN };
	}
	pid = spawn(script, open("/dev/null", O_RDONLY), ends[0][1], ends[1][1], 0);
	close(ends[0][1]);
	close(ends[1][1]);

	/*
	 * The script's end counts, not that of the pipes: a background process may
	 * hold them. After it, take what is in them and stop.
	 */
	for (int got = 1; !done || got; ) {
		done = done || reap(pid, &status, WNOHANG);
		poll(fds, 2, done ? 0 : 20);
		got = 0;
		for (int i = 0; i < 2; i++) {
			ssize_t n = fds[i].fd < 0 ? 0 : read(fds[i].fd, buf, sizeof(buf));

			if (n > 0) {
				write_all(port[i], buf, n);
				got = 1;
			} else if (n == 0) {
				fds[i].fd = -1;
			}
		}
		if (fds[0].fd < 0 && fds[1].fd < 0 && !done)
			done = reap(pid, &status, 0);
	}
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void interactive(void)
{
	int status, tty = open("/dev/console", O_RDWR | O_CLOEXEC);

	puts("A root shell on the emulated host. /tests, pvm, /boot; leave with 'exit'.");
	reap(spawn(shell, tty, tty, tty, 1), &status, 0);
}

int main(void)
{
	struct rlimit core = { 0, 0 };

	mount_all();
	setrlimit(RLIMIT_CORE, &core);
	setenv("PATH", "/bin:/sbin:/usr/bin:/usr/sbin:/tests", 1);
	setenv("HOME", "/root", 1);
	setenv("TERM", "linux", 0);
	signal(SIGPIPE, SIG_IGN);

	if (access("/run.sh", R_OK)) {
		interactive();
	} else {
		char line[16];
		int fd = open_port("verdict");
		int n = snprintf(line, sizeof(line), "%d\n", run_script());

		sync();
		write_all(fd, line, n);
	}
	reboot(RB_POWER_OFF);
	return 0;
}
