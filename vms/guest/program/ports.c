#define _GNU_SOURCE
#include "ports.h"

#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>
#include <linux/vm_sockets.h>

/* Opens the node in `nodes` of the device whose `file` in the sysfs class contains the name. */
static int open_named(const char *class, const char *file, const char *name, const char *nodes, int flags)
{
	char path[320], content[64];
	struct dirent *entry;
	DIR *directory = opendir(class);
	int device = -1;

	while (directory && device < 0 && (entry = readdir(directory))) {
		snprintf(path, sizeof path, "%s/%s/%s", class, entry->d_name, file);
		int fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			continue;
		ssize_t n = read(fd, content, sizeof content - 1);
		close(fd);
		if (n <= 0)
			continue;
		content[n] = 0;
		content[strcspn(content, "\n")] = 0;
		if (strcmp(content, name) == 0) {
			snprintf(path, sizeof path, "%s/%s", nodes, entry->d_name);
			device = open(path, flags | O_CLOEXEC);
		}
	}
	if (directory)
		closedir(directory);
	return device;
}

static size_t count_paths(const char *pattern)
{
	glob_t paths;
	size_t count = glob(pattern, GLOB_NOSORT, NULL, &paths) == 0 ? paths.gl_pathc : 0;

	globfree(&paths);
	return count;
}

void await_virtio_ports(void)
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
	struct termios mode;
	int line = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (line >= 0 && tcgetattr(line, &mode) == 0) {
		cfmakeraw(&mode);
		tcsetattr(line, TCSANOW, &mode);
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

int open_port(const char *virtio, const char *line, unsigned int vsock)
{
	int port = open_virtio_port(virtio);

	if (port < 0 && line)
		port = open_line(line);
	return port < 0 ? connect_to_host(vsock) : port;
}

int open_power_button(void)
{
	return open_named("/sys/class/input", "device/name", "Power Button", "/dev/input", O_RDONLY);
}
