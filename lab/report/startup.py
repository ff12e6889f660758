"""Pictures of the steps of a start, and of many starts at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from matplotlib.ticker import FuncFormatter

from lab import units
from lab.analysis import labels
from lab.analysis.step_names import step_name
from lab.language.message import Message, joined
from lab.language.punctuation import COLON, COMMA, SEMICOLON, SENTENCES
from lab.metrics import STEP, STEP_BEGIN
from lab.report import findings, line_labels, palette, style
from lab.report.palette import FAINT, GRID, INK
from lab.report.picture import Picture
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import pandas as pd
    from matplotlib.axes import Axes

    from lab.results.run_folder import Run

_BEGIN, _STEP = STEP_BEGIN.prefix, STEP.prefix
_WATERFALL_WIDTH = 7.6  # inches: two columns, each with names, bars and times
_ROW_INCHES = 0.2
_HEADING_ROWS, _SPACE_ROWS = 1.3, 0.8
_NAME_SHARE, _BAR_SHARE = 0.53, 0.31  # of a column's width
_FEWEST_STEPS = 3  # two steps are the start and the answer, which the start times show
_PANEL_INCHES = 2.6
_NO_TIME_SECONDS = 1e-9  # the clock's resolution, for steps that all took less


class Step(NamedTuple):
    """A step of a start: its median begin and length, in seconds."""

    name: str
    begin: float
    length: float


class Chart(NamedTuple):
    """The steps of a target, and in how many rounds they were traced."""

    target: str
    steps: list[Step]
    n: int

    @property
    def total(self) -> float:
        """The end of the last step."""
        return max(step.begin + step.length for step in self.steps) or _NO_TIME_SECONDS

    @property
    def rows(self) -> float:
        """The height in rows, with the heading and the space below."""
        return len(self.steps) + _HEADING_ROWS + _SPACE_ROWS


def waterfall(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the steps of starts, containers at the left and machines at the right, aligned.

    A bar lies where its step does in the whole start of that target.
    """
    with style.canvas():
        charts = [chart for name in _targets(run) if (chart := _chart(run, name))]
        told = [chart for chart in charts if len(chart.steps) >= _FEWEST_STEPS] or charts
        columns = [column for column in _columns(told, width) if column] or [[]]
        tallest = max((sum(chart.rows for chart in column) for column in columns), default=0.0)
        if len(columns) > 1:
            width = _WATERFALL_WIDTH
        picture = Picture(figsize=(width, 0.1 + _ROW_INCHES * max(8.0, tallest)))
        axes = picture.subplots(1, len(columns), squeeze=False)[0]
        for axis, column in zip(axes, columns, strict=True):
            _draw_column(axis, run, column, max(8.0, tallest))
        if not charts:
            style.explain_empty(axes[0], run, "startup")
        conditions = [
            Message("bar: a step, from its median begin, with its median duration"),
            Message("each target on its own scale"),
            style.counts({chart.target: chart.n for chart in told}, run),
        ]
        values = [_described(run, chart) for chart in charts]
        return style.finish(picture, run, _steps_finding(run, charts), values, conditions)


def burst(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the latency and the rate of starts over the number that was requested at once."""
    with style.canvas():
        targets = _burst_targets(run)
        height = max(_PANEL_INCHES, 0.6 + line_labels.labels_inches(targets, run, width))
        picture = Picture(figsize=(width, 2 * height + 0.4))
        upper, lower = picture.subplots(2, 1)
        upper.set_title(style.say(upper, Message("until half of them run")))
        lower.set_title(style.say(lower, Message("started per second")))
        if targets:
            _draw_burst(upper, run, "latency-p50", height, tail="latency-p95")
            _draw_burst(lower, run, "started-per-second", height)
            lower.set_xlabel(style.say(lower, Message("requested at once (log scale)")))
        else:
            style.explain_empty(upper, run, "burst")
            style.explain_empty(lower, run, "burst")
        conditions = [
            Message("mark: median of rounds; bar: smallest to largest round"),
            Message("shade: until 95 % run"),
            style.counts({name: _rounds(run, name) for name in targets}, run),
        ]
        values = [_half(run, name) for name in targets if len(_curve(run, name, "latency-p50"))]
        return style.finish(picture, run, _burst_finding(run, targets), values, conditions)


def _columns(charts: Sequence[Chart], width: float) -> list[list[Chart]]:
    """Return the charts in two columns: containers and machines, then the shorter column first.

    A narrow picture has one column.
    """
    if style.is_narrow(width):
        return [[*charts]]
    containers = [chart for chart in charts if chart.target not in {*MACHINES, "uml"}]
    machines = [chart for chart in charts if chart not in containers]
    if not containers or not machines:
        containers, machines = [*charts[:1]], [*charts[1:]]
    columns = [containers[:1], machines[:1]]
    for chart in (*containers[1:], *machines[1:]):
        heights = [sum(each.rows for each in column) for column in columns]
        columns[heights.index(min(heights))].append(chart)
    return columns


def _draw_column(axis: Axes, run: Run, charts: Sequence[Chart], rows: float) -> None:
    axis.set_xlim(0, 1)
    axis.set_ylim(rows, 0)
    axis.set_axis_off()
    top = 0.0
    for chart in charts:
        _draw_chart(axis, run, chart, top)
        top += chart.rows
    for text in axis.texts:
        text.set_in_layout(False)  # the columns are the layout


def _draw_chart(axis: Axes, run: Run, chart: Chart, top: float) -> None:
    """Draw a heading, and a row for each step: name, bar, time."""
    colour, longest = palette.colour(chart.target), max(step.length for step in chart.steps)
    axis.text(
        0, top + _HEADING_ROWS / 2,
        style.say(axis, Message(
            "{target}: {time} in all", target=style.named(chart.target, run),
            time=units.quantity(chart.total, "second"),
        )),
        fontsize=9.5, fontweight="bold", color=colour, va="center",
    )  # fmt: skip
    for number, step in enumerate(chart.steps):
        y = top + _HEADING_ROWS + number + 0.5
        strong = step.length == longest
        axis.plot(
            [_NAME_SHARE, _NAME_SHARE + _BAR_SHARE], [y, y], color=GRID, linewidth=0.6, zorder=0
        )
        axis.barh(
            y, max(step.length / chart.total * _BAR_SHARE, 0.003),
            left=_NAME_SHARE + step.begin / chart.total * _BAR_SHARE, height=0.72,
            color=colour, alpha=1.0 if strong else 0.6, linewidth=0,
        )  # fmt: skip
        weight = "bold" if strong else "normal"
        axis.text(
            _NAME_SHARE - 0.015, y, style.say_name(axis, step.name), ha="right", va="center",
            fontsize=style.TINY, fontweight=weight,
        )  # fmt: skip
        axis.text(
            1, y, units.quantity(step.length, "second"), ha="right", va="center",
            fontsize=style.TINY, fontweight=weight, color=INK if strong else FAINT,
        )  # fmt: skip


def _steps_finding(run: Run, charts: Sequence[Chart]) -> Message:
    by_target = {chart.target: chart for chart in charts}
    chosen = [
        by_target[name]
        for name in (findings.container(by_target), findings.machine(by_target))
        if name
    ]
    parts = []
    for chart in chosen:
        longest = max(chart.steps, key=lambda step: step.length)
        parts.append(Message(
            "{target} starts in {time}; its longest step is: {step} ({length})",
            target=findings.subject(chart.target, run), time=units.quantity(chart.total, "second"),
            step=longest.name, length=units.quantity(longest.length, "second"),
        ))  # fmt: skip
    return joined(SENTENCES, parts) if parts else Message("Steps of a start")


def _described(run: Run, chart: Chart) -> Message:
    steps = [
        joined(" ", [step.name, units.quantity(step.length, "second")]) for step in chart.steps
    ]
    return joined(COLON, [style.named(chart.target, run), joined(COMMA, steps)])


def _chart(run: Run, target: str) -> Chart | None:
    samples = run.samples
    ours = samples[(samples["experiment"] == "startup") & (samples["target"] == target)]
    medians = ours.groupby("metric", sort=False)["value"].median()
    steps = [
        Step(step_name(short), float(medians[_BEGIN + short]), float(length))
        for name, length in medians.dropna().items()
        if isinstance(name, str)
        and name.startswith(_STEP)
        and _BEGIN + (short := name.removeprefix(_STEP)) in medians
    ]
    if not steps:
        return None
    traced = ours[ours["metric"].str.startswith(_STEP) & ours["value"].notna()]
    return Chart(target, sorted(steps, key=lambda s: s.begin), int(traced["round"].nunique()))


def _targets(run: Run) -> list[str]:
    """Return the targets with steps. A native start is a single step and is left out."""
    measured = set(run.samples.loc[run.samples["experiment"] == "startup", "target"])
    return labels.in_order(measured - {"native"})


def _draw_burst(axis: Axes, run: Run, metric: str, inches: float, tail: str = "") -> None:
    axis.set_xscale("log", base=2)
    axis.set_yscale("log")
    ends = []
    for target in _burst_targets(run):
        colour, middle = palette.colour(target), _curve(run, target, metric)
        at, value = style.positive_points(middle.index, middle)
        axis.plot(at, value, marker=palette.marker(target), markersize=4.5, color=colour)
        for count, (low, high) in _ranges(run, target, metric).items():
            if 0 < low < high:
                axis.plot([count, count], [low, high], color=colour, linewidth=1.2)
        if tail:
            style.draw_shade(axis, middle, _curve(run, target, tail), colour)
        if at:
            ends.append(
                line_labels.line_end(at[-1], value[-1], target, run, style.picture_of(axis).width)
            )
    axis.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    tick = style.tick_formatter("second") if tail else lambda value, _: f"{value:,g} /s"
    style.set_log_ticks(axis.yaxis, tick, most=6)
    line_labels.label_ends(axis, ends, inches - 0.8)


def _burst_finding(run: Run, targets: Sequence[str]) -> Message:
    chosen = [name for name in (findings.container(targets), findings.machine(targets)) if name]
    parts = [_half(run, name) for name in chosen if len(_curve(run, name, "latency-p50"))]
    return joined(SEMICOLON, parts) if parts else Message("Many starts at once")


def _half(run: Run, target: str) -> Message:
    middle = _curve(run, target, "latency-p50")
    return Message(
        "{count} × {target} at once: half run after {time}",
        target=style.named(target, run), count=f"{middle.index[-1]:,.0f}",
        time=units.quantity(float(middle.iloc[-1]), "second"),
    )  # fmt: skip


def _burst_targets(run: Run) -> list[str]:
    samples = run.samples[run.samples["experiment"] == "burst"]
    return labels.in_order(map(str, samples.dropna(subset=["value"])["target"].unique()))


def _rounds(run: Run, target: str) -> int:
    return int(_burst_samples(run, target, "latency-p50")["round"].nunique())


def _burst_samples(run: Run, target: str, metric: str) -> pd.DataFrame:
    samples = run.samples
    chosen: pd.DataFrame = samples[
        (samples["experiment"] == "burst")
        & (samples["target"] == target)
        & (samples["metric"] == metric)
        & samples["value"].notna()
    ]
    return chosen


def _curve(run: Run, target: str, metric: str) -> pd.Series[float]:
    """Return the median over rounds at each count."""
    return _burst_samples(run, target, metric).groupby("position")["value"].median()


def _ranges(run: Run, target: str, metric: str) -> Mapping[float, tuple[float, float]]:
    """Return the smallest and the largest round at each count."""
    by_count = _burst_samples(run, target, metric).groupby("position")["value"]
    return {
        float(str(count)): (float(values.min()), float(values.max()))
        for count, values in by_count
    }  # fmt: skip
