"""The results of a scenario as a JSON document, and its series as CSV."""

from __future__ import annotations

import csv
import io
import math
from typing import TYPE_CHECKING, Any

from lab.scaling.results import FIGURES, SHARES, finding

if TYPE_CHECKING:
    from lab.scaling.results import Result, Series, VariantResult
    from lab.scaling.scalability import Scalability

_PERCENTILES = tuple(f"latency_p{share * 100:.0f}_seconds" for share in SHARES)
COLUMNS = (
    "variant", "emulated", "begin_seconds", "arrived_per_second", "lost_per_second",
    "missed_per_second", "ready", "replicas", *_PERCENTILES,
)  # fmt: skip


def document(result: Result) -> dict[str, Any]:
    """Return the results as a JSON document; unknown values are null."""
    table = result.scenario.table
    return {
        "scenario": result.scenario.name,
        "seed": result.seed,
        "replications": result.replications,
        "duration_seconds": result.scenario.duration,
        "objective_seconds": float(table.objective),
        "objective_share": float(table.objective_share),
        "peak_seconds": result.scenario.arrivals.peak,
        "finding": finding(result),
        "variants": [
            {**_variant(variant), "starts_per_second_law": _law(made.starts.law())}
            for variant, made in zip(result.variants, result.scenario.variants, strict=True)
        ],
    }


def csv_text(result: Result) -> str:
    """Return the series of all variants as CSV; unknown values are empty."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    for variant in result.variants:
        for row in _rows(variant.series):
            cells = ("" if value is None else _cell(value) for value in row)
            writer.writerow([variant.name, "yes" if variant.emulated else "no", *cells])
    return text.getvalue()


def _cell(value: float) -> str:
    """Return a number with six digits; a whole one, such as a bin's second in a year, with all."""
    return f"{value:.0f}" if value == round(value) else f"{value:.6g}"


def _variant(variant: VariantResult) -> dict[str, Any]:
    return {
        "name": variant.name,
        "starts_emulated": variant.emulated,
        "requests": variant.requests,
        "figures": {
            name: {
                "unit": unit or "price",
                "mean": _in_unit(figure.centre, unit),
                "low": _in_unit(figure.low, unit),
                "high": _in_unit(figure.high, unit),
                "n": figure.n,
            }
            for name, unit in FIGURES.items()
            if (figure := variant.figures.get(name))
        },
        "replications_never_recovered": variant.never_recovered,
        "most_starts_at_once": variant.most_at_once,
        "starts_at_once_beyond_measured": variant.beyond_measured is not None,
        "series": [dict(zip(COLUMNS[2:], row, strict=True)) for row in _rows(variant.series)],
    }


def _law(law: Scalability | None) -> dict[str, Any] | None:
    """Return the Universal Scalability Law of a node's starts; an infinite end is null."""
    if law is None:
        return None
    return {
        name: {
            end: value if value is not None and math.isfinite(value) else None
            for end, value in (("mean", each.centre), ("low", each.low), ("high", each.high))
        }
        for name, each in (
            ("throughput_of_one", law.throughput_of_one),
            ("contention", law.contention),
            ("coherency", law.coherency),
            ("peak_at", law.peak_at),
            ("peak", law.peak),
        )
    }


def _in_unit(value: float | None, unit: str) -> float | None:
    if value is None:
        return None
    return 100 * value if unit == "%" else value


def _rows(series: Series) -> list[tuple[float | None, ...]]:
    columns = (
        series.begins, series.arrived, series.lost, series.missed, series.ready, series.replicas,
        *series.latencies,
    )  # fmt: skip
    return [
        tuple(None if math.isnan(value) else value for value in row)
        for row in zip(*(column.tolist() for column in columns), strict=True)
    ]
