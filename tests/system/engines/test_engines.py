"""podman and docker run their containers through our OCI runtime; docker by containerd's shim."""

from __future__ import annotations

import os
import pty
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.paths import PAYLOAD_IN_TREE, cache_directory
from lab.userland import root_tree
from tests.cgroup_tree import cgroups_named
from tests.system.engines import engine as engines
from tests.system.engines.engine import IMAGE, Engine

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

START = {"podman": engines.podman, "docker": engines.docker}
PACKAGE = {"podman": ("podman", "podman"), "docker": ("dockerd", "docker.io")}
MIB = 1 << 20
V2 = Path("/sys/fs/cgroup/cgroup.controllers").exists()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    target: Path = tmp_path_factory.mktemp("image") / "image.tar"
    engines.pack_image(root_tree.build_tree(print), target)
    return target


@pytest.fixture(scope="module", params=START)
def engine(request: pytest.FixtureRequest, image: Path) -> Iterator[Engine]:
    name: str = request.param
    program, package = PACKAGE[name]
    runtime = engines.runtime_under_test()
    if not runtime:
        pytest.skip("tonnage-oci is not installed")
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed: apt-get install {package}")
    # On the disk that holds the user land: an overlay's layer can't lie on every file system.
    scratch = cache_directory() / f"e{os.getpid()}{name[0]}"
    scratch.mkdir()
    try:
        with START[name](runtime, scratch, image) as engine:
            yield engine
    finally:
        shutil.rmtree(scratch)


def eventually(engine: Engine, *words: str, says: str) -> None:
    """Wait until a verb says so."""
    deadline = time.monotonic() + 10
    while (said := engine(*words).stdout.strip()) != says:
        assert time.monotonic() < deadline, said
        time.sleep(0.05)


def state(engine: Engine, name: str) -> str:
    return engine.said("container", "inspect", "--format={{.State.Status}}", name)


@pytest.mark.parametrize("code", [0, 7])
def test_run_prints_and_ends_as_its_program(engine: Engine, code: int) -> None:
    done = engine.run(IMAGE, "sh", "-c", f"echo out; echo error >&2; exit {code}")
    assert (done.returncode, done.stdout) == (code, "out\n")
    assert "error" in done.stderr


def test_a_program_that_is_not_there_is_127(engine: Engine) -> None:
    done = engine.run(IMAGE, "/no/such/program")
    assert done.returncode == 127
    assert "/no/such/program" in done.stderr


def test_a_program_that_cannot_be_executed_is_126(engine: Engine) -> None:
    assert engine.run(IMAGE, "/etc/passwd").returncode == 126


def test_a_signal_that_ends_it_is_told(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.said("kill", "--signal=KILL", name)
        eventually(
            engine, "container", "inspect", "--format={{.State.Status}} {{.State.ExitCode}}", name,
            says="exited 137",
        )  # fmt: skip


def test_stdin_reaches_it(engine: Engine) -> None:
    done = engine(*engine.run_words("--rm", "--interactive", IMAGE, "cat"), stdin="handed in")
    assert done.stdout == "handed in"


def test_create_start_wait_logs_rm(engine: Engine) -> None:
    words = engine.run_words(IMAGE, "sh", "-c", "echo said; exit 3")[1:]
    engine.said("create", "--name=steps", *words)
    try:
        assert state(engine, "steps") == "created"
        engine.said("start", "steps")
        assert engine.said("wait", "steps") == "3"
        assert engine.said("logs", "steps") == "said"
        assert engine.inspect("steps")["State"]["ExitCode"] == 3
    finally:
        engine.said("rm", "steps")
    assert "steps" not in engine.said("ps", "--all", "--format={{.Names}}")


def test_exec(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.said("exec", name, "touch", "/made")
        assert engine.said("exec", name, "ls", "/made") == "/made"
        done = engine("exec", "--env=A=b", "--workdir=/usr", "--user=1:2", name, "sh", "-c",
                      "echo $A $PWD $(id -u):$(id -g); exit 5")  # fmt: skip
        assert (done.returncode, done.stdout) == (5, "b /usr 1:2\n")
        assert engine("exec", name, "/no/such/program").returncode in {126, 127}
        done = engine("exec", "--interactive", name, "cat", stdin="handed in")
        assert done.stdout == "handed in"


def test_stop_ends_it_by_its_signal(engine: Engine) -> None:
    trap = "trap 'echo told; exit 9' TERM; echo ready; while :; do sleep 0.05; done"
    with engine.container(IMAGE, "sh", "-c", trap) as name:
        eventually(engine, "logs", name, says="ready")
        engine.said("stop", name)
        assert engine.inspect(name)["State"]["ExitCode"] == 9
        assert engine.said("logs", name).split() == ["ready", "told"]


def test_stop_kills_what_does_not_listen(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        engine.said("stop", "--time=1", name)
        assert engine.inspect(name)["State"]["ExitCode"] == 137


def test_restart(engine: Engine) -> None:
    with engine.container(IMAGE, "sh", "-c", "echo began; exec sleep 60") as name:
        first = engine.inspect(name)["State"]["Pid"]
        engine.said("restart", "--time=0", name)
        assert state(engine, name) == "running"
        assert engine.inspect(name)["State"]["Pid"] != first
        eventually(engine, "logs", name, says="began\nbegan")


def test_pause_and_unpause(engine: Engine) -> None:
    with engine.container(IMAGE, "sh", "-c", "while :; do echo .; sleep 0.02; done") as name:
        engine.said("pause", name)
        assert state(engine, name) == "paused"
        before = engine.said("logs", name)
        time.sleep(0.2)
        assert engine.said("logs", name) == before
        engine.said("unpause", name)
        assert state(engine, name) == "running"


def test_limits(engine: Engine) -> None:
    """Memory, CPU and processes, in the container's cgroup."""
    limits = ("--memory=64m", "--cpus=0.5", "--pids-limit=33", "--cpu-shares=512")
    with engine.container(*limits, IMAGE, "sleep", "60") as name:
        found = read_limits(engine, name)
        assert found == ["67108864", "50000", "100000", "33"]


def read_limits(engine: Engine, name: str) -> list[str]:
    """Memory, CPU quota and period, processes."""
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


def test_a_memory_limit_ends_what_passes_it(engine: Engine) -> None:
    with engine.container(
        "--memory=16m", "--memory-swap=16m", IMAGE, "sh", "-c",
        "exec dd if=/dev/zero of=/dev/null bs=64M count=1",
    ) as name:  # fmt: skip
        assert engine.said("wait", name) == "137"


def test_update_changes_the_limits(engine: Engine) -> None:
    if engine.name == "podman":
        pytest.skip("podman 4.3 updates on cgroup v2 alone")
    with engine.container("--memory=64m", IMAGE, "sleep", "60") as name:
        engine.said("update", "--memory=96m", "--memory-swap=96m", "--pids-limit=44", name)
        assert read_limits(engine, name)[0] == str(96 * MIB)


def test_top_and_stats(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        assert "sleep 60" in engine.said("top", name)
        assert name in engine.said("stats", "--no-stream", "--format={{.Name}}", name)


def test_a_terminal_is_attached(engine: Engine) -> None:
    """`run --tty`: the program has a terminal of the size that ours has."""
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
        heard = hear(primary, until="/dev/")
        os.write(primary, b"hello\n")
        heard += hear(primary, until="got hello")
        assert process.wait(20) == 0
    os.close(primary)
    assert "33 101" in heard  # docker sets it once the container has started


def hear(terminal: int, until: str) -> str:
    heard, deadline = "", time.monotonic() + 20
    while until not in heard:
        assert select.select([terminal], [], [], deadline - time.monotonic())[0], heard
        heard += os.read(terminal, 4096).decode()
    return heard


def test_exec_with_a_terminal(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        primary, secondary = pty.openpty()
        with subprocess.Popen(
            [*engine.command, "exec", "--interactive", "--tty", name, "tty"],
            stdin=secondary, stdout=secondary, stderr=secondary, start_new_session=True,
        ) as process:  # fmt: skip
            os.close(secondary)
            assert "/dev/pts/" in hear(primary, until="/dev/pts/")
            assert process.wait(20) == 0
        os.close(primary)


def test_ports(engine: Engine) -> None:
    """`--publish`: what listens in the container is reached by a port of the host."""
    with engine.container(
        "--interactive", "--publish=127.0.0.1:8123:7000", IMAGE,
        PAYLOAD_IN_TREE, "serve", "ports",
    ) as name:  # fmt: skip
        deadline = time.monotonic() + 10
        while "listening" not in engine.said("logs", name):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        asked = subprocess.run(
            [*engine.enter, "bash", "-c",
             "exec 3<>/dev/tcp/127.0.0.1/8123; printf 'x\\n' >&3; head -c 1 <&3"],
            capture_output=True, check=False, timeout=20,
        )  # fmt: skip
        assert (asked.returncode, len(asked.stdout)) == (0, 1), asked.stderr


def test_volumes(engine: Engine) -> None:
    """`--volume`: a directory of the host, writable or not, and a volume of the engine's."""
    shared = engine.scratch / "shared"
    shared.mkdir()
    (shared / "given").write_text("by the host\n")
    assert engine.prints(
        f"--volume={shared}:/v", IMAGE, "sh", "-c", "cat /v/given; echo back >/v/back"
    ) == "by the host"  # fmt: skip
    assert (shared / "back").read_text() == "back\n"
    assert engine.run(f"--volume={shared}:/v:ro", IMAGE, "touch", "/v/no").returncode != 0
    engine.said("volume", "create", "kept")
    engine.prints("--volume=kept:/k", IMAGE, "sh", "-c", "echo stays >/k/file")
    assert engine.prints("--volume=kept:/k", IMAGE, "cat", "/k/file") == "stays"


def test_tmpfs(engine: Engine) -> None:
    said = engine.prints("--tmpfs=/t:size=1m", IMAGE, "grep", " /t ", "/proc/mounts")
    assert said.split()[2] == "tmpfs"
    assert "size=1024k" in said


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
    """`--cap-add` and `--cap-drop`: of SYS_TIME, 25, and of CHOWN, 0."""
    assert effective(engine) & (1 << 25 | 1) == 1
    assert effective(engine, "--cap-add=SYS_TIME", "--cap-drop=CHOWN") & (1 << 25 | 1) == 1 << 25
    assert effective(engine, "--cap-drop=ALL") == 0


def test_no_new_privileges(engine: Engine) -> None:
    said = engine.prints(
        "--security-opt=no-new-privileges", IMAGE, "grep", "NoNewPrivs", "/proc/self/status"
    )
    assert said.split() == ["NoNewPrivs:", "1"]


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
    """`--init`: the first process is the engine's small one, which ends as the program ends."""
    if engine.name == "podman" and not shutil.which("catatonit"):
        pytest.skip("catatonit is not installed: apt-get install catatonit")
    if engine.name == "docker" and not shutil.which("docker-init"):
        pytest.skip("docker-init is not installed: apt-get install tini")
    done = engine.run("--init", IMAGE, "sh", "-c", "readlink /proc/1/exe; exit 4")
    assert done.returncode == 4
    assert "init" in done.stdout or "catatonit" in done.stdout


def test_devices(engine: Engine) -> None:
    """`--device`: a device of the host that the cgroup then allows."""
    said = engine.prints("--device=/dev/fuse:/dev/given", IMAGE, "stat", "-c%t:%T", "/dev/given")
    assert said == "a:e5"


def test_a_privileged_container(engine: Engine) -> None:
    assert effective(engine, "--privileged") >> 21 & 1


def test_namespaces_that_are_shared(engine: Engine) -> None:
    with engine.container(IMAGE, "sleep", "60") as name:
        network = engine.said("exec", name, "readlink", "/proc/self/ns/net")
        assert engine.prints(
            f"--network=container:{name}", IMAGE, "readlink", "/proc/self/ns/net"
        ) == network  # fmt: skip
        assert "sleep" in engine.prints(
            f"--pid=container:{name}", IMAGE, "sh", "-c", "cat /proc/*/comm"
        )


def test_many_at_once(engine: Engine) -> None:
    """Starts that overlap, as they do under an engine."""
    words = [*engine.command, *engine.run_words("--rm", "--network=none", IMAGE, "echo", "here")]
    running = [
        subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(8)
    ]
    done = [each.communicate(timeout=60) for each in running]
    assert [out for out, _ in done] == [b"here\n"] * 8, done


def test_rm_with_force_leaves_nothing(engine: Engine) -> None:
    """What runs is removed: its processes and cgroups."""
    with engine.container(IMAGE, "sh", "-c", "sleep 60 & sleep 60") as name:
        identity = engine.inspect(name)["Id"]
        engine.said("rm", "--force", *engine.at_once, name)
        assert cgroups_named(f"*{identity}*") == []


def test_a_user_namespace_that_is_shared(engine: Engine) -> None:
    """`--userns=container:`: the second joins the first's, and has the rest of its own in it."""
    if engine.name == "docker":
        pytest.skip("docker shares no user namespace between containers")
    mapped = ("--uidmap=0:100000:65536", "--gidmap=0:100000:65536", "--network=none")
    with engine.container(*mapped, IMAGE, "sleep", "60") as name:
        first = engine.said("exec", name, "readlink", "/proc/self/ns/user", "/proc/self/ns/pid")
        second = engine.prints(
            f"--userns=container:{name}", "--network=none", IMAGE,
            "readlink", "/proc/self/ns/user", "/proc/self/ns/pid",
        )  # fmt: skip
    (user, pid), (joined, own) = first.split(), second.split()
    assert joined == user
    assert own != pid
