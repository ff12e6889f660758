#define _GNU_SOURCE
#include "network.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "io.h"

/* The addresses of QEMU's user-mode network. */
#define GUEST_ADDRESS "10.0.2.15"
#define GUEST_GATEWAY "10.0.2.2"

#define DISCARD_PORT 9
#define DATAGRAM_BYTES 1400

static int set_address(int sock, const char *interface, const char *address, const char *mask)
{
	struct ifreq request = {0};
	struct sockaddr_in *in = (struct sockaddr_in *)&request.ifr_addr;

	strncpy(request.ifr_name, interface, IFNAMSIZ - 1);
	in->sin_family = AF_INET;
	inet_pton(AF_INET, address, &in->sin_addr);
	if (ioctl(sock, SIOCSIFADDR, &request) < 0)
		return -1; /* no such interface: the machine has no network card */
	inet_pton(AF_INET, mask, &in->sin_addr);
	ioctl(sock, SIOCSIFNETMASK, &request);
	ioctl(sock, SIOCGIFFLAGS, &request);
	request.ifr_flags |= IFF_UP | IFF_RUNNING;
	return ioctl(sock, SIOCSIFFLAGS, &request);
}

/* Adds a route by a gateway to one host, or the default route if `host` is NULL. */
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

void configure_guest_network(void)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		return;
	set_address(sock, "lo", "127.0.0.1", "255.0.0.0");
	set_address(sock, "eth0", GUEST_ADDRESS, "255.255.255.0");
	add_route(sock, NULL, GUEST_GATEWAY);
	close(sock);
}

int assign_address(const char *interface, const char *address, const char *mask, char **route)
{
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0 || set_address(sock, interface, address, mask) < 0)
		fail(interface);
	if (route && add_route(sock, route[0], route[1]) < 0)
		fail(route[0]);
	return 0;
}

int listen_on(uint16_t port)
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

void answer(int sock)
{
	int peer = accept4(sock, NULL, NULL, SOCK_CLOEXEC);
	if (peer < 0)
		return;
	write_all(peer, "pong\n", 5);
	close(peer);
}

struct sockaddr_in ipv4_address(const char *address, uint16_t port)
{
	struct sockaddr_in result = {.sin_family = AF_INET, .sin_port = htons(port)};

	if (inet_pton(AF_INET, address, &result.sin_addr) != 1) {
		errno = EINVAL;
		fail(address);
	}
	return result;
}

int flood(const char *address, long seconds)
{
	static const char datagram[DATAGRAM_BYTES];
	struct sockaddr_in target = ipv4_address(address, DISCARD_PORT);
	uint64_t end = now_ns() + (uint64_t)seconds * 1000000000u;
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (sock < 0)
		fail(address);
	while (now_ns() < end)
		sendto(sock, datagram, sizeof datagram, 0, (struct sockaddr *)&target, sizeof target);
	return 0;
}
