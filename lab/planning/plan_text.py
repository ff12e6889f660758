"""A plan as text: the finding, what binds, and tables of hosts, resources and services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import labels
from lab.language.message import Language, Message, in_context, joined, translated
from lab.language.punctuation import COMMA
from lab.planning.amounts import label, written
from lab.planning.headline import headline, money, remarks
from lab.planning.usage import binding, content, free_amounts, resource_use

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import Console

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile
    from lab.planning.usage import FreeAmounts, ResourceUse

    Table = tuple[str, Sequence[str], Sequence[tuple[str, ...]]]

_MOST_ROWS = 20  # of a table; the other formats have all


def show(
    file: PlanFile,
    plan: Plan,
    further: Iterable[str] = (),
    console: Console | None = None,
    language: Language = Language.ENGLISH,
) -> None:
    """Print the plan, by default on standard output; `further` are sentences that follow it."""
    from rich.console import Console

    console = console or Console()
    for place, sentence in enumerate(_sentences(file, plan)):
        _print(console, translated(sentence, language), "" if place else "bold")
    for sentence in remarks(file, plan):
        _print(console, translated(sentence, language), "yellow")
    for sentence in further:
        _print(console, translated(sentence, language))
    for title, headings, rows in _tables(file, plan):
        console.print()
        console.print(tables.numeric(title, headings, rows[:_MOST_ROWS], language))
        if (more := len(rows) - _MOST_ROWS) > 0:
            _print(console, translated(_more(more), language), "dim")


def markdown(
    file: PlanFile,
    plan: Plan,
    further: Iterable[str] = (),
    language: Language = Language.ENGLISH,
) -> str:
    """Return the sentences, and every row of the tables, as Markdown."""
    sentences = (*_sentences(file, plan), *remarks(file, plan), *further)
    blocks = [tables.literal(translated(each, language)) for each in sentences]
    for title, headings, rows in _tables(file, plan):
        lines = tables.markdown(headings, rows, language)
        blocks += [f"## {translated(title, language)}", "\n".join(lines)]
    return "\n\n".join(blocks) + "\n"


def _more(rows: int) -> Message:
    """Return a sentence on the rows that a terminal is spared."""
    if rows == 1:
        return Message("… and 1 more row: --format json or csv has all.")
    return Message("… and {count:,} more rows: --format json or csv has all.", count=rows)


def _sentences(file: PlanFile, plan: Plan) -> Iterable[str]:
    yield headline(plan, file.currency)
    yield binding(plan, resource_use(plan, free_amounts(plan)))
    if plan.objective == "hosts" and len({host.price for host in file.hosts}) > 1:
        price = money(plan.price, file.currency)
        yield Message("These hosts cost {price} a month.", price=price)


def _tables(file: PlanFile, plan: Plan) -> Iterable[Table]:
    frees = free_amounts(plan)
    yield _hosts(plan, frees)
    yield _resources(resource_use(plan, frees))
    yield _services(file, plan)
    if file.inside is not None:
        yield _machines(file.inside)


def _print(console: Console, sentence: str, style: str = "") -> None:
    if console.is_terminal:
        console.print(tables.paragraph(sentence, style))
    else:  # a line for each sentence, for programs that read lines
        console.print(
            tables.plain(sentence), style=style or None, highlight=False, markup=False,
            soft_wrap=True,
        )  # fmt: skip


def _hosts(plan: Plan, frees: Sequence[FreeAmounts]) -> Table:
    """Return a row per pattern, those with the most hosts first."""
    resources = plan.problem.resources
    rows = [
        (
            pattern.host,
            ", ".join(f"{name}×{count:,}" for name, count in content(pattern, plan.service_of)),
            f"{pattern.times:,}",
            *map(written, plan.problem.resources, free.free),
        )
        for pattern, free in sorted(
            zip(plan.solution.patterns, frees, strict=True), key=lambda each: -each[0].times
        )
    ]
    free = (Message("free {resource}", resource=label(each)) for each in resources)
    headings = (Message("host"), Message("on each"), in_context("count", "hosts"), *free)
    return Message("hosts"), headings, rows


def _resources(uses: Sequence[ResourceUse]) -> Table:
    share = Message("share")
    headings = (
        Message("resource"),
        "",
        Message("of all hosts"),
        Message("used"),
        share,
        Message("stranded"),
        share,
    )
    rows = [
        (
            label(use.resource),
            "",
            written(use.resource, use.capacity),
            written(use.resource, use.used),
            units.share(use.used_share),
            written(use.resource, use.stranded),
            units.share(use.stranded_share),
        )
        for use in uses
    ]
    return Message("resources"), headings, rows


def _services(file: PlanFile, plan: Plan) -> Table:
    resources = plan.problem.resources
    measured: dict[str, list[str]] = {}
    for part in file.uncertain:
        figure = part.figure
        name = labels.target_name(figure.target)
        if figure.emulated:
            name = Message("{target} (emulated)", target=name)
        names = measured.setdefault(part.service, [])
        if name not in names:
            names.append(name)
    rows = [
        (
            service.name,
            joined(COMMA, measured.get(service.name, ())),
            f"{service.replicas:,}",
            *(written(each, service.requests.get(each, 0.0)) for each in resources),
        )
        for service in file.services
    ]
    headings = (
        Message("service"),
        Message("measured as"),
        Message("replicas"),
        *(label(each) for each in resources),
    )
    return Message("services"), headings, rows


def _machines(inside: Plan) -> Table:
    """Return a row for each content of the machines that containers were packed into."""
    rows = [
        (
            Message("machine {number}", number=number),
            ", ".join(f"{name}×{count:,}" for name, count in content(pattern, inside.service_of)),
            f"{pattern.times:,}",
        )
        for number, pattern in enumerate(inside.solution.patterns, 1)
    ]
    headings = (Message("machine"), Message("on each"), in_context("count", "machines"))
    return Message("machines"), headings, rows
