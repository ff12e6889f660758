"""Many idle containers, each with a network of its own: started, listed, killed and removed.

    python -m benchmarks.containers.density --count 10000 --without memory,cpuset

Each has what docker's containers have by default, the network namespace included, a layer of its
own over the common user land, and in it a program that waits for a signal (benchmarks/floor/idle.c:
what a pause container is to a pod). Memory is the slope of the host's MemAvailable over the number
that run, so that what anything of a container takes, the kernel's own included, is counted. They
are started by one process more than there are CPUs (`--starters`), by each one after another: while
a child of one waits for the kernel, another's goes on.

The runtime's directory, their layers in it, is a file system in memory, as /run is on a host with
systemd; what it takes is in the memory that is measured. `--on disk` has it on the disk instead.

`--without` names controllers of version 1 that they share a cgroup of: the kernel's price for a
cgroup of memory grows with the number of file systems, so that of thousands with such cgroups most
of the memory is that (docs/limitations.md); and a new cpuset is held against all beside it.
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

from benchmarks.floor_programs import compile_program
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.host.mount_namespace import mount
from lab.statistics.estimates import Estimate, estimate_slope
from lab.userland import build
from runtime import Container, default_spec
from runtime.cgroups.manager import WITHOUT
from runtime.container.container import all_below
from runtime.linux import syscalls
from runtime.linux.libc import syscall

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS_COMMAND = Path(sys.executable).with_name("tonnage-oci")
WANTED_STARTS_PER_SECOND = WANTED_DELETES_PER_SECOND = 250.0
WANTED_MIB_EACH = 0.6
WANTED_LIST_SECONDS = 1.0
IDLE = Path("/idle")
SAMPLES = 40
TOLD_TOGETHER = 10
PR_SET_CHILD_SUBREAPER = 36  # whose starters have ended, this process waits for
RESERVED_PIDS = 1000  # those of the kernel and of what runs already
FLOOR_BYTES = 1 << 30  # of free memory, below which nothing more is started
MIB = 1 << 20


@dataclass
class Outcome:
    """What was measured, in the units of the names."""

    count: int = 0
    start_seconds: float = 0.0
    list_seconds: float = 0.0
    delete_seconds: float = 0.0
    listed: int = 0
    stopped_by: str = ""
    memory: list[tuple[int, int]] = field(default_factory=list)

    @property
    def mib_each(self) -> Estimate:
        counts, available = zip(*self.memory, strict=True)
        return estimate_slope(counts, [-value / MIB for value in available])


def available_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no MemAvailable")


def too_many(count: int) -> str:
    """What must be raised on this host before that many can run; empty if nothing."""
    allowed = int(Path("/proc/sys/kernel/pid_max").read_text())
    if count + RESERVED_PIDS > allowed:
        return f"kernel.pid_max is {allowed}: sysctl -w kernel.pid_max={count + 4 * RESERVED_PIDS}"
    mounts = int(Path("/proc/sys/fs/mount-max").read_text())
    if mounts < 1000:
        return f"fs.mount-max is {mounts}: sysctl -w fs.mount-max=100000"
    return ""


def measure(count: int, without: str, starters: int, place: str) -> Outcome:
    land = build.build(lambda line: print(line, file=sys.stderr))
    outcome = Outcome()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    syscall(syscalls.PRCTL, PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        scratch = stack.enter_context(scratch_directory())
        layers = [idle_layer(scratch / "idle"), land.tree]
        root = scratch / "c"
        if place == "memory":
            root.mkdir()
            mount("tmpfs", root, "mode=711")  # which goes with the scratch directory
        stack.callback(remove_all, root)
        begin = time.monotonic()
        start_all(count, root, layers, without, starters, outcome)
        outcome.start_seconds = time.monotonic() - begin

        begin = time.monotonic()
        said = subprocess.run(
            [OURS_COMMAND, "--root", root, "list", "--format", "json"],
            stdout=subprocess.PIPE, check=True,
        )  # fmt: skip
        outcome.list_seconds = time.monotonic() - begin
        outcome.listed = sum(each["status"] == "running" for each in json.loads(said.stdout))

        begin = time.monotonic()
        remove_all(root)
        outcome.delete_seconds = time.monotonic() - begin
    return outcome


def idle_layer(directory: Path) -> Path:
    """A layer with the program that is idle."""
    directory.mkdir()
    compile_program(IDLE.name, directory, "-nostdlib")
    return directory


def start_all(
    count: int, root: Path, layers: Sequence[Path], without: str, starters: int, outcome: Outcome
) -> None:
    """Start them by several processes; free memory is looked at SAMPLES times on the way."""
    told, telling = os.pipe()
    pids = []
    for place in range(starters):
        if not (pid := os.fork()):
            os.close(told)
            start_share(range(place, count, starters), root, layers, without, telling)
        pids.append(pid)
    os.close(telling)
    every = max(1, count // SAMPLES)
    outcome.memory.append((0, available_bytes()))
    while said := os.read(told, 4096):
        outcome.count += sum(said)
        if outcome.count >= outcome.memory[-1][0] + every:
            outcome.memory.append((outcome.count, available_bytes()))
            if outcome.memory[-1][1] < FLOOR_BYTES:
                outcome.stopped_by = "free memory"
                break
    os.close(told)  # which ends who goes on
    for pid in pids:
        os.waitpid(pid, 0)


def start_share(
    numbers: range, root: Path, layers: Sequence[Path], without: str, telling: int
) -> NoReturn:
    """Start these in a process of their own, and tell of each TOLD_TOGETHER."""
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
            os.close(container.pidfd)  # one each would be more than a process may have
            started += 1
            if started == TOLD_TOGETHER or number == numbers[-1]:
                os.write(telling, bytes([started]))
                started = 0
    except BrokenPipeError:
        pass
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(0)


def remove_all(root: Path) -> None:
    """Kill every one first, so that they end while others are removed."""
    containers = list(all_below(str(root)))
    for container in containers:
        container.kill()
    for container in containers:
        container.delete(force=True)
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def verdict(*, met: bool) -> str:
    return "met" if met else "MISSED"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--without", default="", metavar="CONTROLLERS")
    parser.add_argument(
        "--starters", type=int, default=(os.cpu_count() or 1) + 1, metavar="PROCESSES"
    )
    parser.add_argument("--on", choices=("memory", "disk"), default="memory")
    options = parser.parse_args()
    if why := too_many(options.count):
        print(why, file=sys.stderr)
        return 2
    outcome = measure(options.count, options.without, options.starters, options.on)
    each = outcome.mib_each
    starts = outcome.count / outcome.start_seconds
    deletes = outcome.count / outcome.delete_seconds
    assert each.centre is not None
    met = (
        starts >= WANTED_STARTS_PER_SECOND,
        each.centre <= WANTED_MIB_EACH,
        outcome.list_seconds < WANTED_LIST_SECONDS and outcome.listed == outcome.count,
        deletes >= WANTED_DELETES_PER_SECOND,
    )
    stopped = f", stopped by {outcome.stopped_by}" if outcome.stopped_by else ""
    print(f"containers          {outcome.count} of {options.count}{stopped}")
    print(f"starts              {starts:.0f} a second  ({verdict(met=met[0])})")
    print(f"memory              {each.centre:.3f} MiB each  ({verdict(met=met[1])})")
    print(
        f"list                {outcome.list_seconds:.2f} s, {outcome.listed} running"
        f"  ({verdict(met=met[2])})"
    )
    print(f"killed and removed  {deletes:.0f} a second  ({verdict(met=met[3])})")
    return 0 if all(met) and outcome.count == options.count else 1


if __name__ == "__main__":
    sys.exit(main())
