#define _GNU_SOURCE
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "agent.h"
#include "application.h"
#include "events.h"
#include "io.h"
#include "network.h"
#include "ports.h"

void serve_machine(uint64_t begun_ns, int button, char **words)
{
	char line[64];
	int events, agent, fifo = -1;

	signal(SIGPIPE, SIG_IGN);
	configure_guest_network();
	if (words && start_application(words) < 0)
		end_machine("poweroff");
	await_virtio_ports();
	events = open_port("tonnage.events", getenv("TONNAGE_EVENTS"), EVENTS_PORT);
	agent = open_port("tonnage.agent", getenv("TONNAGE_AGENT"), AGENT_PORT);
	if (!words && (mkfifo(EVENT_FIFO, 0600) == 0 || errno == EEXIST))
		fifo = open(EVENT_FIFO, O_RDWR | O_CLOEXEC);
	watch_port(events);
	send_events(events < 0 ? 1 : events, line,
	            (size_t)snprintf(line, sizeof line, "first-instruction %llu\n", (unsigned long long)begun_ns));
	if (words)
		send_events(events < 0 ? 1 : events, line,
		            (size_t)snprintf(line, sizeof line, "started %llu\n",
		                             (unsigned long long)application_started_ns()));
	watch_port(agent);
	serve(events < 0 ? 1 : events, agent, agent, fifo, button, true);
}

void announce_on_console(uint64_t ns)
{
	int console = open("/dev/ttyS0", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	if (console < 0)
		console = open("/dev/console", O_WRONLY | O_NOCTTY | O_CLOEXEC);
	write_event(console < 0 ? 1 : console, "first-instruction", ns);
	if (console >= 0)
		close(console);
}

/* Waits up to 10 s for a node: the kernel registers disks asynchronously, and systemd starts services
 * in parallel. */
static void await_node(const char *path)
{
	struct timespec pause = {.tv_nsec = 2000000};
	for (int i = 0; i < 5000 && access(path, F_OK) < 0; i++)
		nanosleep(&pause, NULL);
}

int tell(const char *name)
{
	await_node(EVENT_FIFO);
	int fifo = open(EVENT_FIFO, O_WRONLY | O_CLOEXEC);
	if (fifo < 0)
		fail(EVENT_FIFO);
	write_event(fifo, name, now_ns());
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
	/* An image may have none of these. */
	mkdir("/newroot/dev", 0755);
	mkdir("/newroot/proc", 0755);
	mkdir("/newroot/sys", 0755);
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

/* Mounts what containers have as well, and names the machine like them. */
static void prepare_for_application(void)
{
	mkdir("/dev/pts", 0755);
	mkdir("/dev/shm", 01777);
	mount("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC, "ptmxmode=0666,mode=0620");
	mount("tmpfs", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "mode=1777");
	if (symlink("/proc/self/fd", "/dev/fd") < 0 || symlink("/proc/self/fd/0", "/dev/stdin") < 0 ||
	    symlink("/proc/self/fd/1", "/dev/stdout") < 0 || symlink("/proc/self/fd/2", "/dev/stderr") < 0)
		dprintf(2, "payload: /dev: %s\n", strerror(errno));
	if (sethostname("tonnage", strlen("tonnage")) < 0)
		dprintf(2, "payload: host name: %s\n", strerror(errno));
}

void be_init(uint64_t begun_ns)
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
	char **words = read_application();
	if (words)
		prepare_for_application();
	else
		mount("tmpfs", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755");
	setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", 1);
	serve_machine(begun_ns, open_power_button(), words);
}
