"""What commands of an OCI runtime cost: tonnage-oci, runc and crun, with and without a filter.

    python -m benchmarks.containers.commands --rounds 40

Two configurations: docker's (benchmarks/containers/bundle.py), and the same without its seccomp
profile. In each round every runtime has its turn with both, in a random order: `run` to the
payload's first instruction and to its own end, with the CPU time that it takes, and `create`,
`start` and `delete` apart, each to its end. A ratio is taken inside a round. The host is busied
before each turn (benchmarks/worker_tasks.py), so that nobody waits for the kernel; `--rested` lets
it rest instead, as a user meets it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import resource
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.containers import bundle as oci_bundle
from benchmarks.containers.start import OURS_COMMAND, read_first_instruction
from benchmarks.worker_tasks import bring_host_to
from lab.host import mount_namespace
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.statistics.estimates import estimate_median, paired_ratio
from lab.targets.containers.oci import hide_unified_hierarchy
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATIONS = ("plain", "filter")
# Configuration, measure, peer, and what is wanted of the ratio at most.
WANTED = (
    ("plain", "run", "runc", 1.0),
    ("filter", "run", "runc", 0.75),
    ("filter", "run", "crun", 1.0),
)
# By configuration, measure, runtime and round, in milliseconds.
Found = dict[str, dict[str, dict[str, dict[int, float]]]]


@contextmanager
def bundle(directory: Path, tree: Path, identity: str, configuration: str) -> Iterator[Path]:
    """A bundle of the payload, without the seccomp profile if it is `plain`."""
    with oci_bundle.bundle(directory, tree, identity, ["hello"]) as path:
        if configuration == "plain":
            wanted = oci_bundle.config(identity, ["hello"])
            del wanted["linux"]["seccomp"]
            (path / "config.json").write_text(json.dumps(wanted))
        yield path


class Commands:
    """A runtime's command line, with a state directory of its own."""

    def __init__(self, program: str, state: Path) -> None:
        self._words = [program, "--root", str(state / Path(program).name)]

    def timed(self, *words: str, stdout: int = subprocess.DEVNULL) -> float:
        """Milliseconds to the end of a command. Raises CalledProcessError if it fails."""
        t0_ns = time.monotonic_ns()
        subprocess.run(
            [*self._words, *words], stdin=subprocess.DEVNULL, stdout=stdout, check=True
        )  # fmt: skip
        return (time.monotonic_ns() - t0_ns) / 1e6

    def run(self, path: Path, identity: str) -> dict[str, float]:
        """`run`, to the payload's first instruction and to its end."""
        reading, writing = os.pipe()
        before_s = cpu_seconds()
        t0_ns = time.monotonic_ns()
        try:
            whole = self.timed("run", "--bundle", str(path), identity, stdout=writing)
        finally:
            os.close(writing)
        cpu_ms = (cpu_seconds() - before_s) * 1e3
        first_ns = read_first_instruction(reading)
        return {"first-instruction": (first_ns - t0_ns) / 1e6, "run": whole, "run-cpu": cpu_ms}

    def apart(self, path: Path, identity: str) -> dict[str, float]:
        """`create`, `start` and `delete`, and the sum of them."""
        made = {"create": self.timed("create", "--bundle", str(path), identity)}
        made["start"] = self.timed("start", identity)
        deadline = time.monotonic() + 10
        while b"stopped" not in self._state(identity):
            assert time.monotonic() < deadline, f"{identity} does not stop"
            time.sleep(0.005)
        made["delete"] = self.timed("delete", identity)
        return {**made, "life": sum(made.values())}

    def _state(self, identity: str) -> bytes:
        return subprocess.run(
            [*self._words, "state", identity], stdin=subprocess.DEVNULL, capture_output=True,
            check=True,
        ).stdout  # fmt: skip


def cpu_seconds() -> float:
    """What this process's children that have ended, and theirs, have taken of the CPUs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(rounds: int, seed: int, state: str, configurations: tuple[str, ...]) -> Found:
    """Time each runtime; the first round warms caches and is not kept."""
    chance = random.Random(seed)
    land = build.build(lambda line: print(line, file=sys.stderr))
    times: Found = {}
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        directory = stack.enter_context(scratch_directory())
        (directory / "state").mkdir()
        mount_namespace.enter_private_mount_namespace()
        hide_unified_hierarchy()  # which crun 1.8 refuses
        programs = {"tonnage-oci": str(OURS_COMMAND)}
        programs |= {name: found for name in ("runc", "crun") if (found := shutil.which(name))}
        turns = [(name, each) for name in programs for each in configurations]
        serial = itertools.count()
        for number in range(-1, rounds):
            for name, configuration in chance.sample(turns, len(turns)):
                commands = Commands(programs[name], directory / "state")
                made: dict[str, float] = {}
                for timed in (commands.run, commands.apart):
                    identity = f"tonnage-{os.getpid()}-{next(serial)}"
                    with bundle(directory, land.tree, identity, configuration) as path:
                        bring_host_to(state)
                        made |= timed(path, identity)
                for measured, value in made.items() if number >= 0 else ():
                    by_name = times.setdefault(configuration, {}).setdefault(measured, {})
                    by_name.setdefault(name, {})[number] = value
    return times


def tell(found: Found) -> bool:
    """Print medians and paired ratios; return True if all that is wanted was reached."""
    reached = []
    for configuration, by_measure in found.items():
        for measured, by_name in by_measure.items():
            for name, values in by_name.items():
                made = estimate_median(list(values.values()))
                print(
                    f"{configuration:7} {measured:18} {name:12} {made.centre:8.2f} ms"
                    f" [{made.low:.2f}, {made.high:.2f}]"
                )
            for peer in sorted(by_name.keys() - {"tonnage-oci"}, reverse=True):
                ratio = paired_ratio(by_name["tonnage-oci"], by_name[peer])
                limits = [w[3] for w in WANTED if w[:3] == (configuration, measured, peer)]
                met = [ratio.centre is not None and ratio.centre <= limit for limit in limits]
                reached += met
                verdict = f"  wanted: at most {limits[0]}: " if limits else ""
                print(
                    f"{configuration:7} {measured:18} tonnage-oci / {peer}: {ratio.centre:.3f}"
                    f" [{ratio.low:.3f}, {ratio.high:.3f}] n={ratio.n}"
                    f"{verdict}{('met' if met[0] else 'MISSED') if met else ''}"
                )
    return all(reached)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rested", action="store_true", help="let the host rest before each turn")
    parser.add_argument("--only", choices=CONFIGURATIONS, help="one configuration")
    parser.add_argument("--out", type=Path, help="also write the raw figures, as JSON")
    options = parser.parse_args()
    configurations = (options.only,) if options.only else CONFIGURATIONS
    state = "rested" if options.rested else "busy"
    found = measure(options.rounds, options.seed, state, configurations)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    return 0 if tell(found) else 1


if __name__ == "__main__":
    sys.exit(main())
