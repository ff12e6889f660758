"""Sliders over a run's figures: hosts, cost and time to start for a number of instances.

The page computes in the browser, from JSON in the page; `answer` computes the same here.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict, dataclass
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import summary

if TYPE_CHECKING:
    from lab.analysis.summary import Measurement
    from lab.results.run_folder import Run

SCRIPT = Path(__file__).parent / "calculator.js"
_GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Figures:
    """The memory and the start of a target: medians of the run, with the ends of their intervals.

    `ready_seconds` is that of one start; `started_per_second` the highest rate of a burst, or the
    inverse of `ready_seconds` where no burst was measured. Ends are None where they are unknown.
    """

    target: str
    label: str
    memory_bytes: float
    memory_low_bytes: float | None
    memory_high_bytes: float | None
    ready_seconds: float
    started_per_second: float


@dataclass(frozen=True, slots=True)
class Question:
    """The settings of the sliders. `slower` is what a start takes longer, as a share."""

    instances: int = 1000
    host_gib: float = 64.0
    price: float = 100.0
    slower: float = 0.0


@dataclass(frozen=True, slots=True)
class Answer:
    """The hosts, the cost and the times of a number of instances, packed by memory alone."""

    hosts: int
    fewest_hosts: int
    most_hosts: int
    cost: float
    one_seconds: float
    all_seconds: float


def figures(run: Run) -> list[Figures]:
    """Return the figures of each target whose memory and starts were measured."""
    memory = _by_target(run, "density", "memory-per-instance-available")
    ready = _by_target(run, "startup", "ready")
    rates = _best_rates(run)
    found = []
    for target, each in memory.items():
        start = ready.get(target)
        if each.median is None or each.median <= 0 or start is None or not start.median:
            continue
        found.append(
            Figures(
                target,
                summary.label(target, run),
                each.median,
                each.low if each.low and each.low > 0 else None,
                each.high,
                start.median,
                rates.get(target, 1 / start.median),
            )
        )
    return sorted(found, key=lambda each: each.memory_bytes)


def answer(target: Figures, question: Question) -> Answer:
    """Return what the instances take as containers or machines of that target."""
    room_bytes = question.host_gib * _GIB

    def hosts(memory_bytes: float | None) -> int:
        each = target.memory_bytes if memory_bytes is None else memory_bytes
        fit = max(1, math.floor(room_bytes / each))
        return math.ceil(question.instances / fit)

    count = hosts(None)
    longer = 1 + question.slower
    per_host = math.ceil(question.instances / count)
    one_seconds = target.ready_seconds * longer
    all_seconds = max(one_seconds, per_host / target.started_per_second * longer)
    return Answer(
        count,
        hosts(target.memory_low_bytes),
        hosts(target.memory_high_bytes),
        count * question.price,
        one_seconds,
        all_seconds,
    )


def section(run: Run) -> str:
    """Return the sliders as HTML; empty if the run has no figures for them."""
    targets = figures(run)
    if not targets:
        return ""
    question = Question()
    rows = "\n".join(_row(each, answer(each, question)) for each in targets)
    data = json.dumps({"targets": [asdict(each) for each in targets]}).replace("<", "\\u003c")
    return f"""<form class="calculator" id="calculator" aria-label="How many hosts">
{_slider("instances", "idle instances", 10, 1_000_000, question.instances, "log")}
{_slider("host_gib", "memory of a host for instances, GiB", 4, 1024, question.host_gib, "log")}
{_slider("price", "price of a host a month", 1, 10_000, question.price, "log")}
{_slider("slower", "a start takes longer by, %", 0, 100, question.slower * 100, "linear")}
<table aria-live="polite"><thead><tr><th>target</th><th>hosts</th><th>cost a month</th>
<th>one more ready after</th><th>all ready after</th></tr></thead>
<tbody>
{rows}
</tbody></table>
<script type="application/json" id="calculator-data">{data}</script>
<script>{SCRIPT.read_text(encoding="utf-8")}</script>
</form>"""


def _row(target: Figures, given: Answer) -> str:
    cells = [
        f'<span data-value="{given.hosts}">{_hosts(given)}</span>',
        f"{given.cost:,.0f}",
        units.quantity(given.one_seconds, "second"),
        units.quantity(given.all_seconds, "second"),
    ]
    inner = "".join(f"<td>{cell}</td>" for cell in cells)
    return f'<tr data-target="{escape(target.target)}"><th>{escape(target.label)}</th>{inner}</tr>'


def _hosts(given: Answer) -> str:
    if given.fewest_hosts == given.most_hosts:
        return f"{given.hosts:,}"
    return f"{given.hosts:,} ({given.fewest_hosts:,} – {given.most_hosts:,})"


def _slider(name: str, label: str, least: float, most: float, value: float, scale: str) -> str:
    """Return a slider whose positions are 0 to 1000; the number beside it can be typed."""
    return (
        f'<label>{escape(label)} <input type="number" name="{name}" min="{least:g}"'
        f' max="{most:g}" value="{value:g}" step="any"></label>'
        f'<input type="range" min="0" max="1000" data-for="{name}" data-scale="{scale}"'
        f' aria-label="{escape(label)}">'
    )


def _by_target(run: Run, experiment: str, metric: str) -> dict[str, Measurement]:
    return {
        each.target: each
        for each in summary.measurements(run)
        if (each.experiment, each.metric) == (experiment, metric)
    }


def _best_rates(run: Run) -> dict[str, float]:
    """Return each target's highest rate of starts: the best number at once, median over rounds."""
    chosen = run.samples[
        (run.samples["experiment"] == "burst") & (run.samples["metric"] == "started-per-second")
    ]
    medians = chosen.groupby(["target", "position"])["value"].median().dropna()
    best = medians.groupby(level="target").max()
    return {str(target): float(rate) for target, rate in best.items() if rate > 0}
