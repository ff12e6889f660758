"""Density: many idle containers, each with its own network, started, listed, killed and removed.

    python -m benchmarks.containers.density --count 10000 --without memory,cpuset

Each container has what docker's have by default, its network namespace included, and a layer of its
own over the common user land, with a program that waits for a signal (benchmarks/floor/idle.c,
which is to a container what the pause container is to a pod). Memory is the slope of the host's
MemAvailable over the number of running containers, so that the kernel's own memory for a container
is counted too. One process more than there are CPUs (`--starters`) starts them, each one container
after another: while a child of one process waits for the kernel, another process goes on.

The runtime's directory, which holds the containers' layers, is a file system in memory, as /run is
on a host with systemd; its memory is part of the figure. `--on disk` puts it on the disk instead.

`--without` names controllers of cgroup version 1 whose cgroup the containers share. The kernel's
price for a memory cgroup grows with the number of file systems, and dominates the memory of
thousands of containers that have one (docs/limitations.md); and the kernel checks a new cpuset
against all its siblings.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
import traceback
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

from benchmarks import harness
from benchmarks.floor_programs import compile_program
from benchmarks.harness import Finding
from lab.experiments.host_limits import available_memory_bytes
from lab.host.mount_namespace import mount
from lab.statistics.estimates import Estimate, estimate_slope
from lab.userland import build
from runtime import Container, default_spec
from runtime.cgroups.hierarchies import WITHOUT
from runtime.container.root_directory import all_below
from runtime.linux import prctl

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

OURS_COMMAND = Path(sys.executable).with_name("tonnage-oci")
WANTED_STARTS_PER_SECOND = WANTED_DELETES_PER_SECOND = 250.0
WANTED_MIB_EACH = 0.6
WANTED_LIST_SECONDS = 1.0
IDLE = Path("/idle")
SAMPLES = 40
REPORTED_TOGETHER = 10  # starts that a process reports in one byte
RESERVED_PIDS = 1000  # for the kernel and for processes that run already
FLOOR_BYTES = 1 << 30  # of available memory, below which no container is started
MIB = 1 << 20


@dataclass
class Outcome:
    """The measured figures, in the units that the names say."""

    count: int = 0
    start_seconds: float = 0.0
    list_seconds: float = 0.0
    delete_seconds: float = 0.0
    listed: int = 0
    stopped_by: str = ""
    memory: list[tuple[int, int]] = field(default_factory=list)

    @property
    def mib_each(self) -> Estimate:
        """The memory for one more container."""
        counts, available = zip(*self.memory, strict=True)
        return estimate_slope(counts, [-value / MIB for value in available])


def limit_too_low(count: int) -> str:
    """Return the host's limit that must be raised to run so many; empty if none."""
    allowed = int(Path("/proc/sys/kernel/pid_max").read_text())
    if count + RESERVED_PIDS > allowed:
        return f"kernel.pid_max is {allowed}: sysctl -w kernel.pid_max={count + 4 * RESERVED_PIDS}"
    mounts = int(Path("/proc/sys/fs/mount-max").read_text())
    if mounts < 1000:
        return f"fs.mount-max is {mounts}: sysctl -w fs.mount-max=100000"
    return ""


def measure(count: int, without: str, starters: int, place: str) -> Outcome:
    """Start, list and remove the containers."""
    land = build.build(harness.say)
    outcome = Outcome()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    prctl.set_child_subreaper(True)  # containers outlive the processes that started them
    with ExitStack() as stack:
        scratch = stack.enter_context(harness.quiet_host())
        layers = [idle_layer(scratch / "idle"), land.tree]
        root = scratch / "c"
        if place == "memory":
            root.mkdir()
            mount("tmpfs", root, "mode=711")  # unmounted with the scratch directory
        stack.callback(remove_all, root)
        begin = time.monotonic()
        start_all(count, root, layers, without, starters, outcome)
        outcome.start_seconds = time.monotonic() - begin

        begin = time.monotonic()
        listing = subprocess.run(
            [OURS_COMMAND, "--root", root, "list", "--format", "json"],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        outcome.list_seconds = time.monotonic() - begin
        outcome.listed = sum(each["status"] == "running" for each in json.loads(listing.stdout))

        begin = time.monotonic()
        remove_all(root)
        outcome.delete_seconds = time.monotonic() - begin
    return outcome


def idle_layer(directory: Path) -> Path:
    """Make a layer with the idle program."""
    directory.mkdir()
    compile_program(IDLE.name, directory, "-nostdlib")
    return directory


def start_all(
    count: int, root: Path, layers: Sequence[Path], without: str, starters: int, outcome: Outcome
) -> None:
    """Start the containers by several processes, sampling free memory SAMPLES times."""
    reports, reporting = os.pipe()
    pids = []
    for place in range(starters):
        if not (pid := os.fork()):
            os.close(reports)
            start_share(range(place, count, starters), root, layers, without, reporting)
        pids.append(pid)
    os.close(reporting)
    every = max(1, count // SAMPLES)
    outcome.memory.append((0, available_memory_bytes()))
    while started := os.read(reports, 4096):
        outcome.count += sum(started)
        if outcome.count >= outcome.memory[-1][0] + every:
            outcome.memory.append((outcome.count, available_memory_bytes()))
            if outcome.memory[-1][1] < FLOOR_BYTES:
                outcome.stopped_by = "free memory"
                break
    os.close(reports)  # a process that still starts containers ends with EPIPE
    for pid in pids:
        os.waitpid(pid, 0)


def start_share(
    numbers: range, root: Path, layers: Sequence[Path], without: str, reporting: int
) -> NoReturn:
    """Start some of the containers and exit, reporting after every REPORTED_TOGETHER starts."""
    try:
        plain = default_spec([str(IDLE)])
        spec = plain.replace(annotations={WITHOUT: without})
        started = 0
        stream = os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)
        for number in numbers:
            container = Container.run(
                f"tonnage-density-{os.getppid()}-{number}", spec, layers, root=root,
                stdin=stream, stdout=stream, stderr=stream,
            )  # fmt: skip
            os.close(container.pidfd)  # a process may not have so many descriptors
            started += 1
            if started == REPORTED_TOGETHER or number == numbers[-1]:
                os.write(reporting, bytes([started]))
                started = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def remove_all(root: Path) -> None:
    """Kill all containers, then delete them: some end while others are deleted."""
    containers = list(all_below(str(root)))
    for container in containers:
        container.kill()
    for container in containers:
        container.delete(force=True)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def findings(outcome: Outcome, wanted_count: int) -> Iterator[Finding]:
    """Yield the figures, each against its bound."""
    stopped = f", stopped by {outcome.stopped_by}" if outcome.stopped_by else ""
    yield Finding(
        f"containers          {outcome.count} of {wanted_count}{stopped}",
        outcome.count == wanted_count,
    )
    starts = outcome.count / outcome.start_seconds
    yield Finding.at_least(
        f"starts              {starts:.0f} a second",
        WANTED_STARTS_PER_SECOND,
        met=starts >= WANTED_STARTS_PER_SECOND,
    )
    each = outcome.mib_each
    assert each.centre is not None
    yield Finding.at_most(
        f"memory              {each.centre:.3f} MiB each",
        WANTED_MIB_EACH,
        met=each.centre <= WANTED_MIB_EACH,
    )
    yield Finding.at_most(
        f"list                {outcome.list_seconds:.2f} s, {outcome.listed} running",
        WANTED_LIST_SECONDS,
        met=outcome.list_seconds < WANTED_LIST_SECONDS and outcome.listed == outcome.count,
        unit=" s",
    )
    deletes = outcome.count / outcome.delete_seconds
    yield Finding.at_least(
        f"killed and removed  {deletes:.0f} a second",
        WANTED_DELETES_PER_SECOND,
        met=deletes >= WANTED_DELETES_PER_SECOND,
    )


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--without", default="", metavar="CONTROLLERS")
    parser.add_argument(
        "--starters", type=int, default=(os.cpu_count() or 1) + 1, metavar="PROCESSES"
    )
    parser.add_argument("--on", choices=("memory", "disk"), default="memory")
    options = parser.parse_args()
    if limit := limit_too_low(options.count):
        harness.say(limit)
        return 2
    outcome = measure(options.count, options.without, options.starters, options.on)
    return harness.report(findings(outcome, options.count))


if __name__ == "__main__":
    sys.exit(main())
