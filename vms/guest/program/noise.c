#define _GNU_SOURCE
#include "noise.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io.h"
#include "network.h"

#define DISK_FILE "/tonnage-noise"
#define DISK_BYTES (64l << 20)
#define READ_BYTES 4096
#define WRITE_BYTES (256 << 10)
#define COPY_BYTES (32u << 20)
#define MOST_FORKS 1024
#define MOST_PROCESSES 200
#define MEMORY_STEP_MIB 16
#define MOST_MEMORY_MIB 512

static void compute_here(long count)
{
	uint64_t x = 88172645463325252u;

	for (long i = 0; i < count; i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
	}
	__asm__ volatile("" : : "r"(x)); /* keeps the compiler from leaving it out */
}

int compute(long count, long processes)
{
	int status, failed = 0;

	for (long i = 0; i < processes; i++) {
		pid_t child = fork();
		if (child < 0)
			fail("fork");
		if (child == 0) {
			compute_here(count);
			_exit(0);
		}
	}
	while (wait(&status) > 0)
		failed |= status != 0;
	return failed;
}

/* ---- the disk ---- */

/* Returns a new file without a name, which bypasses the page cache, and a block for it. */
static int open_disk(void **block, size_t length)
{
	int file = open(DISK_FILE, O_RDWR | O_CREAT | O_TRUNC | O_DIRECT | O_CLOEXEC, 0600);

	if (file < 0)
		fail(DISK_FILE);
	unlink(DISK_FILE);
	if (posix_memalign(block, READ_BYTES, length) != 0)
		fail("memory");
	memset(*block, 1, length);
	return file;
}

static off_t random_offset(size_t length)
{
	return (off_t)(random() % (DISK_BYTES / (long)length)) * (off_t)length;
}

int read_disk(long count)
{
	void *block;
	int file = open_disk(&block, WRITE_BYTES);
	uint64_t begin;

	for (off_t at = 0; at < DISK_BYTES; at += WRITE_BYTES)
		if (pwrite(file, block, WRITE_BYTES, at) != WRITE_BYTES)
			fail(DISK_FILE);
	if (fsync(file) < 0)
		fail(DISK_FILE);
	begin = now_ns();
	for (long i = 0; i < count; i++)
		if (pread(file, block, READ_BYTES, random_offset(READ_BYTES)) != READ_BYTES)
			fail(DISK_FILE);
	dprintf(1, "%.9f\n", (double)(now_ns() - begin) / 1e9);
	return 0;
}

/* ---- noise: each of these ends by SIGALRM ---- */

static void keep_busy(void)
{
	for (;;)
		compute_here(1 << 20);
}

static void copy_for_ever(void)
{
	char *from = malloc(COPY_BYTES), *to = malloc(COPY_BYTES);

	if (!from || !to)
		fail("malloc");
	memset(from, 1, COPY_BYTES);
	for (;;) {
		memcpy(to, from, COPY_BYTES);
		__asm__ volatile("" : : "r"(to) : "memory");
	}
}

static void fork_for_ever(unsigned int seconds)
{
	for (int i = 0; i < MOST_FORKS; i++) {
		pid_t child = fork();
		if (child < 0)
			break;
		if (child == 0) {
			alarm(seconds); /* an alarm is not inherited */
			pause();
			_exit(0);
		}
	}
	pause();
}

static void write_for_ever(void)
{
	void *block;
	int file = open_disk(&block, WRITE_BYTES);

	for (;;)
		if (pwrite(file, block, WRITE_BYTES, random_offset(WRITE_BYTES)) < 0)
			fail(DISK_FILE);
}

static void be_noisy(const char *kind, unsigned int seconds, const char *address)
{
	if (strcmp(kind, "cpu") == 0)
		keep_busy();
	else if (strcmp(kind, "memory") == 0)
		copy_for_ever();
	else if (strcmp(kind, "forks") == 0)
		fork_for_ever(seconds);
	else if (strcmp(kind, "disk") == 0)
		write_for_ever();
	else if (strcmp(kind, "network") == 0 && address)
		flood(address, (long)seconds + 1);
	else
		pause();
}

int make_noise(const char *kind, long processes, unsigned int seconds, const char *address)
{
	for (long i = 0; i < processes; i++) {
		pid_t child = fork();
		if (child < 0)
			fail("fork");
		if (child == 0) {
			int null = open("/dev/null", O_RDWR);
			for (int stream = 0; stream < 3; stream++)
				dup2(null, stream);
			setsid();
			alarm(seconds);
			be_noisy(kind, seconds, address);
			_exit(0);
		}
	}
	return 0;
}

/* ---- limits ---- */

static bool has_argument(const char *pid, const char *word)
{
	char path[300], line[4096];
	int file;
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%s/cmdline", pid);
	if ((file = open(path, O_RDONLY | O_CLOEXEC)) < 0)
		return false;
	n = read(file, line, sizeof line - 1);
	close(file);
	line[n > 0 ? n : 0] = 0;
	for (char *argument = line; argument < line + n; argument += strlen(argument) + 1)
		if (strcmp(argument, word) == 0)
			return true;
	return false;
}

int count_seen(const char *word)
{
	DIR *processes = opendir("/proc");
	struct dirent *entry;
	int count = 0;

	if (!processes)
		fail("/proc");
	while ((entry = readdir(processes)))
		if (entry->d_name[0] >= '1' && entry->d_name[0] <= '9' && atoi(entry->d_name) != getpid())
			count += has_argument(entry->d_name, word);
	closedir(processes);
	dprintf(1, "%d\n", count);
	return 0;
}

int burn(long processes, long seconds)
{
	uint64_t end = now_ns() + (uint64_t)seconds * 1000000000u;
	struct rusage used;

	for (long i = 0; i < processes; i++) {
		pid_t child = fork();
		if (child < 0)
			fail("fork");
		if (child == 0) {
			while (now_ns() < end)
				compute_here(1 << 16);
			_exit(0);
		}
	}
	while (wait(NULL) > 0)
		;
	getrusage(RUSAGE_CHILDREN, &used);
	dprintf(1, "%.6f\n", (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
	                         (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6);
	return 0;
}

int fill_memory(void)
{
	for (size_t mib = MEMORY_STEP_MIB; mib <= MOST_MEMORY_MIB; mib += MEMORY_STEP_MIB) {
		int status = 1;
		pid_t child = fork();
		if (child == 0) {
			char *memory = malloc(mib << 20);
			if (!memory)
				_exit(1);
			memset(memory, 1, mib << 20);
			__asm__ volatile("" : : "r"(memory) : "memory");
			_exit(0);
		}
		if (child < 0 || waitpid(child, &status, 0) < 0 || status != 0)
			break;
		dprintf(1, "%zu\n", mib);
	}
	return 0;
}

int fill_processes(void)
{
	pid_t children[MOST_PROCESSES];
	int count = 0;

	while (count < MOST_PROCESSES && (children[count] = fork()) >= 0) {
		if (children[count] == 0) {
			pause();
			_exit(0);
		}
		dprintf(1, "%d\n", ++count);
	}
	for (int i = 0; i < count; i++)
		kill(children[i], SIGKILL);
	while (wait(NULL) > 0)
		;
	return 0;
}
