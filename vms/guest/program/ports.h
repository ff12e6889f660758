/* Ports of a machine that lead to its host. */
#ifndef PAYLOAD_PORTS_H
#define PAYLOAD_PORTS_H

/* The host's vsock ports. */
#define EVENTS_PORT 7001
#define AGENT_PORT 7002

/* Waits up to 10 s for the virtio ports and their names, which the kernel learns from the host while
 * this process runs already. */
void await_virtio_ports(void);

/* Opens the virtio port of that name; else the serial line, if it is not NULL; else a connection to
 * the host's vsock port. Returns -1 if there is none. QEMU has virtio ports, user-mode-linux serial
 * lines, other VMMs vsock. */
int open_port(const char *virtio, const char *line, unsigned int vsock);

/* Opens the machine's power button, or returns -1. */
int open_power_button(void);

#endif
