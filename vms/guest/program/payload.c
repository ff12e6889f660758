/*
 * payload: the one program that every target runs.
 *
 * Static, so that it is the same file in a process, a container and a machine. It says when its
 * first own instruction ran, answers requests on its own address, and runs commands, timing them
 * by the clock of the place where it is.
 *
 *   payload hello                      say "first-instruction NANOSECONDS" and exit
 *   payload serve NAME [--chroot DIR]  in a process or container: events on stdout, agent on 0 and 1;
 *                                      ends with its stdin
 *   payload agent                      in a machine, started by its init: events and agent by virtio,
 *                                      else by the lines $TONNAGE_EVENTS and $TONNAGE_AGENT, else by
 *                                      vsock to the host's ports 7001 and 7002
 *   payload tell LINE                  hand LINE to the agent, which reports it as an event
 *   payload syscalls COUNT             make COUNT system calls (getppid)
 *   payload copy MIB COUNT             copy a block of MIB mebibytes COUNT times (memory bandwidth)
 *   payload switches COUNT             bounce a byte COUNT times between two processes
 *   payload spawn COUNT                fork, exec /bin/true and wait, COUNT times
 *   payload ask ADDRESS COUNT          have COUNT requests answered by a payload that serves there
 *   payload flood ADDRESS SECONDS      send datagrams there, as many as can be sent
 *   payload address INTERFACE ADDRESS MASK [HOST GATEWAY]
 *                                      give an interface its address, bring it up; the way to a host
 *   payload read PATH OFFSET LENGTH    a part of a file to stdout
 *   payload write PATH OFFSET          stdin into a file from there on; at 0 it is made anew
 *   payload place FROM TO MODE         give a file its mode (octal) and its name
 *   payload echo WORD                  say WORD, with no line end
 *   payload poweroff | reboot          end or restart the machine
 *
 * As process 1 of a machine (/init of an initramfs) it loads the modules named in /modules.load,
 * mounts $TONNAGE_ROOT if that is set, and becomes $TONNAGE_INIT or, without one, the agent.
 * (The kernel hands unknown NAME=VALUE words of its command line to init as environment.)
 *
 * Agent protocol, big-endian:  request  u32 length, argv separated by NULs; if the length's highest
 *                                       bit is set, u32+stdin follow
 *                              reply    u32 exit code, u64 nanoseconds, u32+stdout, u32+stderr
 *
 * An argv may begin with the surroundings of its command, in words up to "--": "@within", "end" or
 * "leave" (the processes that outlive the command), then settings as NAME=VALUE: directory, umask,
 * nice, cpus, a limit by its name, and all else as the command's whole environment.
 *
 * In a machine the other end of a port may come and go. What is sent to the events' port asks for
 * all events once more.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <endian.h>
#include <fcntl.h>
#include <glob.h>
#include <net/if.h>
#include <net/route.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <dirent.h>
#include <linux/vm_sockets.h>

#define PORT 7000
#define EVENTS_PORT 7001
#define AGENT_PORT 7002
#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_GATEWAY "10.0.2.2"
#define DISCARD_PORT 9
#define DATAGRAM_BYTES 1400
#define EVENT_FIFO "/run/tonnage-events"
#define OUTPUT_LIMIT (4u << 20)
#define REQUEST_LIMIT (1u << 20)
#define ARGUMENT_LIMIT 256
#define STDIN_FOLLOWS 0x80000000u
#define WITHIN "@within"

static uint64_t now_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static void fail(const char *what)
{
	dprintf(2, "payload: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Waits for a port that does not block; 0 when its other end has gone. */
static int await(int fd, short what)
{
	struct pollfd end = {.fd = fd, .events = what};
	while (poll(&end, 1, -1) < 0 && errno == EINTR)
		;
	return !(end.revents & POLLHUP);
}

static int write_all(int fd, const void *data, size_t length)
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

static int read_all(int fd, void *data, size_t length)
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

/* ---- events ---- */

static void event_at(int fd, const char *name, uint64_t ns)
{
	char line[64];
	int n = snprintf(line, sizeof line, "%s %llu\n", name, (unsigned long long)ns);
	write_all(fd, line, (size_t)n);
}

/* What was said on the events' port, for whoever comes late; what does not fit is said once. */
static struct {
	char lines[4096];
	size_t length;
} events_said;

static void say(int port, const char *lines, size_t length)
{
	if (length <= sizeof events_said.lines - events_said.length) {
		memcpy(events_said.lines + events_said.length, lines, length);
		events_said.length += length;
	}
	write_all(port, lines, length);
}

static void say_again(int port)
{
	char asked[64];
	if (read(port, asked, sizeof asked) > 0)
		write_all(port, events_said.lines, events_said.length);
}

/* ---- the network ---- */

static int set_address(int sock, const char *interface, const char *address, const char *mask)
{
	struct ifreq request = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	if (ioctl(sock, SIOCSIFADDR, &request) < 0)
		return -1; /* no such interface: a machine without a network */
	inet_pton(AF_INET, mask, &in->sin_addr);
	ioctl(sock, SIOCSIFNETMASK, &request);
	ioctl(sock, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(sock, SIOCSIFFLAGS, &request);
}

/* To one host by a gateway, or, without a host, to everywhere. */
static int add_route(int sock, const char *host, const char *gateway)
{
	struct sockaddr_in to = {.sin_family = AF_INET}, by = {.sin_family = AF_INET}, all = to;
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY | (host ? RTF_HOST : 0)};

	inet_pton(AF_INET, gateway, &by.sin_addr);
	if (host)
		inet_pton(AF_INET, host, &to.sin_addr);
	memcpy(&route.rt_dst, &to, sizeof to);
	memcpy(&route.rt_genmask, &all, sizeof all);
	memcpy(&route.rt_gateway, &by, sizeof by);
	return ioctl(sock, SIOCADDRT, &route);
}

static void configure_guest_network(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return;
	set_address(sock, "lo", "127.0.0.1", "255.0.0.0");
	set_address(sock, "eth0", GUEST_ADDRESS, "255.255.255.0");
	add_route(sock, NULL, GUEST_GATEWAY);
	close(sock);
}

static int listen_on(uint16_t port)
{
	int one = 1;
	int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (sock < 0)
		return -1;
	setsockopt(sock, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
	if (bind(sock, (struct sockaddr *)&address, sizeof address) < 0 || listen(sock, 16) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

static void answer(int sock)
{
	int peer = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0)
		return;
	write_all(peer, "pong\n", 5);
	close(peer);
}

static struct sockaddr_in at(const char *address, uint16_t port)
{
	struct sockaddr_in place = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, address, &place.sin_addr) != 1) {
		errno = EINVAL;
		fail(address);
	}
	return place;
}

static int ask(const char *address, long count)
{
	struct sockaddr_in server = at(address, PORT);
	char said[5];

	for (long i = 0; i < count; i++) {
		int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (sock < 0 || connect(sock, (struct sockaddr *)&server, sizeof server) < 0 ||
		    read_all(sock, said, sizeof said) < 0)
			fail(address);
		close(sock);
	}
	return 0;
}

/* To the port whose datagrams are for nobody; one that finds no room is the noise's own loss. */
static int flood(const char *address, long seconds)
{
	static const char datagram[DATAGRAM_BYTES];
	struct sockaddr_in nobody = at(address, DISCARD_PORT);
	uint64_t end = now_ns() + (uint64_t)seconds * 1000000000u;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		fail(address);
	while (now_ns() < end)
		sendto(sock, datagram, sizeof datagram, 0, (struct sockaddr *)&nobody, sizeof nobody);
	return 0;
}

static int be_at(const char *interface, const char *address, const char *mask, char **way)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || set_address(sock, interface, address, mask) < 0)
		fail(interface);
	if (way && add_route(sock, way[0], way[1]) < 0)
		fail(way[0]);
	return 0;
}

/* Where the agent is process 1 there is nobody else to end the machine. */
static int end_machine(const char *how)
{
	if (getpid() != 1 && getppid() != 1)
		execlp("systemctl", "systemctl", "--no-block", how, (char *)NULL);
	sync();
	reboot(strcmp(how, "reboot") == 0 ? RB_AUTOBOOT : RB_POWER_OFF);
	fail(how);
	return 1;
}

/* ---- the agent ---- */

struct buffer {
	char *data;
	uint32_t length;
};

static int drain(int fd, struct buffer *buffer)
{
	char spill[4096];
	uint32_t room = OUTPUT_LIMIT - buffer->length;
	ssize_t n = room ? read(fd, buffer->data + buffer->length, room)
	                 : read(fd, spill, sizeof spill); /* past the limit: read, so it ends, and drop */
	if (n > 0 && room)
		buffer->length += (uint32_t)n;
	return n > 0 || (n < 0 && errno == EINTR);
}

static int exit_code(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* A file in memory that holds a command's stdin. */
static int stdin_of(const struct buffer *in)
{
	int fd = in->length ? memfd_create("stdin", MFD_CLOEXEC) : open("/dev/null", O_RDONLY | O_CLOEXEC);
	if (fd >= 0 && in->length && (write_all(fd, in->data, in->length) < 0 || lseek(fd, 0, SEEK_SET) < 0))
		fail("stdin");
	return fd;
}

/* ---- the surroundings of a command ---- */

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

static int set_surrounding(const char *name, char *value)
{
	static const struct { const char *name; int which; } limits[] = {
		{"nofile", RLIMIT_NOFILE}, {"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK}, {"core", RLIMIT_CORE},
	};

	for (size_t i = 0; i < sizeof limits / sizeof *limits; i++)
		if (strcmp(name, limits[i].name) == 0)
			return set_limit(limits[i].which, value);
	if (strcmp(name, "directory") == 0)
		return chdir(value);
	if (strcmp(name, "umask") == 0)
		return umask((mode_t)strtoul(value, NULL, 8)), 0;
	if (strcmp(name, "nice") == 0)
		return setpriority(PRIO_PROCESS, 0, atoi(value));
	if (strcmp(name, "cpus") == 0)
		return set_cpus(value);
	return setenv(name, value, 1);
}

/* By the system call, since the C library refuses two signals of its own (32 and 33), which its
 * posix_spawn(3) leaves ignored, make(1)'s for one. */
static void reset_signals(void)
{
	const unsigned long as_at_first[4] = {0}; /* handler, flags, restorer, mask */

	for (int number = 1; number < NSIG; number++)
		syscall(SYS_rt_sigaction, number, as_at_first, NULL, sizeof as_at_first[3]);
}

/* Returns the command, in the surroundings that its first words say. */
static char **be_within(char **word)
{
	clearenv();
	reset_signals();
	setsid();
	for (; *word && strcmp(*word, "--") != 0; word++) {
		char *value = strchr(*word, '=');
		if (!value)
			errno = EINVAL;
		else
			*value++ = 0;
		if (!value || set_surrounding(*word, value) < 0) {
			dprintf(2, "payload: %s can't be set: %s\n", *word, strerror(errno));
			_exit(126);
		}
	}
	return *word ? word + 1 : word;
}

/* The parent of a process; 0 if it has ended. */
static pid_t parent_of(const char *pid)
{
	char path[300], line[512], *name_end;
	int parent = 0, file;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/stat", pid);
	if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return 0;
	n = read(file, line, sizeof line - 1);
	close(file);
	line[n > 0 ? n : 0] = 0;
	if ((name_end = strrchr(line, ')')))
		sscanf(name_end, ") %*c %d", &parent);
	return parent;
}

/* Ends all processes below this one. A child's own come to us as it ends: we are their reaper. */
static void end_children(void)
{
	int found;

	if (waitpid(-1, NULL, WNOHANG) < 0)
		return; /* there are none */
	do {
		struct dirent *entry;
		DIR *processes = opendir("/proc");

		found = 0;
		while (processes && (entry = readdir(processes)))
			if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && parent_of(entry->d_name) == getpid()) {
				kill(atoi(entry->d_name), SIGKILL);
				found++;
			}
		if (processes)
			closedir(processes);
		for (int i = 0; i < found; i++)
			waitpid(-1, NULL, 0);
	} while (found);
}

/* Executes a command as a new process' program. */
static void execute(char **argv, const int streams[3])
{
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	for (int i = 0; i < 3; i++)
		dup2(streams[i], i);
	if (strcmp(argv[0], WITHIN) == 0 && argv[1])
		argv = be_within(argv + 2);
	if (argv[0])
		execvp(argv[0], argv);
	dprintf(2, "%s: %s\n", argv[0] ? argv[0] : "payload", argv[0] ? strerror(errno) : "no command");
	_exit(127);
}

/* Runs a command. Where what it leaves is to end, its time is until it ended itself; else until
 * nobody holds its output. `asker` is whose hang-up ends all, -1 if it may come back. */
static uint32_t run(char **argv, const struct buffer *in, struct buffer *out, struct buffer *err,
                    uint64_t *elapsed_ns, int asker)
{
	enum { OUT, ERR, CHILD, ASKER, ENDS };
	int out_pipe[2], err_pipe[2], status = 0, in_file = stdin_of(in);
	bool ends_all = strcmp(argv[0], WITHIN) == 0 && argv[1] && strcmp(argv[1], "end") == 0;
	uint64_t begin;
	pid_t child;

	if (pipe2(out_pipe, O_CLOEXEC) < 0 || pipe2(err_pipe, O_CLOEXEC) < 0)
		fail("pipe");
	if (ends_all)
		prctl(PR_SET_CHILD_SUBREAPER, 1);
	begin = now_ns();
	child = fork();
	if (child == 0)
		execute(argv, (const int[]){in_file, out_pipe[1], err_pipe[1]});
	if (in_file >= 0)
		close(in_file);
	close(out_pipe[1]);
	close(err_pipe[1]);
	struct pollfd ends[ENDS] = {
		[OUT] = {.fd = out_pipe[0], .events = POLLIN},
		[ERR] = {.fd = err_pipe[0], .events = POLLIN},
		[CHILD] = {.fd = ends_all ? (int)syscall(SYS_pidfd_open, child, 0) : -1, .events = POLLIN},
		[ASKER] = {.fd = asker},
	};
	bool waited = false;
	while (ends[OUT].fd >= 0 || ends[ERR].fd >= 0 || ends[CHILD].fd >= 0) {
		if (poll(ends, ENDS, -1) < 0) {
			if (errno != EINTR)
				break;
			continue;
		}
		if (ends[ASKER].revents & (POLLHUP | POLLERR | POLLNVAL)) {
			prctl(PR_SET_CHILD_SUBREAPER, 1);
			kill(child, SIGKILL);
			end_children();
			exit(0);
		}
		if (ends[CHILD].fd >= 0 && ends[CHILD].revents) {
			*elapsed_ns = now_ns() - begin;
			close(ends[CHILD].fd);
			ends[CHILD].fd = -1;
			waited = waitpid(child, &status, 0) == child;
			end_children();
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
			end_children();
	}
	close(out_pipe[0]);
	close(err_pipe[0]);
	return (uint32_t)exit_code(status);
}

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

/* Serves one request; 0 when the other side has gone. */
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
	code = run(argv, &stdin_buffer, &stdout_buffer, &stderr_buffer, &elapsed_ns, is_machine ? -1 : in);

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
		say(events, line, (size_t)n);
}

static void terminate(int signal_number)
{
	_exit(128 + signal_number);
}

static void wake(int signal_number)
{
	(void)signal_number;
}

/* The kernel tells by SIGIO when the other end of a virtio port comes and goes; it is blocked but
 * while we wait, so that none is missed. */
static void hear_of(int port)
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

/* Answers requests and runs commands; ends with whoever holds the agent's other end, if asked to. */
static void serve(int events, int agent_in, int agent_out, int fifo, int button, bool is_machine)
{
	enum { NETWORK, AGENT, FIFO, EVENTS, BUTTON, ENDS };
	int sock = listen_on(PORT), asked = is_machine ? events : -1;
	struct pollfd ends[ENDS] = {
		[NETWORK] = {.fd = sock, .events = POLLIN},
		[AGENT] = {.fd = agent_in, .events = POLLIN},
		[FIFO] = {.fd = fifo, .events = POLLIN},
		[EVENTS] = {.fd = asked, .events = POLLIN},
		[BUTTON] = {.fd = button, .events = POLLIN},
	};
	char line[64];
	sigset_t none;

	sigemptyset(&none);
	say(events, line, (size_t)snprintf(line, sizeof line, "%s %llu\n", sock < 0 ? "not-listening" : "listening",
	                                   (unsigned long long)now_ns()));
	for (;;) {
		for (int i = 0; i < ENDS; i++)
			ends[i].revents = 0;
		if (ppoll(ends, ENDS, NULL, &none) < 0) {
			if (errno != EINTR)
				fail("poll");
			ends[AGENT].fd = agent_in;
			ends[EVENTS].fd = asked;
			continue;
		}
		if (ends[NETWORK].revents & POLLIN)
			answer(sock);
		if (ends[FIFO].revents & POLLIN)
			forward_line(fifo, events);
		if (ends[BUTTON].revents & POLLIN)
			end_machine("poweroff");
		if (ends[EVENTS].revents & POLLHUP)
			ends[EVENTS].fd = -1; /* until it is back; till then reading would not wait */
		else if (ends[EVENTS].revents)
			say_again(events);
		if (ends[AGENT].revents & POLLIN ? !serve_agent(agent_in, agent_out, is_machine) : ends[AGENT].revents)
			ends[AGENT].fd = -1;
		if (!is_machine && ends[AGENT].fd < 0)
			exit(0);
	}
}

static void serve_here(const char *root)
{
	signal(SIGTERM, terminate);
	signal(SIGINT, terminate);
	signal(SIGPIPE, SIG_IGN);
	if (root && (chroot(root) < 0 || chdir("/") < 0))
		fail(root);
	serve(1, 0, 1, -1, -1, false);
}

/* ---- a machine ---- */

/* Opens the device in `nodes` whose `file` in the class says that name. */
static int open_named(const char *class, const char *file, const char *wanted, const char *nodes, int how)
{
	char path[320], name[64];
	struct dirent *entry;
	DIR *directory = opendir(class);
	int found = -1;

	while (directory && found < 0 && (entry = readdir(directory))) {
		snprintf(path, sizeof path, "%s/%s/%s", class, entry->d_name, file);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, name, sizeof name - 1);
		close(fd);
		if (n <= 0)
			continue;
		name[n] = 0;
		name[strcspn(name, "\n")] = 0;
		if (strcmp(name, wanted) == 0) {
			snprintf(path, sizeof path, "%s/%s", nodes, entry->d_name);
			found = open(path, how | O_CLOEXEC);
		}
	}
	if (directory)
		closedir(directory);
	return found;
}

static size_t count_paths(const char *pattern)
{
	glob_t found;
	size_t count = glob(pattern, GLOB_NOSORT, NULL, &found) == 0 ? found.gl_pathc : 0;

	globfree(&found);
	return count;
}

/* The kernel hears from the host of its ports, and then of their names, while we run already: wait,
 * within 10 s. */
static void await_virtio_ports(void)
{
	struct timespec pause = {.tv_nsec = 2000000};
	size_t ports;

	if (!count_paths("/sys/bus/virtio/drivers/virtio_console/virtio*"))
		return;
	for (int i = 0; i < 5000; i++) {
		ports = count_paths("/sys/class/virtio-ports/*");
		if (ports && count_paths("/sys/class/virtio-ports/*/name") == ports)
			return;
		nanosleep(&pause, NULL);
	}
}

static int open_virtio_port(const char *name)
{
	return open_named("/sys/class/virtio-ports", "name", name, "/dev", O_RDWR);
}

static int open_line(const char *path)
{
	struct termios how;
	int line = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (line >= 0 && tcgetattr(line, &how) == 0) {
		cfmakeraw(&how);
		tcsetattr(line, TCSANOW, &how);
	}
	return line;
}

static int connect_to_host(unsigned int port)
{
	struct sockaddr_vm host = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_HOST, .svm_port = port};
	int sock = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (sock >= 0 && connect(sock, (struct sockaddr *)&host, sizeof host) < 0) {
		close(sock);
		return -1;
	}
	return sock;
}

/* What leads to the host, be the machine QEMU's, a process of user-mode-linux or another VMM's. */
static int open_port(const char *virtio, const char *line, unsigned int vsock)
{
	int port = open_virtio_port(virtio);

	if (port < 0 && line)
		port = open_line(line);
	return port < 0 ? connect_to_host(vsock) : port;
}

static int open_power_button(void)
{
	return open_named("/sys/class/input", "device/name", "Power Button", "/dev/input", O_RDONLY);
}

static void serve_machine(uint64_t begun_ns, int button)
{
	char line[64];
	int events, agent, fifo = -1;

	signal(SIGPIPE, SIG_IGN);
	configure_guest_network();
	await_virtio_ports();
	events = open_port("tonnage.events", getenv("TONNAGE_EVENTS"), EVENTS_PORT);
	agent = open_port("tonnage.agent", getenv("TONNAGE_AGENT"), AGENT_PORT);
	if (mkfifo(EVENT_FIFO, 0600) == 0 || errno == EEXIST)
		fifo = open(EVENT_FIFO, O_RDWR | O_CLOEXEC);
	hear_of(events);
	say(events < 0 ? 1 : events, line,
	    (size_t)snprintf(line, sizeof line, "first-instruction %llu\n", (unsigned long long)begun_ns));
	hear_of(agent);
	serve(events < 0 ? 1 : events, agent, agent, fifo, button, true);
}

static void announce_on_console(uint64_t ns)
{
	int console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (console < 0)
		console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	event_at(console < 0 ? 1 : console, "first-instruction", ns);
	if (console >= 0)
		close(console);
}

/* A disk is registered asynchronously, a service started beside ours: wait, within 10 s. */
static void await_node(const char *path)
{
	struct timespec pause = {.tv_nsec = 2000000};
	for (int i = 0; i < 5000 && access(path, F_OK) < 0; i++)
		nanosleep(&pause, NULL);
}

static int tell(const char *line)
{
	await_node(EVENT_FIFO);
	int fifo = open(EVENT_FIFO, O_WRONLY | O_CLOEXEC);
	if (fifo < 0)
		fail(EVENT_FIFO);
	event_at(fifo, line, now_ns());
	return 0;
}

static void load_modules(void)
{
	char path[512];
	FILE *list = fopen("/modules.load", "re");

	while (list && fgets(path, sizeof path, list)) {
		path[strcspn(path, "\n")] = 0;
		int module = open(path, O_RDONLY | O_CLOEXEC);
		if (module < 0 || (syscall(SYS_finit_module, module, "", 0) < 0 && errno != EEXIST))
			dprintf(2, "payload: %s: %s\n", path, strerror(errno));
		if (module >= 0)
			close(module);
	}
	if (list)
		fclose(list);
}

static void enter_root(const char *device)
{
	mkdir("/newroot", 0755);
	await_node(device);
	if (mount(device, "/newroot", "ext4", 0, "") < 0)
		fail(device);
	mount("/dev", "/newroot/dev", NULL, MS_MOVE, NULL);
	mount("/proc", "/newroot/proc", NULL, MS_MOVE, NULL);
	mount("/sys", "/newroot/sys", NULL, MS_MOVE, NULL);
	if (chdir("/newroot") < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		fail("/newroot");
}

static void mount_kernel_file_systems(void)
{
	mkdir("/proc", 0755);
	mkdir("/sys", 0755);
	mkdir("/dev", 0755);
	mkdir("/run", 0755);
	mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
	mount("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "");
	mount("devtmpfs", "/dev", "devtmpfs", MS_NOSUID, "mode=0755");
}

static void be_init(uint64_t begun_ns)
{
	const char *root = getenv("TONNAGE_ROOT"), *next = getenv("TONNAGE_INIT");

	if (!next)
		announce_on_console(begun_ns);
	mount_kernel_file_systems();
	load_modules();
	if (root)
		enter_root(root);
	if (next) {
		execl(next, next, (char *)NULL);
		fail(next);
	}
	mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	serve_machine(begun_ns, open_power_button());
}

/* ---- files of the place where it is ---- */

static int read_part(const char *path, off_t offset, size_t length)
{
	char block[65536];
	int file = open(path, O_RDONLY | O_CLOEXEC);

	while (file >= 0 && length > 0) {
		ssize_t n = pread(file, block, length < sizeof block ? length : sizeof block, offset);
		if (n == 0)
			return 0;
		if (n < 0 || write_all(1, block, (size_t)n) < 0)
			fail(path);
		offset += n;
		length -= (size_t)n;
	}
	if (file < 0)
		fail(path);
	return 0;
}

static int write_part(const char *path, off_t offset)
{
	char block[65536];
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (offset ? 0 : O_TRUNC), 0600);
	ssize_t n;

	if (file < 0 || lseek(file, offset, SEEK_SET) < 0)
		fail(path);
	while ((n = read(0, block, sizeof block)) > 0)
		if (write_all(file, block, (size_t)n) < 0)
			fail(path);
	if (n < 0 || close(file) < 0)
		fail(path);
	return 0;
}

static int place(const char *from, const char *to, const char *mode)
{
	if (chmod(from, (mode_t)strtoul(mode, NULL, 8)) < 0 || rename(from, to) < 0) {
		int reason = errno;
		unlink(from);
		errno = reason;
		fail(to);
	}
	return 0;
}

/* ---- small workloads ---- */

static int make_system_calls(long count)
{
	for (long i = 0; i < count; i++)
		syscall(SYS_getppid);
	return 0;
}

static int copy_memory(size_t mebibytes, long count)
{
	size_t size = mebibytes << 20;
	char *from = malloc(size), *to = malloc(size);

	if (!from || !to)
		fail("malloc");
	memset(from, 1, size);
	for (long i = 0; i < count; i++) {
		memcpy(to, from, size);
		__asm__ volatile("" : : "r"(to) : "memory"); /* else the copies are folded into one */
	}
	return 0;
}

static void stay_on_this_cpu(void)
{
	cpu_set_t here;
	CPU_ZERO(&here);
	CPU_SET(sched_getcpu(), &here);
	sched_setaffinity(0, sizeof here, &here);
}

/* On one CPU, as in a machine with one: else it is wake-ups between CPUs that are measured. */
static int bounce(long count)
{
	stay_on_this_cpu();
	int there[2], back[2];
	char byte = 0;

	if (pipe(there) < 0 || pipe(back) < 0)
		fail("pipe");
	pid_t child = fork();
	if (child == 0) {
		for (long i = 0; i < count && read(there[0], &byte, 1) == 1; i++)
			write_all(back[1], &byte, 1);
		_exit(0);
	}
	for (long i = 0; i < count; i++)
		if (write(there[1], &byte, 1) != 1 || read(back[0], &byte, 1) != 1)
			fail("bounce");
	waitpid(child, NULL, 0);
	return 0;
}

static int spawn(long count)
{
	for (long i = 0; i < count; i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
			fail("/bin/true");
	}
	return 0;
}

int main(int argc, char **argv)
{
	uint64_t begin = now_ns();
	const char *role = argc > 1 ? argv[1] : "";

	if (getpid() == 1 && argc > 0 && strcmp(argv[0], "/init") == 0)
		be_init(begin);
	if (strcmp(role, "hello") == 0) {
		event_at(1, "first-instruction", begin);
		return 0;
	}
	if (strcmp(role, "serve") == 0 && argc > 2) {
		event_at(1, "first-instruction", begin);
		serve_here(argc > 4 && strcmp(argv[3], "--chroot") == 0 ? argv[4] : NULL);
	}
	if (strcmp(role, "agent") == 0) {
		announce_on_console(begin);
		serve_machine(begin, -1); /* the button is the init's */
	}
	if (strcmp(role, "tell") == 0 && argc > 2)
		return tell(argv[2]);
	if (strcmp(role, "read") == 0 && argc > 4)
		return read_part(argv[2], atoll(argv[3]), (size_t)atoll(argv[4]));
	if (strcmp(role, "write") == 0 && argc > 3)
		return write_part(argv[2], atoll(argv[3]));
	if (strcmp(role, "place") == 0 && argc > 4)
		return place(argv[2], argv[3], argv[4]);
	if (strcmp(role, "echo") == 0 && argc > 2)
		return write_all(1, argv[2], strlen(argv[2])) < 0;
	if (strcmp(role, "poweroff") == 0 || strcmp(role, "reboot") == 0)
		return end_machine(role);
	if (strcmp(role, "syscalls") == 0 && argc > 2)
		return make_system_calls(atol(argv[2]));
	if (strcmp(role, "copy") == 0 && argc > 3)
		return copy_memory((size_t)atol(argv[2]), atol(argv[3]));
	if (strcmp(role, "switches") == 0 && argc > 2)
		return bounce(atol(argv[2]));
	if (strcmp(role, "spawn") == 0 && argc > 2)
		return spawn(atol(argv[2]));
	if (strcmp(role, "ask") == 0 && argc > 3)
		return ask(argv[2], atol(argv[3]));
	if (strcmp(role, "flood") == 0 && argc > 3)
		return flood(argv[2], atol(argv[3]));
	if (strcmp(role, "address") == 0 && argc > 4)
		return be_at(argv[2], argv[3], argv[4], argc > 6 ? argv + 5 : NULL);
	dprintf(2, "payload: no such role: %s\n", role);
	return 2;
}
