#define _GNU_SOURCE
#include "application.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io.h"

#define FILE_LIMIT (4 << 20)
#define POLL_NS 1000000 /* between two connections */
#define WAKE_NS 100000000 /* SIGCHLD ends this pause */
#define CONNECT_SECONDS 1

enum { RUNS = 0, CLOSED = 1, ENDED = 2 };

static struct {
	pid_t pid; /* 0 before the start, -1 when it has ended */
	uint64_t started_ns;
	uint32_t code;
} application;

char **read_application(void)
{
	int file = open(APPLICATION_FILE, O_RDONLY | O_CLOEXEC);
	struct stat status;
	char *content, **words;
	size_t count = 0;

	if (file < 0)
		return NULL;
	if (fstat(file, &status) < 0 || status.st_size <= 0 || status.st_size > FILE_LIMIT ||
	    !(content = malloc((size_t)status.st_size + 1)) || read_all(file, content, (size_t)status.st_size) < 0)
		fail(APPLICATION_FILE);
	close(file);
	content[status.st_size] = 0;
	for (char *c = content; c < content + status.st_size; c++)
		count += *c == 0;
	if (!(words = calloc(count + 1, sizeof *words)))
		fail(APPLICATION_FILE);
	char *word = content;
	for (size_t i = 0; i < count; i++, word += strlen(word) + 1)
		words[i] = word;
	return words;
}

static void ignore(int signal_number)
{
	(void)signal_number;
}

/* Lets SIGCHLD interrupt waits that unblock it, and only these. */
static void watch_children(void)
{
	sigset_t child;
	struct sigaction action = {.sa_handler = ignore};

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);
	sigaction(SIGCHLD, &action, NULL);
}

int start_application(char **words)
{
	int failures[2], null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	char reason;

	if (pipe2(failures, O_CLOEXEC) < 0)
		fail("pipe");
	fchmod(2, 0666); /* the image's user may open /dev/stdout, which leads there */
	watch_children();
	application.pid = fork();
	if (application.pid < 0)
		fail("fork");
	if (application.pid == 0)
		execute(words, (const int[]){null, 2, 2}, failures[1]);
	close(failures[1]);
	if (null >= 0)
		close(null);
	bool failed = read_all(failures[0], &reason, 1) == 0; /* the end of the stream: it was executed */
	application.started_ns = now_ns();
	close(failures[0]);
	return failed ? -1 : 0;
}

bool has_application(void)
{
	return application.pid != 0;
}

uint64_t application_started_ns(void)
{
	return application.started_ns;
}

pid_t reap(int options)
{
	int status;
	pid_t pid = waitpid(-1, &status, options);

	if (pid > 0 && pid == application.pid) {
		application.pid = -1;
		application.code = exit_code(status);
	}
	return pid;
}

bool application_ended(uint32_t *code)
{
	*code = application.code;
	return application.pid == -1;
}

/* ---- questions ---- */

static bool connects(int family, const struct sockaddr *address, socklen_t length)
{
	struct timeval most = {.tv_sec = CONNECT_SECONDS};
	int sock = socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return false;
	setsockopt(sock, SOL_SOCKET, SO_SNDTIMEO, &most, sizeof most);
	bool connected = connect(sock, address, length) == 0;
	close(sock);
	return connected;
}

static bool is_open(uint16_t port)
{
	struct sockaddr_in four = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct sockaddr_in6 six = {
		.sin6_family = AF_INET6, .sin6_port = htons(port), .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	return connects(AF_INET, (struct sockaddr *)&four, sizeof four) ||
	       connects(AF_INET6, (struct sockaddr *)&six, sizeof six);
}

/* Waits so long, or until a child ends. Exits if the asker has gone. */
static void pause_for_children(long nanoseconds, int asker)
{
	struct timespec moment = {.tv_nsec = nanoseconds};
	struct pollfd end = {.fd = asker};
	sigset_t none;

	sigemptyset(&none);
	if (ppoll(&end, 1, &moment, &none) > 0 && end.revents & (POLLHUP | POLLERR | POLLNVAL))
		exit(0);
}

static uint32_t await(uint16_t port, long milliseconds, struct buffer *out, int asker)
{
	uint64_t deadline = now_ns() + (uint64_t)milliseconds * 1000000u;
	uint32_t code;

	for (;;) {
		while (reap(WNOHANG) > 0)
			;
		if (application_ended(&code)) {
			out->length = (uint32_t)snprintf(out->data, OUTPUT_LIMIT, "%u", code);
			return ENDED;
		}
		if (port && is_open(port))
			return RUNS;
		if (now_ns() >= deadline)
			return port ? CLOSED : RUNS;
		pause_for_children(port ? POLL_NS : WAKE_NS, asker);
	}
}

bool answer_question(char **argv, uint32_t *code, struct buffer *out, int asker)
{
	if (strcmp(argv[0], "@wait") == 0 && argv[1])
		*code = await(0, atol(argv[1]), out, asker);
	else if (strcmp(argv[0], "@connect") == 0 && argv[1] && argv[2])
		*code = await((uint16_t)atoi(argv[1]), atol(argv[2]), out, asker);
	else
		return false;
	return true;
}
