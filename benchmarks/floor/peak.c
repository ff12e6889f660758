/*
 * peak: measure the peak memory of a command's largest process.
 *
 *   peak PROGRAM [ARGUMENT …]
 *
 * It prints "peak KIBIBYTES" on standard error. A process inherits ru_maxrss from its parent at fork and
 * keeps it over exec: measured from a Python process, any command would appear at least as large as
 * Python. So the command is forked from this minimal process. (getrusage(2))
 */
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct rusage usage;
	int status;

	if (argc < 2)
		return 2;
	pid_t pid = fork();
	if (pid == 0) {
		execv(argv[1], argv + 1);
		_exit(127);
	}
	if (pid < 0 || wait4(pid, &status, 0, &usage) < 0)
		return 1;
	dprintf(2, "peak %ld\n", usage.ru_maxrss);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
