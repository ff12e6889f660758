"""The results of a scenario as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.scaling.results import FIGURES, finding, label

if TYPE_CHECKING:
    from lab.scaling.results import Result, VariantResult
    from lab.scaling.scalability import Scalability
    from lab.statistics.estimates import Estimate

_NAMES = {
    "missed": "missed (lost, late)",
    "missed-in-peak": "missed in the peak",
    "lost": "lost",
    "late": "late",
    "latency-p50": "latency, median",
    "latency-p95": "latency, p95",
    "latency-p99": "latency, p99",
    "until-recovered": "until recovered",
    "start": "start of an instance",
    "instance-hours": "instance-hours",
    "node-hours": "node-hours",
    "cost": "cost",
}
EMULATED = "emulated: the starts of a machine without KVM, which take many times as long"


def lines(result: Result) -> list[str]:
    """Return the lines: the scenario, a table of the figures, and what must be known of them."""
    scenario, table = result.scenario, result.scenario.table
    objective = units.quantity(float(table.objective), "second")
    share = units.share(float(table.objective_share))
    plural = "s" if result.replications > 1 else ""
    headings = ("", *(tables.plain(label(variant)) for variant in result.variants))
    rows = [
        (_NAMES[name], *(_cell(variant, name, unit) for variant in result.variants))
        for name, unit in FIGURES.items()
        if any(name in variant.figures for variant in result.variants)
    ]
    return [
        f"{tables.plain(scenario.name)}: {units.quantity(scenario.duration, 'second')},"
        f" {result.variants[0].requests / result.replications:,.0f} requests,"
        f" {result.replications} replication{plural}, seed {result.seed}",
        f"objective: {share} of the requests answered within {objective}",
        "",
        *tables.columns(headings, rows),
        "",
        *(f"{sentence}" for sentence in notes(result)),
    ]


def notes(result: Result) -> list[str]:
    """Return the finding and the conditions of the figures, a line each."""
    sentences = [f"finding: {tables.plain(finding(result))}"]
    if result.replications > 1:
        sentences.append("each figure: the mean of the replications, and its 95 % interval")
    for variant, made in zip(result.variants, result.scenario.variants, strict=True):
        name = tables.plain(label(variant))
        if law := made.starts.law():
            sentences.append(f"{name}: {_law(law)}")
        if variant.never_recovered:
            sentences.append(
                f"{name}: {variant.never_recovered} of {result.replications} replications missed"
                " the objective until the end; the time until recovered is of the others"
            )
        if variant.beyond_measured:
            sentences.append(
                f"{name}: up to {variant.beyond_measured} starts at once on a node, more than were"
                " measured: the node is taken to start them at the rate of the largest burst"
            )
    if result.scenario.emulated:
        sentences.append(EMULATED)
    return sentences


def _law(law: Scalability) -> str:
    """Return the starts per second of a node by the Universal Scalability Law."""
    contention = f"contention {_share(law.contention)}, coherency {_share(law.coherency)}"
    if law.peak_at.centre is None:
        limit = "no maximum of the starts per second"
    else:
        limit = f"{_count(law.peak)} starts per second at most, with {_count(law.peak_at)} at once"
    return f"a node has {limit} (Universal Scalability Law: {contention})"


def _count(estimate: Estimate) -> str:
    centre = units.quantity(estimate.centre, "integer")
    return f"{centre} [{units.interval(estimate.low, estimate.high, 'integer')}]"


def _share(estimate: Estimate) -> str:
    if estimate.low is None or estimate.high is None:
        return units.share(estimate.centre)
    return (
        f"{units.share(estimate.centre)} [{units.share(estimate.low)}, "
        f"{units.share(estimate.high)}]"
    )


def _cell(variant: VariantResult, name: str, unit: str) -> str:
    figure = variant.figures.get(name)
    if figure is None or figure.centre is None:
        return units.UNKNOWN
    return f"{_quantity(figure.centre, unit)}{_interval(figure, unit)}"


def _interval(figure: Estimate, unit: str) -> str:
    if figure.low is None or figure.high is None:
        return ""
    low = max(figure.low, 0.0)  # none of the figures can be below zero
    return f" [{_quantity(low, unit)}, {_quantity(figure.high, unit)}]"


def _quantity(value: float, unit: str) -> str:
    return units.share(value) if unit == "%" else units.quantity(value, unit)
