/* The command of an image, which a container or a machine exists for. This process starts it, and
 * outlives it. */
#ifndef PAYLOAD_APPLICATION_H
#define PAYLOAD_APPLICATION_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "command.h"

/* The file on a machine's disk with the command: words that each end with a NUL, as in an agent's
 * request. */
#define APPLICATION_FILE "/.tonnage/application"

/* Returns the words of that file and a NULL; NULL if there is no such file. */
char **read_application(void);

/* Starts the command with its output on this process's stderr. Returns 0 once its program is
 * executed, else -1; the reason is then on stderr. */
int start_application(char **words);

/* True from a successful start on, also when the command has ended. */
bool has_application(void);

/* When the program of the command was executed, in nanoseconds. */
uint64_t application_started_ns(void);

/* Waits for a child like waitpid(2), and notes the end of the command. */
pid_t reap(int options);

/* Returns true if the command has ended; `code` is its exit code, 128 + n after signal n. */
bool application_ended(uint32_t *code);

/* Answers the agent's questions about the command; returns false for other requests.
 *
 *   @wait MILLISECONDS           waits until the command has ended
 *   @connect PORT MILLISECONDS   waits until a connection to the port of a loopback address succeeds
 *
 * The exit code is 0 for an open port and for a command that runs, 1 for a closed port, and 2 for a
 * command that has ended: its exit code is then on stdout. `asker` is as for `run`. */
bool answer_question(char **argv, uint32_t *code, struct buffer *out, int asker);

#endif
