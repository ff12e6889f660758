/* Commands that the agent runs: their environment, their output, their time. */
#ifndef PAYLOAD_COMMAND_H
#define PAYLOAD_COMMAND_H

#include <stdint.h>

#define OUTPUT_LIMIT (4u << 20)

struct buffer {
	char *data;
	uint32_t length;
};

/* Runs a command and returns its exit code, 128 + n after signal n. `out` and `err` have room for
 * OUTPUT_LIMIT bytes each; more output is discarded. `asker` is the descriptor of a client whose
 * hang-up kills the command and ends this process, or -1 for a client that may come back.
 *
 * If the processes that outlive the command are to end, the command's time ends when the command
 * itself ends; else when its output is closed by all processes. */
uint32_t run(char **argv, const struct buffer *in, struct buffer *out, struct buffer *err,
             uint64_t *elapsed_ns, int asker);

#endif
