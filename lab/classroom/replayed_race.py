"""A race from a run's samples: one of its rounds, so that all targets met the same conditions."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from lab.analysis import series, summary
from lab.analysis.step_names import step_name
from lab.classroom.race import FINISH, Lap, Race, each_once
from lab.errors import InvalidRun, NotFound
from lab.metrics import MILESTONES, STEP, STEP_BEGIN

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from lab.analysis.series import Series
    from lab.results.run_folder import Run

    Starts = Mapping[str, Mapping[str, Series]]  # by metric and target

_PREFERRED = ("container", "podman", "docker", "vm")


def replayed(run: Run, targets: Sequence[str] | None = None) -> tuple[Race, list[Lap]]:
    """Return the race without laps, and its laps in the order of their times.

    The round is an undisturbed one in which all of the targets became ready. `targets` None is a
    container, two engines and a machine, as far as the run has them. Raise NotFound for a target
    that the run lacks, InvalidConfig without any target, InvalidRun if the run has no such round.
    """
    starts = series.of_experiment(run, "startup")
    ready = {name: each for name, each in starts.get(FINISH, {}).items() if each.values}
    measured = list(ready)
    if not measured:
        raise InvalidRun(f"{run.path} has no starts: it can't be raced again.")
    chosen = [name for name in _PREFERRED if name in measured] or measured
    if targets is not None:
        chosen = each_once(targets)
    for name in chosen:
        if name not in measured:
            raise NotFound(f"{run.path} has no start of {name}; it has {', '.join(measured)}.")
    number = _round(run, {name: ready[name] for name in chosen})
    race = Race(tuple(summary.label(name, run) for name in chosen))
    laps = []
    for name in chosen:
        label = summary.label(name, run)
        steps = _steps(starts, name, number)
        race.steps[label] = {step: length for step, _, length in steps} or _usual(starts, name)
        laps += [Lap(label, step, begin + length) for step, begin, length in steps]
        laps += [
            Lap(label, milestone, value)
            for milestone in MILESTONES
            if name in (of := starts.get(milestone, {}))
            for value in of[name].in_round(number)
        ]
    return race, sorted(laps, key=lambda lap: (lap.seconds, lap.name == FINISH))


def _round(run: Run, ready: Mapping[str, Series]) -> int:
    """Return a typical round in which all targets became ready, undisturbed if possible.

    It is the middle one by the time of the first target; the first round of a run is often slow.
    """
    first = next(iter(ready.values()))
    seconds = dict(zip(first.rounds, first.values, strict=True))
    complete = [
        number for number in seconds if all(number in each.rounds for each in ready.values())
    ]
    if not complete:
        words = ", ".join(ready)
        raise InvalidRun(f"{run.path} has no round in which all became ready: {words}.")
    disturbed = summary.disturbed_rounds(first, run)
    quiet = [number for number in complete if number not in disturbed] or complete
    return sorted(quiet, key=lambda number: seconds[number])[len(quiet) // 2]


def _steps(starts: Starts, target: str, number: int) -> list[tuple[str, float, float]]:
    """Return the steps of one start: name, begin and length in seconds."""
    begins = _by_step(starts, STEP_BEGIN.prefix, target, number)
    lengths = _by_step(starts, STEP.prefix, target, number)
    return [
        (step_name(step), begins[step], length)
        for step, length in lengths.items()
        if step in begins
    ]


def _usual(starts: Starts, target: str) -> dict[str, float]:
    """Return the median length of each step in all rounds; some targets trace a few rounds only."""
    return {
        step_name(metric.removeprefix(STEP.prefix)): median(by_target[target].values)
        for metric, by_target in starts.items()
        if metric.startswith(STEP.prefix) and target in by_target and by_target[target].values
    }


def _by_step(starts: Starts, prefix: str, target: str, number: int) -> dict[str, float]:
    return {
        metric.removeprefix(prefix): value
        for metric, by_target in starts.items()
        if metric.startswith(prefix) and target in by_target
        for value in by_target[target].in_round(number)
    }
