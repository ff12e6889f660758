"""Request → first instruction of our runtime in process, against `crun run` and `runc run`.

    python -m benchmarks.containers.start_in_process --rounds 50

All get the same namespaces, cgroups, capabilities, mounts and masked paths over the same tree, each
from a worker process that is alike. Rounds are shuffled blocks; a ratio is taken inside a round.
Two states of the host are measured: `rested`, as a user meets it (150 ms of quiet before a start),
and `busy`, where a process was moved between cgroups just before, so that no start waits for the
kernel's grace period; the second leans towards the peers.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from contextlib import ExitStack
from pathlib import Path

from benchmarks.worker_tasks import STATES, first_instruction_ms
from lab.host.measurement_lock import measurement_lock, scratch_directory
from lab.statistics.estimates import estimate_median, paired_ratio
from lab.targets.base import Settings
from lab.targets.worker import Worker
from lab.userland import build

OURS, PEERS = "container", ("crun", "runc")
WANTED = 0.7
_DEADLINE_SECONDS = 60.0


def measure(rounds: int, seed: int) -> dict[str, dict[str, dict[int, float]]]:
    """Milliseconds by state, target and round."""
    chance = random.Random(seed)
    land = build.build(lambda line: print(line, file=sys.stderr))
    found: dict[str, dict[str, dict[int, float]]] = {
        state: {name: {} for name in (OURS, *PEERS)} for state in STATES
    }
    with ExitStack() as stack:
        stack.enter_context(measurement_lock())
        settings = Settings(land, stack.enter_context(scratch_directory()), "tcg")
        workers = [stack.enter_context(Worker(name, settings)) for name in (OURS, *PEERS)]
        for number in range(rounds):
            for state in STATES:
                for worker in chance.sample(workers, len(workers)):
                    found[state][worker.target][number] = worker.call(
                        _DEADLINE_SECONDS, first_instruction_ms, state
                    )
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="also write the raw milliseconds, as JSON")
    options = parser.parse_args()
    found = measure(options.rounds, options.seed)
    if options.out:
        options.out.write_text(json.dumps(found, indent=1) + "\n")
    for state, by_target in found.items():
        for name, values in by_target.items():
            made = estimate_median(list(values.values()))
            print(f"{state:7} {name:10} {made.centre:7.2f} ms  [{made.low:.2f}, {made.high:.2f}]")
        for peer in PEERS:
            ratio = paired_ratio(by_target[OURS], by_target[peer])
            print(
                f"{state:7} {OURS} / {peer}: {ratio.centre:.3f}"
                f"  [{ratio.low:.3f}, {ratio.high:.3f}]  n={ratio.n}"
            )
    reached = paired_ratio(found["rested"][OURS], found["rested"]["crun"])
    met = reached.high is not None and reached.high <= WANTED
    print(f"wanted: at most {WANTED} of crun; {'met' if met else 'missed'}")
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
