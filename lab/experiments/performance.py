"""How near to native: the same binaries, on the same user land, in every target.

What is run stands in lab/workloads/*.toml. A figure is a time or a rate, as its tool gives it; what
is compared is always what a unit of work costs, so that a ratio reads the same for all of them.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab import cpu_time
from lab.errors import LabError
from lab.results import Sample
from lab.targets.registry import VARIANTS
from lab.workloads.reading import value_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.experiments.base import Tell
    from lab.profiles import Profile
    from lab.results import Unit
    from lab.targets.base import Completed, Instance, Kind, Target
    from lab.worker import Worker
    from lab.workloads import Workload

HEADLINE: tuple[str, Unit] = ("cpu-compress", "second")
RUNS_WORKLOADS = True
_START_SECONDS = 300.0

# All commands' time by the instance's clock over the host's for the same spans, channel and all.
CLOCKS = "clock: inside / host"

Outcome = float | str  # a figure, or why there is none


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target, every round; machines that are emulated now and then.

    A machine that is started in another way is the same once it runs.
    """
    return target not in VARIANTS and profile.has_turn(kind, number)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Every workload once, in one fresh instance; one that fails costs no other its figure."""
    workloads = profile.workloads
    deadline_seconds = _START_SECONDS + sum(each.timeout_seconds for each in workloads.values())
    outcomes = worker.call(deadline_seconds, run_all, workloads)
    units = {
        metric: result.unit
        for workload in workloads.values()
        for metric, result in workload.results.items()
    }
    units |= {f"{cpu_time.PREFIX}{name}": "second" for name in workloads} | {CLOCKS: "ratio"}
    return [
        Sample("performance", worker.target, metric, units[metric], number, outcome)
        if isinstance(outcome, float)
        else Sample(
            "performance", worker.target, metric, units[metric], number, None, censored=outcome
        )
        for metric, outcome in outcomes.items()
    ]


def run_all(target: Target, workloads: Mapping[str, Workload]) -> dict[str, Outcome]:
    """What each metric came to. After a workload that failed, the rest gets a fresh instance."""
    outcomes: dict[str, Outcome] = {}
    here_ns = there_ns = 0
    left = list(workloads.items())
    while left:
        with target.start() as instance:
            instance.reached("ready")
            while left:
                name, workload = left.pop(0)
                try:
                    used_ns, begin_ns = cpu_time.used_ns(instance.pids()), time.monotonic_ns()
                    done = _run(instance, workload)
                    here_ns += time.monotonic_ns() - begin_ns
                    there_ns += done.elapsed_ns
                    used_ns = cpu_time.used_ns(instance.pids()) - used_ns
                    outcomes |= {
                        m: value_of(result, done) for m, result in workload.results.items()
                    }
                    outcomes[f"{cpu_time.PREFIX}{name}"] = used_ns / 1e9
                except LabError as error:
                    reason = f"{name} failed in {target.name}: {str(error).removesuffix('.')}"
                    outcomes |= dict.fromkeys(workload.results, reason)
                    break
    if here_ns:
        outcomes[CLOCKS] = there_ns / here_ns
    return outcomes


def _run(instance: Instance, workload: Workload) -> Completed:
    done = instance.run(workload.argv, workload.timeout_seconds)
    if done.exit_code:
        raise LabError(_complaint(done))
    return done


def _complaint(done: Completed) -> str:
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return f"exit code {done.exit_code}{': ' + said[-1] if said else ''}"
