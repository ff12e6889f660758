"""Comparison of two or more runs: same or different, by how much, and with what confidence.

Each figure of a later run is compared with the first run's. Runs are independent, so the logarithms
of two figures differ by the root of the summed squares of the half-widths of their intervals. The
figures are the same if the interval of their ratio holds 1. For runs that do not differ this is so
in 95 % of cases, which is stricter than overlapping intervals: those overlap in 99 %.

An experiment may have a single round with many points, such as the filling of a host. Its points
are then compared, and the verdict says so: two slopes may differ by far more than their points
scatter, but how much rounds would differ is unknown.

Three or more runs are also analysed together, each as a single value (lab.analysis.across_runs).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from lab import version
from lab.analysis import across_runs as across
from lab.analysis import conditions, points, summary
from lab.errors import Incomparable, InvalidConfig
from lab.language.message import Message, joined
from lab.language.punctuation import SEMICOLON
from lab.statistics.estimates import CONFIDENCE

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from lab.results.run_folder import Run

Verdict = Literal["same", "different", "unknown"]
By = Literal["rounds", "points"]


@dataclass(frozen=True, slots=True)
class Difference:
    """A figure in two runs. `change` is later / first with its interval; None where unknown.

    `name` is `target / baseline` for a ratio within rounds, and the target for a median.
    `confidence` is that of the verdict `different`: at 0.99, equal runs would look so different in
    1 of 100 cases; None if the comparison is `by` points of a single round. `first_n` and `later_n`
    count rounds or points. `noted` holds each run's note on the figure.
    """

    run: str
    experiment: str
    metric: str
    name: str
    unit: str
    first: float
    later: float
    change: float | None
    low: float | None
    high: float | None
    confidence: float | None
    verdict: Verdict
    by: By
    first_n: int
    later_n: int
    noted: tuple[str, str] = ("", "")


@dataclass(frozen=True, slots=True)
class Comparison:
    """The result of comparing runs; `overlooked` names differing conditions that were accepted.

    `versions` pairs each run with the version of the lab that measured it. `emulated` is True if
    the machines of all runs were emulated; accelerators that differ are a differing condition.
    """

    first: str
    later: tuple[str, ...]
    versions: tuple[tuple[str, str], ...]
    overlooked: tuple[str, ...]
    ratios: tuple[Difference, ...]
    medians: tuple[Difference, ...]
    across: tuple[across.Across, ...] = ()
    emulated: bool = False

    def agreement(self) -> float | None:
        """Return the share of comparable ratios that are the same; None if none is comparable."""
        same, comparable = self.tally()
        return same / comparable if comparable else None

    def tally(self) -> tuple[int, int]:
        """Return how many ratios are the same, and how many are comparable."""
        comparable = [each for each in self.ratios if each.verdict != "unknown"]
        return sum(each.verdict == "same" for each in comparable), len(comparable)


def compare(runs: Sequence[Run], despite: Collection[str] = ()) -> Comparison:
    """Compare every later run with the first.

    Raise Incomparable if a condition differs that is not in `despite`, or if the runs have no
    figure in common; InvalidConfig for a single run or an unknown condition.
    """
    if unknown := set(despite) - set(conditions.CONDITIONS):
        raise InvalidConfig(
            f"--despite: there is no condition {unknown.pop()!r}; there are"
            f" {', '.join(conditions.CONDITIONS)}."
        )
    first, *later = runs
    if not later:
        raise InvalidConfig("A comparison needs two run folders or more: name another one.")
    differing = [
        (name, sentence) for run in later for name, sentence in conditions.differing(first, run)
    ]
    for name, sentence in differing:
        if name not in despite:
            raise Incomparable(
                f"{sentence}, so their figures can't be compared;"
                f" pass --despite {name} to compare them anyway."
            )
    ratios = [each for run in later for each in _compared(run, _ratios(first), _ratios(run))]
    medians = [each for run in later for each in _compared(run, _medians(first), _medians(run))]
    if not ratios and not medians:
        raise Incomparable(f"{first.path} has no figure in common with the others.")
    return Comparison(
        first=str(first.path),
        later=tuple(str(run.path) for run in later),
        versions=tuple(
            (
                run.path.name,
                joined(
                    SEMICOLON,
                    (
                        version.shown(run.settings.get("tonnage")) or Message("version unknown"),
                        *run.torn,
                    ),
                ),
            )
            for run in runs
        ),
        overlooked=tuple(sentence for _, sentence in differing),
        ratios=tuple(ratios),
        medians=tuple(medians),
        across=tuple(across.figures([_values(run) for run in runs])),
        emulated=all(run.settings.get("accelerator") == "tcg" for run in runs),
    )


def _values(run: Run) -> dict[across.Key, tuple[float, str]]:
    return {
        key: (figure.centre, figure.unit) for key, figure in (_ratios(run) | _medians(run)).items()
    }


@dataclass(frozen=True, slots=True)
class _Figure:
    """A figure of a run, from `n` rounds or from `n` points of a single round."""

    centre: float
    low: float | None
    high: float | None
    n: int
    unit: str
    by: By = "rounds"
    noted: str = ""

    @property
    def reach(self) -> float | None:
        """Half the width of the interval on a logarithmic scale; None without an interval."""
        if self.low is None or self.high is None or self.low <= 0:
            return None
        return math.log(self.high / self.low) / 2


def _ratios(run: Run) -> dict[across.Key, _Figure]:
    return {
        (each.experiment, each.metric, f"{each.target} / {each.baseline}"): _Figure(
            each.ratio, each.low, each.high, each.n, "ratio"
        )
        for each in summary.ratios(run)
    }


def _medians(run: Run) -> dict[across.Key, _Figure]:
    """Return medians over rounds, or a single round's figures by its points if they have any."""
    medians = {
        (each.experiment, each.metric, each.target): _Figure(
            each.median, each.low, each.high, each.n, each.unit
        )
        for each in summary.measurements(run)
        if each.median is not None
    }
    for key, estimate in points.figures(run).items():
        if key in medians and estimate.centre is not None and estimate.low is not None:
            medians[key] = _Figure(
                estimate.centre,
                estimate.low,
                estimate.high,
                estimate.n,
                medians[key].unit,
                "points",
                points.note(run, key),
            )
    return medians


def _compared(
    run: Run, first: dict[across.Key, _Figure], later: dict[across.Key, _Figure]
) -> list[Difference]:
    return [
        _difference(run.path.name, key, figure, later[key])
        for key, figure in first.items()
        if key in later
    ]


def _difference(run: str, key: across.Key, first: _Figure, later: _Figure) -> Difference:
    experiment, metric, name = key
    change = low = high = confidence = None
    verdict: Verdict = "unknown"
    by: By = "points" if "points" in (first.by, later.by) else "rounds"
    if first.centre > 0 and later.centre > 0:
        change = later.centre / first.centre
        if first.reach is not None and later.reach is not None:
            reach = math.hypot(first.reach, later.reach)
            low, high = change * math.exp(-reach), change * math.exp(reach)
            verdict = "same" if low <= 1 <= high else "different"
            if by == "rounds":
                confidence = _confidence(change, reach, first.n + later.n - 2)
    elif first.centre == later.centre:
        verdict = "same"
    elif _apart(first, later) or _apart(later, first):  # a figure of zero has no ratio
        verdict = "different"
    return Difference(
        run=run,
        experiment=experiment,
        metric=metric,
        name=name,
        unit=first.unit,
        first=first.centre,
        later=later.centre,
        change=change,
        low=low,
        high=high,
        confidence=confidence,
        verdict=verdict,
        by=by,
        first_n=first.n,
        later_n=later.n,
        noted=(first.noted, later.noted),
    )


def _apart(lower: _Figure, upper: _Figure) -> bool:
    """Return True if the interval of `lower` ends below that of `upper`."""
    return lower.high is not None and upper.low is not None and lower.high < upper.low


def _confidence(change: float, reach: float, freedom: int) -> float:
    """Return the share of cases in which two equal runs would look less different."""
    from scipy.stats import t

    if not reach:
        return 1.0 if change != 1 else 0.0
    freedom = max(freedom, 1)
    away = abs(math.log(change)) / reach * t.ppf((1 + CONFIDENCE) / 2, freedom)
    return float(1 - 2 * t.sf(away, freedom))
