#define _GNU_SOURCE
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "application.h"
#include "io.h"

#define GROUPS_LIMIT 256
#define SESSION_ROUNDS 1000

/* Puts the reason into the buffer for which a command can't be started; returns its exit code. A payload
 * that ended for want of memory or descriptors would take its machine with it. */
static uint32_t refuse(struct buffer *err, const char *subject)
{
	err->length = (uint32_t)snprintf(err->data, OUTPUT_LIMIT, "payload: %s: %s\n", subject, strerror(errno));
	return 126;
}

/* Reads output into the buffer; returns 0 at its end. */
static int drain(int fd, struct buffer *buffer)
{
	char spill[4096];
	uint32_t room = OUTPUT_LIMIT - buffer->length;
	ssize_t n = room ? read(fd, buffer->data + buffer->length, room)
	                 : read(fd, spill, sizeof spill); /* read past the limit, or the writer would block */
	if (n > 0 && room)
		buffer->length += (uint32_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

uint32_t exit_code(int status)
{
	return (uint32_t)(WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status));
}

/* Returns a file in memory with a command's stdin, or -1. */
static int stdin_of(const struct buffer *in)
{
	int fd = in->length ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && in->length && (write_all(fd, in->data, in->length) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void close_if_open(int fd)
{
	if (fd >= 0)
		close(fd);
}

/* Opens the streams of a command: its stdin and two pipes. Returns 0, or -1 with none of them open. */
static int open_streams(const struct buffer *in, int *in_file, int out_pipe[2], int err_pipe[2])
{
	out_pipe[0] = out_pipe[1] = err_pipe[0] = err_pipe[1] = -1;
	*in_file = stdin_of(in);
	/* A root without /dev/null still has commands. */
	if ((*in_file >= 0 || !in->length) && pipe2(out_pipe, O_CLOEXEC) == 0 && pipe2(err_pipe, O_CLOEXEC) == 0)
		return 0;
	int reason = errno;
	close_if_open(*in_file);
	close_if_open(out_pipe[0]);
	close_if_open(out_pipe[1]);
	errno = reason;
	return -1;
}

/* ---- the environment of a command ---- */

static int set_cpus(char *list)
{
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	for (char *rest = list; *rest; rest += *rest == ',')
		CPU_SET(strtoul(rest, &rest, 10), &cpus);
	return sched_setaffinity(0, sizeof cpus, &cpus);
}

static int set_limit(int which, const char *value)
{
	rlim_t most = strtoull(value, NULL, 10);
	struct rlimit limit = {.rlim_cur = most, .rlim_max = most};

	return setrlimit(which, &limit);
}

/* Changes to a directory of an image, which is created if it is missing. */
static int enter_directory(char *path)
{
	for (char *slash = strchr(path + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = 0;
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	if (mkdir(path, 0755) < 0 && errno != EEXIST)
		return -1;
	return chdir(path);
}

/* Becomes the user of UID:GID:GROUP,GROUP. */
static int set_user(char *value)
{
	char *rest;
	uid_t uid = (uid_t)strtoul(value, &rest, 10);
	gid_t gid = (gid_t)strtoul(rest + (*rest == ':'), &rest, 10), groups[GROUPS_LIMIT];
	size_t count = 0;

	if (*rest == ':')
		rest++;
	while (*rest && count < GROUPS_LIMIT) {
		groups[count++] = (gid_t)strtoul(rest, &rest, 10);
		if (*rest == ',')
			rest++;
	}
	return setgroups(count, groups) < 0 || setgid(gid) < 0 ? -1 : setuid(uid);
}

static int apply_setting(const char *name, char *value)
{
	static const struct { const char *name; int which; } limits[] = {
		{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK}, {"core", RLIMIT_CORE},
	};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (strcmp(name, limits[i].name) == 0)
			return set_limit(limits[i].which, value);
	if (strcmp(name, "directory") == 0)
		return chdir(value);
	if (strcmp(name, "workdir") == 0)
		return enter_directory(value);
	if (strcmp(name, "user") == 0)
		return set_user(value);
	if (strcmp(name, "timeout") == 0)
		return 0; /* the parent has read it */
	if (strcmp(name, "umask") == 0)
		return umask((mode_t)strtoul(value, NULL, 8)), 0;
	if (strcmp(name, "nice") == 0)
		return setpriority(PRIO_PROCESS, 0, atoi(value));
	if (strcmp(name, "cpus") == 0)
		return set_cpus(value);
	return setenv(name, value, 1);
}

/* Resets all signals by the system call: the C library refuses signals 32 and 33, its own, which
 * its posix_spawn(3) leaves ignored, for example in make(1). */
static void reset_signals(void)
{
	const unsigned long defaults[4] = {0}; /* handler, flags, restorer, mask */

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, defaults, NULL, sizeof defaults[3]);
}

/* Exits from a process whose command could not be executed. */
static _Noreturn void give_up(int failures, int code)
{
	if (failures >= 0)
		write_all(failures, "!", 1);
	_exit(code);
}

/* Applies the settings before "--", and returns the command after it. */
static char **apply_settings(char **word, int failures)
{
	clearenv();
	reset_signals();
	setsid();
	for (; *word && strcmp(*word, "--") != 0; word++) {
		if (**word == '=') {
			putenv(*word + 1);
			continue;
		}
		char *value = strchr(*word, '=');
		if (!value)
			errno = EINVAL;
		else
			*value++ = 0;
		if (!value || apply_setting(*word, value) < 0) {
			dprintf(2, "payload: %s can't be set to %s: %s\n", *word, value ? value : "nothing", strerror(errno));
			give_up(failures, 126);
		}
	}
	return *word ? word + 1 : word;
}

/* Returns the milliseconds after which a command is killed, or -1. */
static long timeout_of(char **word)
{
	if (strcmp(*word, WITHIN) == 0)
		for (; *word && strcmp(*word, "--") != 0; word++)
			if (strncmp(*word, "timeout=", 8) == 0)
				return atol(*word + 8);
	return -1;
}

/* A process by what /proc says about it; zeros if it has ended. */
struct relations {
	pid_t parent, session;
};

static struct relations relations_of(const char *pid)
{
	char path[300], line[512], *name_end;
	struct relations found = {0};
	int file;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return found;
	n = read(file, line, sizeof line - 1);
	close(file);
	line[n > 0 ? n : 0] = 0;
	if ((name_end = strrchr(line, ')')))
		sscanf(name_end, ") %*c %d %*d %d", &found.parent, &found.session);
	return found;
}

/* Kills the children of this process, or, if it is not 0, the processes of a session. Returns their
 * number. */
static int kill_processes(pid_t session)
{
	struct dirent *entry;
	DIR *processes = opendir("/proc");
	int killed = 0;

	while (processes && (entry = readdir(processes))) {
		if (entry->d_name[0] < '1' || entry->d_name[0] > '9')
			continue;
		struct relations its = relations_of(entry->d_name);
		if (session ? its.session == session : its.parent == getpid()) {
			kill(atoi(entry->d_name), SIGKILL);
			killed++;
		}
	}
	if (processes)
		closedir(processes);
	return killed;
}

/* Kills all descendants. As a child ends, its own children become ours: this process is their
 * subreaper. */
static void end_children(void)
{
	int killed;

	if (waitpid(-1, NULL, WNOHANG) < 0)
		return; /* there are no children */
	do {
		killed = kill_processes(0);
		for (int i = 0; i < killed; i++)
			waitpid(-1, NULL, 0);
	} while (killed);
}

/* Kills the processes of a session, and waits for those that become our children. */
static void end_session(pid_t session)
{
	struct timespec pause = {.tv_nsec = 1000000};

	for (int i = 0; i < SESSION_ROUNDS && kill_processes(session); i++) {
		nanosleep(&pause, NULL);
		while (reap(WNOHANG) > 0)
			;
	}
}

/* Ends what a command has left. An image's application is not a part of it. */
static void end_rest(pid_t command)
{
	if (has_application())
		end_session(command);
	else
		end_children();
}

void execute(char **argv, const int streams[3], int failures)
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 3; i++)
		dup2(streams[i], i);
	if (strcmp(argv[0], WITHIN) == 0 && argv[1])
		argv = apply_settings(argv + 2, failures);
	if (argv[0])
		execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0] ? argv[0] : "payload", argv[0] ? strerror(errno) : "no command");
	give_up(failures, 127);
}

uint32_t run(char **argv, const struct buffer *in, struct buffer *out, struct buffer *err,
             uint64_t *elapsed_ns, int asker)
{
	enum { OUT, ERR, CHILD, ASKER, ENDS };
	int out_pipe[2], err_pipe[2], status = 0, in_file;
	bool ends_all = strcmp(argv[0], WITHIN) == 0 && argv[1] && strcmp(argv[1], "end") == 0;
	long timeout_ms = timeout_of(argv);
	uint64_t begin;
	pid_t child;

	if (open_streams(in, &in_file, out_pipe, err_pipe) < 0)
		return refuse(err, "the streams of a command");
	if (ends_all)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	begin = now_ns();
	child = fork();
	if (child == 0)
		execute(argv, (const int[]){in_file, out_pipe[1], err_pipe[1]}, -1);
	int reason = errno;
	close_if_open(in_file);
	close(out_pipe[1]);
	close(err_pipe[1]);
	if (child < 0) {
		close(out_pipe[0]);
		close(err_pipe[0]);
		errno = reason;
		return refuse(err, "fork");
	}
	struct pollfd ends[ENDS] = {
		[OUT] = {.fd = out_pipe[0], .events = POLLIN},
		[ERR] = {.fd = err_pipe[0], .events = POLLIN},
		[CHILD] = {.fd = ends_all ? (int)syscall(SYS_pidfd_open, child, 0) : -1, .events = POLLIN},
		[ASKER] = {.fd = asker},
	};
	bool waited = false;
	while (ends[OUT].fd >= 0 || ends[ERR].fd >= 0 || ends[CHILD].fd >= 0) {
		long left_ms = timeout_ms < 0 ? -1 : timeout_ms - (long)((now_ns() - begin) / 1000000u);
		if (timeout_ms >= 0 && left_ms <= 0) {
			kill(child, SIGKILL);
			timeout_ms = left_ms = -1;
		}
		if (poll(ends, ENDS, (int)left_ms) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
		if (ends[ASKER].revents & (POLLHUP | POLLERR | POLLNVAL)) {
			prctl(PR_SET_CHILD_SUBREAPER, 1);
			kill(child, SIGKILL);
			end_rest(child);
			exit(0);
		}
		if (ends[CHILD].fd >= 0 && ends[CHILD].revents) {
			*elapsed_ns = now_ns() - begin;
			close(ends[CHILD].fd);
			ends[CHILD].fd = -1;
			waited = waitpid(child, &status, 0) == child;
			end_rest(child);
		}
		if (ends[OUT].fd >= 0 && ends[OUT].revents && !drain(out_pipe[0], out))
			ends[OUT].fd = -1;
		if (ends[ERR].fd >= 0 && ends[ERR].revents && !drain(err_pipe[0], err))
			ends[ERR].fd = -1;
	}
	if (!waited) {
		while (waitpid(child, &status, 0) < 0 && errno == EINTR)
			;
		*elapsed_ns = now_ns() - begin;
		if (ends_all)
			end_rest(child);
	}
	close(out_pipe[0]);
	close(err_pipe[0]);
	return exit_code(status);
}
