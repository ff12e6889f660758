"""Machines by other VMMs and by virt-install: start, requests, commands, and removal."""

from __future__ import annotations

import os
import signal
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab import targets
from lab.errors import StartFailed
from lab.host import processes
from lab.host.scratch import scratch_directory
from lab.targets.base import Allotment, CommandResult, Instance, Settings, Target
from lab.targets.machines import vsock_vmms
from lab.targets.machines.machine import Machine
from lab.targets.worker import Worker
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

DEADLINE_SECONDS = 120.0


# Functions that the workers call, and their results.


@dataclass(frozen=True)
class Lives:
    """Observations of two instances side by side; of the first, unless noted otherwise."""

    kind: str
    milestones: tuple[int, int, int, int]
    userspace: int | None
    steps: list[str]
    disk_bytes: tuple[int, int]  # before and after a file was written
    memory_kib: tuple[int, int]  # of both
    second_ls: int  # exit code of `ls` of that file in the second instance
    command: CommandResult
    left: list[int]
    second_answer: int  # time of the second's answer after the first was stopped
    files: list[str]


def live(target: Target) -> Lives:
    with target.start(Allotment(cpus=1, memory_bytes=128 << 20)) as one, target.start() as two:
        first, ready = reached(one)
        two.reached("ready")
        milestones = (one.t0_ns, first, ready, one.ask())
        userspace = one.reached("userspace")
        steps = [span.step for span in one.spans()]
        before = target.instance_disk_bytes(one)
        memory = memory_kib(one), memory_kib(two)
        one.run(["sh", "-c", "head -c 4000000 /dev/urandom >/written; sync"], 60)
        after = target.instance_disk_bytes(one)
        second_ls = two.run(["ls", "/written"], 30).exit_code
        command = one.run(["sh", "-c", "uname -m; echo wrong >&2; exit 3"], 30)
        pids = one.pids()
        one.stop()
        left = [pid for pid in pids if processes.command_line(pid)]
        second_answer = two.ask()
    return Lives(
        kind=target.kind,
        milestones=milestones,
        userspace=userspace,
        steps=steps,
        disk_bytes=(before, after),
        memory_kib=memory,
        second_ls=second_ls,
        command=command,
        left=left,
        second_answer=second_answer,
        files=files_of(target),
    )


def reached(instance: Instance) -> tuple[int, int]:
    """Return the times of the first instruction and of `ready`."""
    first, ready = instance.reached("first-instruction"), instance.reached("ready")
    assert first is not None
    assert ready is not None
    return first, ready


def memory_kib(instance: Instance) -> int:
    """Return the guest's MemTotal."""
    return int(instance.run(["cat", "/proc/meminfo"], 30).stdout.split()[1])


def files_of(target: Target) -> list[str]:
    """Return the names in the directory of the target's instances."""
    assert isinstance(target, Machine)
    return sorted(path.name for path in target.directory.iterdir())


def start_and_stay(target: Target) -> list[int]:
    instance = target.start()
    target.running.append(instance)
    instance.reached("ready")
    return instance.pids()


@dataclass(frozen=True)
class Use:
    """Observations of a traditional machine, and of a start that fails."""

    milestones: tuple[int, int, int, int]
    hostname: bytes
    command_line: bytes
    gone_seconds: float
    refused: str
    files: list[str]


def start_and_use(target: Target) -> Use:
    with target.start() as instance:
        milestones = (instance.t0_ns, *reached(instance), instance.ask())
        hostname = instance.run(["cat", "/etc/hostname"], 30).stdout
        command_line = processes.command_line(instance.pids()[0])
        stop_ns = time.monotonic_ns()
        instance.stop()
        gone_seconds = (time.monotonic_ns() - stop_ns) / 1e9
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StartFailed) as refused:
        patch.setattr(target, "chipset", "none-such")
        with target.start() as never:
            never.reached("first-instruction")
    return Use(
        milestones, hostname, command_line, gone_seconds, str(refused.value), files_of(target)
    )


@pytest.fixture(scope="module", params=targets.VMMS)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if why := targets.find(name).absent():
        pytest.skip(why)
    return name


@pytest.fixture
def settings() -> Iterator[Settings]:
    land = build.build(lambda _: None)
    with pytest.MonkeyPatch.context() as patch, scratch_directory() as scratch:
        # Workers import the functions of this module.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield Settings(land, scratch, "tcg", start_deadline_seconds=60.0)


def test_a_machine_by_virt_install(settings: Settings) -> None:
    if why := targets.find("virt-install").absent():
        pytest.skip(why)
    with Worker("virt-install", settings) as worker:
        life = worker.call(DEADLINE_SECONDS, start_and_use)
    t0_ns, first, ready, asked = life.milestones
    assert t0_ns < first < ready < asked
    assert life.hostname == b"tonnage\n"
    assert b"pc-q35" in life.command_line
    assert life.gone_seconds < 1.5
    assert "virt-install failed" in life.refused
    assert life.files == []


def test_machines_run_in_parallel_and_are_removed(name: str, settings: Settings) -> None:
    devices = taps()
    with Worker(name, settings) as worker:
        life = worker.call(DEADLINE_SECONDS, live)
    t0_ns, first, ready, asked = life.milestones
    assert life.kind == "machine"
    assert t0_ns < first < ready < asked <= life.second_answer
    assert life.userspace is None
    assert {"tap and VMM", "kernel", "init"} <= set(life.steps)
    small, plain = life.memory_kib
    assert 80_000 < small < 131_072 < plain < 262_144
    before, after = life.disk_bytes
    assert 4_000_000 <= after - before < 8_000_000
    assert life.second_ls != 0  # the second instance does not see the first one's file
    command = life.command
    assert (command.exit_code, command.stdout, command.stderr) == (3, b"x86_64\n", b"wrong\n")
    assert life.left == []
    assert not [file for file in life.files if "tonnage-" in file]
    assert taps() == devices


def taps() -> set[Path]:
    """Return the tap devices in the host's network namespace, where tests beside make others."""
    return set(Path("/sys/class/net").glob("tap*"))


# A stand-in for a guest behind firecracker's vsock: the guest connects to the host.
STAND_IN = """
import socket, struct, sys
def connected(port):
    line = socket.socket(socket.AF_UNIX)
    line.connect(f"{sys.argv[1]}_{port}")
    return line
print("first-instruction 1", flush=True)
events, agent = connected(7001), connected(7002)
events.sendall(b"listening 2\\n")
length, = struct.unpack(">I", agent.recv(4))
said = agent.recv(length).replace(b"\\0", b" ")
agent.sendall(struct.pack(">IQI", 3, 7, len(said)) + said + struct.pack(">I", 0))
agent.recv(1)
"""


def descriptors() -> int:
    """Return how many descriptors are open, without that of the shared reader thread."""
    found = Path("/proc/self/fd").iterdir()
    return sum(path.is_symlink() and "eventpoll" not in str(path.readlink()) for path in found)


def test_a_guest_that_connects_by_vsock_is_used(tmp_path: Path) -> None:
    before = descriptors()
    process = vsock_vmms.VsockVmm(
        [sys.executable, "-c", STAND_IN, f"{tmp_path}/v"], "box", tmp_path / "v", 10
    )
    try:
        deadline_ns = time.monotonic_ns() + 10 * 10**9
        assert process.console.wait_for("first-instruction", deadline_ns)
        assert process.events.wait_for("listening", deadline_ns)
        result = process.agent.run(["say", "it"], 10)
        assert (result.exit_code, result.stdout, result.elapsed_ns) == (3, b"say it", 7)
    finally:
        process.destroy()
    assert not processes.command_line(process.vmm_pid)
    assert list(tmp_path.iterdir()) == []
    assert descriptors() == before


def test_a_guest_that_never_connects_is_a_failed_start(tmp_path: Path) -> None:
    process = vsock_vmms.VsockVmm(["sleep", "60"], "box", tmp_path / "v", 0.2)
    try:
        with pytest.raises(vms.BootTimeout, match="box did not connect by vsock"):
            process.events.wait_for("listening", 0)
    finally:
        process.destroy()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*targets.VMMS, "virt-install"])
def test_leftovers_of_a_killed_worker_are_found(name: str, settings: Settings) -> None:
    if why := targets.find(name).absent():
        pytest.skip(why)
    with Worker(name, settings) as worker:
        pids = worker.call(DEADLINE_SECONDS, start_and_stay)
        assert os.getpgid(pids[0])
        os.kill(worker.pid, signal.SIGKILL)
        worker._process.wait()
        removed = targets.find(name).clean(settings.scratch)
        deadline = time.monotonic() + 5
        while any(processes.command_line(pid) for pid in pids) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert any(line.startswith("ended ") for line in removed)
    assert not any(processes.command_line(pid) for pid in pids)
    named = os.fsencode(settings.scratch)
    assert not [pid for pid in processes.all_pids() if named in processes.command_line(pid)]
    assert not list(settings.scratch.glob("tonnage-*"))
