/* Time, errors, and reads and writes of a whole buffer. */
#ifndef PAYLOAD_IO_H
#define PAYLOAD_IO_H

#include <stddef.h>
#include <stdint.h>

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t now_ns(void);

/* Prints "payload: SUBJECT: REASON" by errno, and exits with 1. */
_Noreturn void fail(const char *subject);

/* Both return 0, or -1 at the end of the stream or after an error; descriptors may be non-blocking. */
int write_all(int fd, const void *data, size_t length);
int read_all(int fd, void *data, size_t length);

/* Ends the machine: `action` is "poweroff" or "reboot". Does not return. */
int end_machine(const char *action);

#endif
