"""Figures of one round that has many points: what a host takes and does while it is being filled.

A filling is made once, so that nothing is known of how another one would differ; but its own points
say how well it determines its own line.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from lab.statistics.estimates import Estimate, estimate_median, estimate_slope

if TYPE_CHECKING:
    import pandas as pd

    from lab.results.run_folder import Run

# A slope over the number that run, by the curve whose slope it is and the sign that it is taken by.
SLOPES = {
    "memory-per-instance-available": ("memory-available", -1),
    "memory-per-instance-pss": ("memory-pss", 1),
}
# Timed anew for each instance, or at each number of them.
REPEATED = ("start-latency",)
_BLOCKS = 20  # neighbours in a filling resemble each other: each block of them is one value


def figures(run: Run) -> dict[tuple[str, str, str], Estimate]:
    """Return the figure of each experiment, metric and target that one round has points of."""
    samples = run.samples.dropna(subset=["value"])
    found = {}
    for target, of_target in samples[samples["experiment"] == "density"].groupby("target"):
        if of_target["round"].nunique() != 1:
            continue
        curves = {str(metric): points for metric, points in of_target.groupby("metric")}
        for metric, (curve, sign) in SLOPES.items():
            if metric in curves and curve in curves:
                found["density", metric, str(target)] = _slope(curves[curve], sign)
        for metric in REPEATED:
            if metric in curves:
                found["density", metric, str(target)] = _repeated(curves[metric], run)
    return found


def note(run: Run, key: tuple[str, str, str]) -> str:
    """Return what the run noted with the figure of that experiment, metric and target."""
    experiment, metric, target = key
    samples = run.samples
    notes = samples.loc[
        (samples["experiment"] == experiment)
        & (samples["metric"] == metric)
        & (samples["target"] == target),
        "note",
    ]
    return next((str(each) for each in notes if each), "")


def _slope(points: pd.DataFrame, sign: int) -> Estimate:
    return estimate_slope(list(points["position"]), list(sign * points["value"]))


def _repeated(points: pd.DataFrame, run: Run) -> Estimate:
    values = list(points.sort_values("position")["value"])
    length = max(1, len(values) // _BLOCKS)
    blocks = [values[at : at + length] for at in range(0, len(values), length)]
    return estimate_median([median(block) for block in blocks], run.seed)
