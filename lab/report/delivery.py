"""Picture of the delivery of images: the time of each operation, by tool."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels
from lab.claims.evidence import evidence_of
from lab.language.message import Message
from lab.report import bars, findings, palette, rows, style
from lab.report.picture import Picture

if TYPE_CHECKING:
    from collections.abc import Collection

    from lab.results.run_folder import Run

_OPERATIONS = {
    "pull-cold": Message("pull"),
    "ready": Message("pull, until it listens"),
    "pull-changed": Message("pull, one layer changed"),
    "pull-warm": Message("pull again"),
    "build-cold": Message("build"),
    "build-changed": Message("build, one line changed"),
    "build-cached": Message("build again"),
    "push": Message("push"),
    "save": Message("save"),
    "load": Message("load"),
    "disk-copy": Message("copy a machine's disk"),
    "disk-convert": Message("convert a machine's disk"),
}
_SPREAD = 0.7  # of a row's height, over which its targets are spread


def operations(run: Run, width: float = style.WIDTH) -> Picture:
    """Draw the seconds of each operation with its interval."""
    with style.canvas():
        measured = bars.measured(run, "delivery", _OPERATIONS)
        targets = labels.in_order({target for target, _ in measured})
        names = [name for name in _OPERATIONS if any(metric == name for _, metric in measured)]
        places = rows.rows(max(0.34, 0.11 * len(targets) + 0.1), width)
        picture = Picture(figsize=(width, 1.2 + places.inches * max(2, len(names))))
        axis = picture.subplots()
        values = []
        for (target, metric), each in measured.items():
            if not each.median or each.median <= 0:
                continue
            place = (targets.index(target) - (len(targets) - 1) / 2) / max(1, len(targets))
            y, colour = places.y(names.index(metric), _SPREAD * place), palette.colour(target)
            style.draw_interval(axis, each.low, each.high, y, colour)
            style.draw_median(axis, each.median, y, colour, palette.marker(target))
            values.append(Message(
                "{target}, {what}: {value}", target=style.named(target, run),
                what=_OPERATIONS[metric], value=units.quantity(each.median, each.unit),
            ))  # fmt: skip
        places.label(axis, [_OPERATIONS[name] for name in names])
        if targets:
            axis.set_xscale("log")
            style.set_log_ticks(axis.xaxis, style.tick_formatter("second"), most=6)
            axis.set_xlabel(style.say(axis, Message("time (log scale)")))
            style.add_target_legend(axis, targets, run, style.legend_columns(width))
        else:
            style.explain_empty(axis, run, "delivery")
        conditions = [
            Message("mark: median; bar: 95 % interval"),
            style.counts(bars.rounds(measured), run),
        ]
        return style.finish(picture, run, _finding(run, targets), values, conditions)


def _finding(run: Run, targets: Collection[str]) -> Message:
    """Return how the pulls of our tool and of docker, or another engine, compare."""
    evidence = evidence_of(run)
    ours = evidence.measured("delivery", "container", "pull-cold")
    other = next((name for name in ("docker", "podman", "runc") if name in targets), None)
    theirs = evidence.measured("delivery", other, "pull-cold") if other else None
    if ours is None or other is None or theirs is None:
        return Message("Delivery of images")
    ratio = evidence.compared("delivery", "pull-cold", other, "container")
    known = {
        "ours": findings.size(ours), "theirs": findings.size(theirs),
        "other": style.named(other, run),
    }  # fmt: skip
    if findings.differ(ratio) is False:
        return Message(
            "A pull takes our tool {ours} and {other} {theirs}: no difference beyond the interval",
            **known,
        )
    return Message("A pull takes our tool {ours} and {other} {theirs}", **known)
