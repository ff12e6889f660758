"""Start latency of our runtime in process, against `crun run` and `runc run`.

    python -m benchmarks.containers.start_in_process --rounds 50

The latency is from the request to the payload's first instruction. All three get the same
namespaces, cgroups, capabilities, mounts and masked paths over the same tree, each from a worker
process of the same kind. Rounds are shuffled blocks, and a ratio is taken within a round. The host
is in one of two states: `rested`, as a user meets it (150 ms of quiet before a start), and `busy`,
where a process was moved between cgroups just before, so that no start waits for the kernel's grace
period; the second state favours the peers.
"""

from __future__ import annotations

import sys
from contextlib import ExitStack

from benchmarks import harness
from benchmarks.harness import Ratio, Samples
from benchmarks.worker_tasks import STATES, first_instruction_ms
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

OURS, PEERS = "container", ("crun", "runc")
MEASURE = "first-instruction"
RATIOS = (
    Ratio(MEASURE, OURS, "crun", 0.7, "rested", by_interval=True),
    Ratio(MEASURE, OURS, "runc", condition="rested"),
    Ratio(MEASURE, OURS, "crun", condition="busy"),
    Ratio(MEASURE, OURS, "runc", condition="busy"),
)
_DEADLINE_SECONDS = 60.0


def measure(rounds: int, seed: int) -> Samples:
    """Time the starts of each target in both states of the host."""
    land = build.build(harness.say)
    samples = Samples()
    with ExitStack() as stack:
        settings = Settings(land, stack.enter_context(harness.quiet_host()), "tcg")
        workers = [stack.enter_context(Worker(name, settings)) for name in (OURS, *PEERS)]
        for number, state, worker in harness.turns(workers, rounds, seed, STATES):
            latency_ms = worker.call(_DEADLINE_SECONDS, first_instruction_ms, state)
            samples.add(state, worker.target, number, {MEASURE: latency_ms})
    return samples


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    options = harness.parser(__doc__, rounds=50).parse_args()
    samples = measure(options.rounds, options.seed)
    harness.write_record(options.out, samples.values)
    return harness.report([*samples.medians(), *samples.ratios(RATIOS)])


if __name__ == "__main__":
    sys.exit(main())
