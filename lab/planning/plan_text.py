"""A plan as text: the finding, what binds, and tables of hosts, resources and services."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
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
) -> None:
    """Print the plan, by default on standard output; `further` are sentences that follow it."""
    from rich.console import Console

    console = console or Console()
    frees = free_amounts(plan)
    uses = resource_use(plan, frees)
    _print(console, headline(plan, file.currency), "bold")
    _print(console, binding(plan, uses))
    if plan.objective == "hosts" and len({host.price for host in file.hosts}) > 1:
        _print(console, f"These hosts cost {money(plan.price, file.currency)} a month.")
    for sentence in remarks(file, plan):
        _print(console, sentence, "yellow")
    for sentence in further:
        _print(console, sentence)
    for title, headings, rows in (
        _hosts(plan, frees),
        _resources(uses),
        _services(file, plan),
        *([] if file.inside is None else [_machines(file.inside)]),
    ):
        console.print()
        console.print(tables.numeric(title, headings, rows[:_MOST_ROWS]))
        if len(rows) > _MOST_ROWS:
            left = len(rows) - _MOST_ROWS
            _print(console, f"… and {left:,} more rows: --format json or csv has all.", "dim")


def _print(console: Console, sentence: str, style: str = "") -> None:
    console.print(
        tables.plain(sentence), style=style or None, highlight=False, markup=False, soft_wrap=True
    )


def _hosts(plan: Plan, frees: Sequence[FreeAmounts]) -> Table:
    """Return a row per pattern, those with the most hosts first."""
    labels = [label(resource) for resource in plan.problem.resources]
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
    return "hosts", ("host", "on each", "hosts", *(f"free {each}" for each in labels)), rows


def _resources(uses: Sequence[ResourceUse]) -> Table:
    headings = ("resource", "", "of all hosts", "used", "share", "stranded", "share")
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
    return "resources", headings, rows


def _services(file: PlanFile, plan: Plan) -> Table:
    resources = plan.problem.resources
    measured: dict[str, list[str]] = {}
    for part in file.uncertain:
        figure = part.figure
        name = f"{figure.target} (emulated)" if figure.emulated else figure.target
        names = measured.setdefault(part.service, [])
        if name not in names:
            names.append(name)
    rows = [
        (
            service.name,
            ", ".join(measured.get(service.name, ())),
            f"{service.replicas:,}",
            *(written(each, service.requests.get(each, 0.0)) for each in resources),
        )
        for service in file.services
    ]
    return "services", ("service", "measured as", "replicas", *map(label, resources)), rows


def _machines(inside: Plan) -> Table:
    """Return a row for each content of the machines that containers were packed into."""
    rows = [
        (
            f"machine {number}",
            ", ".join(f"{name}×{count:,}" for name, count in content(pattern, inside.service_of)),
            f"{pattern.times:,}",
        )
        for number, pattern in enumerate(inside.solution.patterns, 1)
    ]
    return "machines", ("machine", "on each", "machines"), rows
