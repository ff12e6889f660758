/* Roles for instances whose image may have no programs: work of a victim, noise of a neighbour, and the
 * use of everything that limits allow. They return an exit code. */
#ifndef PAYLOAD_NOISE_H
#define PAYLOAD_NOISE_H

/* Computes `count` steps in each of some processes, and waits for them. */
int compute(long count, long processes);

/* Reads `count` random blocks of a new file past the page cache; prints the seconds that it took. */
int read_disk(long count);

/* Starts processes that make noise for some seconds, and returns at once. The kinds are cpu, memory,
 * forks, disk, network (datagrams to an address) and sleep. */
int make_noise(const char *kind, long processes, unsigned int seconds, const char *address);

/* Prints how many other processes have an argument that equals the word. */
int count_seen(const char *word);

/* Keeps some processes busy for some seconds; prints the CPU time that they got, in seconds. */
int burn(long processes, long seconds);

/* Fills more and more memory until that fails; prints each number of MiB that succeeded. */
int fill_memory(void);

/* Starts processes until that fails; prints the number of each. */
int fill_processes(void);

#endif
