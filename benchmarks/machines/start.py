"""Starts of machines: ours, restored, and the same machine by a plain QEMU command line.

    python -m benchmarks.machines.start --rounds 20

Each round starts each target once, in a random order, on whichever accelerator the host has; ratios
are taken within a round. `start and destroy` is the time from the request to the first instruction
plus the time from the request to stop until the machine is gone.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from benchmarks import harness
from benchmarks.harness import Ratio, Samples
from benchmarks.worker_tasks import start_and_gone_ms
from lab.errors import StartFailed
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build, kvm_probe

RATIOS = (
    Ratio("first-instruction", "microvm", "qemu-microvm", 1.10, by_interval=True),
    Ratio("start and destroy", "microvm", "qemu-microvm", 1.15, by_interval=True),
    Ratio("first-instruction", "vm", "qemu", 1.10, by_interval=True),
    Ratio("start and destroy", "vm", "qemu", 1.15, by_interval=True),
    Ratio("first-instruction", "microvm-restore", "microvm", 0.35, by_interval=True),
    Ratio("ready", "microvm-restore", "microvm", 0.35, by_interval=True),
    Ratio("first-instruction", "vm-restore", "vm", 0.15, by_interval=True),
    Ratio("ready", "vm-restore", "vm", 0.15, by_interval=True),
)
_DEADLINE_SECONDS = 300.0


def measure(names: list[str], rounds: int, seed: int) -> Samples:
    """Time each target's milestones; a start that failed is printed and left out."""
    land = build.build(harness.say)
    accelerator = kvm_probe.accelerator(harness.say)
    samples = Samples()
    with ExitStack() as stack:
        settings = Settings(land, stack.enter_context(harness.quiet_host()), accelerator)
        workers = [stack.enter_context(Worker(name, settings)) for name in names]
        for number, _, worker in harness.turns(workers, rounds, seed):
            try:
                times_ms = worker.call(_DEADLINE_SECONDS, start_and_gone_ms)
            except StartFailed as failure:
                harness.say(f"round {number}: {failure}")
                worker.revive()
                continue
            samples.add(accelerator, worker.target, number, times_ms)
    return samples


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = harness.parser(__doc__, rounds=20)
    parser.add_argument("--targets", default="microvm,qemu-microvm,microvm-restore")
    options = parser.parse_args()
    samples = measure(options.targets.split(","), options.rounds, options.seed)
    harness.write_record(options.out, samples.values)
    return harness.report([*samples.medians(), *samples.ratios(RATIOS)])


if __name__ == "__main__":
    sys.exit(main())
