/*
 * floor: start the container of benchmarks/containers/bundle.py with the kernel's cost alone.
 *
 *   floor ROOTFS IDENTITY STATE FILTER
 *
 * It makes the system calls that our runtime makes in process for that configuration, on a host with
 * cgroup v1 (hybrid or not). Everything is known beforehand: it reads no configuration, checks nothing
 * and looks nothing up. FILTER holds the seccomp filter as an array of struct sock_filter; the
 * container's state is written below STATE. The child is forked; a Python process has to start it in
 * another way, whose cost is not in the floor. The floor need not keep the child off its own CPU
 * (runtime/launcher/cpu_placement.py), since it waits while the child works.
 *
 * It prints "request NANOSECONDS", its clock after it has read the filter; the payload prints
 * "first-instruction NANOSECONDS".
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/mount.h>
#include <linux/openat2.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <grp.h>

#define MNT_DETACH 2
#define STRICT (MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define KEYCTL_JOIN_SESSION_KEYRING 1

int mount(const char *, const char *, const char *, unsigned long, const void *);
int umount2(const char *, int);

static const char *hierarchies[] = {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer",
				    "blkio", "pids", "systemd"};
static const char *device_rules[] = {"c *:* m", "b *:* m", "c 1:3 rwm", "c 1:5 rwm", "c 1:7 rwm",
				     "c 1:8 rwm", "c 1:9 rwm", "c 5:0 rwm", "c 5:1 rwm", "c 5:2 rwm",
				     "c 136:* rwm", "c 10:200 rwm"};
static const char *masked_directories[] = {"/proc/acpi", "/proc/asound", "/proc/scsi",
					   "/sys/devices/virtual/powercap", "/sys/firmware"};
static const char *masked_files[] = {"/proc/interrupts", "/proc/kcore", "/proc/keys",
				     "/proc/latency_stats", "/proc/sched_debug",
				     "/proc/timer_list", "/proc/timer_stats"};
static const char *readonly_paths[] = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys",
				       "/proc/sysrq-trigger"};
static const struct {
	const char *path;
	int major, minor;
} devices[] = {{"/dev/null", 1, 3}, {"/dev/zero", 1, 5}, {"/dev/full", 1, 7},
	       {"/dev/random", 1, 8}, {"/dev/urandom", 1, 9}, {"/dev/tty", 5, 0}};
static const char *links[][2] = {{"/proc/self/fd", "/dev/fd"}, {"/proc/self/fd/0", "/dev/stdin"},
				 {"/proc/self/fd/1", "/dev/stdout"},
				 {"/proc/self/fd/2", "/dev/stderr"}, {"pts/ptmx", "/dev/ptmx"}};
static const int kept_capabilities[] = {CAP_AUDIT_WRITE, CAP_CHOWN, CAP_DAC_OVERRIDE, CAP_FOWNER,
					CAP_FSETID, CAP_KILL, CAP_NET_BIND_SERVICE, CAP_NET_RAW,
					CAP_SETFCAP, CAP_SETGID, CAP_SETPCAP, CAP_SETUID,
					CAP_SYS_CHROOT};

static char config_text[8000];

static void fail(const char *what)
{
	dprintf(2, "floor: %s: %s\n", what, strerror(errno));
	_exit(1);
}

static void check(long result, const char *what)
{
	if (result < 0)
		fail(what);
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	check(fd, path);
	check(write(fd, text, strlen(text)), path);
	close(fd);
}

static const char *in_cgroup(const char *hierarchy, const char *identity, const char *file)
{
	static char path[512];
	snprintf(path, sizeof path, "/sys/fs/cgroup/%s/%s/%s", hierarchy, identity, file);
	return path;
}

static void keep(const char *state, const char *name, const char *text, size_t length)
{
	char aside[512], path[512];
	snprintf(aside, sizeof aside, "%s/.%s", state, name);
	snprintf(path, sizeof path, "%s/%s", state, name);
	int fd = open(aside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	check(fd, aside);
	check(write(fd, text, length), aside);
	close(fd);
	check(rename(aside, path), path);
}

static void copy_value(const char *file, const char *identity)
{
	char value[256], path[256];
	snprintf(path, sizeof path, "/sys/fs/cgroup/cpuset/%s", file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	check(fd, path);
	ssize_t n = read(fd, value, sizeof value - 1);
	close(fd);
	check(n, path);
	value[n] = 0;
	put(in_cgroup("cpuset", identity, file), value);
}

/* Make the cgroups and their limits; `tasks` gets a descriptor of each for the child to join by. */
static void make_cgroups(const char *identity, int *tasks)
{
	for (size_t i = 0; i < COUNT(hierarchies); i++)
		check(mkdir(in_cgroup(hierarchies[i], identity, ""), 0755), hierarchies[i]);
	copy_value("cpuset.cpus", identity);
	copy_value("cpuset.mems", identity);
	put(in_cgroup("memory", identity, "memory.limit_in_bytes"), "1073741824");
	put(in_cgroup("cpu", identity, "cpu.cfs_period_us"), "100000");
	put(in_cgroup("cpu", identity, "cpu.cfs_quota_us"), "200000");
	put(in_cgroup("pids", identity, "pids.max"), "256");
	put(in_cgroup("devices", identity, "devices.deny"), "a");
	int fd = open(in_cgroup("devices", identity, "devices.allow"), O_WRONLY | O_CLOEXEC);
	for (size_t i = 0; i < COUNT(device_rules); i++)
		check(write(fd, device_rules[i], strlen(device_rules[i])), device_rules[i]);
	close(fd);
	for (size_t i = 0; i < COUNT(hierarchies); i++) {
		tasks[i] = open(in_cgroup(hierarchies[i], identity, "tasks"), O_WRONLY | O_CLOEXEC);
		check(tasks[i], "tasks");
	}
}

static void mount_at(const char *path, const char *kind, unsigned long flags, const char *options)
{
	mkdir(path, 0755);
	check(mount(kind, path, kind, flags, options), path);
}

/* Open the container's cgroups by open_tree, to be bound later, while the host is visible. */
static void open_cgroups(const char *identity, int *trees)
{
	for (size_t i = 0; i < COUNT(hierarchies); i++) {
		trees[i] = syscall(SYS_open_tree, AT_FDCWD, in_cgroup(hierarchies[i], identity, ""),
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
		check(trees[i], hierarchies[i]);
	}
}

static void mount_all(const int *cgroups)
{
	char path[64];
	mount_at("/proc", "proc", STRICT, NULL);
	mount_at("/dev", "tmpfs", MS_NOSUID | MS_STRICTATIME, "mode=755,size=65536k");
	mount_at("/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		 "newinstance,ptmxmode=0666,mode=0620");
	mount_at("/dev/shm", "tmpfs", STRICT, "mode=1777,size=65536k");
	mount_at("/dev/mqueue", "mqueue", STRICT, NULL);
	mount_at("/sys", "sysfs", STRICT | MS_RDONLY, NULL);
	mount_at("/sys/fs/cgroup", "tmpfs", STRICT | MS_RELATIME, "mode=755");
	struct mount_attr strict = {.attr_set = MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID |
						MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC};
	for (size_t i = 0; i < COUNT(hierarchies); i++) {
		snprintf(path, sizeof path, "/sys/fs/cgroup/%s", hierarchies[i]);
		mkdir(path, 0755);
		check(syscall(SYS_move_mount, cgroups[i], "", AT_FDCWD, path,
			      MOVE_MOUNT_F_EMPTY_PATH), path);
		check(syscall(SYS_mount_setattr, AT_FDCWD, path, 0, &strict, sizeof strict), path);
	}
	for (size_t i = 0; i < COUNT(devices); i++)
		check(mknod(devices[i].path, S_IFCHR | 0666,
			    makedev(devices[i].major, devices[i].minor)), devices[i].path);
	for (size_t i = 0; i < COUNT(links); i++)
		check(symlink(links[i][0], links[i][1]), links[i][1]);
}

static void hide(int null)
{
	for (size_t i = 0; i < COUNT(masked_directories); i++)
		if (mount("tmpfs", masked_directories[i], "tmpfs", STRICT | MS_RDONLY,
			  "size=0k,nr_inodes=1") < 0 && errno != ENOENT)
			fail(masked_directories[i]);
	for (size_t i = 0; i < COUNT(masked_files); i++) {
		if (access(masked_files[i], F_OK) < 0)
			continue;
		int tree = syscall(SYS_open_tree, null, "", AT_EMPTY_PATH | OPEN_TREE_CLONE |
				   OPEN_TREE_CLOEXEC);
		check(tree, "open /dev/null");
		check(syscall(SYS_move_mount, tree, "", AT_FDCWD, masked_files[i],
			      MOVE_MOUNT_F_EMPTY_PATH), masked_files[i]);
	}
	struct mount_attr readonly = {.attr_set = MOUNT_ATTR_RDONLY};
	for (size_t i = 0; i < COUNT(readonly_paths); i++) {
		int tree = syscall(SYS_open_tree, AT_FDCWD, readonly_paths[i],
				   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_SYMLINK_NOFOLLOW |
				   AT_RECURSIVE);
		if (tree < 0 && errno == ENOENT)
			continue;
		check(tree, readonly_paths[i]);
		check(syscall(SYS_mount_setattr, tree, "", AT_EMPTY_PATH | AT_RECURSIVE,
			      &readonly, sizeof readonly), readonly_paths[i]);
		check(syscall(SYS_move_mount, tree, "", AT_FDCWD, readonly_paths[i],
			      MOVE_MOUNT_F_EMPTY_PATH), readonly_paths[i]);
	}
	check(mount(NULL, "/sys/fs/cgroup", NULL,
		    STRICT | MS_RDONLY | MS_REMOUNT | MS_RELATIME, "mode=755"), "remount cgroup");
}

/* Make an empty mount namespace, which the runtime has from a process's second container on. */
static int make_bare(void)
{
	int host = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	check(host, "the host's mount namespace");
	check(unshare(CLONE_NEWNS), "unshare");
	int bare = open("/proc/self/ns/mnt", O_RDONLY | O_CLOEXEC);
	check(bare, "the bare mount namespace");
	check(mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL), "make / private");
	check(mount("tmpfs", "/proc", "tmpfs", STRICT | MS_RDONLY, "mode=0,size=4k,nr_inodes=1"), "tmpfs");
	check(chdir("/proc"), "chdir");
	check(syscall(SYS_pivot_root, ".", "."), "pivot_root");
	check(umount2(".", MNT_DETACH), "umount");
	check(setns(host, CLONE_NEWNS), "setns");
	close(host);
	return bare;
}

static void enter_root(const char *rootfs, const char *identity, int bare)
{
	int cgroups[COUNT(hierarchies)];

	check(mount(NULL, "/", NULL, MS_REC | MS_SLAVE, NULL), "make / a slave");
	int tree = syscall(SYS_open_tree, AT_FDCWD, rootfs,
			   OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_RECURSIVE);
	check(tree, rootfs);
	check(syscall(SYS_move_mount, tree, "", AT_FDCWD, rootfs, MOVE_MOUNT_F_EMPTY_PATH), rootfs);
	open_cgroups(identity, cgroups);
	int null = syscall(SYS_open_tree, AT_FDCWD, "/dev/null", OPEN_TREE_CLONE |
			   OPEN_TREE_CLOEXEC);
	check(chdir(rootfs), rootfs);
	check(chroot("."), "chroot");
	umask(0);
	mount_all(cgroups);
	hide(null);
	tree = syscall(SYS_open_tree, AT_FDCWD, "/", OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
		       AT_RECURSIVE);
	check(tree, "open the root");
	check(setns(bare, CLONE_NEWNS), "setns");
	check(unshare(CLONE_NEWNS), "unshare");
	check(syscall(SYS_move_mount, tree, "", AT_FDCWD, "/", MOVE_MOUNT_F_EMPTY_PATH), "move the root");
	check(fchdir(tree), "fchdir");
	check(chroot("."), "chroot");
}

static void drop_privileges(const struct sock_fprog *filter)
{
	uint64_t kept = 0;
	for (size_t i = 0; i < COUNT(kept_capabilities); i++)
		kept |= 1ull << kept_capabilities[i];
	check(syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_SPEC_ALLOW, filter),
	      "seccomp");
	for (int i = 0; i <= CAP_CHECKPOINT_RESTORE; i++)
		if (!(kept >> i & 1))
			check(prctl(PR_CAPBSET_DROP, i), "bounding set");
	check(prctl(PR_SET_KEEPCAPS, 1), "keepcaps");
	check(setgroups(0, NULL), "setgroups");
	check(setresgid(0, 0, 0), "setresgid");
	check(setresuid(0, 0, 0), "setresuid");
	check(prctl(PR_SET_KEEPCAPS, 0), "keepcaps");
	umask(022);
	struct __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
	struct __user_cap_data_struct data[2] = {
		{.effective = (uint32_t)kept, .permitted = (uint32_t)kept},
		{.effective = (uint32_t)(kept >> 32), .permitted = (uint32_t)(kept >> 32)},
	};
	check(syscall(SYS_capset, &header, data), "capset");
	check(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0), "ambient");
}

static void become(const char *rootfs, const char *identity, const int *tasks, int report,
		   int bare, const struct sock_fprog *filter)
{
	static char *const argv[] = {"/usr/lib/tonnage/payload", "hello", NULL};
	static char *const envp[] = {
		"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", NULL};

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	prctl(PR_SET_DUMPABLE, 0);
	setsid();
	for (size_t i = 0; i < COUNT(hierarchies); i++)
		check(write(tasks[i], "0", 1), "join");
	check(unshare(CLONE_NEWCGROUP), "cgroup namespace");
	check(syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, identity), "keyring");
	check(sethostname("tonnage", 7), "hostname");
	int sock = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq up = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	check(ioctl(sock, SIOCSIFFLAGS, &up), "loopback");
	enter_root(rootfs, identity, bare);
	check(syscall(SYS_close_range, 3, ~0u, 4 /* CLOSE_RANGE_CLOEXEC */), "close_range");
	check(write(report, "\377", 1), "report");
	prctl(PR_SET_PDEATHSIG, 0);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGXFSZ, SIG_DFL);
	drop_privileges(filter);
	execve(argv[0], argv, envp);
	fail("exec");
}

int main(int argc, char **argv)
{
	static struct sock_filter instructions[BPF_MAXINSNS];
	int tasks[COUNT(hierarchies)], report[2], pidfd, status;
	char state[512], word;

	if (argc != 5) {
		dprintf(2, "usage: floor ROOTFS IDENTITY STATE FILTER\n");
		return 2;
	}
	int fd = open(argv[4], O_RDONLY | O_CLOEXEC);
	check(fd, argv[4]);
	ssize_t length = read(fd, instructions, sizeof instructions);
	check(length, argv[4]);
	close(fd);
	struct sock_fprog filter = {(unsigned short)(length / sizeof instructions[0]), instructions};
	int bare = make_bare();
	memset(config_text, ' ', sizeof config_text);

	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	snprintf(state, sizeof state, "%s/%s", argv[3], argv[2]);
	check(mkdir(state, 0711), state);
	keep(state, "config.json", config_text, sizeof config_text);
	make_cgroups(argv[2], tasks);
	check(pipe2(report, O_CLOEXEC), "pipe");
	struct clone_args arguments = {
		.flags = CLONE_PIDFD | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWPID |
			 CLONE_NEWNET,
		.pidfd = (uintptr_t)&pidfd,
		.exit_signal = SIGCHLD,
	};
	pid_t pid = syscall(SYS_clone3, &arguments, sizeof arguments);
	check(pid, "clone3");
	if (pid == 0)
		become(argv[1], argv[2], tasks, report[1], bare, &filter);
	close(report[1]);
	keep(state, "state.json", config_text, 800);
	for (size_t i = 0; i < COUNT(hierarchies); i++)
		close(tasks[i]);
	check(read(report[0], &word, 1), "report");
	if (read(report[0], &word, 1) != 0)
		fail("start");
	check(waitpid(pid, &status, 0), "waitpid");
	printf("request %lld\n", (long long)now.tv_sec * 1000000000 + now.tv_nsec);
	for (size_t i = 0; i < COUNT(hierarchies); i++)
		while (rmdir(in_cgroup(hierarchies[i], argv[2], "")) < 0 && errno == EBUSY)
			usleep(1000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
