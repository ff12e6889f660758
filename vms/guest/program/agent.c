#define _GNU_SOURCE
#include "agent.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "application.h"
#include "command.h"
#include "events.h"
#include "io.h"
#include "network.h"

#define REQUEST_LIMIT (1u << 20)
#define ARGUMENT_LIMIT 4096
#define STDIN_FOLLOWS 0x80000000u

/* Reads a length and as many bytes; returns 0 at the end of the stream. */
static int read_block(int in, struct buffer *block)
{
	uint32_t length;

	if (read_all(in, &length, sizeof length) < 0)
		return 0;
	block->length = be32toh(length);
	if (block->length > REQUEST_LIMIT)
		return 0;
	if (!block->data && !(block->data = malloc(REQUEST_LIMIT)))
		fail("malloc");
	return read_all(in, block->data, block->length) == 0;
}

/* Serves one request; returns 0 when the client has closed the connection. */
static int serve_agent(int in, int out, bool is_machine)
{
	static char request[REQUEST_LIMIT + 1];
	static struct buffer stdin_buffer, stdout_buffer, stderr_buffer;
	char *argv[ARGUMENT_LIMIT + 1];
	uint32_t length, code, n = 0;
	uint64_t elapsed_ns = 0;

	if (read_all(in, &length, sizeof length) < 0)
		return 0;
	length = be32toh(length);
	bool has_stdin = length & STDIN_FOLLOWS;
	length &= ~STDIN_FOLLOWS;
	if (length == 0 || length > REQUEST_LIMIT || read_all(in, request, length) < 0)
		return 0;
	request[length] = 0;
	for (char *p = request; p < request + length && n < ARGUMENT_LIMIT; p += strlen(p) + 1)
		argv[n++] = p;
	argv[n] = NULL;

	stdin_buffer.length = 0;
	if (has_stdin && !read_block(in, &stdin_buffer))
		return 0;
	if (!stdout_buffer.data) {
		stdout_buffer.data = malloc(OUTPUT_LIMIT);
		stderr_buffer.data = malloc(OUTPUT_LIMIT);
		if (!stdout_buffer.data || !stderr_buffer.data)
			fail("malloc");
	}
	stdout_buffer.length = stderr_buffer.length = 0;
	int asker = is_machine ? -1 : in;
	if (!answer_question(argv, &code, &stdout_buffer, asker))
		code = run(argv, &stdin_buffer, &stdout_buffer, &stderr_buffer, &elapsed_ns, asker);

	uint32_t head = htobe32(code);
	uint64_t elapsed = htobe64(elapsed_ns);
	uint32_t out_length = htobe32(stdout_buffer.length), err_length = htobe32(stderr_buffer.length);
	return write_all(out, &head, sizeof head) == 0 && write_all(out, &elapsed, sizeof elapsed) == 0 &&
	       write_all(out, &out_length, sizeof out_length) == 0 &&
	       write_all(out, stdout_buffer.data, stdout_buffer.length) == 0 &&
	       write_all(out, &err_length, sizeof err_length) == 0 &&
	       write_all(out, stderr_buffer.data, stderr_buffer.length) == 0;
}

static void forward_line(int fifo, int events)
{
	char line[256];
	ssize_t n = read(fifo, line, sizeof line);
	if (n > 0)
		send_events(events, line, (size_t)n);
}

static void terminate(int signal_number)
{
	_exit(128 + signal_number);
}

static void wake(int signal_number)
{
	(void)signal_number;
}

void watch_port(int port)
{
	sigset_t io;
	struct sigaction action = {.sa_handler = wake};

	sigemptyset(&io);
	sigaddset(&io, SIGIO);
	sigprocmask(SIG_BLOCK, &io, NULL);
	sigaction(SIGIO, &action, NULL);
	fcntl(port, F_SETOWN, getpid());
	fcntl(port, F_SETFL, O_ASYNC | O_NONBLOCK);
}

/* Reaps children, and reports the end of a machine's application, with which the machine ends as well
 * unless $TONNAGE_STAY is set. */
static void reap_children(int events, bool is_machine)
{
	static bool told;
	uint32_t code;
	char lines[96];

	if (!has_application())
		return;
	while (reap(WNOHANG) > 0)
		;
	if (!is_machine || told || !application_ended(&code))
		return;
	told = true;
	send_events(events, lines,
	            (size_t)snprintf(lines, sizeof lines, "exit-code %u\nexited %llu\n", code,
	                             (unsigned long long)now_ns()));
	if (getenv("TONNAGE_STAY"))
		return;
	dprintf(2, "payload: the command ended with exit code %u\n", code);
	end_machine("poweroff");
}

void serve(int events, int agent_in, int agent_out, int fifo, int button, bool is_machine)
{
	enum { NETWORK, AGENT, FIFO, EVENTS, BUTTON, ENDS };
	/* An image's application may use any port. */
	int sock = has_application() ? -1 : listen_on(PORT), requests = is_machine ? events : -1;
	bool listens = sock >= 0 || has_application();
	struct pollfd ends[ENDS] = {
		[NETWORK] = {.fd = sock, .events = POLLIN},
		[AGENT] = {.fd = agent_in, .events = POLLIN},
		[FIFO] = {.fd = fifo, .events = POLLIN},
		[EVENTS] = {.fd = requests, .events = POLLIN},
		[BUTTON] = {.fd = button, .events = POLLIN},
	};
	char line[64];
	sigset_t none;

	sigemptyset(&none);
	send_events(events, line,
	            (size_t)snprintf(line, sizeof line, "%s %llu\n", listens ? "listening" : "not-listening",
	                             (unsigned long long)now_ns()));
	for (;;) {
		reap_children(events, is_machine);
		for (int i = 0; i < ENDS; i++)
			ends[i].revents = 0;
		if (ppoll(ends, ENDS, NULL, &none) < 0) {
			if (errno != EINTR)
				fail("poll");
			ends[AGENT].fd = agent_in;
			ends[EVENTS].fd = requests;
			continue;
		}
		if (ends[NETWORK].revents & POLLIN)
			answer(sock);
		if (ends[FIFO].revents & POLLIN)
			forward_line(fifo, events);
		if (ends[BUTTON].revents & POLLIN)
			end_machine("poweroff");
		if (ends[EVENTS].revents & POLLHUP)
			ends[EVENTS].fd = -1; /* until SIGIO: poll(2) would return at once */
		else if (ends[EVENTS].revents)
			repeat_events(events);
		if (ends[AGENT].revents & POLLIN ? !serve_agent(agent_in, agent_out, is_machine) : ends[AGENT].revents)
			ends[AGENT].fd = -1;
		if (!is_machine && ends[AGENT].fd < 0)
			exit(0);
	}
}

void serve_here(const char *root, char **words)
{
	signal(SIGTERM, terminate);
	signal(SIGINT, terminate);
	signal(SIGPIPE, SIG_IGN);
	if (root && (chroot(root) < 0 || chdir("/") < 0))
		fail(root);
	if (words && start_application(words) < 0)
		exit(127);
	if (words)
		write_event(1, "started", application_started_ns());
	serve(1, 0, 1, -1, -1, false);
}
