/* The agent: serves requests to run commands, in frames.
 *
 * Big-endian. Request: u32 length, argv separated by NULs; if the highest bit of the length is set,
 * u32 length and stdin follow. Reply: u32 exit code, u64 nanoseconds, u32 length and stdout, u32
 * length and stderr.
 */
#ifndef PAYLOAD_AGENT_H
#define PAYLOAD_AGENT_H

#include <stdbool.h>

/* Lets SIGIO interrupt `serve` when the other end of a virtio port opens or closes. The signal is
 * blocked except while `serve` waits, so that none is lost. */
void watch_port(int port);

/* Answers connections, runs commands and forwards events, without end. Outside of a machine it
 * exits when the client closes the agent's descriptor. Descriptors that do not exist are -1. */
void serve(int events, int agent_in, int agent_out, int fifo, int button, bool is_machine);

/* Serves in a process or container: events and replies on stdout, requests on stdin. `words` describe
 * the command of an image, which is started first; NULL if there is none. */
void serve_here(const char *root, char **words);

#endif
