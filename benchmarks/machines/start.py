"""Starts of machines: ours, restored, and the same machine by a plain QEMU command line.

    python -m benchmarks.machines.start --rounds 20

Each round starts each target once, in an order drawn anew, on whichever accelerator the host has;
ratios are taken inside a round. `start and destroy` is from the request to the first instruction,
and from the request to stop until the machine is gone.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

from benchmarks.worker_tasks import start_and_gone_ms
from lab.errors import StartFailed
from lab.host import kvm_probe
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.statistics.estimates import estimate_median, paired_ratio
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Callable

Times = dict[str, dict[int, dict[str, float]]]
# What is compared with what, of which times, and the most that it may be.
CLAIMS: tuple[tuple[str, str, str, float], ...] = (
    ("microvm", "qemu-microvm", "first-instruction", 1.10),
    ("microvm", "qemu-microvm", "start and destroy", 1.15),
    ("vm", "qemu", "first-instruction", 1.10),
    ("vm", "qemu", "start and destroy", 1.15),
    ("microvm-restore", "microvm", "first-instruction", 0.35),
    ("microvm-restore", "microvm", "ready", 0.35),
    ("vm-restore", "vm", "first-instruction", 0.15),
    ("vm-restore", "vm", "ready", 0.15),
)
_DEADLINE_SECONDS = 300.0


def measure(names: list[str], rounds: int, seed: int, say: Callable[[str], None]) -> Times:
    """Milliseconds by target, round and what was reached; a start that failed is left out."""
    chance = random.Random(seed)
    land = build.build(say)
    accelerator = kvm_probe.accelerator(say)
    say(f"accelerator: {accelerator}")
    found: Times = {name: {} for name in names}
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        scratch = stack.enter_context(scratch_directory())
        settings = Settings(land, scratch, accelerator)
        workers = [stack.enter_context(Worker(name, settings)) for name in names]
        for number in range(rounds):
            for worker in chance.sample(workers, len(workers)):
                try:
                    took = worker.call(_DEADLINE_SECONDS, start_and_gone_ms)
                except StartFailed as failure:
                    say(f"round {number}: {failure}")
                    worker.revive()
                    continue
                found[worker.target][number] = took
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--targets", default="microvm,qemu-microvm,microvm-restore")
    parser.add_argument("--out", type=Path, help="also write the raw milliseconds, as JSON")
    options = parser.parse_args()
    names = options.targets.split(",")
    found = measure(names, options.rounds, options.seed, lambda line: print(line, file=sys.stderr))
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    for name in names:
        for what in next(iter(found[name].values()), {}):
            made = estimate_median([took[what] for took in found[name].values()])
            print(f"{name:16} {what:18} {made.centre:8.0f} ms  n={made.n}")
    missed = False
    for ours, theirs, what, most in CLAIMS:
        if ours not in names or theirs not in names:
            continue
        ratio = paired_ratio(
            {number: took[what] for number, took in found[ours].items()},
            {number: took[what] for number, took in found[theirs].items()},
        )
        met = ratio.high is not None and ratio.high <= most
        missed |= not met
        print(
            f"{ours} / {theirs}, {what}: {ratio.centre:.3f}  [{ratio.low:.3f}, {ratio.high:.3f}]"
            f"  n={ratio.n}  wanted: at most {most:.2f}; {'met' if met else 'missed'}"
        )
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
