/* Addresses of interfaces, and the server that answers each connection. */
#ifndef PAYLOAD_NETWORK_H
#define PAYLOAD_NETWORK_H

#include <netinet/in.h>
#include <stdint.h>

#define PORT 7000

/* Brings up the loopback interface and, if there is one, the first network card of a machine. */
void configure_guest_network(void);

/* Gives an interface an address and brings it up; `route` is a host and its gateway, or NULL. */
int assign_address(const char *interface, const char *address, const char *mask, char **route);

/* Returns a listening socket on all addresses, or -1. */
int listen_on(uint16_t port);

/* Accepts a connection, answers "pong" and closes it. */
void answer(int sock);

/* Sends datagrams to the discard port of an address, where no program listens, for some seconds. One
 * that finds no buffer is dropped. */
int flood(const char *address, long seconds);

/* Returns the socket address of an IPv4 address, or exits with 1. */
struct sockaddr_in ipv4_address(const char *address, uint16_t port);

#endif
