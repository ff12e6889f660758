#define _GNU_SOURCE
#include "io.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/reboot.h>
#include <time.h>
#include <unistd.h>

uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void fail(const char *subject)
{
	dprintf(2, "payload: %s: %s\n", subject, strerror(errno));
	exit(1);
}

/* Waits until a non-blocking port is ready; returns 0 if its other end is closed. */
static int await(int fd, short events)
{
	struct pollfd end = {.fd = fd, .events = events};
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	return !(end.revents & POLLHUP);
}

int write_all(int fd, const void *data, size_t length)
{
	const char *p = data;
	while (length > 0) {
		ssize_t n = write(fd, p, length);
		if (n < 0 && (errno == EINTR || (errno == EAGAIN && await(fd, POLLOUT))))
			continue;
		if (n <= 0)
			return -1;
		p += n;
		length -= (size_t)n;
	}
	return 0;
}

int read_all(int fd, void *data, size_t length)
{
	char *p = data;
	while (length > 0) {
		ssize_t n = read(fd, p, length);
		if (n < 0 && (errno == EINTR || (errno == EAGAIN && await(fd, POLLIN))))
			continue;
		if (n <= 0)
			return -1;
		p += n;
		length -= (size_t)n;
	}
	return 0;
}

int end_machine(const char *action)
{
	/* If the agent is process 1 or its child, there is no service manager to ask. */
	if (getpid() != 1 && getppid() != 1)
		execlp("systemctl", "systemctl", "--no-block", action, (char *)NULL);
	sync();
	reboot(strcmp(action, "reboot") == 0 ? RB_AUTOBOOT : RB_POWER_OFF);
	fail(action);
}
