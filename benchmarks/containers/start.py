"""What a start costs: our runtime in process and as a command, crun, runc, and a floor in C.

    python -m benchmarks.containers.start --rounds 40

One configuration for all (benchmarks/containers/bundle.py), in one interleaved run, each round in
an order of its own; a ratio is taken inside a round. `in-process` and `floor` are timed from the
request to the payload's first instruction: neither pays for a program that is started first. The
floor makes the same system calls from a static C program (benchmarks/floor/floor.c). Commands are
timed to the first instruction and to their end, and their peak memory is that of their largest
process.

The states of the host are those of benchmarks/containers/start_in_process.py.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.containers.bundle import bundle, config
from benchmarks.floor_programs import compile_program
from benchmarks.worker_tasks import STATES, bring_host_to
from lab.host import mount_namespace
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.statistics.estimates import estimate_median, paired_ratio
from lab.targets.containers.oci import hide_unified_hierarchy
from lab.userland import build
from runtime.container.container import Container
from runtime.container.create import Request
from runtime.rootfs.root import Bundle
from runtime.seccomp import cache
from runtime.spec.config import Spec
from runtime.spec.json_structs import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS_COMMAND = Path(sys.executable).with_name("tonnage-oci")
# A measure, whose ratio to whose, and what is wanted of it at most.
WANTED = (
    ("first-instruction", "in-process", "crun", 0.6),
    ("first-instruction", "in-process", "floor", 1.3),
    ("first-instruction", "tonnage-oci", "runc", 1.0),
    ("whole", "tonnage-oci", "runc", 1.0),
    ("peak-memory", "tonnage-oci", "runc", 1.0),
    ("first-instruction", "tonnage-oci", "crun", None),
    ("whole", "tonnage-oci", "crun", None),
    ("peak-memory", "tonnage-oci", "crun", None),
)
UNITS = {"first-instruction": "ms", "whole": "ms", "peak-memory": "MiB"}
Found = dict[str, dict[str, dict[str, dict[int, float]]]]


@dataclass(frozen=True, slots=True)
class Place:
    """Where bundles and states lie."""

    directory: Path
    tree: Path

    @property
    def state(self) -> Path:
        return self.directory / "state"


def read_first_instruction(reading: int) -> int:
    """The payload's clock at its first instruction, in nanoseconds."""
    with os.fdopen(reading, "rb") as pipe:
        word, nanoseconds = pipe.readline().split()
    assert word == b"first-instruction"
    return int(nanoseconds)


def in_process(place: Place, identity: str) -> dict[str, float]:
    """By the Python API, of a configuration that has been read, as crun reads it in its time."""
    with bundle(place.directory, place.tree, identity, ["hello"]) as path:
        reading, writing = os.pipe()
        spec = decode(Spec, (path / "config.json").read_bytes(), "config.json")
        request = Request(
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


def by_command(program: str) -> Callable[[Place, str], dict[str, float]]:
    """By `run` of a runtime's command line."""

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
    state = place.state / Path(program).name
    return [program, "--root", str(state), "run", "--bundle", str(path), identity]


def peak_mib(place: Place, program: str, identity: str) -> float:
    """The peak memory of the largest process of `run`, in a start of its own."""
    with bundle(place.directory, place.tree, identity, ["hello"]) as path:
        done = subprocess.run(
            [place.directory / "peak", *run_words(place, program, path, identity)],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
        )  # fmt: skip
    return int(done.stderr.split()[-1]) / 1024


def by_floor(program: Path) -> Callable[[Place, str], dict[str, float]]:
    """By the floor, which tells when it had read what it needs and began."""

    def start(place: Place, identity: str) -> dict[str, float]:
        with bundle(place.directory, place.tree, identity, ["hello"]) as path:
            done = subprocess.run(
                [program, path / "rootfs", identity, place.state, place.directory / "filter"],
                stdin=subprocess.DEVNULL, capture_output=True, text=True, check=True,
            )  # fmt: skip
        said = dict(line.split() for line in done.stdout.splitlines())
        return {"first-instruction": (int(said["first-instruction"]) - int(said["request"])) / 1e6}

    return start


def write_filter(directory: Path) -> None:
    """Write down the filter that the floor loads."""
    wanted = decode(Spec, json.dumps(config("floor", ["hello"])), "config.json").linux.seccomp
    assert wanted
    (directory / "filter").write_bytes(cache.compile(wanted).program)


def contestants(place: Place) -> Iterator[tuple[str, Callable[[Place, str], dict[str, float]]]]:
    yield "in-process", in_process
    yield "floor", by_floor(compile_program("floor", place.directory))
    yield "tonnage-oci", by_command(str(OURS_COMMAND))
    for peer in ("crun", "runc"):
        if found := shutil.which(peer):
            yield peer, by_command(found)


def measure(rounds: int, seed: int) -> Found:
    """By measure, state, contestant and round."""
    chance = random.Random(seed)
    land = build.build(lambda line: print(line, file=sys.stderr))
    found: Found = {}
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        place = Place(stack.enter_context(scratch_directory()), land.tree)
        place.state.mkdir()
        mount_namespace.enter_private_mount_namespace()
        hide_unified_hierarchy()  # which crun 1.8 refuses
        compile_program("peak", place.directory)
        write_filter(place.directory)
        starts = list(contestants(place))
        for number in range(-1, rounds):  # the first warms caches and is not kept
            for state in STATES:
                for name, start in chance.sample(starts, len(starts)):
                    bring_host_to(state)
                    made = start(place, f"tonnage-{name}-{os.getpid()}-{number + 1}{state[0]}")
                    for measure, value in made.items() if number >= 0 else ():
                        by_state = found.setdefault(measure, {}).setdefault(state, {})
                        by_state.setdefault(name, {})[number] = value
    return found


def tell(found: Found) -> bool:
    """Print what was found; whether all that is wanted was reached."""
    for measure, by_state in found.items():
        for state, by_name in by_state.items():
            for name, values in by_name.items():
                made = estimate_median(list(values.values()))
                print(
                    f"{measure:18} {state:7} {name:12} {made.centre:8.2f} {UNITS[measure]:4}"
                    f" [{made.low:.2f}, {made.high:.2f}]"
                )
    reached = []
    for measure, ours, other, limit in WANTED:
        for state, by_name in found[measure].items():
            if other not in by_name:
                continue
            ratio = paired_ratio(by_name[ours], by_name[other])
            verdict = ""
            if limit is not None:
                met = ratio.centre is not None and ratio.centre <= limit
                reached.append(met)
                verdict = f"wanted: at most {limit}: {'met' if met else 'MISSED'}"
            print(
                f"{measure:18} {state:7} {ours} / {other}: {ratio.centre:.3f}"
                f" [{ratio.low:.3f}, {ratio.high:.3f}] n={ratio.n}  {verdict}"
            )
    return all(reached)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the raw figures, as JSON")
    options = parser.parse_args()
    found = measure(options.rounds, options.seed)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if tell(found) else 1


if __name__ == "__main__":
    sys.exit(main())
