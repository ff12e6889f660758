"""Machines by VMMs other than QEMU: started, asked, used, and gone without a trace."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import vms
from lab import targets, userland
from lab.errors import StartFailed
from lab.exclusive import scratch_directory
from lab.targets import processes, vsocked
from lab.targets.base import Allotment, Completed, Settings, Target
from lab.worker import Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

DEADLINE_SECONDS = 120.0


# What the workers are sent to do.


def live(target: Target) -> dict[str, object]:
    """Two instances' lives, side by side, as plain data."""
    with target.start(Allotment(cpus=1, memory_bytes=128 << 20)) as one, target.start() as two:
        first, ready = one.reached("first-instruction"), one.reached("ready")
        two.reached("ready")
        seen: dict[str, object] = {
            "kind": target.kind,
            "milestones": [one.t0_ns, first, ready, one.ask()],
            "userspace": one.reached("userspace"),
            "steps": [span.step for span in one.spans()],
            "disk": target.instance_disk_bytes(one),
            "memory": [memory_kib(each.run(["cat", "/proc/meminfo"], 30)) for each in (one, two)],
        }
        one.run(["sh", "-c", "head -c 4000000 /dev/urandom >/written; sync"], 60)
        seen["disk-after"] = target.instance_disk_bytes(one)
        seen["beside"] = two.run(["ls", "/written"], 30).exit_code
        seen["said"] = one.run(["sh", "-c", "uname -m; echo wrong >&2; exit 3"], 30)
        pids = one.pids()
        one.stop()
        seen["left"] = [pid for pid in pids if processes.command_line(pid)]
        seen["answers-still"] = two.ask()
    seen["files"] = sorted(path.name for path in target.directory.iterdir())  # type: ignore[attr-defined]
    return seen


def memory_kib(done: Completed) -> int:
    """What the guest's kernel says that it has."""
    return int(done.stdout.split()[1])


def start_and_stay(target: Target) -> list[int]:
    instance = target.start()
    target.running.append(instance)
    instance.reached("ready")
    return instance.pids()


def start_and_use(target: Target) -> dict[str, object]:
    """The traditional machine up to its default target; how long it takes to go."""
    with target.start() as instance:
        seen: dict[str, object] = {
            "milestones": [
                instance.t0_ns,
                instance.reached("first-instruction"),
                instance.reached("ready"),
                instance.ask(),
            ],
            "said": instance.run(["cat", "/etc/hostname"], 30).stdout,
            "command": processes.command_line(instance.pids()[0]),
        }
        stop_ns = time.monotonic_ns()
        instance.stop()
        seen["gone-seconds"] = (time.monotonic_ns() - stop_ns) / 1e9
    with pytest.MonkeyPatch.context() as patch, pytest.raises(StartFailed) as refused:
        patch.setattr(target, "chipset", "none-such")
        with target.start() as never:
            never.reached("first-instruction")
    seen["refused"] = str(refused.value)
    seen["files"] = sorted(path.name for path in target.directory.iterdir())  # type: ignore[attr-defined]
    return seen


@pytest.fixture(scope="module", params=targets.VMMS)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if why := targets.find(name).absent():
        pytest.skip(why)
    return name


@pytest.fixture
def settings() -> Iterator[Settings]:
    land = userland.build(lambda _: None)
    with pytest.MonkeyPatch.context() as patch, scratch_directory() as scratch:
        # Workers are sent the functions of this module.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield Settings(land, scratch, "tcg", start_deadline_seconds=60.0)


def test_a_machine_by_virt_install(settings: Settings) -> None:
    if why := targets.find("virt-install").absent():
        pytest.skip(why)
    with Worker("virt-install", settings) as worker:
        seen = worker.call(DEADLINE_SECONDS, start_and_use)
    t0_ns, first, ready, asked = seen["milestones"]  # type: ignore[misc]
    assert t0_ns < first < ready < asked
    assert seen["said"] == b"tonnage\n"
    assert b"pc-q35" in seen["command"]  # type: ignore[operator]
    assert seen["gone-seconds"] < 1.5  # type: ignore[operator]
    assert "virt-install failed" in str(seen["refused"])
    assert seen["files"] == []


def test_machines_live_side_by_side_and_are_gone(name: str, settings: Settings) -> None:
    links = set(Path("/sys/class/net").iterdir())
    with Worker(name, settings) as worker:
        seen = worker.call(DEADLINE_SECONDS, live)
    t0_ns, first, ready, asked = seen["milestones"]  # type: ignore[misc]
    assert seen["kind"] == "machine"
    assert t0_ns < first < ready < asked <= seen["answers-still"]  # type: ignore[operator]
    assert seen["userspace"] is None
    assert {"tap and VMM", "kernel", "init"} <= set(seen["steps"])  # type: ignore[call-overload]
    small, plain = seen["memory"]  # type: ignore[misc]
    assert 80_000 < small < 131_072 < plain < 262_144
    grown = seen["disk-after"] - seen["disk"]  # type: ignore[operator]
    assert 4_000_000 <= grown < 8_000_000
    assert seen["beside"] != 0  # what one writes, the other has not
    said = seen["said"]
    assert isinstance(said, Completed)
    assert (said.exit_code, said.stdout, said.stderr) == (3, b"x86_64\n", b"wrong\n")
    assert seen["left"] == []
    assert not [file for file in seen["files"] if "tonnage-" in file]  # type: ignore[attr-defined]
    assert set(Path("/sys/class/net").iterdir()) == links


# It does as a guest behind firecracker's vsock does: it is the guest that connects.
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


def test_a_guest_that_connects_by_vsock_is_heard(tmp_path: Path) -> None:
    before = len(list(Path("/proc/self/fd").iterdir()))
    process = vsocked.Process(
        [sys.executable, "-c", STAND_IN, f"{tmp_path}/v"], "box", tmp_path / "v", 10
    )
    try:
        deadline_ns = time.monotonic_ns() + 10 * 10**9
        assert process.console.wait_for("first-instruction", deadline_ns)
        assert process.events.wait_for("listening", deadline_ns)
        done = process.agent.run(["say", "it"], 10)
        assert (done.exit_code, done.stdout, done.elapsed_ns) == (3, b"say it", 7)
    finally:
        process.destroy()
    assert not processes.command_line(process.qemu_pid)
    assert list(tmp_path.iterdir()) == []
    assert len(list(Path("/proc/self/fd").iterdir())) == before


def test_a_guest_that_never_connects_is_a_failed_start(tmp_path: Path) -> None:
    process = vsocked.Process(["sleep", "60"], "box", tmp_path / "v", 0.2)
    try:
        with pytest.raises(vms.BootTimeout, match="box did not connect by vsock"):
            process.events.wait_for("listening", 0)
    finally:
        process.destroy()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", [*targets.VMMS, "virt-install"])
def test_what_a_killed_worker_leaves_is_found(name: str, settings: Settings) -> None:
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
