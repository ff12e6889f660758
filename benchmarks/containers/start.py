"""Start cost of a container: our runtime in process and as a command, crun, runc, and a floor in C.

    python -m benchmarks.containers.start --rounds 40

All contestants start one configuration (benchmarks/containers/bundle.py) in one interleaved run,
in a random order in each round; a ratio is taken within a round. `in-process` and `floor` are timed
from the request to the payload's first instruction: neither starts a program first. The floor makes
the same system calls from a static C program (benchmarks/floor/floor.c). Commands are timed to the
first instruction and to their end, and their peak memory is that of their largest process.

The states of the host are those of benchmarks/containers/start_in_process.py.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from benchmarks import harness
from benchmarks.containers.bundle import bundle, config
from benchmarks.floor_programs import compile_program
from benchmarks.harness import Ratio, Samples
from benchmarks.worker_tasks import STATES, bring_host_to
from lab.host import mount_namespace
from lab.targets.containers.oci import hide_unified_hierarchy
from lab.userland import build
from runtime.container.container import Container
from runtime.process.plan import StartRequest
from runtime.rootfs.root import Bundle
from runtime.seccomp import cache
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Start: TypeAlias = "Callable[[Place, str], dict[str, float]]"

OURS_COMMAND = Path(sys.executable).with_name("tonnage-oci")
RATIOS = (
    Ratio("first-instruction", "in-process", "crun", 0.6),
    Ratio("first-instruction", "in-process", "floor", 1.3),
    Ratio("first-instruction", "tonnage-oci", "runc", 1.0),
    Ratio("whole", "tonnage-oci", "runc", 1.0),
    Ratio("peak-memory", "tonnage-oci", "runc", 1.0),
    Ratio("first-instruction", "tonnage-oci", "crun"),
    Ratio("whole", "tonnage-oci", "crun"),
    Ratio("peak-memory", "tonnage-oci", "crun"),
)
UNITS = {"peak-memory": "MiB"}


@dataclass(frozen=True, slots=True)
class Place:
    """The scratch directory of bundles and state, and the root file system's tree."""

    directory: Path
    tree: Path

    @property
    def state(self) -> Path:
        """The runtimes' state directory."""
        return self.directory / "state"


def read_first_instruction(reading: int) -> int:
    """Return the payload's clock at its first instruction, in nanoseconds."""
    with os.fdopen(reading, "rb") as pipe:
        word, nanoseconds = pipe.readline().split()
    assert word == b"first-instruction"
    return int(nanoseconds)


def in_process(place: Place, identity: str) -> dict[str, float]:
    """Start by the Python API; reading the configuration is timed, as it is for crun."""
    with bundle(place.directory, place.tree, identity, ["hello"]) as path:
        reading, writing = os.pipe()
        spec = decode(Spec, (path / "config.json").read_bytes(), "config.json")
        request = StartRequest(
            identifier=identity,
            spec=spec,
            root=Bundle(str(path / "rootfs")),
            bundle=str(path),
            streams=(0, writing, 2),
        )
        t0_ns = time.monotonic_ns()
        container = Container.create(request, str(place.state))
        os.close(writing)
        reached_ns = read_first_instruction(reading)
        container.wait()
        container.delete()
    return {"first-instruction": (reached_ns - t0_ns) / 1e6}


def by_command(program: str) -> Start:
    """Return a start by `run` of a runtime's command line."""

    def start(place: Place, identity: str) -> dict[str, float]:
        with bundle(place.directory, place.tree, identity, ["hello"]) as path:
            reading, writing = os.pipe()
            argv = run_words(place, program, path, identity)
            t0_ns = time.monotonic_ns()
            process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=writing)
            os.close(writing)
            reached_ns = read_first_instruction(reading)
            assert process.wait() == 0
            end_ns = time.monotonic_ns()
        return {
            "first-instruction": (reached_ns - t0_ns) / 1e6,
            "whole": (end_ns - t0_ns) / 1e6,
            "peak-memory": peak_mib(place, program, f"{identity}m"),
        }

    return start


def run_words(place: Place, program: str, path: Path, identity: str) -> list[str]:
    """Return the arguments of `run`, with a state directory of the runtime's own."""
    state = place.state / Path(program).name
    return [program, "--root", str(state), "run", "--bundle", str(path), identity]


def peak_mib(place: Place, program: str, identity: str) -> float:
    """Return the peak memory of the largest process of `run`, in a start of its own."""
    with bundle(place.directory, place.tree, identity, ["hello"]) as path:
        result = subprocess.run(
            [place.directory / "peak", *run_words(place, program, path, identity)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return int(result.stderr.split()[-1]) / 1024


def by_floor(program: Path) -> Start:
    """Return a start by the floor program, which prints when it had read its input and began."""

    def start(place: Place, identity: str) -> dict[str, float]:
        with bundle(place.directory, place.tree, identity, ["hello"]) as path:
            result = subprocess.run(
                [program, path / "rootfs", identity, place.state, place.directory / "filter"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            )  # fmt: skip
        clock_ns = dict(line.split() for line in result.stdout.splitlines())
        span_ns = int(clock_ns["first-instruction"]) - int(clock_ns["request"])
        return {"first-instruction": span_ns / 1e6}

    return start


def write_filter(directory: Path) -> None:
    """Write the compiled seccomp filter that the floor program loads."""
    section = decode(Spec, json.dumps(config("floor", ["hello"])), "config.json").linux.seccomp
    assert section
    (directory / "filter").write_bytes(cache.compile(section).program)


def contestants(place: Place) -> Iterator[tuple[str, Start]]:
    """Yield each contestant's name and start; peers that are not installed are left out."""
    yield "in-process", in_process
    yield "floor", by_floor(compile_program("floor", place.directory))
    yield "tonnage-oci", by_command(str(OURS_COMMAND))
    for peer in ("crun", "runc"):
        if program := shutil.which(peer):
            yield peer, by_command(program)


def measure(rounds: int, seed: int) -> Samples:
    """Time each contestant in both states of the host; the first round warms caches."""
    land = build.build(harness.say)
    samples = Samples()
    with ExitStack() as stack:
        place = Place(stack.enter_context(harness.quiet_host()), land.tree)
        place.state.mkdir()
        mount_namespace.enter_private_mount_namespace()
        hide_unified_hierarchy()  # crun 1.8 refuses it
        compile_program("peak", place.directory)
        write_filter(place.directory)
        starts = list(contestants(place))
        for number, state, (name, start) in harness.turns(
            starts, rounds, seed, STATES, warm_up=True
        ):
            bring_host_to(state)
            identity = f"tonnage-{name}-{os.getpid()}-{number + 1}{state[0]}"
            samples.add(state, name, number, start(place, identity))
    return samples


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    options = harness.parser(__doc__, rounds=40).parse_args()
    samples = measure(options.rounds, options.seed)
    harness.write_record(options.out, samples.values)
    return harness.report([*samples.medians(UNITS), *samples.ratios(RATIOS)])


if __name__ == "__main__":
    sys.exit(main())
