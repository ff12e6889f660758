"""Figures of a single round with many points: memory and latency while a host is being filled.

With a single filling, the difference to another filling is unknown. Its own points still show how
well they determine its line.
"""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING

from lab.statistics.estimates import Estimate, estimate_median, estimate_slope

if TYPE_CHECKING:
    import pandas as pd

    from lab.results.run_folder import Run

# Slopes over the number of running instances: the curve of each, and the sign of its slope.
SLOPES = {
    "memory-per-instance-available": ("memory-available", -1),
    "memory-per-instance-pss": ("memory-pss", 1),
}
# Timed again for each instance or at each number of instances.
REPEATED = ("start-latency",)
_BLOCKS = 20  # neighbouring points are correlated, so a block of them counts as one value


def figures(run: Run) -> dict[tuple[str, str, str], Estimate]:
    """Return figures by experiment, metric and target, for targets with a single round."""
    samples = run.samples.dropna(subset=["value"])
    result = {}
    for target, of_target in samples[samples["experiment"] == "density"].groupby("target"):
        if of_target["round"].nunique() != 1:
            continue
        curves = {str(metric): points for metric, points in of_target.groupby("metric")}
        for metric, (curve, sign) in SLOPES.items():
            if metric in curves and curve in curves:
                result["density", metric, str(target)] = _slope(curves[curve], sign)
        for metric in REPEATED:
            if metric in curves:
                result["density", metric, str(target)] = _repeated(curves[metric], run)
    return result


def note(run: Run, key: tuple[str, str, str]) -> str:
    """Return the run's note on the figure of that experiment, metric and target."""
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
