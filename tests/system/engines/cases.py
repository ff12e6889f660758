"""Everyday commands of podman and docker, whose results over two OCI runtimes are compared.

NAME stands for a container's name, SHARED for a directory of the host.
"""

from __future__ import annotations

from dataclasses import dataclass

from tests.system.engines.engine import IMAGE


@dataclass(frozen=True, slots=True)
class Step:
    """One command; with `terminal` it has a terminal, whose output is compared."""

    words: tuple[str, ...]
    stdin: str = ""
    terminal: bool = False


def run(*words: str, stdin: str = "", terminal: bool = False) -> tuple[Step, ...]:
    """Return a case of one container: its options, and after `--` its command."""
    place = words.index("--")
    options = ("run", "--rm", "--name=NAME", *words[:place], IMAGE, *words[place + 1 :])
    return (Step(options, stdin, terminal),)


def shell(script: str, *options: str) -> tuple[Step, ...]:
    """Return a case of one container that runs a shell script."""
    return run(*options, "--", "sh", "-c", script)


def life(*commands: str, script: str = "exec sleep 60", options: str = "") -> tuple[Step, ...]:
    """Return a case of a container in the background, followed by commands on it."""
    begin = ("run", "--detach", "--name=NAME", *options.split(), IMAGE, "sh", "-c", script)
    return (Step(begin), *(Step(tuple(each.split())) for each in commands))


STATUS = "grep -E '^(Cap|Seccomp:|NoNewPrivs|Groups)' /proc/self/status"
TRAP = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
STATE = "container inspect --format={{.State.Status}}:{{.State.ExitCode}} NAME"

CASES: dict[str, tuple[Step, ...]] = {
    # Exit codes.
    "true": run("--", "true"),
    "exit code": shell("echo out; echo error >&2; exit 7"),
    "signal": shell("kill -9 $$"),
    "program not found": run("--", "nonesuch"),
    "path not found": run("--", "/no/such/program"),
    "not executable": run("--", "/etc/passwd"),
    "a directory as program": run("--", "/etc"),
    # Streams.
    "stdin": run("--interactive", "--", "cat", stdin="handed in"),
    "stdout by its name": shell("echo out >/dev/stdout; echo error >/dev/stderr"),
    "a user's stdout by its name": shell(
        "echo out >/dev/stdout; echo error >/dev/stderr", "--user=1000:1000"
    ),
    "a user's stdin by its name": run(
        "--interactive", "--user=1000", "--", "cat", "/dev/stdin", stdin="handed in"
    ),
    "terminal": run("-it", "--", "sh", "-c", "tty; test -t 0 && test -t 2", terminal=True),
    "a user's terminal": run(
        "-it", "--user=1000", "--", "sh", "-c", "echo out >/dev/tty; stat -c %u:%a $(tty)",
        terminal=True,
    ),
    "descriptors": shell("ls /proc/self/fd"),
    # Users, groups and capabilities.
    "user by number": shell("id", "--user=1234:2345"),
    "user by name": shell("id; echo $HOME", "--user=daemon"),
    "no such user": shell("id", "--user=nonesuch"),
    "groups": shell("id -G", "--user=1:2", "--group-add=77", "--group-add=daemon"),
    "capabilities": shell(STATUS),
    "capabilities added": shell(STATUS, "--cap-add=SYS_TIME", "--cap-drop=CHOWN"),
    "capabilities dropped": shell(STATUS, "--cap-drop=ALL"),
    "no such capability": shell(STATUS, "--cap-add=NONESUCH"),
    "all capabilities": shell(STATUS, "--cap-add=ALL"),
    "no new privileges": shell(STATUS, "--security-opt=no-new-privileges"),
    "privileged": shell(f"{STATUS}; test -w /proc/sys/kernel/msgmax", "--privileged"),
    # Environment, working directory, devices.
    "environment": shell("env", "--env=A=b c", "--env=PATH=/bin:/usr/bin", "--env=A=d",
                         "--hostname=named"),
    "an empty home": shell("echo $HOME", "--env=HOME="),
    "working directory": shell("pwd", "--workdir=/made/new"),
    "hostname": shell("uname -n; hostname", "--hostname=named"),
    "entry point": run("--entrypoint=echo", "--", "one", "two"),
    "init": shell("readlink /proc/1/exe; exit 4", "--init"),
    "devices": shell("ls -l /dev | grep -o '^.*root.*root'; ls /dev"),
    "device added": shell("stat -c%t:%T:%a /dev/given", "--device=/dev/fuse:/dev/given"),
    "device to read": shell("head -c1 /dev/given; echo >/dev/given",
                            "--device=/dev/zero:/dev/given:r"),
    "hidden paths": shell("cat /proc/kcore /proc/keys; ls /proc/acpi; echo 1 >/proc/sysrq-trigger"),
    "umask and limits": shell("umask; ulimit -n; ulimit -c", "--ulimit=core=0:0"),
    "limit on files": shell("ulimit -Sn; ulimit -Hn", "--ulimit=nofile=100:200"),
    "OOM score adjustment": shell("cat /proc/self/oom_score_adj", "--oom-score-adj=500"),
    # File systems.
    "read-only": shell("touch /no; touch /tmp/no; touch /dev/shm/yes", "--read-only"),
    "read-only with tmpfs": shell("touch /t/yes; touch /no", "--read-only", "--tmpfs=/t"),
    "tmpfs": shell("grep -o ' /t tmpfs' /proc/mounts; stat -c%a /t",
                   "--tmpfs=/t:size=1m,mode=1770"),
    "shared memory": shell("grep -o ' /dev/shm .*size=[0-9]*k' /proc/mounts", "--shm-size=1m"),
    "volume": shell("cat /v/given; touch /v/new; stat -c%a /v", "--volume=SHARED:/v"),
    "volume read-only": shell("cat /v/given; touch /v/no", "--volume=SHARED:/v:ro"),
    "volume of a file": shell("cat /etc/given", "--volume=SHARED/given:/etc/given"),
    "volume at /var/run": shell("cat /var/run/given; readlink /var/run",
                                "--volume=SHARED:/var/run"),
    "volume in a volume": shell("cat /v/in/given; ls /v", "--volume=SHARED:/v",
                                "--tmpfs=/v/in/deep", "--volume=SHARED:/v/in"),
    "volume filled from the image": shell("grep -c . /etc/passwd", "--volume=NAME:/etc"),
    "mount of type bind": shell("cat /v/given; touch /v/no",
                                "--mount=type=bind,src=SHARED,dst=/v,readonly"),
    "a source that is not there": shell("true", "--mount=type=bind,src=SHARED/none,dst=/v"),
    # Limits.
    "memory": shell("cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max",
                    "--memory=64m"),
    "processors": shell("cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu.max",
                        "--cpus=0.5"),
    "processor of a set": shell("nproc", "--cpuset-cpus=0"),
    "processes": shell("cat /sys/fs/cgroup/pids/pids.max /sys/fs/cgroup/pids.max",
                       "--pids-limit=33"),
    "too little memory": run("--memory=8m", "--memory-swap=8m", "--", "dd", "if=/dev/zero",
                             "of=/dev/null", "bs=64M", "count=1"),
    # Namespaces.
    "no network": shell("ls /sys/class/net", "--network=none"),
    "the host's network": shell("ls /sys/class/net", "--network=host"),
    "the host's processes": shell("readlink /proc/1/ns/pid | head -c3", "--pid=host"),
    "sysctl": shell("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax",
                    "--sysctl=net.ipv4.ip_forward=1", "--sysctl=kernel.msgmax=9000"),
    "a sysctl of the host's": shell("true", "--sysctl=kernel.panic=1"),
    # Verbs.
    "create, start, wait, logs": (
        Step(("create", "--name=NAME", IMAGE, "sh", "-c", "echo said; exit 3")),
        Step(tuple(STATE.split())), Step(("start", "NAME")), Step(("wait", "NAME")),
        Step(("logs", "NAME")), Step(tuple(STATE.split())), Step(("start", "--attach", "NAME")),
        Step(("rm", "NAME")), Step(("rm", "NAME")),
    ),
    "exec": life(
        "exec NAME id", "exec --user=1:2 NAME id",
        "exec --workdir=/usr NAME readlink /proc/self/cwd",
        "exec --env=A=b NAME env", "exec NAME false", "exec NAME nonesuch", "exec NAME /etc/passwd",
        "exec --detach NAME touch /made",
        "exec --workdir=/none NAME true", "exec NAME sh -c exit", "exec --user=nonesuch NAME true",
    ),
    "exec with all capabilities": life("exec --privileged NAME grep CapEff /proc/self/status"),
    "exec with streams": (
        *life(), Step(("exec", "--interactive", "NAME", "cat"), "handed in"),
        Step(("exec", "-it", "NAME", "tty"), terminal=True),
        Step(("exec", "--user=1", "NAME", "sh", "-c", "echo out >/dev/stdout")),
    ),
    "exec in a stopped container": life("wait NAME", "exec NAME true", script="exit 0"),
    "stop": life("logs NAME", "stop NAME", STATE, "logs NAME", "stop NAME", script=TRAP),
    "stop a program that ignores its signal": life("stop --time=0 NAME", STATE),
    "stop by a signal": life("stop NAME", STATE, options="--stop-signal=USR1",
                             script=TRAP.replace("TERM", "USR1")),
    "kill": life("kill NAME", "wait NAME", STATE, "kill NAME"),
    "kill by a signal": life("kill --signal=USR1 NAME", "wait NAME",
                             script=TRAP.replace("TERM", "USR1")),
    "kill by an unknown signal": life("kill --signal=NONESUCH NAME", STATE),
    "pause": life("pause NAME", STATE, "exec NAME true", "unpause NAME", STATE, "unpause NAME"),
    "kill a paused container": life("pause NAME", "kill NAME", "wait NAME", STATE),
    "remove a paused container": life("pause NAME", "rm --force NAME", "container inspect NAME"),
    "restart": life("restart --time=0 NAME", STATE, "exec NAME true"),
    "logs": life("wait NAME", "logs NAME", "logs --tail=1 NAME", script="echo one; echo two"),
    "top": life("exec NAME true", "top NAME"),  # by then the first process has called exec
    "statistics": life("stats --no-stream --format={{.Name}} NAME"),
    "inspect": life("container inspect --format={{.Config.WorkingDir}}:{{.State.Running}} NAME",
                    options="--workdir=/usr"),
    "copy": life("cp NAME:/etc/passwd SHARED/NAME", "cp SHARED/given NAME:/taken",
                 "exec NAME cat /taken", "cp NAME:/none SHARED/none"),
    "differences": life("exec NAME touch /made", "diff NAME"),
    "commit": life("exec NAME touch /made", "commit NAME NAME", "run --rm NAME ls /made"),
    "rename": life("rename NAME NAME-new", "exec NAME-new true", "rename NAME-new NAME"),
    "ports": life("port NAME", options="--publish=127.0.0.1::7000"),
    "attach": life("attach --no-stdin NAME", script="sleep 0.5; echo said; exit 6"),
    "update": life("update --memory=96m --memory-swap=96m NAME", options="--memory=64m"),
}  # fmt: skip
