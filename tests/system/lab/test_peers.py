"""crun, runc, podman, docker and LXC as targets: start, requests, commands, and removal."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.errors import LabError, StartFailed
from lab.host import processes
from lab.paths import cache_directory
from lab.targets.base import Allotment, CommandResult, Settings, Target
from lab.targets.containers.command import CommandInstance, CommandTarget
from lab.targets.worker import Worker
from lab.userland import build, container_image, root_tree
from lab.userland.payload import build_payload
from tests.left_on_host import has_ended_owner, has_living_owner

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.root

DEADLINE_SECONDS = 120.0
# CapEff: docker's default capabilities; podman's are without AUDIT_WRITE, MKNOD and NET_RAW.
CAPABILITIES = {"podman": "00000000800405fb"}
DOCKER_CAPABILITIES = "00000000a80425fb"
CGROUPS = Path("/sys/fs/cgroup")
# Directories that the tools use whatever their options.
FIXED = [
    Path(name)
    for name in ("/etc/docker", "/opt/containerd", "/var/lib/docker", "/var/lib/containers",
                 "/run/docker", "/run/containerd", "/run/crun", "/run/runc", "/run/libpod",
                 "/run/containers", "/run/lxc", "/dev/shm")
]  # fmt: skip


# Functions that the workers call, and their results.


@dataclass(frozen=True)
class Life:
    """Observations of one instance."""

    milestones: tuple[int, int, int, int]
    userspace: int | None
    programs: list[str]
    namespaces: set[str]
    cgroups: list[str]
    disk_bytes: tuple[int, int]  # before and after a file was written
    left: list[int]


def live(target: Target) -> Life:
    with target.start() as instance:
        assert isinstance(instance, CommandInstance)
        first = instance.reached("first-instruction")
        ready = instance.reached("ready")
        assert first is not None
        assert ready is not None
        milestones = (instance.t0_ns, first, ready, instance.ask())
        userspace = instance.reached("userspace")
        programs = [
            Path(os.fsdecode(processes.command_line(pid).split(b"\0")[0])).name
            for pid in instance.pids()
        ]
        namespaces = namespaces_of(instance.payload_pid())
        cgroups = cgroups_of(instance.payload_pid())
        before = target.instance_disk_bytes(instance)
        instance.run(["sh", "-c", "head -c 4000000 /dev/zero >/written; sync"], 60)
        after = target.instance_disk_bytes(instance)
        instance.stop()
        left = [pid for pid in instance.pids() if processes.command_line(pid)]
    return Life(milestones, userspace, programs, namespaces, cgroups, (before, after), left)


def run(target: Target, *argv: str) -> CommandResult:
    """Run a command in a fresh instance."""
    with target.start() as instance:
        return instance.run(list(argv), 30)


def start_two(target: Target) -> list[int]:
    """Start two instances that outlive the call, and return the pids of their processes."""
    for _ in range(2):
        instance = target.start()
        target.running.append(instance)
        instance.reached("ready")
    return [pid for instance in target.running for pid in instance.pids()]


def start_badly(target: Target) -> None:
    """Start an instance with an option that the tool refuses."""
    assert isinstance(target, CommandTarget)
    words = target.run_words

    def refused(identity: str, allotment: Allotment) -> list[str]:
        verb, *rest = words(identity, allotment)
        return [verb, "--no-such-option", *rest]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(target, "run_words", refused)
        with target.start() as instance:
            instance.reached("ready")


def exhaust_memory(target: Target) -> int:
    """Return the exit code of a command that needs more memory than its instance may have."""
    with target.start(Allotment(memory_bytes=64 << 20)) as instance:
        return instance.run(["tail", "/dev/zero"], 30).exit_code


def image_sizes(target: Target) -> dict[str, int]:
    return target.image_bytes()


def ask_payload_that_was_killed(target: Target) -> None:
    with target.start() as instance:
        assert isinstance(instance, CommandInstance)
        instance.reached("ready")
        os.kill(instance.payload_pid(), 9)
        instance.run(["true"], 30)


# Observations of the host.


def namespaces_of(pid: int) -> set[str]:
    """Return the namespaces that are private to every container.

    docker shares the cgroup namespace under cgroup v1.
    """
    kinds = ("mnt", "pid", "net", "ipc", "uts")
    return {str(Path(f"/proc/{pid}/ns/{kind}").readlink()) for kind in kinds}


def cgroups_of(pid: int) -> list[str]:
    """Return the paths of the process's cgroups, without root cgroups."""
    paths = [line.split(":", 2)[2] for line in Path(f"/proc/{pid}/cgroup").read_text().splitlines()]
    return sorted({path for path in paths if path != "/"})


def traces() -> dict[str, set[str]]:
    """Return the objects on this host that a worker and its container tool may leave, by kind.

    Those of the tests that run beside these are left out: their owner is alive, or they have none.
    """
    hierarchies = [CGROUPS, *(path for path in CGROUPS.iterdir() if path.is_dir())]
    mounts = Path("/proc/self/mounts").read_text().splitlines()
    return {
        "cgroups": {str(path) for top in hierarchies for path in top.glob("*tonnage*")
                    if has_ended_owner(path.name)}
        | {str(path) for top in hierarchies for path in top.glob("*libpod*")}
        | {str(path) for top in hierarchies for path in top.glob("lxc.*")},
        "mounts": {line for line in mounts if has_ended_owner(line)},
        "files": {str(path) for fixed in FIXED for path in (fixed, *fixed.glob("*"))
                  if path.exists() and not has_living_owner(path.name)},
    }  # fmt: skip


@pytest.fixture(scope="module")
def land() -> build.Userland:
    """The parts of the user land that containers need, from the cache."""
    payload = build_payload(print)
    tree = root_tree.build_tree(print)
    nothing = Path("/nonexistent")
    return build.Userland(payload, tree, container_image.build_image(tree, print), *[nothing] * 4)


@pytest.fixture(scope="module")
def scratch() -> Iterator[Path]:
    """A directory on the disk of the user land, since not every file system supports overlays."""
    path = cache_directory() / f"test-peers-{os.getpid()}"
    path.mkdir()
    yield path
    path.rmdir()  # fails if a worker left a file


@pytest.fixture(scope="module")
def settings(land: build.Userland, scratch: Path) -> Iterator[Settings]:
    with pytest.MonkeyPatch.context() as patch:
        # Workers import the functions of this module.
        patch.setenv("PYTHONPATH", str(Path(__file__).parent))
        yield Settings(land, scratch, "tcg", start_deadline_seconds=60.0)


@pytest.fixture
def apart(settings: Settings, scratch: Path) -> Iterator[Settings]:
    """Settings with a scratch directory for one test, which must be empty afterwards."""
    path = scratch / "apart"
    path.mkdir()
    yield replace(settings, scratch=path)
    path.rmdir()


@pytest.fixture(scope="module", params=targets.PEERS)
def name(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    if why := targets.find(name).absent():
        pytest.skip(why)
    return name


@pytest.fixture(scope="module")
def worker(name: str, settings: Settings) -> Iterator[Worker]:
    """A worker for all tests of a tool; nothing may be left on the host when it ends."""
    before = traces()
    with Worker(name, settings) as worker:
        yield worker
    ours = {kind: objects - before[kind] for kind, objects in traces().items()}
    assert not {kind: objects for kind, objects in ours.items() if objects}
    assert list(settings.scratch.iterdir()) == []


def test_an_instance_starts_and_is_removed(worker: Worker) -> None:
    life = worker.call(DEADLINE_SECONDS, live)
    t0_ns, first, ready, asked = life.milestones
    assert t0_ns < first < ready < asked
    assert first - t0_ns < 10e9
    assert life.userspace is None
    assert life.left == []

    assert not namespaces_of(os.getpid()) & life.namespaces
    # The container's cgroup was visible on the host, and was removed with the instance.
    assert life.cgroups
    for cgroup in life.cgroups:
        assert not list(CGROUPS.glob(f"*{cgroup}"))


def test_all_of_its_processes_are_counted(worker: Worker) -> None:
    programs = worker.call(DEADLINE_SECONDS, live).programs
    expected = {
        "crun": ["crun", "payload"],
        "runc": ["runc", "payload"],
        "podman": ["podman", "payload", "conmon"],
        "docker": ["docker", "payload", "containerd-shim-runc-v2"],
        "lxc": ["lxc-start", "payload"],
        "lxc-dir": ["lxc-start", "payload"],
    }
    assert programs == expected[worker.target]


def test_files_written_inside_count_as_the_instances_disk(worker: Worker) -> None:
    before, after = worker.call(DEADLINE_SECONDS, live).disk_bytes
    assert 4_000_000 <= after - before < 4_200_000
    assert before < 1_000_000


def test_a_command_inside_gives_its_output_and_exit_code(worker: Worker) -> None:
    result = worker.call(
        DEADLINE_SECONDS, run, "sh", "-c", "cat /etc/hostname; echo wrong >&2; sleep 0.02; exit 3"
    )
    assert (result.exit_code, result.stderr) == (3, b"wrong\n")
    assert result.stdout
    assert 20e6 < result.elapsed_ns < 10e9


def test_the_container_is_confined_and_limited(worker: Worker) -> None:
    status = worker.call(DEADLINE_SECONDS, run, "grep", "^CapEff", "/proc/self/status")
    expected = CAPABILITIES.get(worker.target, DOCKER_CAPABILITIES)
    assert status.stdout.split()[1].decode() == expected
    masked = worker.call(DEADLINE_SECONDS, run, "sh", "-c", "head -c 1 /proc/kcore | wc -c")
    assert masked.stdout.strip() == b"0"
    readonly = worker.call(DEADLINE_SECONDS, run, "sh", "-c", "echo 1 >/proc/sys/vm/swappiness")
    assert readonly.exit_code != 0
    links = worker.call(DEADLINE_SECONDS, run, "sh", "-c", "ls /sys/class/net")
    assert b"lo" in links.stdout.split()
    assert b"eth0" not in links.stdout.split()
    memory = worker.call(
        DEADLINE_SECONDS, run, "sh", "-c",
        "cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null",
    )  # fmt: skip
    assert memory.stdout.split() == [b"1073741824"]


def test_the_image_has_a_size_as_shipped_and_on_disk(worker: Worker) -> None:
    sizes = worker.call(DEADLINE_SECONDS, image_sizes)
    assert 20e6 < sizes["image-compressed"] < sizes["image-on-disk"] < 2e9


def test_a_refused_start_has_the_tools_error_message(worker: Worker) -> None:
    with pytest.raises(StartFailed, match=f"{worker.target} did not start: .*no-such-option"):
        worker.call(DEADLINE_SECONDS, start_badly)
    assert worker.call(DEADLINE_SECONDS, run, "true").exit_code == 0


def test_a_killed_payload_is_an_error(worker: Worker) -> None:
    with pytest.raises(LabError, match="ended while it ran true"):
        worker.call(DEADLINE_SECONDS, ask_payload_that_was_killed)


def test_instances_that_still_run_end_with_their_worker(name: str, apart: Settings) -> None:
    before = traces()
    with Worker(name, apart) as worker:
        pids = worker.call(DEADLINE_SECONDS, start_two)
        assert all(processes.command_line(pid) for pid in pids)
    assert not any(processes.command_line(pid) for pid in pids)
    assert traces() == before


def test_clean_removes_leftovers_of_a_killed_worker(name: str, apart: Settings) -> None:
    clean = targets.find(name).clean
    before = traces()
    with Worker(name, apart) as worker:
        pids = worker.call(DEADLINE_SECONDS, start_two)
        (family,) = apart.scratch.iterdir()
        assert clean(apart.scratch) == []  # the worker still runs
        os.kill(int(family.name.rpartition("-")[2]), 9)
        worker._process.wait()
        # Payloads exit at the end of their stdin, which the worker held; daemons and state stay.
        result = clean(apart.scratch)
    assert f"removed {family}" in result
    assert not any(processes.command_line(pid) for pid in pids)
    assert traces() == before
    assert clean(apart.scratch) == []


def test_memory_that_runs_out_leaves_no_file_where_the_user_is(
    name: str, apart: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """conmon writes a file named oom to the directory that it was called in."""
    monkeypatch.chdir(tmp_path)
    with Worker(name, apart) as worker:
        assert worker.call(DEADLINE_SECONDS, exhaust_memory) == 137
    assert list(tmp_path.iterdir()) == []


def test_a_start_past_its_deadline_leaves_nothing(name: str, apart: Settings) -> None:
    before = traces()
    hurried = replace(apart, start_deadline_seconds=0.001)
    with (
        Worker(name, hurried) as worker,
        pytest.raises(StartFailed, match="did not reach first-instruction within"),
    ):
        worker.call(DEADLINE_SECONDS, live)
    assert traces() == before
