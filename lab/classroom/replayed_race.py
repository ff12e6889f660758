"""A race from a run's samples: one of its rounds, so that all targets met the same conditions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis import summary
from lab.classroom.race import FINISH, Lap, Race
from lab.errors import InvalidRun, NotFound
from lab.metrics import MILESTONES, STEP, STEP_BEGIN

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from lab.results.run_folder import Run

_PREFERRED = ("container", "podman", "docker", "vm")


def replayed(run: Run, targets: Sequence[str] | None = None) -> tuple[Race, list[Lap]]:
    """Return the race without laps, and its laps in the order of their times.

    The round is an undisturbed one in which all of the targets became ready. `targets` None is a
    container, two engines and a machine, as far as the run has them. Raise NotFound for a target
    that the run lacks, InvalidRun if the run has no such round.
    """
    starts = run.samples[run.samples["experiment"] == "startup"]
    ready = starts[(starts["metric"] == FINISH) & starts["value"].notna()]
    measured = list(dict.fromkeys(ready["target"]))
    if not measured:
        raise InvalidRun(f"{run.path} has no starts: it can't be raced again.")
    chosen = [name for name in _PREFERRED if name in measured] or measured
    if targets is not None:
        chosen = list(targets)
    for name in chosen:
        if name not in measured:
            raise NotFound(f"{run.path} has no start of {name}; it has {', '.join(measured)}.")
    number = _round(run, ready, chosen)
    in_round = starts[(starts["round"] == number) & starts["target"].isin(chosen)]
    race = Race(tuple(summary.label(name, run) for name in chosen))
    laps = []
    for name in chosen:
        label = summary.label(name, run)
        steps = _steps(in_round[in_round["target"] == name])
        race.steps[label] = {step: length for step, _, length in steps}
        laps += [Lap(label, step, begin + length) for step, begin, length in steps]
        laps += [
            Lap(label, milestone, float(value))
            for milestone in MILESTONES
            for value in _values(in_round, name, milestone)
        ]
    return race, sorted(laps, key=lambda lap: (lap.seconds, lap.name == FINISH))


def _round(run: Run, ready: pd.DataFrame, chosen: Sequence[str]) -> int:
    """Return a typical round in which all chosen targets became ready, undisturbed if possible.

    It is the middle one by the time of the first target; the first round of a run is often slow.
    """
    seconds: dict[int, dict[str, float]] = {}
    starts = ready[ready["target"].isin(chosen)]
    for number, target, value in zip(
        starts["round"], starts["target"], starts["value"], strict=True
    ):
        seconds.setdefault(int(number), {})[str(target)] = float(value)
    complete = [number for number, started in seconds.items() if len(started) == len(chosen)]
    if not complete:
        words = ", ".join(chosen)
        raise InvalidRun(f"{run.path} has no round in which all became ready: {words}.")
    disturbed = summary.disturbed_rounds(ready, run)
    quiet = [number for number in complete if number not in disturbed] or complete
    return sorted(quiet, key=lambda number: seconds[number][chosen[0]])[len(quiet) // 2]


def _steps(samples: pd.DataFrame) -> list[tuple[str, float, float]]:
    """Return the steps of one start: name, begin and length in seconds."""
    begins = _by_step(samples, STEP_BEGIN.prefix)
    lengths = _by_step(samples, STEP.prefix)
    return [(step, begins[step], length) for step, length in lengths.items() if step in begins]


def _by_step(samples: pd.DataFrame, prefix: str) -> dict[str, float]:
    chosen = samples[samples["metric"].str.startswith(prefix) & samples["value"].notna()]
    pairs = zip(chosen["metric"], chosen["value"], strict=True)
    return {str(name).removeprefix(prefix): float(value) for name, value in pairs}


def _values(samples: pd.DataFrame, target: str, milestone: str) -> list[float]:
    chosen = samples[(samples["target"] == target) & (samples["metric"] == milestone)]
    return [float(value) for value in chosen["value"].dropna()]
