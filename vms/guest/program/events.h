/* Events: lines "NAME NANOSECONDS" that report how far the start has got. */
#ifndef PAYLOAD_EVENTS_H
#define PAYLOAD_EVENTS_H

#include <stddef.h>
#include <stdint.h>

/* The FIFO by which other processes of a machine hand events to the agent. */
#define EVENT_FIFO "/run/tonnage-events"

void write_event(int fd, const char *name, uint64_t ns);

/* Sends lines to the events port, and keeps them for clients that connect later. */
void send_events(int port, const char *lines, size_t length);

/* Answers a request on the events port: sends the kept lines again. */
void repeat_events(int port);

#endif
