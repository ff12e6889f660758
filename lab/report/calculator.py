"""Sliders over a run's figures: hosts, cost and time to start for a number of instances.

The page computes in the browser, from JSON in the page; `answer` computes the same here.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from lab import units
from lab.analysis import summary
from lab.language.message import Message
from lab.report import markup

if TYPE_CHECKING:
    from lab.analysis.summary import Measurement
    from lab.language.message import Language
    from lab.results.run_folder import Run

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


@dataclass(frozen=True, slots=True)
class Slider:
    """A setting of the calculator: its ends, and whether equal steps are equal factors."""

    name: str
    label: Message
    least: float
    most: float
    is_logarithmic: bool = True


SLIDERS = (
    Slider("instances", Message("idle instances"), 10, 1_000_000),
    Slider("host_gib", Message("memory of a host for instances, GiB"), 4, 1024),
    Slider("price", Message("price of a host a month"), 1, 10_000),
    Slider("slower", Message("a start takes longer by, %"), 0, 100, is_logarithmic=False),
)


def section(run: Run, languages: tuple[Language, ...] = markup.ENGLISH) -> str:
    """Return the sliders as HTML; empty if the run has no figures for them."""
    targets = figures(run)
    if not targets:
        return ""
    question = Question()
    settings = {**asdict(question), "slower": question.slower * 100}
    return markup.render(
        "calculator.html",
        languages,
        sliders=[(slider, settings[slider.name]) for slider in SLIDERS],
        rows=[(each, cells(answer(each, question))) for each in targets],
        targets=[asdict(each) for each in targets],
    )


def cells(given: Answer) -> tuple[str, ...]:
    """Return an answer as text: hosts, cost, and both times."""
    return (
        _hosts(given),
        f"{given.cost:,.0f}",
        units.quantity(given.one_seconds, "second"),
        units.quantity(given.all_seconds, "second"),
    )


def _hosts(given: Answer) -> str:
    if given.fewest_hosts == given.most_hosts:
        return f"{given.hosts:,}"
    return f"{given.hosts:,} ({given.fewest_hosts:,} – {given.most_hosts:,})"


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
