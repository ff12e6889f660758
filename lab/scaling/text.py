"""The results of a scenario as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.language.message import Language, Message, translated
from lab.scaling.results import FIGURES, finding, label

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from lab.scaling.results import Result, VariantResult
    from lab.scaling.scalability import Scalability
    from lab.statistics.estimates import Estimate

_NAMES = {
    "missed": Message("missed (lost, late)"),
    "missed-in-peak": Message("missed in the peak"),
    "lost": Message("lost"),
    "late": Message("late"),
    "latency-p50": Message("latency, median"),
    "latency-p95": Message("latency, p95"),
    "latency-p99": Message("latency, p99"),
    "until-recovered": Message("until recovered"),
    "start": Message("start of an instance"),
    "instance-hours": Message("instance-hours"),
    "node-hours": Message("node-hours"),
    "cost": Message("cost"),
}
EMULATED = Message("emulated: the starts of a machine without KVM, which take many times as long")


def lines(result: Result, language: Language = Language.ENGLISH) -> list[str]:
    """Return the lines: the scenario, a table of the figures, and what must be known of them."""
    scenario, objective = (tables.plain(translated(each, language)) for each in _conditions(result))
    return [
        scenario,
        objective,
        "",
        *tables.columns(*_table(result), language),
        "",
        *(tables.plain(translated(sentence, language)) for sentence in notes(result)),
    ]


def show(result: Result, console: Console, language: Language = Language.ENGLISH) -> None:
    """Print the same on a terminal, folded to its width."""
    for sentence in _conditions(result):
        console.print(tables.paragraph(translated(sentence, language)))
    console.print()
    headings, rows = _table(result)
    console.print(tables.folding(headings, rows, language=language))
    console.print()
    for note in notes(result):
        console.print(tables.paragraph(translated(note, language)))


def markdown(result: Result, language: Language = Language.ENGLISH) -> list[str]:
    """Return the same as the lines of Markdown."""
    blocks = [
        *(tables.literal(translated(each, language)) for each in _conditions(result)),
        "\n".join(tables.markdown(*_table(result), language)),
        *(tables.literal(translated(each, language)) for each in notes(result)),
    ]
    return "\n\n".join(blocks).split("\n")


def _table(result: Result) -> tuple[Sequence[str], Sequence[tuple[str, ...]]]:
    headings = ("", *(label(variant) for variant in result.variants))
    rows = [
        (_NAMES[name], *(_cell(variant, name, unit) for variant in result.variants))
        for name, unit in FIGURES.items()
        if any(name in variant.figures for variant in result.variants)
    ]
    return headings, rows


def _conditions(result: Result) -> tuple[Message, Message]:
    """Return the scenario and its objective, a line each."""
    scenario, table = result.scenario, result.scenario.table
    replications = (
        Message("{count} replications", count=result.replications)
        if result.replications > 1
        else Message("1 replication")
    )
    return (
        Message(
            "{name}: {duration}, {requests}, {replications}, seed {seed}",
            name=scenario.name,
            duration=units.quantity(scenario.duration, "second"),
            requests=_requests(round(result.variants[0].requests / result.replications)),
            replications=replications,
            seed=result.seed,
        ),
        Message(
            "objective: {share} of the requests answered within {time}",
            share=units.share(float(table.objective_share)),
            time=units.quantity(float(table.objective), "second"),
        ),
    )


def _requests(number: int) -> Message:
    return Message("1 request") if number == 1 else Message("{count:,} requests", count=number)


def notes(result: Result) -> list[str]:
    """Return the finding and the conditions of the figures, a line each."""
    sentences: list[str] = [Message("finding: {finding}", finding=finding(result))]
    if result.replications > 1:
        sentences.append(
            Message("each figure: the mean of the replications, and its 95 % interval")
        )
    for variant, made in zip(result.variants, result.scenario.variants, strict=True):
        name = label(variant)
        if law := made.starts.law():
            sentences.append(Message("{name}: {sentence}", name=name, sentence=_law(law)))
        if variant.never_recovered == result.replications:
            sentences.append(
                Message("{name}: no replication met the objective again until the end", name=name)
            )
        elif variant.never_recovered:
            sentences.append(
                Message(
                    "{name}: {count} of {all} replications missed the objective until the end; the"
                    " time until recovered is of the others",
                    name=name,
                    count=variant.never_recovered,
                    all=result.replications,
                )
            )
        if variant.beyond_measured:
            sentences.append(
                Message(
                    "{name}: up to {count} starts at once on a node, more than were measured: the"
                    " node is taken to start them at the rate of the largest burst",
                    name=name,
                    count=variant.beyond_measured,
                )
            )
    if result.scenario.emulated:
        sentences.append(EMULATED)
    return sentences


def _law(law: Scalability) -> Message:
    """Return the starts per second of a node by the Universal Scalability Law."""
    limit = Message("no maximum of the starts per second")
    if law.peak_at.centre is not None:
        limit = Message(
            "{peak} starts per second at most, with {number} at once",
            peak=_count(law.peak),
            number=_count(law.peak_at),
        )
    return Message(
        "a node has {limit} (Universal Scalability Law: contention {contention}, coherency"
        " {coherency})",
        limit=limit,
        contention=_share(law.contention),
        coherency=_share(law.coherency),
    )


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
    return f" [{_quantity(figure.low, unit)}, {_quantity(figure.high, unit)}]"


def _quantity(value: float, unit: str) -> str:
    return units.share(value) if unit == "%" else units.quantity(value, unit)
