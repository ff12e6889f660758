"""A picture of a plan's packed hosts: a bar per pattern, as wide as the number of its hosts.

Each resource has a row. A bar's height is the share of a host that each service takes; what is
stranded is hatched, and what is free for further replicas is left white.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from lab import units
from lab.language.message import Message, joined
from lab.language.punctuation import SEMICOLON
from lab.planning.amounts import label
from lab.planning.headline import headline, remarks
from lab.planning.usage import content, free_amounts, resource_use
from lab.report import style
from lab.report.palette import FAINT, INK
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from matplotlib.axes import Axes

    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile
    from lab.planning.solution import Pattern
    from lab.planning.usage import FreeAmounts

    Packed = Sequence[tuple[Pattern, FreeAmounts]]

_COLOURS = (
    "#0f766e", "#1d4ed8", "#b91c1c", "#ea8a0c", "#7c3aed", "#4d7c0f", "#0ea5e9", "#9d174d",
)  # fmt: skip
_LEGEND_COLUMNS = 4
_MOST_KIND_LABELS, _MOST_EDGES = 8, 100
_ROW_INCHES = 1.35
LEGEND_ROW_POINTS = 13


def draw(file: PlanFile, plan: Plan) -> Picture:
    """Draw the hosts, a row for each resource."""
    frees = free_amounts(plan)
    packed = sorted(
        zip(plan.solution.patterns, frees, strict=True),
        key=lambda each: (_place(plan, each[0].host), -each[0].times),
    )
    colours = _colours(plan)
    has_others = len({*plan.service_of.values()}) > len(colours)
    rows = -(-(len(colours) + has_others) // _LEGEND_COLUMNS)
    resources = plan.problem.resources
    with style.canvas():
        height = 1.1 + _ROW_INCHES * len(resources) + rows * LEGEND_ROW_POINTS / 72
        figure = Picture(figsize=(8.6, height))
        legend = [Patch(color=colour, label=style.plain(name)) for name, colour in colours.items()]
        if has_others:
            legend.append(Patch(color=FAINT, label=figure.say(Message("other services"))))
        axes = figure.subplots(len(resources), 1, sharex=True, squeeze=False)[:, 0]
        for place, axis in enumerate(axes):
            _draw_resource(axis, plan, packed, place, colours)
            _mark_kinds(axis, packed, labelled=place == 0)
        axes[-1].set_xlabel(figure.say(Message("hosts")))
        axes[-1].xaxis.set_major_locator(MaxNLocator(integer=True))
        axes[0].legend(
            handles=legend, loc="lower left", bbox_to_anchor=(0, 1.14), ncols=_LEGEND_COLUMNS,
            handlelength=1.0, borderpad=0, borderaxespad=0.3,
        )  # fmt: skip
        finding = joined("", [headline(plan, file.currency)])
        used = [
            Message(
                "{resource} {share} used",
                resource=label(use.resource),
                share=units.share(use.used_share),
            )
            for use in resource_use(plan, frees)
        ]
        conditions = [
            Message("width: number of hosts; height: share of a host"),
            Message("hatched: stranded; white: free"),
            joined(" ", [Message("Plan {name}.", name=file.path.name), *remarks(file, plan)]),
        ]
        alt = joined("", [finding, " ", joined(SEMICOLON, used), "."])
        return style.describe(figure, finding, conditions, alt)


def _place(plan: Plan, host: str) -> int:
    """Return the place of a kind of host among the problem's."""
    return next(i for i, kind in enumerate(plan.problem.hosts) if kind.name == host)


def _colours(plan: Plan) -> dict[str, str]:
    """Return a colour for each of the services that take the most, the largest share first."""
    kinds = {kind.name: kind.capacity for kind in plan.problem.hosts}
    sizes = {demand.name: demand.size for demand in plan.problem.demands}
    taken: dict[str, float] = dict.fromkeys(plan.service_of.values(), 0.0)
    for pattern in plan.solution.patterns:
        for name, count in pattern.counts:
            shares = [
                count * size / room
                for size, room in zip(sizes[name], kinds[pattern.host], strict=True)
                if room
            ]
            taken[plan.service_of[name]] += pattern.times * max(shares, default=0.0)
    largest = sorted(taken, key=lambda name: -taken[name])
    return dict(zip(largest, _COLOURS, strict=False))


def _draw_resource(
    axis: Axes, plan: Plan, packed: Packed, place: int, colours: Mapping[str, str]
) -> None:
    """Draw the stacked shares of one resource over all hosts."""
    resource = plan.problem.resources[place]
    step = float(plan.steps[place])
    sizes = {demand.name: demand.size[place] * step for demand in plan.problem.demands}
    left = 0
    for pattern, free in packed:
        room = plan.groups[pattern.host][0].capacity.get(resource, 0.0)
        if room:
            shares: dict[str, float] = {}
            for name, count in pattern.counts:
                service = plan.service_of[name]
                shares[service] = shares.get(service, 0.0) + count * sizes[name] / room
            bottom = 0.0
            for service, _ in content(pattern, plan.service_of):
                axis.bar(
                    left, shares[service], pattern.times, bottom, align="edge",
                    color=colours.get(service, FAINT), linewidth=0,
                )  # fmt: skip
                bottom += shares[service]
            stranded = free.stranded[place] / room
            axis.bar(
                left, stranded, pattern.times, bottom, align="edge", color="white",
                edgecolor="#9ca3af", hatch="////", linewidth=0,
            )  # fmt: skip
        if len(packed) <= _MOST_EDGES:
            axis.axvline(left + pattern.times, color="white", linewidth=0.6)
        left += pattern.times
    axis.set_xlim(0, left)
    axis.set_ylim(0, 1)
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.0%}"))
    axis.grid(visible=False, axis="x")
    axis.set_ylabel(style.say_name(axis, label(resource)))


def _mark_kinds(axis: Axes, packed: Packed, *, labelled: bool) -> None:
    """Draw a line between kinds of hosts, and name them above the first row."""
    ends: dict[str, tuple[int, int]] = {}
    left = 0
    for pattern, _ in packed:
        begin = ends.get(pattern.host, (left, left))[0]
        left += pattern.times
        ends[pattern.host] = (begin, left)
    for begin, _ in list(ends.values())[1:]:
        axis.axvline(begin, color=INK, linewidth=1.2)
    if labelled and len(ends) <= _MOST_KIND_LABELS:
        for name, (begin, end) in ends.items():
            axis.annotate(
                style.plain(f"{name} × {end - begin:,}"),
                ((begin + end) / 2, 1.0), xycoords=("data", "axes fraction"),
                xytext=(0, 3), textcoords="offset points", ha="center", fontsize=8, color=INK,
            )  # fmt: skip
