"""Performance: the same binaries, on the same user land, in every target.

The workloads are defined in lab/workloads/*.toml. A figure is a time or a rate, as its tool prints
it. Targets are compared by the cost of a unit of work, so that a ratio reads the same for all
workloads.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab import metrics
from lab.errors import LabError, TargetFailed
from lab.host import cpu_time
from lab.results.sample import sample
from lab.targets.registry import VARIANTS
from lab.workloads.result_parsing import value_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lab.experiments.base import ProgressCallback
    from lab.experiments.profiles import Profile
    from lab.metrics import Unit
    from lab.results.sample import Sample
    from lab.targets.base import Attachment, CommandResult, Instance, Kind, Target
    from lab.targets.worker import Worker
    from lab.workloads import Workload

HEADLINE: tuple[str, Unit] = ("cpu-compress", "second")
RUNS_WORKLOADS = True
NO_IMAGE = "it runs workloads of the common user land, which an image does not contain"
_START_SECONDS = 300.0

# The time of all commands by the instance's clock over the host's, the channel included.
CLOCKS = metrics.CLOCK.of("inside / host").name

Outcome = float | str  # a value, or the reason why there is none


def joins(target: str, kind: Kind, number: int, profile: Profile) -> bool:
    """Return True for every target; emulated machines join some rounds.

    Variants of a machine that differ only in how they are started are left out.
    """
    return target not in VARIANTS and profile.has_turn(kind, number)


def measure(
    worker: Worker, number: int, profile: Profile, progress: ProgressCallback
) -> list[Sample]:
    """Run every workload once, in one fresh instance; a failure does not affect other workloads.

    Workloads that need an attachment share another instance, one for each attachment.
    """
    workloads = profile.workloads
    deadline_seconds = _START_SECONDS + sum(each.timeout_seconds for each in workloads.values())
    outcomes = worker.call(deadline_seconds, run_all, workloads)
    results = {
        name: metrics.find("performance", name, result.unit, {name: result.better})
        for workload in workloads.values()
        for name, result in workload.results.items()
    }
    samples = []
    for name, outcome in outcomes.items():
        metric = results.get(name) or metrics.find("performance", name)
        value, reason = (outcome, "") if isinstance(outcome, float) else (None, outcome)
        samples.append(sample(metric, worker.target, number, value, censored=reason))
    return samples


def cpu_metrics(workloads: Mapping[str, Workload]) -> dict[str, str]:
    """Return the metric of each workload's CPU time, which must differ from all results."""
    taken = {metric for workload in workloads.values() for metric in workload.results}
    by_workload = {}
    for name in workloads:
        metric = metrics.CPU.of(name).name
        while metric in taken:
            metric = metrics.CPU.of(metric).name
        taken.add(metric)
        by_workload[name] = metric
    return by_workload


def run_all(target: Target, workloads: Mapping[str, Workload]) -> dict[str, Outcome]:
    """Return the outcome of each metric. After a failure, the next workload gets a new instance.

    Raise LabError if no instance could be started at all.
    """
    outcomes: dict[str, Outcome] = {}
    times = _Times(cpu_metrics(workloads))
    for attachment, together in _by_attachment(workloads):
        if attachment and attachment not in target.attachments:
            continue
        left = dict(together)
        while left:
            try:
                with target.attached(attachment) if attachment else target.start() as instance:
                    instance.reached("ready")
                    _run_on(target, instance, left, outcomes, times)
            except LabError as error:
                if not attachment and not outcomes:
                    raise
                attached = f" with attachment {attachment}" if attachment else ""
                reason = f"{target.name}{attached} failed: {_sentence(error)}"
                for workload in left.values():
                    outcomes |= dict.fromkeys(workload.results, reason)
                break
    if times.host_ns:
        outcomes[CLOCKS] = times.instance_ns / times.host_ns
    return outcomes


@dataclass(slots=True)
class _Times:
    """The time of all commands, by the host's clock and by the instances' clocks.

    `cpu_metrics` has the metric of each workload's CPU time.
    """

    cpu_metrics: Mapping[str, str]
    host_ns: int = 0
    instance_ns: int = 0


def _by_attachment(
    workloads: Mapping[str, Workload],
) -> Iterator[tuple[Attachment | Literal[""], list[tuple[str, Workload]]]]:
    """Yield the workloads of each attachment, beginning with those that need none."""
    groups: dict[Attachment | Literal[""], list[tuple[str, Workload]]] = {"": []}
    for name, workload in workloads.items():
        groups.setdefault(workload.attached, []).append((name, workload))
    yield from groups.items()


def _run_on(
    target: Target,
    instance: Instance,
    left: dict[str, Workload],
    outcomes: dict[str, Outcome],
    times: _Times,
) -> None:
    """Run the workloads in `left` and remove them, until one fails."""
    for name, workload in list(left.items()):
        del left[name]
        try:
            used_ns, begin_ns = cpu_time.used_ns(instance.pids()), time.monotonic_ns()
            command = _run(instance, workload)
            times.host_ns += time.monotonic_ns() - begin_ns
            times.instance_ns += command.elapsed_ns
            used_ns = cpu_time.used_ns(instance.pids()) - used_ns
        except Exception as error:  # any error counts as a failure of this workload
            reason = f"{name} failed in {target.name}: {_sentence(error)}"
            outcomes |= dict.fromkeys(workload.results, reason)
            return
        outcomes[times.cpu_metrics[name]] = used_ns / 1e9
        for metric, result in workload.results.items():
            try:
                outcomes[metric] = value_of(result, command.stdout, command.elapsed_ns)
            except Exception as error:
                outcomes[metric] = f"{name} failed in {target.name}: {_sentence(error)}"


def _sentence(error: Exception) -> str:
    if isinstance(error, LabError):
        return str(error).removesuffix(".")
    return f"{type(error).__name__}: {error}"


def _run(instance: Instance, workload: Workload) -> CommandResult:
    result = instance.run(workload.argv, workload.timeout_seconds)
    if result.exit_code:
        raise TargetFailed(_failure(result))
    return result


def _failure(result: CommandResult) -> str:
    lines = (result.stderr or result.stdout).decode(errors="replace").strip().splitlines()
    return f"exit code {result.exit_code}{': ' + lines[-1] if lines else ''}"
