"""Cgroups of this host: the kernel has the limits that are set, and enforces them.

The first half uses the host's own version. The second half needs version 2 mounted anywhere: a
hybrid host has it too, with the controllers that version 1 does not use.
"""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime import ContainerError, cgroups
from runtime.cgroups import controllers
from runtime.cgroups.hierarchies import Host, this_host
from runtime.linux import bpf
from runtime.spec.config import (
    BlockIo,
    Cpu,
    DeviceRule,
    HugepageLimit,
    Memory,
    Pids,
    Resources,
    ThrottleDevice,
)
from tests.cgroup_tree import cgroups_named
from tests.runtime.cgroups import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from runtime.cgroups import Cgroup

pytestmark = pytest.mark.root
NAME = f"tonnage-cg-{os.getpid()}"
SECONDS = 10.0
UNIFIED = this_host().unified
needs_v2 = pytest.mark.skipif(UNIFIED is None, reason="cgroup version 2 isn't mounted on this host")
needs_v1 = pytest.mark.skipif(
    not this_host().hierarchies, reason="this host has cgroup version 2 only"
)


@pytest.fixture
def cgroup() -> Iterator[Cgroup]:
    """Make a cgroup with the host's version; check that nothing of it remains."""
    new = cgroups.create(f"/{NAME}/box", "box")
    yield new
    new.kill()
    new.remove()
    assert left() == []


@pytest.fixture
def unified() -> Iterator[Cgroup]:
    """Make a cgroup in the hierarchy of version 2."""
    assert UNIFIED is not None
    new = cgroups.create(f"/{NAME}/unified", "box", host=Host({}, UNIFIED))
    yield new
    new.kill()
    new.remove()
    assert left() == []


def left() -> list[Path]:
    return cgroups_named(f"{NAME}*")


def run_in(cgroup: Cgroup, command: list[str]) -> Started:
    """Start a command that is in the cgroup before exec, like the first process of a container."""
    reading, writing = os.pipe2(os.O_CLOEXEC)
    pid = joined.start(cgroup, command, writing)
    os.close(writing)
    cgroup.close()
    return Started(pid, reading)


class Started:
    """A child process and its output."""

    def __init__(self, pid: int, output: int) -> None:
        self.pid = pid
        self._output = os.fdopen(output, "rb")

    def said(self) -> str:
        """Wait for the end, and return the output."""
        with self._output:
            text = self._output.read().decode().strip()
        os.waitpid(self.pid, 0)
        return text

    def ended(self) -> int:
        self._output.close()
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def value(cgroup: Cgroup, controller: str, file: str) -> str:
    """Return the present value of a file."""
    words = next((words for words in cgroup.paths if controller in words.split(",")), "")
    return Path(cgroup.paths[words], file).read_text().strip()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


LIMITS = Resources(
    memory=Memory(limit=64 << 20, reservation=32 << 20),
    cpu=Cpu(shares=512, quota=50_000, period=100_000, cpus="0", mems="0"),
    pids=Pids(limit=10),
)


def test_limits_are_what_the_kernel_has(cgroup: Cgroup) -> None:
    cgroup.limit(LIMITS)
    assert value(cgroup, "pids", "pids.max") == "10"
    assert value(cgroup, "cpuset", "cpuset.cpus") == "0"
    if this_host().is_v2:
        assert value(cgroup, "memory", "memory.max") == str(64 << 20)
        assert value(cgroup, "memory", "memory.low") == str(32 << 20)
        assert value(cgroup, "cpu", "cpu.max") == "50000 100000"
        assert value(cgroup, "cpu", "cpu.weight") == "59"
    else:
        assert value(cgroup, "memory", "memory.limit_in_bytes") == str(64 << 20)
        assert value(cgroup, "memory", "memory.soft_limit_in_bytes") == str(32 << 20)
        assert value(cgroup, "cpu", "cpu.cfs_quota_us") == "50000"
        assert value(cgroup, "cpu", "cpu.shares") == "512"


def test_a_process_is_in_every_hierarchy_and_can_be_found(cgroup: Cgroup) -> None:
    cgroup.limit(LIMITS)
    process = run_in(cgroup, ["sleep", "60"])
    assert cgroup.processes() == [process.pid]
    beside = cgroups.of_process(process.pid)
    assert beside.paths == cgroup.paths
    assert cgroups.reopen(json.loads(json.dumps(cgroup.paths))).processes() == [process.pid]
    with pytest.raises(ContainerError, match=f"exists and has processes, such as {process.pid}"):
        cgroups.create(f"/{NAME}/box", "box")
    cgroup.kill()
    assert process.ended() == -signal.SIGKILL


def test_limits_are_raised_and_lowered_while_it_runs(cgroup: Cgroup) -> None:
    """Each value is out of range until the other is written: the order must alternate."""
    cgroup.limit(Resources(memory=Memory(limit=64 << 20, swap=64 << 20)))
    for limit in (256 << 20, 16 << 20, -1, 32 << 20):
        cgroup.update(Resources(memory=Memory(limit=limit, swap=limit)))
        name = "memory.max" if this_host().is_v2 else "memory.limit_in_bytes"
        present = value(cgroup, "memory", name)
        assert (present == str(limit)) == (limit > 0)
    for quota, burst, period in ((50_000, 50_000, 100_000), (5_000, 4_000, 10_000),
                                 (90_000, 90_000, 100_000)):  # fmt: skip
        cgroup.update(Resources(cpu=Cpu(quota=quota, burst=burst, period=period)))
        name = "cpu.max.burst" if this_host().is_v2 else "cpu.cfs_burst_us"
        assert value(cgroup, "cpu", name) == str(burst)


def test_an_update_that_the_kernel_refuses_changes_nothing(cgroup: Cgroup) -> None:
    cgroup.limit(LIMITS)
    with pytest.raises(ContainerError, match=r"linux\.resources\.cpu\.cpus: can't write '4000'"):
        cgroup.update(Resources(pids=Pids(limit=99), cpu=Cpu(shares=2, cpus="4000")))
    assert value(cgroup, "pids", "pids.max") == "10"
    assert value(cgroup, "cpuset", "cpuset.cpus") == "0"


def test_forks_end_at_the_limit(cgroup: Cgroup) -> None:
    cgroup.limit(Resources(pids=Pids(limit=1)))
    code = "import os\ntry: os.fork()\nexcept OSError as error: print(error.errno)"
    assert run_in(cgroup, [sys.executable, "-ISc", code]).said() == "11"


def test_throttles_are_taken(cgroup: Cgroup) -> None:
    device = next(
        (path.stat().st_rdev for path in Path("/dev").iterdir() if path.is_block_device()), None
    )
    if device is None:
        pytest.skip("this host has no block device node")
    major, minor = os.major(device), os.minor(device)
    throttle = ThrottleDevice(major=major, minor=minor, rate=1 << 20)
    try:
        cgroup.limit(Resources(block_io=BlockIo(throttle_read_bps_device=(throttle,))))
    except ContainerError as error:
        pytest.skip(f"{major}:{minor} has no queue to throttle: {error}")
    file = "io.max" if this_host().is_v2 else "blkio.throttle.read_bps_device"
    assert f"{major}:{minor}" in value(cgroup, "io" if this_host().is_v2 else "blkio", file)


OPEN = """
import os, sys
for path in sys.argv[1:]:
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK))
        print("yes")
    except PermissionError:
        print("no")
"""


def opened(cgroup: Cgroup, *paths: str) -> list[str]:
    """Return yes or no for each path, as a process in the cgroup may open it or not."""
    command = [sys.executable, "-ISc", OPEN, *paths]
    return run_in(cgroup, command).said().split()


@pytest.fixture
def nodes(tmp_path: Path) -> tuple[str, str]:
    """Make nodes of /dev/kmsg, which is not a default device, and of /dev/zero, which is."""
    paths = []
    for name, device in (("kmsg", (1, 11)), ("zero", (1, 5))):
        os.mknod(tmp_path / name, stat.S_IFCHR | 0o600, os.makedev(*device))
        paths.append(str(tmp_path / name))
    return paths[0], paths[1]


KMSG = DeviceRule(allow=True, type="c", major=1, minor=11, access="rw")


def check_devices(cgroup: Cgroup, nodes: tuple[str, str]) -> None:
    cgroup.limit(Resources())
    assert opened(cgroup, *nodes) == ["no", "yes"]
    cgroup.update(Resources(devices=(KMSG,)))
    assert opened(cgroup, *nodes) == ["yes", "yes"]
    cgroup.update(Resources(pids=None))
    assert opened(cgroup, *nodes) == ["yes", "yes"]
    cgroup.update(Resources(devices=(KMSG, DeviceRule(allow=False, access="rwm"))))
    assert opened(cgroup, *nodes) == ["no", "yes"]
    cgroup.update(Resources(devices=(DeviceRule(allow=True, access="rwm"),)))
    assert opened(cgroup, *nodes) == ["yes", "yes"]


def test_devices_are_what_the_rules_let_through(cgroup: Cgroup, nodes: tuple[str, str]) -> None:
    check_devices(cgroup, nodes)


def test_devices_change_where_there_are_sub_cgroups(cgroup: Cgroup, nodes: tuple[str, str]) -> None:
    cgroup.limit(Resources())
    for directory in cgroup.paths.values():
        Path(directory, "sub").mkdir()
    cgroup.update(Resources(devices=(KMSG,)))
    for directory in cgroup.paths.values():
        Path(directory, "sub").rmdir()
    assert opened(cgroup, *nodes) == ["yes", "yes"]


def check_freezing(cgroup: Cgroup) -> None:
    process = run_in(cgroup, ["sh", "-c", "while :; do :; done"])
    ticks = Path(f"/proc/{process.pid}/stat")
    assert not cgroup.is_frozen()
    cgroup.freeze()
    assert cgroup.is_frozen()
    before = ticks.read_text().split()[13:15]
    time.sleep(0.1)
    assert ticks.read_text().split()[13:15] == before
    cgroup.thaw()
    assert not cgroup.is_frozen()
    wait_until(lambda: ticks.read_text().split()[13:15] != before)
    cgroup.freeze()
    cgroup.kill()
    assert process.ended() == -signal.SIGKILL


def test_frozen_processes_stand_and_die_all_the_same(cgroup: Cgroup) -> None:
    check_freezing(cgroup)


FORKING = """
import os, time
while True:
    try:
        if os.fork() == 0 and os.fork():
            os._exit(0)
    except OSError:
        time.sleep(0.001)
"""


def check_killing(cgroup: Cgroup) -> None:
    process = run_in(cgroup, [sys.executable, "-ISc", FORKING])
    wait_until(lambda: len(cgroup.processes()) > 20)
    cgroup.kill()
    assert process.ended() == -signal.SIGKILL
    cgroup.remove()
    assert not cgroup.exists()


def test_processes_that_fork_on_and_on_are_killed(cgroup: Cgroup) -> None:
    cgroup.limit(Resources(pids=Pids(limit=60)))
    check_killing(cgroup)


def test_removal_kills_what_is_left_and_takes_the_payloads_own_cgroups(cgroup: Cgroup) -> None:
    for directory in cgroup.paths.values():
        Path(directory, "system.slice").mkdir()
        Path(directory, "system.slice", "cron.service").mkdir()
    process = run_in(cgroup, ["sleep", "60"])
    cgroup.remove()
    assert not cgroup.exists()
    assert process.ended() == -signal.SIGKILL


def test_a_parent_goes_with_its_last_container_and_a_foreign_one_stays() -> None:
    foreign = [Path(root, NAME) for root in this_host().every_hierarchy().values()]
    for directory in foreign:
        directory.mkdir()
    try:
        first = cgroups.create(f"/{NAME}/pod/one", "1")
        second = cgroups.create(f"/{NAME}/pod/two", "2")
        first.remove()
        assert second.exists()
        second.remove()
        assert [path for path in left() if path.name != NAME] == []
        assert not any((directory / "pod").exists() for directory in foreign)
        assert all(directory.exists() for directory in foreign)
    finally:
        for directory in foreign:
            directory.rmdir()


HUNGRY = "x = bytearray(256 << 20)"


def test_want_of_memory_is_heard(cgroup: Cgroup) -> None:
    cgroup.limit(Resources(memory=Memory(limit=32 << 20, swap=32 << 20)))
    with cgroup.oom_events() as events:
        assert events.wait(0) == 0
        process = run_in(cgroup, [sys.executable, "-ISc", HUNGRY])
        assert (events.wait(SECONDS) or 0) >= 1
        assert process.ended() == -signal.SIGKILL
        cgroup.remove()
        deadline = time.monotonic() + SECONDS
        while events.wait(1) is not None:
            assert time.monotonic() < deadline


def test_statistics_are_told_as_runc_tells_them(cgroup: Cgroup) -> None:
    cgroup.limit(LIMITS)
    process = run_in(cgroup, ["sh", "-c", "i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; cat"])
    wait_until(lambda: cgroup.statistics()["cpu"]["usage"]["total"] > 1_000_000)
    statistics = json.loads(json.dumps(cgroup.statistics()))
    assert statistics["pids"]["limit"] == 10
    assert statistics["pids"]["current"] >= 1
    assert statistics["memory"]["usage"]["limit"] == 64 << 20
    assert 0 < statistics["memory"]["usage"]["usage"] <= 64 << 20
    assert statistics["memory"]["raw"]
    assert statistics["cpuset"]["cpus"] == [0]
    assert abs(cgroup.memory_bytes() - statistics["memory"]["usage"]["usage"]) < 16 << 20
    cgroup.kill()
    process.ended()


@needs_v1
def test_realtime_is_set_or_refused_by_name(cgroup: Cgroup) -> None:
    try:
        cgroup.limit(Resources(cpu=Cpu(realtime_period=1_000_000, realtime_runtime=0)))
    except ContainerError as error:
        assert "linux.resources.cpu.realtimePeriod" in str(error)
    else:
        assert value(cgroup, "cpu", "cpu.rt_period_us") == "1000000"


@needs_v1
def test_a_limit_whose_controller_the_host_lacks_is_refused_by_name(cgroup: Cgroup) -> None:
    if "rdma" in this_host().hierarchies:
        pytest.skip("this host has an rdma controller")
    from runtime.spec.config import Rdma

    with pytest.raises(ContainerError, match=r"rdma\.mlx5.*no rdma cgroup"):
        cgroup.limit(Resources(rdma={"mlx5": Rdma(hca_handles=1)}))


@needs_v2
def test_version_2_filters_devices_by_a_program(unified: Cgroup, nodes: tuple[str, str]) -> None:
    check_devices(unified, nodes)


@needs_v2
def test_version_2_has_one_program_at_every_moment(unified: Cgroup) -> None:
    unified.limit(Resources())
    directory = unified.clone_descriptor()
    assert directory is not None
    first = bpf.attached(directory)
    unified.update(Resources(devices=(KMSG,)))
    second = bpf.attached(directory)
    assert len(first) == len(second) == 1
    assert first != second


@needs_v2
def test_version_2_freezes(unified: Cgroup) -> None:
    check_freezing(unified)


@needs_v2
def test_version_2_kills_at_once(unified: Cgroup) -> None:
    # no fork bomb here, although cgroup.kill would stop it: it would disturb the other tests
    process = run_in(unified, ["sh", "-c", "sleep 60 & sleep 60 & wait"])
    wait_until(lambda: len(unified.processes()) == 3)
    unified.kill()
    assert process.ended() == -signal.SIGKILL
    wait_until(lambda: unified.processes() == [])


@needs_v2
def test_version_2_limits_huge_pages_and_takes_files_by_name(unified: Cgroup) -> None:
    if "hugetlb" not in controllers.of(unified.paths[""]):
        pytest.skip("version 2 has no hugetlb controller here")
    limit = HugepageLimit(page_size="2MB", limit=4 << 20)
    unified.limit(Resources(hugepage_limits=(limit,), unified={"cgroup.max.descendants": "7"}))
    assert value(unified, "", "hugetlb.2MB.max") == str(4 << 20)
    assert value(unified, "", "cgroup.max.descendants") == "7"
    assert unified.statistics()["hugetlb"]["2MB"] == {"usage": 0, "failcnt": 0}


@needs_v2
def test_version_2_refuses_what_no_controller_is_there_for(unified: Cgroup) -> None:
    with pytest.raises(
        ContainerError, match=r"unified\.strange\.max.*controller strange is absent"
    ):
        unified.limit(Resources(unified={"strange.max": "1"}))
    if "memory" not in controllers.of(unified.paths[""]):
        with pytest.raises(ContainerError, match=r"memory\.limit.*controller memory is absent"):
            unified.limit(Resources(memory=Memory(limit=1 << 20)))


@needs_v2
def test_version_2_hands_a_cgroup_to_a_user(unified: Cgroup) -> None:
    unified.delegate(1234)
    directory = Path(unified.paths[""])
    owners = {path.name: path.stat().st_uid for path in directory.iterdir()}
    assert directory.stat().st_uid == 1234
    assert owners["cgroup.procs"] == owners["cgroup.subtree_control"] == 1234
    assert owners["cgroup.freeze"] == owners["cgroup.max.depth"] == 0


@needs_v2
def test_version_2_takes_the_child_without_a_move(unified: Cgroup) -> None:
    process = run_in(unified, ["cat", "/proc/self/cgroup"])
    assert f"0::/{NAME}/unified" in process.said()


def test_the_hierarchies_are_read_again_in_another_mount_namespace() -> None:
    code = (
        "from lab.host import mount_namespace\n"
        "from runtime.cgroups.hierarchies import this_host\n"
        "before = this_host()\n"
        "assert this_host() is before\n"
        "mount_namespace.enter_private_mount_namespace()\n"
        "assert this_host() is not before\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
