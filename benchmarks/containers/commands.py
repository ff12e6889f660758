"""Cost of an OCI runtime's commands: tonnage-oci, runc and crun, with and without a filter.

    python -m benchmarks.containers.commands --rounds 40

There are two configurations: `filter` is docker's (benchmarks/containers/bundle.py), `plain` the
same without its seccomp profile. In each round every runtime has its turn with both, in a random
order: `run` to the payload's first instruction and to its own end, with its CPU time; and `create`,
`start` and `delete` separately, each to its end. A ratio is taken within a round. The host is made
busy before each turn (benchmarks/worker_tasks.py), so that no command waits for the kernel;
`--rested` lets it rest instead, as a user meets it.
"""

from __future__ import annotations

import itertools
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.containers import bundle as oci_bundle
from benchmarks.containers.start import OURS_COMMAND, read_first_instruction
from benchmarks.harness import Ratio, Samples
from benchmarks.worker_tasks import bring_host_to
from lab.host import mount_namespace
from lab.targets.containers.oci import hide_unified_hierarchy
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Iterator

CONFIGURATIONS = ("plain", "filter")
OURS, PEERS = "tonnage-oci", ("runc", "crun")
# By configuration, measure and peer: the highest ratio that is wanted.
LIMITS = {
    ("plain", "run", "runc"): 1.0,
    ("filter", "run", "runc"): 0.75,
    ("filter", "run", "crun"): 1.0,
}
STOP_SECONDS = 10.0


@contextmanager
def bundle(directory: Path, tree: Path, identity: str, configuration: str) -> Iterator[Path]:
    """Make a bundle of the payload, without the seccomp profile if it is `plain`."""
    with oci_bundle.bundle(directory, tree, identity, ["hello"]) as path:
        if configuration == "plain":
            document = oci_bundle.config(identity, ["hello"])
            del document["linux"]["seccomp"]
            (path / "config.json").write_text(json.dumps(document))
        yield path


class Commands:
    """A runtime's command line, with a state directory of its own."""

    def __init__(self, program: str, state: Path) -> None:
        self._words = [program, "--root", str(state / Path(program).name)]

    def time(self, *words: str, stdout: int = subprocess.DEVNULL) -> float:
        """Return the milliseconds to a command's end. Raises CalledProcessError if it fails."""
        t0_ns = time.monotonic_ns()
        subprocess.run(
            [*self._words, *words], stdin=subprocess.DEVNULL, stdout=stdout, check=True
        )  # fmt: skip
        return (time.monotonic_ns() - t0_ns) / 1e6

    def run(self, path: Path, identity: str) -> dict[str, float]:
        """Time `run` to the payload's first instruction and to its end."""
        reading, writing = os.pipe()
        before_s = cpu_seconds()
        t0_ns = time.monotonic_ns()
        try:
            whole_ms = self.time("run", "--bundle", str(path), identity, stdout=writing)
        finally:
            os.close(writing)
        cpu_ms = (cpu_seconds() - before_s) * 1e3
        first_ns = read_first_instruction(reading)
        return {"first-instruction": (first_ns - t0_ns) / 1e6, "run": whole_ms, "run-cpu": cpu_ms}

    def separate_commands(self, path: Path, identity: str) -> dict[str, float]:
        """Time `create`, `start` and `delete`, and return their sum as `life`."""
        times = {"create": self.time("create", "--bundle", str(path), identity)}
        times["start"] = self.time("start", identity)
        deadline = time.monotonic() + STOP_SECONDS
        while b"stopped" not in self._state(identity):
            assert time.monotonic() < deadline, f"{identity} has not stopped"
            time.sleep(0.005)
        times["delete"] = self.time("delete", identity)
        return {**times, "life": sum(times.values())}

    def _state(self, identity: str) -> bytes:
        return subprocess.run(
            [*self._words, "state", identity], stdin=subprocess.DEVNULL, capture_output=True,
            check=True,
        ).stdout  # fmt: skip


def cpu_seconds() -> float:
    """Return the CPU time of this process's ended children and their descendants."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def measure(rounds: int, seed: int, state: str, configurations: tuple[str, ...]) -> Samples:
    """Time each runtime with each configuration; the first round warms caches."""
    land = build.build(harness.say)
    samples = Samples()
    with ExitStack() as stack:
        directory = stack.enter_context(harness.quiet_host())
        (directory / "state").mkdir()
        mount_namespace.enter_private_mount_namespace()
        hide_unified_hierarchy()  # crun 1.8 refuses it
        programs = {OURS: str(OURS_COMMAND)}
        programs |= {name: program for name in PEERS if (program := shutil.which(name))}
        contestants = [(name, each) for name in programs for each in configurations]
        serial = itertools.count()
        for number, _, (name, configuration) in harness.turns(
            contestants, rounds, seed, warm_up=True
        ):
            commands = Commands(programs[name], directory / "state")
            for timed in (commands.run, commands.separate_commands):
                identity = f"tonnage-{os.getpid()}-{next(serial)}"
                with bundle(directory, land.tree, identity, configuration) as path:
                    bring_host_to(state)
                    samples.add(configuration, name, number, timed(path, identity))
    return samples


def ratios(samples: Samples) -> Iterator[Ratio]:
    """Yield a comparison with each peer for every configuration and measure."""
    for configuration, by_measure in samples.values.items():
        for measure in by_measure:
            for peer in PEERS:
                limit = LIMITS.get((configuration, measure, peer))
                yield Ratio(measure, OURS, peer, limit, configuration)


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = harness.parser(__doc__, rounds=40)
    parser.add_argument("--rested", action="store_true", help="let the host rest before each turn")
    parser.add_argument("--only", choices=CONFIGURATIONS, help="measure one configuration alone")
    options = parser.parse_args()
    configurations = (options.only,) if options.only else CONFIGURATIONS
    state = "rested" if options.rested else "busy"
    samples = measure(options.rounds, options.seed, state, configurations)
    harness.write_record(options.out, samples.values)
    return harness.report([*samples.medians(), *samples.ratios(ratios(samples))])


if __name__ == "__main__":
    sys.exit(main())
