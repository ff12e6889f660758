/* Roles that read and write files in pieces. They return 0, or exit with 1 after an error. */
#ifndef PAYLOAD_FILES_H
#define PAYLOAD_FILES_H

#include <stddef.h>
#include <sys/types.h>

/* Writes a part of a file to stdout. */
int read_part(const char *path, off_t offset, size_t length);

/* Writes stdin into a file from the offset on; at offset 0 the file is created or truncated. */
int write_part(const char *path, off_t offset);

/* Gives a file its mode (octal) and its name; removes the file if that fails. */
int place(const char *from, const char *to, const char *mode);

#endif
