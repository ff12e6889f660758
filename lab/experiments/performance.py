"""How near to native: the same binaries, on the same user land, in every target.

What is run stands in lab/workloads/*.toml. A figure is a time or a rate, as its tool gives it; what
is compared is always what a unit of work costs, so that a ratio reads the same for all of them.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab import metrics
from lab.errors import LabError
from lab.host import cpu_time
from lab.results.sample import Sample
from lab.targets.registry import VARIANTS
from lab.workloads.result_parsing import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.experiments.base import Tell
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.targets.base import Attachment, CommandResult, Instance, Kind, Target
    from lab.targets.worker import Worker
    from lab.workloads import Workload

HEADLINE: tuple[str, Unit] = ("cpu-compress", "second")
RUNS_WORKLOADS = True
_START_SECONDS = 300.0

# The time of all commands by the instance's clock over the host's, the channel included.
CLOCKS = metrics.CLOCK.of("inside / host").name

Outcome = float | str  # a figure, or why there is none


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Every target, every round; machines that are emulated now and then.

    A machine that is started in another way is the same once it runs.
    """
    return target not in VARIANTS and profile.has_turn(kind, number)


def measure(worker: Worker, number: int, profile: Profile, tell: Tell) -> list[Sample]:
    """Every workload once, in one fresh instance; one that fails costs no other its figure.

    Those for which something is to be attached share another one, for each attachment.
    """
    workloads = profile.workloads
    deadline_seconds = _START_SECONDS + sum(each.timeout_seconds for each in workloads.values())
    outcomes = worker.call(deadline_seconds, run_all, workloads)
    units = {
        metric: result.unit
        for workload in workloads.values()
        for metric, result in workload.results.items()
    }
    units |= {CLOCKS: "ratio"} | dict.fromkeys(cpu_metrics(workloads).values(), "second")
    return [
        Sample("performance", worker.target, metric, units[metric], number, outcome)
        if isinstance(outcome, float)
        else Sample(
            "performance", worker.target, metric, units[metric], number, None, censored=outcome
        )
        for metric, outcome in outcomes.items()
    ]


def cpu_metrics(workloads: Mapping[str, Workload]) -> dict[str, str]:
    """Return under which metric the CPU time of each workload is kept: one that no result has."""
    taken = {metric for workload in workloads.values() for metric in workload.results}
    found = {}
    for name in workloads:
        metric = metrics.CPU.of(name).name
        while metric in taken:
            metric = metrics.CPU.of(metric).name
        taken.add(metric)
        found[name] = metric
    return found


def run_all(target: Target, workloads: Mapping[str, Workload]) -> dict[str, Outcome]:
    """Return what each metric came to; after a workload that failed, the rest gets a new instance.

    Raise LabError if no instance could be had at all.
    """
    outcomes: dict[str, Outcome] = {}
    spent = _Spent(cpu_metrics(workloads))
    for attachment, together in _by_attachment(workloads):
        if attachment and attachment not in target.attachments:
            continue
        left = dict(together)
        while left:
            try:
                with target.attached(attachment) if attachment else target.start() as instance:
                    instance.reached("ready")
                    _run_on(target, instance, left, outcomes, spent)
            except LabError as error:
                if not attachment and not outcomes:
                    raise
                attached = f", attached by {attachment}," if attachment else ""
                reason = f"{target.name}{attached} failed: {_sentence(error)}"
                for workload in left.values():
                    outcomes |= dict.fromkeys(workload.results, reason)
                break
    if spent.here_ns:
        outcomes[CLOCKS] = spent.there_ns / spent.here_ns
    return outcomes


@dataclass(slots=True)
class _Spent:
    """What commands took: all, by the host's clock and their instance's; each, of the CPUs.

    `cpu_metrics` names what the CPU time of each workload is kept under.
    """

    cpu_metrics: Mapping[str, str]
    here_ns: int = 0
    there_ns: int = 0


def _by_attachment(
    workloads: Mapping[str, Workload],
) -> Iterator[tuple[Attachment | Literal[""], list[tuple[str, Workload]]]]:
    """Workloads that need the same attachment; first those that need none."""
    found: dict[Attachment | Literal[""], list[tuple[str, Workload]]] = {"": []}
    for name, workload in workloads.items():
        found.setdefault(workload.attached, []).append((name, workload))
    yield from found.items()


def _run_on(
    target: Target,
    instance: Instance,
    left: dict[str, Workload],
    outcomes: dict[str, Outcome],
    spent: _Spent,
) -> None:
    """Take one after another from those that are left, until one fails."""
    for name, workload in list(left.items()):
        del left[name]
        try:
            used_ns, begin_ns = cpu_time.used_ns(instance.pids()), time.monotonic_ns()
            done = _run(instance, workload)
            spent.here_ns += time.monotonic_ns() - begin_ns
            spent.there_ns += done.elapsed_ns
            used_ns = cpu_time.used_ns(instance.pids()) - used_ns
        except Exception as error:  # whatever it is, it is this workload's
            reason = f"{name} failed in {target.name}: {_sentence(error)}"
            outcomes |= dict.fromkeys(workload.results, reason)
            return
        outcomes[spent.cpu_metrics[name]] = used_ns / 1e9
        for metric, result in workload.results.items():
            try:
                outcomes[metric] = value_of(result, done.stdout, done.elapsed_ns)
            except Exception as error:
                outcomes[metric] = f"{name} failed in {target.name}: {_sentence(error)}"


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error).removesuffix(".")
    return f"{type(error).__name__}: {error}"


def _run(instance: Instance, workload: Workload) -> CommandResult:
    done = instance.run(workload.argv, workload.timeout_seconds)
    if done.exit_code:
        raise LabError(_complaint(done))
    return done


def _complaint(done: CommandResult) -> str:
    said = (done.stderr or done.stdout).decode(errors="replace").strip().splitlines()
    return f"exit code {done.exit_code}{': ' + said[-1] if said else ''}"
