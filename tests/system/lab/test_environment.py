"""Commands of every target run in the declared environment, and leave no processes."""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import struct
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.errors import LabError
from lab.host.scratch import scratch_directory
from lab.targets.base import Settings
from lab.targets.containers.own_runtime import OurContainer
from lab.targets.environment import DECLARED
from lab.targets.worker import Worker
from lab.userland import build
from runtime.linux import syscalls
from tests import left_on_host
from tests.system.lab import environment_probe

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

# One target for each way in which a command reaches an instance.
TARGETS = ("native", "container", "crun", "runc", "podman", "docker", "lxc", "microvm", "uml")
CLEANED = ("container", "crun", "podman")
SIGSETXID = 33  # nptl(7)
SLEEPERS = b"sleep\x008649"


def expected() -> list[str]:
    limits = DECLARED.limits
    names = {
        "core": "Max core file size",
        "nofile": "Max open files",
        "nproc": "Max processes",
        "stack": "Max stack size",
    }
    units = {"core": "bytes", "nofile": "files", "nproc": "processes", "stack": "bytes"}
    order = ("stack", "core", "nproc", "nofile")  # as the kernel lists them
    return [
        *sorted(f"{name}={value}" for name, value in DECLARED.variables.items()),
        f"directory {DECLARED.directory}",
        f"umask {DECLARED.umask:04o}",
        f"nice {DECLARED.nice}",
        *(f"{names[each]} {limits[each]} {limits[each]} {units[each]} " for each in order),
        "SigBlk:\t0000000000000000",
        "SigIgn:\t0000000000000000",
        "session own",
    ]


@contextmanager
def started_worker(target: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    if reason := targets.find(target).absent():
        pytest.skip(f"{target}: {reason}")
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[3]))
    land = build.build(lambda _: None)
    with scratch_directory() as scratch, Worker(target, Settings(land, scratch, "tcg")) as worker:
        yield worker


def handle_setxid(*, ignored: bool) -> None:
    """Ignore the C library's internal signal, or not; its own sigaction(3) refuses to."""
    action = struct.pack("4L", int(ignored), 0, 0, 0)
    assert ctypes.CDLL(None).syscall(syscalls.RT_SIGACTION, SIGSETXID, action, None, 8) == 0


@pytest.fixture(scope="module")
def _user_land() -> None:
    """Build the user land before a test sets an unusable proxy."""
    build.build(lambda _: None)


@pytest.fixture
def _odd_caller(
    _user_land: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Iterator[None]:
    """A caller with an unusual environment, directory, umask, priority and limits."""
    for name, value in (
        ("OMP_NUM_THREADS", "4"),
        ("TMPDIR", "/nowhere"),
        ("HOME", "/nowhere"),
        ("LC_ALL", "C"),
        ("LANG", "tr_TR.UTF-8"),
        ("http_proxy", "http://proxy.invalid"),
        ("MALLOC_ARENA_MAX", "1"),
    ):
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    mask, nice = os.umask(0o077), os.getpriority(os.PRIO_PROCESS, 0)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (600, hard))
    os.setpriority(os.PRIO_PROCESS, 0, 7)
    handle_setxid(ignored=True)  # as posix_spawn(3) leaves it, which make(1) uses
    try:
        yield
    finally:
        handle_setxid(ignored=False)
        os.umask(mask)
        os.setpriority(os.PRIO_PROCESS, 0, nice)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("_odd_caller")
@pytest.mark.parametrize("target", TARGETS)
def test_commands_run_in_the_declared_environment(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_worker(target, monkeypatch) as worker:
        assert worker.call(120, environment_probe.look) == expected()


@pytest.mark.parametrize("target", TARGETS)
def test_processes_that_a_command_leaves_are_killed(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_worker(target, monkeypatch) as worker:
        assert worker.call(120, environment_probe.leave_processes) == ("done", "0", "0")


def sleepers() -> list[str]:
    pids = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if SLEEPERS in process.read_bytes():
                pids.append(process.parent.name)
        except OSError:
            continue
    return pids


@pytest.mark.parametrize("target", ["native", "container", "crun"])
def test_a_command_that_hangs_is_ended_with_its_instance(
    target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_worker(target, monkeypatch) as worker:
        with pytest.raises(LabError, match="did not end within"):
            worker.call(60, environment_probe.hang)
        assert not sleepers()


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
@pytest.mark.parametrize("target", ["native", "container"])
def test_commands_end_with_a_killed_worker(
    target: str, number: signal.Signals, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_worker(target, monkeypatch) as worker:
        worker.await_target()
        worker._connection.send((environment_probe.hang_long, (), {}))
        deadline = time.monotonic() + 20
        while len(sleepers()) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        assert len(sleepers()) == 2
        os.kill(worker.pid, number)
        while sleepers() and time.monotonic() < deadline:
            time.sleep(0.05)
        assert not sleepers()
        worker.revive()


@pytest.mark.parametrize(
    ("target", "act"),
    [
        *((name, "end_after_start") for name in ("native", *CLEANED, "microvm", "uml")),
        *((name, "end_while_stopping") for name in CLEANED),
    ],
)
def test_what_an_ended_worker_had_started_is_removed(
    target: str, act: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with started_worker(target, monkeypatch) as worker:
        pid = worker.pid
        with pytest.raises(LabError, match=r"ended with exit code (143|-15)"):
            worker.call(120, getattr(environment_probe, act))
    assert not list(Path("/sys/fs/cgroup").rglob(f"*tonnage*-{pid}*"))
    assert not [line for line in left_on_host.programs() if f"-{pid}" in line]


def test_clean_finds_cgroups_whose_container_has_no_directory_any_more() -> None:
    ended = subprocess.Popen(["true"])
    ended.wait()
    group = next(Path("/sys/fs/cgroup").glob("*pids*/"), Path("/sys/fs/cgroup"))
    group /= f"tonnage-tonnage-{ended.pid}-0"
    group.mkdir()
    assert f"removed cgroup {group}" in OurContainer.clean(Path("/nowhere"))
    assert not group.exists()


def test_two_processes_build_a_part_once(tmp_path: Path) -> None:
    script = (
        "from lab.userland.cache_entry import cache_entry\n"
        "with cache_entry('thing', '1') as (directory, aside):\n"
        "    import time; time.sleep(0.5)\n"
        "    print('built' if aside else 'found')\n"
    )
    both = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "TONNAGE_CACHE": str(tmp_path)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    assert sorted(each.communicate()[0].strip() for each in both) == ["built", "found"]
