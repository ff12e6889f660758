"""Figures of a run that questions ask about, or the reason why the run has none."""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations
from statistics import median
from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import labels, series, summary
from lab.analysis.step_names import step_name
from lab.classroom.exercises.question import LeftOut
from lab.language.message import Message
from lab.metrics import STEP, STEP_BEGIN
from lab.targets.registry import MACHINES, VMMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from lab.analysis.summary import Measurement, Ratio
    from lab.classroom.exercises.draw import Draw
    from lab.results.run_folder import Run

# Where two figures differ by less, their order is not asked for.
_TELLABLE = 1.05
_MOMENT_SECONDS = 20e-6
_SHOWN_AS_1 = 0.005


class Facts:
    """The figures of a run, for questions."""

    def __init__(self, run: Run) -> None:
        self.run = run

    def _figures(self, experiment: str, metric: str) -> list[Measurement]:
        """Return the figures of all targets that have one."""
        return [
            figure
            for figure in summary.measurements(self.run)
            if (figure.experiment, figure.metric) == (experiment, metric)
            and figure.median is not None
        ]

    @property
    def emulated(self) -> bool:
        """True if the run's machines were emulated."""
        return self.run.settings.get("accelerator") == "tcg"

    def label(self, target: str) -> str:
        """Return a target's name as Markdown; an emulated machine is labelled so."""
        text = labels.target(target, self.run)
        return text if isinstance(text, Message) else tables.literal(text)

    def has(self, experiment: str, target: str, metric: str) -> bool:
        """Return True if the run has the figure."""
        return any(figure.target == target for figure in self._figures(experiment, metric))

    def figure(self, experiment: str, target: str, metric: str) -> Measurement:
        """Return a figure. Raise LeftOut if the run lacks it."""
        every = self._figures(experiment, metric)
        found = next((figure for figure in every if figure.target == target), None)
        if found is None:
            raise LeftOut(
                Message(
                    "This run has no figure '{metric}' of {target} in the experiment {experiment}.",
                    metric=metric,
                    target=self.label(target),
                    experiment=experiment,
                )
            )
        return found

    def median(self, experiment: str, target: str, metric: str) -> float:
        """Return the median of a figure. Raise LeftOut."""
        return self.figure(experiment, target, metric).median or 0.0

    def targets(
        self, experiment: str, metric: str, among: Iterable[str] | None = None, least: int = 1
    ) -> list[str]:
        """Return the targets with a figure above zero, in the run's order, at least `least`.

        `among` restricts them. Raise LeftOut if there are fewer.
        """
        chosen = None if among is None else set(among)
        found = [
            figure.target
            for figure in self._figures(experiment, metric)
            if (figure.median or 0) > 0 and (chosen is None or figure.target in chosen)
        ]
        return self._enough(found, experiment, metric, least)

    def containers(self, experiment: str, metric: str, least: int = 1) -> list[str]:
        """Return the targets that are neither machines nor native. Raise LeftOut."""
        every = self.targets(experiment, metric)
        chosen = [name for name in every if name not in (*MACHINES, *VMMS, "native")]
        return self._enough(chosen, experiment, metric, least)

    def machines(self, experiment: str, metric: str, least: int = 1) -> list[str]:
        """Return the machines, first the full one. Raise LeftOut."""
        every = self.targets(experiment, metric)
        chosen = [name for name in every if name in MACHINES]
        chosen.sort(key=lambda name: name != "vm")
        return self._enough(chosen, experiment, metric, least)

    def _enough(self, found: list[str], experiment: str, metric: str, least: int) -> list[str]:
        if len(found) < least:
            raise LeftOut(
                Message(
                    "This run has too few targets with a figure '{metric}' in the experiment"
                    " {experiment}: {found}, at least {least} needed.",
                    metric=metric,
                    experiment=experiment,
                    found=len(found),
                    least=least,
                )
            )
        return found

    def ratio(self, experiment: str, metric: str, target: str, baseline: str) -> Ratio:
        """Return a ratio within rounds. Raise LeftOut if the run lacks it."""
        key = (target, baseline)
        every = self.ratios(experiment, metric)
        found = next((each for each in every if (each.target, each.baseline) == key), None)
        if found is None:
            raise LeftOut(
                Message(
                    "This run has no ratio of {target} to {baseline} for '{metric}'.",
                    target=self.label(target),
                    baseline=self.label(baseline),
                    metric=metric,
                )
            )
        return found

    def ratios(self, experiment: str, metric: str) -> tuple[Ratio, ...]:
        """Return the ratios of all targets to all baselines in one metric."""
        return tuple(
            ratio
            for ratio in summary.ratios(self.run)
            if (ratio.experiment, ratio.metric) == (experiment, metric)
        )

    def workloads(self, target: str, least: int = 1) -> list[Ratio]:
        """Return the ratios of a target's workloads to native, with an interval. Raise LeftOut."""
        results = self.run.workload_results
        found = [
            ratio
            for ratio in summary.ratios(self.run)
            if (ratio.experiment, ratio.target, ratio.baseline) == ("performance", target, "native")
            and ratio.metric in results
            and ratio.low is not None
            and ratio.ratio > 0
        ]
        if len(found) < least:
            raise LeftOut(
                Message(
                    "This run has too few workloads of {target} beside native with an interval:"
                    " {found}, at least {least} needed.",
                    found=len(found),
                    target=self.label(target),
                    least=least,
                )
            )
        return found

    def steps(self, target: str, least: int = 2) -> dict[str, tuple[float, float]]:
        """Return the steps of a target's start, each with its begin and its length in seconds.

        They are medians, in the order of their begins. Raise LeftOut if there are fewer.
        """
        begins = self._begins(target)
        lengths = {
            figure.metric.removeprefix(STEP.prefix): figure.median
            for figure in summary.measurements(self.run)
            if (figure.experiment, figure.target) == ("startup", target)
            and figure.metric.startswith(STEP.prefix)
        }
        steps = {
            step_name(step): (begin, length)
            for step, begin in sorted(begins.items(), key=lambda each: each[1])
            if (length := lengths.get(step)) is not None
        }
        if len(steps) < least:
            raise LeftOut(
                Message(
                    "This run has too few steps of a start of {target}: {found}, at least {least}"
                    " needed.",
                    target=self.label(target),
                    found=len(steps),
                    least=least,
                )
            )
        return steps

    def with_steps(self, among: Iterable[str], least: int = 2) -> list[str]:
        """Return those targets whose starts have at least `least` steps. Raise LeftOut."""
        found = [target for target in among if len(self._begins(target)) >= least]
        if not found:
            raise LeftOut(Message("This run has no target whose starts have enough steps."))
        return found

    def _begins(self, target: str) -> dict[str, float]:
        """Return when each step of a target's start begins, in seconds after the request."""
        return {
            metric.removeprefix(STEP_BEGIN.prefix): median(by_target[target].values)
            for metric, by_target in sorted(series.of_experiment(self.run, "startup").items())
            if metric.startswith(STEP_BEGIN.prefix)
            and target in by_target
            and by_target[target].values
        }


@lru_cache(maxsize=4)
def of(run: Run) -> Facts:
    """Return the facts of a run, which are worked out once for all students."""
    return Facts(run)


def told_apart(values: Sequence[tuple[str, float]]) -> list[tuple[str, float]]:
    """Return the values, smallest first, without those that are too close to the one before."""
    kept: list[tuple[str, float]] = []
    for name, value in sorted(values, key=lambda each: (each[1], each[0])):
        if not kept or value > kept[-1][1] * _TELLABLE:
            kept.append((name, value))
    return kept


def one_above(draw: Draw, values: Mapping[str, float], apart: float, count: int = 4) -> list[str]:
    """Return the names of `count` values, the largest first, which is larger by a factor `apart`.

    It is the largest of some, or of all where nothing is as far below that. Raise LeftOut.
    """
    order = draw.shuffled(values)
    for among in (order[:count], order):
        largest = max(among, key=lambda name: values[name])
        below = [name for name in order if values[name] * apart <= values[largest]]
        below = below[: count - 1]
        if len(below) > 1:
            return [largest, *sorted(below, key=lambda name: -values[name])]
    raise LeftOut(Message("The largest values of this run are too much alike."))


def ties(figures: Sequence[Measurement | Ratio]) -> list[tuple[int, int]]:
    """Return the pairs of places whose order is not certain, or can't be seen.

    Their intervals overlap, or tables show the same value.
    """
    return [
        (one, other)
        for one, other in combinations(range(len(figures)), 2)
        if _overlap(figures[one], figures[other]) or _look_alike(figures[one], figures[other])
    ]


def same_moments(begins: Sequence[float]) -> list[tuple[int, int]]:
    """Return the pairs of places whose times can't be told apart: their order is not certain."""
    return [
        (one, other)
        for one, other in combinations(range(len(begins)), 2)
        if abs(begins[other] - begins[one]) < _MOMENT_SECONDS
        or units.quantity(begins[one], "second") == units.quantity(begins[other], "second")
    ]


def decided_at_sight(ratios: Iterable[Ratio]) -> list[Ratio]:
    """Return the ratios whose intervals, as they are shown, do not end at 1 ×. Raise LeftOut."""
    found = [
        ratio
        for ratio in ratios
        if all(end is not None and abs(end - 1) >= _SHOWN_AS_1 for end in (ratio.low, ratio.high))
    ]
    if not found:
        raise LeftOut(Message("All intervals of this run's workloads end at 1 ×."))
    return found


def _look_alike(one: Measurement | Ratio, other: Measurement | Ratio) -> bool:
    """Return True if tables show the same value for both."""
    first, second = (
        (each.ratio, "ratio") if isinstance(each, summary.Ratio) else (each.median, each.unit)
        for each in (one, other)
    )
    return units.quantity(*first) == units.quantity(*second)


def _overlap(one: Measurement | Ratio, other: Measurement | Ratio) -> bool:
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return False
    return one.low <= other.high and other.low <= one.high
