#define _GNU_SOURCE
#include "files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io.h"

int read_part(const char *path, off_t offset, size_t length)
{
	char block[65536];
	int file = open(path, O_RDONLY | O_CLOEXEC);

	while (file >= 0 && length > 0) {
		ssize_t n = pread(file, block, length < sizeof block ? length : sizeof block, offset);
		if (n == 0)
			return 0;
		if (n < 0 || write_all(1, block, (size_t)n) < 0)
			fail(path);
		offset += n;
		length -= (size_t)n;
	}
	if (file < 0)
		fail(path);
	return 0;
}

int write_part(const char *path, off_t offset)
{
	char block[65536];
	int file = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (offset ? 0 : O_TRUNC), 0600);
	ssize_t n;

	if (file < 0 || lseek(file, offset, SEEK_SET) < 0)
		fail(path);
	while ((n = read(0, block, sizeof block)) > 0)
		if (write_all(file, block, (size_t)n) < 0)
			fail(path);
	if (n < 0 || close(file) < 0)
		fail(path);
	return 0;
}

int place(const char *from, const char *to, const char *mode)
{
	if (chmod(from, (mode_t)strtoul(mode, NULL, 8)) < 0 || rename(from, to) < 0) {
		int reason = errno;
		unlink(from);
		errno = reason;
		fail(to);
	}
	return 0;
}
