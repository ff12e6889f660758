"""Overhead of the lab's harness, against the same start or command timed without it.

    python -m benchmarks.harness_overhead --pairs 400

A start is timed from the request to the payload's first instruction, a command from its fork to its
end. Each pair has one measurement with the harness and one without, in random order. The bound is 2
% of the time, or 0.2 ms, whichever is more. `tonnage calibrate` checks the same bound on any host.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from benchmarks import harness
from benchmarks.harness import Finding
from lab import units
from lab.calibration import aa_trials, model, overhead, run
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_DEADLINE_SECONDS = 600.0


def measure(pairs: int, seed: int) -> list[model.Overhead]:
    """Return the added time of a start and of a command."""
    land = build.build(harness.say)
    with ExitStack() as stack:
        settings = Settings(land, stack.enter_context(harness.quiet_host()), "tcg")
        native = stack.enter_context(Worker("native", settings))
        seconds = run.WORK_SECONDS
        work = native.call(_DEADLINE_SECONDS, aa_trials.find_work, seconds)
        starts = native.call(_DEADLINE_SECONDS, overhead.of_starts, pairs, seed)
        runs = native.call(_DEADLINE_SECONDS, overhead.of_runs, work.calls, pairs, seed)
    return [
        model.judge_overhead("a start", starts),
        model.judge_overhead("a command", runs),
    ]


def findings(overheads: Iterable[model.Overhead]) -> Iterator[Finding]:
    """Yield the added time of each, against its bound."""
    for each in overheads:
        yield Finding(
            f"{each.what}: {units.quantity(each.timed_seconds, 'second')}, added"
            f" {units.quantity(each.added.centre, 'second')}"
            f" [{units.interval(each.added.low, each.added.high, 'second')}], bound"
            f" {units.quantity(each.bound_seconds, 'second')}",
            each.met,
        )


def main() -> int:
    """Measure, print the figures, and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    return harness.report(findings(measure(options.pairs, options.seed)))


if __name__ == "__main__":
    sys.exit(main())
