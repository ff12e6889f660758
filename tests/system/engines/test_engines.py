"""podman and docker over our OCI runtime, which docker calls through containerd's shim."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path

import pytest

from lab.paths import PAYLOAD_IN_TREE
from tests.cgroup_tree import cgroups_named
from tests.system.engines.engine import IMAGE, Engine

pytestmark = pytest.mark.root

MIB = 1 << 20
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


def eventually(engine: Engine, *words: str, prints: str) -> None:
    """Wait until a verb prints the expected text."""
    deadline = time.monotonic() + 10
    while (output := engine(*words).stdout.strip()) != prints:
        assert time.monotonic() < deadline, output
        time.sleep(0.05)


def state(engine: Engine, name: str) -> str:
    return engine.output("container", "inspect", "--format={{.State.Status}}", name)


@pytest.mark.parametrize("code", [0, 7])
def test_run_prints_and_ends_as_its_program(engine: Engine, code: int) -> None:
    result = engine.run(IMAGE, "sh", "-c", f"echo out; echo error >&2; exit {code}")
    assert (result.returncode, result.stdout) == (code, "out\n")
    assert "error" in result.stderr


def test_a_program_that_is_not_there_is_127(engine: Engine) -> None:
    result = engine.run(IMAGE, "/no/such/program")
    assert result.returncode == 127
    assert "/no/such/program" in result.stderr


def test_a_program_that_cannot_be_executed_is_126(engine: Engine) -> None:
    assert engine.run(IMAGE, "/etc/passwd").returncode == 126


def test_a_container_killed_by_a_signal_has_its_exit_code(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.output("kill", "--signal=KILL", name)
        eventually(
            engine, "container", "inspect", "--format={{.State.Status}} {{.State.ExitCode}}", name,
            prints="exited 137",
        )  # fmt: skip


def test_stdin_reaches_the_program(engine: Engine) -> None:
    result = engine(*engine.run_words("--rm", "--interactive", IMAGE, "cat"), stdin="handed in")
    assert result.stdout == "handed in"


def test_create_start_wait_logs_rm(engine: Engine) -> None:
    words = engine.run_words(IMAGE, "sh", "-c", "echo said; exit 3")[1:]
    engine.output("create", "--name=steps", *words)
    try:
        assert state(engine, "steps") == "created"
        engine.output("start", "steps")
        assert engine.output("wait", "steps") == "3"
        assert engine.output("logs", "steps") == "said"
        assert engine.inspect("steps")["State"]["ExitCode"] == 3
    finally:
        engine.output("rm", "steps")
    assert "steps" not in engine.output("ps", "--all", "--format={{.Names}}")


def test_exec(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.output("exec", name, "touch", "/made")
        assert engine.output("exec", name, "ls", "/made") == "/made"
        result = engine("exec", "--env=A=b", "--workdir=/usr", "--user=1:2", name, "sh", "-c",
                      "echo $A $PWD $(id -u):$(id -g); exit 5")  # fmt: skip
        assert (result.returncode, result.stdout) == (5, "b /usr 1:2\n")
        assert engine("exec", name, "/no/such/program").returncode in {126, 127}
        result = engine("exec", "--interactive", name, "cat", stdin="handed in")
        assert result.stdout == "handed in"


def test_stop_sends_the_stop_signal(engine: Engine) -> None:
    trap = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with engine.container(IMAGE, "sh", "-c", trap) as name:
        eventually(engine, "logs", name, prints="ready")
        engine.output("stop", name)
        assert engine.inspect(name)["State"]["ExitCode"] == 9
        assert engine.output("logs", name).split() == ["ready", "told"]


def test_stop_kills_a_program_that_ignores_its_signal(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.output("stop", "--time=1", name)
        assert engine.inspect(name)["State"]["ExitCode"] == 137


def test_restart(engine: Engine) -> None:
    with engine.container(IMAGE, "sh", "-c", "echo began; exec sleep 60") as name:
        first = engine.inspect(name)["State"]["Pid"]
        engine.output("restart", "--time=0", name)
        assert state(engine, name) == "running"
        assert engine.inspect(name)["State"]["Pid"] != first
        eventually(engine, "logs", name, prints="began\nbegan")


def test_pause_and_unpause(engine: Engine) -> None:
    with engine.container(IMAGE, "sh", "-c", "while :; do echo .; sleep 0.02; done") as name:
        engine.output("pause", name)
        assert state(engine, name) == "paused"
        time.sleep(0.5)  # until the engine has written what it had read
        before = engine.output("logs", name)
        time.sleep(0.2)
        assert engine.output("logs", name) == before
        engine.output("unpause", name)
        assert state(engine, name) == "running"


def test_limits(engine: Engine) -> None:
    """Limits on memory, CPU and processes reach the container's cgroup."""
    limits = ("--memory=64m", "--cpus=0.5", "--pids-limit=33", "--cpu-shares=512")
    with engine.container(*limits, IMAGE, "sleep", "60") as name:
        assert read_limits(engine, name) == ["67108864", "50000", "100000", "33"]


def read_limits(engine: Engine, name: str) -> list[str]:
    """Return the limits on memory, CPU quota and period, and processes."""
    pid = engine.inspect(name)["State"]["Pid"]
    lines = subprocess.run(
        [*engine.enter, "cat", f"/proc/{pid}/cgroup"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    paths = {line.split(":")[1]: line.split(":", 2)[2] for line in lines}
    root = Path("/sys/fs/cgroup")
    if V2:
        directory = root / paths[""].lstrip("/")
        return [*(directory / "memory.max").read_text().split(),
                *(directory / "cpu.max").read_text().split(),
                *(directory / "pids.max").read_text().split()]  # fmt: skip
    return [
        (root / controller / paths[controller].lstrip("/") / file).read_text().strip()
        for controller, file in (("memory", "memory.limit_in_bytes"), ("cpu", "cpu.cfs_quota_us"),
                                 ("cpu", "cpu.cfs_period_us"), ("pids", "pids.max"))
    ]  # fmt: skip


def test_a_program_beyond_its_memory_limit_is_killed(engine: Engine) -> None:
    with engine.container(
        "--memory=16m", "--memory-swap=16m", IMAGE, "sh", "-c",
        "exec dd if=/dev/zero of=/dev/null bs=64M count=1",
    ) as name:  # fmt: skip
        assert engine.output("wait", name) == "137"


def test_update_changes_the_limits(engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("podman 4.3 updates on cgroup v2 alone")
    with engine.container("--memory=64m", IMAGE, "sleep", "60") as name:
        engine.output("update", "--memory=96m", "--memory-swap=96m", "--pids-limit=44", name)
        assert read_limits(engine, name)[0] == str(96 * MIB)


def test_top_and_stats(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        assert "sleep 60" in engine.output("top", name)
        assert name in engine.output("stats", "--no-stream", "--format={{.Name}}", name)


def test_a_terminal_is_attached(engine: Engine) -> None:
    """`run --tty`: the program's terminal has the size of ours."""
    primary, secondary = pty.openpty()
    os.set_inheritable(secondary, True)
    words = engine.run_words("--rm", "--interactive", "--tty", IMAGE, "sh", "-c",
                             "tty; read line; until stty size | grep -v '^0 0'; do sleep 0.05;"
                             " done; echo got $line")  # fmt: skip
    subprocess.run(["stty", "rows", "33", "cols", "101"], stdin=secondary, check=True)
    with subprocess.Popen(
        [*engine.command, *words], stdin=secondary, stdout=secondary, stderr=secondary,
        start_new_session=True,
    ) as process:  # fmt: skip
        os.close(secondary)
        output = read_until(primary, "/dev/")
        os.write(primary, b"hello\n")
        output += read_until(primary, "got hello")
        assert process.wait(20) == 0
    os.close(primary)
    assert "33 101" in output  # docker sets the size once the container has started


def read_until(terminal: int, text: str) -> str:
    """Read from a terminal until the text has arrived."""
    output, deadline = "", time.monotonic() + 20
    while text not in output:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], output
        output += os.read(terminal, 4096).decode()
    return output


def test_exec_with_a_terminal(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        primary, secondary = pty.openpty()
        with subprocess.Popen(
            [*engine.command, "exec", "--interactive", "--tty", name, "tty"],
            stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(secondary)
            assert "/dev/pts/" in read_until(primary, "/dev/pts/")
            assert process.wait(20) == 0
        os.close(primary)


def test_ports(engine: Engine) -> None:
    """`--publish`: a server in the container is reached through a port of the host."""
    with engine.container(
        "--interactive", "--publish=127.0.0.1:8123:7000", IMAGE,
        PAYLOAD_IN_TREE, "serve", "ports",
    ) as name:  # fmt: skip
        deadline = time.monotonic() + 10
        while "listening" not in engine.output("logs", name):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        client = subprocess.run(
            [*engine.enter, "bash", "-c",
             "exec 3<>/dev/tcp/127.0.0.1/8123; printf 'x\\n' >&3; head -c 1 <&3"],
            capture_output=True, check=False, timeout=20,
        )  # fmt: skip
        assert (client.returncode, len(client.stdout)) == (0, 1), client.stderr


def test_volumes(engine: Engine) -> None:
    """`--volume`: a directory of the host, writable or read-only, and a named volume."""
    shared = engine.scratch / "shared"
    shared.mkdir()
    (shared / "given").write_text("by the host\n")
    assert engine.prints(
        f"--volume={shared}:/v", IMAGE, "sh", "-c", "cat /v/given; echo back >/v/back"
    ) == "by the host"  # fmt: skip
    assert (shared / "back").read_text() == "back\n"
    assert engine.run(f"--volume={shared}:/v:ro", IMAGE, "touch", "/v/no").returncode != 0
    engine.output("volume", "create", "kept")
    engine.prints("--volume=kept:/k", IMAGE, "sh", "-c", "echo stays >/k/file")
    assert engine.prints("--volume=kept:/k", IMAGE, "cat", "/k/file") == "stays"


def test_tmpfs(engine: Engine) -> None:
    output = engine.prints("--tmpfs=/t:size=1m", IMAGE, "grep", " /t ", "/proc/mounts")
    assert output.split()[2] == "tmpfs"
    assert "size=1024k" in output


def test_read_only(engine: Engine) -> None:
    assert engine.run("--read-only", IMAGE, "touch", "/no").returncode != 0
    assert engine.run("--read-only", "--tmpfs=/t", IMAGE, "touch", "/t/yes").returncode == 0


def test_user(engine: Engine) -> None:
    assert engine.prints(
        "--user=1234:2345", "--group-add=77", IMAGE, "sh", "-c", "id -u; id -g; id -G"
    ).split() == ["1234", "2345", "2345", "77"]  # fmt: skip


def effective(engine: Engine, *options: str) -> int:
    return int(engine.prints(*options, IMAGE, "grep", "CapEff", "/proc/self/status").split()[1], 16)


def test_capabilities(engine: Engine) -> None:
    """`--cap-add` of SYS_TIME (bit 25) and `--cap-drop` of CHOWN (bit 0)."""
    assert effective(engine) & (1 << 25 | 1) == 1
    assert effective(engine, "--cap-add=SYS_TIME", "--cap-drop=CHOWN") & (1 << 25 | 1) == 1 << 25
    assert effective(engine, "--cap-drop=ALL") == 0


def test_no_new_privileges(engine: Engine) -> None:
    output = engine.prints(
        "--security-opt=no-new-privileges", IMAGE, "grep", "NoNewPrivs", "/proc/self/status"
    )
    assert output.split() == ["NoNewPrivs:", "1"]


def test_the_default_seccomp_profile_is_in_force(engine: Engine) -> None:
    assert engine.prints(IMAGE, "grep", "^Seccomp:", "/proc/self/status").split()[1] == "2"
    assert engine.prints(
        "--security-opt=seccomp=unconfined", IMAGE, "grep", "^Seccomp:", "/proc/self/status"
    ).split()[1] == "0"  # fmt: skip


def test_hostname_and_environment(engine: Engine) -> None:
    assert engine.prints(
        "--hostname=named", "--env=A=b c", "--workdir=/usr/bin", IMAGE, "sh", "-c",
        "uname -n; echo $A; readlink /proc/self/cwd",
    ).splitlines() == ["named", "b c", "/usr/bin"]  # fmt: skip


def test_an_init_reaps(engine: Engine) -> None:
    """`--init`: process 1 is the engine's init, which ends with the program's exit code."""
    if engine.name == "podman" and not shutil.which("catatonit"):
        pytest.skip("catatonit is not installed: apt-get install catatonit")
    if engine.name == "docker" and not shutil.which("docker-init"):
        pytest.skip("docker-init is not installed: apt-get install tini")
    result = engine.run("--init", IMAGE, "sh", "-c", "readlink /proc/1/exe; exit 4")
    assert result.returncode == 4
    assert "init" in result.stdout or "catatonit" in result.stdout


def test_devices(engine: Engine) -> None:
    """`--device`: a device of the host is there, and the cgroup allows it."""
    output = engine.prints("--device=/dev/fuse:/dev/given", IMAGE, "stat", "-c%t:%T", "/dev/given")
    assert output == "a:e5"


def test_a_privileged_container(engine: Engine) -> None:
    assert effective(engine, "--privileged") >> 21 & 1


def test_namespaces_that_are_shared(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        network = engine.output("exec", name, "readlink", "/proc/self/ns/net")
        assert engine.prints(
            f"--network=container:{name}", IMAGE, "readlink", "/proc/self/ns/net"
        ) == network  # fmt: skip
        assert "sleep" in engine.prints(
            f"--pid=container:{name}", IMAGE, "sh", "-c", "cat /proc/*/comm"
        )


def test_many_at_once(engine: Engine) -> None:
    """Eight containers start at the same time."""
    words = [*engine.command, *engine.run_words("--rm", "--network=none", IMAGE, "echo", "here")]
    running = [
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    results = [each.communicate(timeout=60) for each in running]
    assert [out for out, _ in results] == [b"here\n"] * 8, results


def test_rm_with_force_leaves_nothing(engine: Engine) -> None:
    """`rm --force` of a running container removes its processes and cgroups."""
    with engine.container(IMAGE, "sh", "-c", "sleep 60 & sleep 60") as name:
        identity = engine.inspect(name)["Id"]
        engine.output("rm", "--force", *engine.at_once, name)
        assert cgroups_named(f"*{identity}*") == []


def test_a_user_namespace_that_is_shared(engine: Engine) -> None:
    """`--userns=container:`: a container joins another's user namespace, and has its own others."""
    if engine.name == "docker":
        pytest.skip("docker shares no user namespace between containers")
    mapped = ("--uidmap=0:100000:65536", "--gidmap=0:100000:65536", "--network=none")
    with engine.container(*mapped, IMAGE, "sleep", "60") as name:
        first = engine.output("exec", name, "readlink", "/proc/self/ns/user", "/proc/self/ns/pid")
        second = engine.prints(
            f"--userns=container:{name}", "--network=none", IMAGE,
            "readlink", "/proc/self/ns/user", "/proc/self/ns/pid",
        )  # fmt: skip
    (user, pid), (joined, own) = first.split(), second.split()
    assert joined == user
    assert own != pid
