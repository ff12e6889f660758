/*
 * payload: the program that runs in every target.
 *
 * It is linked statically, so that the same file runs in a process, a container and a machine. It
 * reports when its first own instruction ran, answers requests on its own address, and runs commands
 * and times them by the clock of the place where it runs.
 *
 *   payload hello                      write "first-instruction NANOSECONDS" and exit
 *   payload serve NAME [--chroot DIR]  in a process or container: events on stdout, agent on 0 and 1;
 *                                      exits when its stdin is closed
 *   payload serve NAME @within ...     the same for an image: starts its command, then serves; the
 *                                      words are those of an agent's request
 *   payload agent                      in a machine, started by its init: events and agent on virtio
 *                                      ports, else on the lines $TONNAGE_EVENTS and $TONNAGE_AGENT,
 *                                      else by vsock to the host's ports 7001 and 7002
 *   payload tell NAME                  hand an event to the agent, which reports it
 *   payload syscalls COUNT             make COUNT system calls (getppid)
 *   payload copy MIB COUNT             copy a block of MIB mebibytes COUNT times (memory bandwidth)
 *   payload switches COUNT             bounce a byte COUNT times between two processes
 *   payload spawn COUNT [itself]       fork, exec /bin/true (or this program) and wait, COUNT times
 *   payload ask ADDRESS COUNT          make COUNT requests to a payload that serves at the address
 *   payload flood ADDRESS SECONDS      send datagrams to the address, as many as possible
 *   payload compute COUNT PROCESSES    compute COUNT steps in each of some processes
 *   payload disk COUNT                 read COUNT random blocks; write the seconds
 *   payload noise KIND PROCESSES SECONDS [ADDRESS]
 *                                      start noise in the background (noise.h)
 *   payload seen WORD                  write how many other processes have that argument
 *   payload burn PROCESSES SECONDS     keep processes busy; write the CPU time that they got
 *   payload fill memory | processes    take more and more until that fails; write how much
 *   payload address INTERFACE ADDRESS MASK [HOST GATEWAY]
 *                                      give an interface its address, bring it up, add a route
 *   payload look                       write the kernel's boot ID, its release and the number of processes
 *   payload read PATH OFFSET LENGTH    write a part of a file to stdout
 *   payload write PATH OFFSET          write stdin into a file from the offset on; at 0, create it
 *   payload place FROM TO MODE         give a file its mode (octal) and its name
 *   payload echo WORD                  write WORD without a newline
 *   payload poweroff | reboot          end or restart the machine
 *
 * As process 1 of a machine (/init of an initramfs) it loads the modules named in /modules.load,
 * mounts $TONNAGE_ROOT if that is set, and executes $TONNAGE_INIT or, without one, is the agent.
 * If the disk has /.tonnage/application, it starts the command of an image, which that file names, and
 * powers off when it ends.
 * (The kernel passes unknown NAME=VALUE words of its command line to init as environment.)
 *
 * The agent's frames are described in agent.h. An argv may begin with settings of its command's
 * environment, in words up to "--": "@within", "end" or "leave" (what happens to processes that
 * outlive the command), then NAME=VALUE: directory, workdir (created if it is missing), user
 * (UID:GID:GROUPS), timeout (milliseconds), umask, nice, cpus, a resource limit by its name; any other
 * NAME is a variable of the command's environment, which is otherwise empty. =NAME=VALUE is always a
 * variable.
 *
 * In a machine the other end of a port may close and open again. Anything that is sent to the events
 * port is a request for all events once more.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "command.h"
#include "events.h"
#include "files.h"
#include "init.h"
#include "io.h"
#include "network.h"
#include "noise.h"


/* ---- workloads ---- */

static int ask(const char *address, long count)
{
	struct sockaddr_in server = ipv4_address(address, PORT);
	char reply[5];

	for (long i = 0; i < count; i++) {
		int sock = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (sock < 0 || connect(sock, (struct sockaddr *)&server, sizeof server) < 0 ||
		    read_all(sock, reply, sizeof reply) < 0)
			fail(address);
		close(sock);
	}
	return 0;
}

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
		__asm__ volatile("" : : "r"(to) : "memory"); /* keeps the compiler from merging the copies */
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

/* On one CPU, as in a machine with one CPU: else wake-ups between CPUs would be measured. */
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

static int spawn(long count, bool itself)
{
	for (long i = 0; i < count; i++) {
		int status;
		pid_t child = fork();
		if (child == 0) {
			if (itself)
				execl("/proc/self/exe", "payload", "echo", "", (char *)NULL);
			execl("/bin/true", "true", (char *)NULL);
			_exit(127);
		}
		if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
			fail(itself ? "/proc/self/exe" : "/bin/true");
	}
	return 0;
}

/* Prints the boot ID of the kernel, its release, and how many processes there are beside this one. */
static int look(void)
{
	struct utsname kernel;
	struct dirent *entry;
	DIR *processes = opendir("/proc");
	int count = 0;

	if (!processes || uname(&kernel) < 0)
		fail("/proc");
	while ((entry = readdir(processes)))
		count += entry->d_name[0] >= '1' && entry->d_name[0] <= '9';
	closedir(processes);
	read_part("/proc/sys/kernel/random/boot_id", 0, 64);
	dprintf(1, "%s\n%d\n", kernel.release, count - 1);
	return 0;
}

/* ---- the roles ---- */

int main(int argc, char **argv)
{
	uint64_t begin = now_ns();
	const char *role = argc > 1 ? argv[1] : "";

	if (getpid() == 1 && argc > 0 && strcmp(argv[0], "/init") == 0)
		be_init(begin);
	if (strcmp(role, "hello") == 0) {
		write_event(1, "first-instruction", begin);
		return 0;
	}
	if (strcmp(role, "serve") == 0 && argc > 2) {
		write_event(1, "first-instruction", begin);
		if (argc > 4 && strcmp(argv[3], WITHIN) == 0)
			serve_here(NULL, argv + 3);
		serve_here(argc > 4 && strcmp(argv[3], "--chroot") == 0 ? argv[4] : NULL, NULL);
	}
	if (strcmp(role, "agent") == 0) {
		announce_on_console(begin);
		serve_machine(begin, -1, NULL); /* the init has the power button */
	}
	if (strcmp(role, "tell") == 0 && argc > 2)
		return tell(argv[2]);
	if (strcmp(role, "look") == 0)
		return look();
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
		return spawn(atol(argv[2]), argc > 3);
	if (strcmp(role, "ask") == 0 && argc > 3)
		return ask(argv[2], atol(argv[3]));
	if (strcmp(role, "flood") == 0 && argc > 3)
		return flood(argv[2], atol(argv[3]));
	if (strcmp(role, "compute") == 0 && argc > 3)
		return compute(atol(argv[2]), atol(argv[3]));
	if (strcmp(role, "disk") == 0 && argc > 2)
		return read_disk(atol(argv[2]));
	if (strcmp(role, "noise") == 0 && argc > 4)
		return make_noise(argv[2], atol(argv[3]), (unsigned int)atol(argv[4]), argc > 5 ? argv[5] : NULL);
	if (strcmp(role, "seen") == 0 && argc > 2)
		return count_seen(argv[2]);
	if (strcmp(role, "burn") == 0 && argc > 3)
		return burn(atol(argv[2]), atol(argv[3]));
	if (strcmp(role, "fill") == 0 && argc > 2)
		return strcmp(argv[2], "memory") == 0 ? fill_memory() : fill_processes();
	if (strcmp(role, "address") == 0 && argc > 4)
		return assign_address(argv[2], argv[3], argv[4], argc > 6 ? argv + 5 : NULL);
	dprintf(2, "payload: no such role: %s\n", role);
	return 2;
}
