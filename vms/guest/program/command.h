/* Commands that the agent runs: their environment, their output, their time. */
#ifndef PAYLOAD_COMMAND_H
#define PAYLOAD_COMMAND_H

#include <stdint.h>

#define OUTPUT_LIMIT (4u << 20)

/* The first word of a request that sets its command's environment. */
#define WITHIN "@within"

struct buffer {
	char *data;
	uint32_t length;
};

/* Returns the exit code of a status of waitpid(2), 128 + n after signal n. */
uint32_t exit_code(int status);

/* Executes a command in this process, a new one, with these streams. If that fails, the reason is
 * written to the third stream, and a byte to `failures` unless that is -1. */
_Noreturn void execute(char **argv, const int streams[3], int failures);

/* Runs a command and returns its exit code. `out` and `err` have room for OUTPUT_LIMIT bytes each;
 * more output is discarded. `asker` is the descriptor of a client whose hang-up kills the command and
 * ends this process, or -1 for a client that may come back.
 *
 * If the processes that outlive the command are to end, the command's time ends when the command
 * itself ends; else when its output is closed by all processes. Beside an image's application, only
 * those of the command's session end. */
uint32_t run(char **argv, const struct buffer *in, struct buffer *out, struct buffer *err,
             uint64_t *elapsed_ns, int asker);

#endif
