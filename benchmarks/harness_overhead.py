"""What the harness adds to what it times, against the same thing timed without it.

    python -m benchmarks.harness_overhead --pairs 400

A start is timed from the request to the payload's first instruction, a command from its fork to its
end. Each pair is one of either side, in random order. The bound is 2 % of what is timed, or 0.2 ms,
whichever is more; `tonnage calibrate` holds the same bound, and everything else, on every host.
"""

from __future__ import annotations

import argparse
import sys
from contextlib import ExitStack

from lab import units
from lab.calibration import aa_trials, model, overhead, run
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

_DEADLINE_SECONDS = 600.0


def measure(pairs: int, seed: int) -> list[model.Added]:
    land = build.build(lambda line: print(line, file=sys.stderr))
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        settings = Settings(land, stack.enter_context(scratch_directory()), "tcg")
        native = stack.enter_context(Worker("native", settings))
        seconds = run.WORK_SECONDS
        work = native.call(_DEADLINE_SECONDS, aa_trials.find_work, seconds)
        starts = native.call(_DEADLINE_SECONDS, overhead.of_starts, pairs, seed)
        runs = native.call(_DEADLINE_SECONDS, overhead.of_runs, work.calls, pairs, seed)
    return [
        model.judge_added("a start", starts),
        model.judge_added("a command", runs),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--pairs", type=int, default=400)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    found = measure(options.pairs, options.seed)
    for each in found:
        print(
            f"{each.what}: {units.quantity(each.timed_seconds, 'second')}, added"
            f" {units.quantity(each.added.centre, 'second')}"
            f" [{units.interval(each.added.low, each.added.high, 'second')}], bound"
            f" {units.quantity(each.bound_seconds, 'second')}: {'met' if each.met else 'missed'}"
        )
    return 0 if all(each.met for each in found) else 1


if __name__ == "__main__":
    sys.exit(main())
