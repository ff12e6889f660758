"""Findings: the titles of pictures, each computed from the run, with its interval.

Two figures are said to differ only if the interval of their ratio excludes 1. A difference without
an interval is shown as the two figures, and is not judged.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import units
from lab.analysis import labels
from lab.claims.evidence import Figure, evidence_of
from lab.language.message import Message, capitalized, joined
from lab.report import style
from lab.targets.registry import MACHINES

if TYPE_CHECKING:
    from collections.abc import Collection

    from lab.results.run_folder import Run

_MACHINES_FIRST = ("vm", "microvm", "qemu", "qemu-microvm", "vm-restore", "microvm-restore")


def machine(targets: Collection[str]) -> str | None:
    """Return the machine that stands for all in a title: a whole virtual machine, if measured."""
    return next((name for name in _MACHINES_FIRST if name in targets), None) or next(
        (name for name in targets if name in MACHINES), None
    )


def container(targets: Collection[str]) -> str | None:
    """Return the container that stands for all in a title: ours, if measured."""
    order = labels.in_order(set(targets) - {"native", *MACHINES})
    return order[0] if order else None


def pair(targets: Collection[str]) -> tuple[str, str] | None:
    """Return the container and the machine of a title, if both were measured."""
    ours, theirs = container(targets), machine(targets)
    return (ours, theirs) if ours and theirs else None


def size(figure: Figure) -> Message:
    """Return a figure with its interval, as a part of a sentence, both in the same unit."""
    value = units.quantity(figure.centre, figure.unit, figure.high or 0.0)
    if figure.exact or figure.low is None or figure.high is None or figure.low == figure.high:
        return joined("", [value])
    return Message("{value} ({interval})", value=value, interval=figure.interval)


def noun(target: str, run: Run) -> Message:
    """Return a target inside a sentence."""
    return _kind(target, run) or style.named(target, run)


def subject(target: str, run: Run) -> str:
    """Return a target as the first words of a sentence. A program's name keeps its letters."""
    kind = _kind(target, run)
    return capitalized(kind) if kind else style.named(target, run)


def _kind(target: str, run: Run) -> Message | None:
    """Return the words for our container and machines, None for another target."""
    emulated = labels.is_emulated(target, run)
    if target == "container":
        return Message("a container")
    if target == "vm":
        return Message("an emulated machine") if emulated else Message("a virtual machine")
    if target == "microvm":
        return Message("an emulated microvm") if emulated else Message("a microvm")
    return None


def differ(ratio: Figure | None) -> bool | None:
    """Return True if the ratio's interval excludes 1, None if its interval is unknown."""
    if ratio is None or ratio.low is None or ratio.high is None:
        return None
    return not ratio.low <= 1 <= ratio.high


def starts(run: Run) -> Message:
    """Return the finding on start times: how many times sooner a container is ready."""
    evidence = evidence_of(run)
    ready = _measured(run, "startup", "ready")
    if names := pair(ready):
        ours, theirs = names
        ratio = evidence.compared("startup", "ready", theirs, ours)
        first, second = subject(ours, run), noun(theirs, run)
        if ratio and differ(ratio) and ratio.centre > 1 and ratio.low and ratio.high:
            return Message(
                "{container} is ready {times} times sooner than {machine}"
                " ({low} – {high} times; {ours} and {theirs})",
                container=first, machine=second, times=_round(ratio.centre),
                low=_round(ratio.low), high=_round(ratio.high),
                ours=units.quantity(ready[ours].centre, "second"),
                theirs=units.quantity(ready[theirs].centre, "second"),
            )  # fmt: skip
        if ratio and differ(ratio) is False:
            return Message(
                "Between {container} and {machine}, no difference beyond the interval shows"
                " in when they are ready ({interval})",
                container=noun(ours, run), machine=second, interval=ratio.interval,
            )  # fmt: skip
        return Message(
            "{container} is ready in {ours}, {machine} in {theirs}",
            container=first, machine=second, ours=size(ready[ours]), theirs=size(ready[theirs]),
        )  # fmt: skip
    if ready:
        name = container(ready) or machine(ready) or next(iter(ready))
        return Message(
            "{target} is ready in {time}", target=subject(name, run), time=size(ready[name])
        )
    return Message("Start times")


def disk(run: Run) -> Message:
    """Return the finding on disk space: the images of a container and of a machine."""
    images = _measured(run, "footprint", "image-on-disk")
    more = _measured(run, "footprint", "instance-disk")
    if not (names := pair(images)):
        return Message("Bytes on disk")
    ours, theirs = names
    first, second = subject(ours, run), noun(theirs, run)
    image = {"ours": size(images[ours]), "theirs": size(images[theirs])}
    if ours in more and theirs in more:
        return Message(
            "{container} has an image of {ours} on disk, {machine} of {theirs};"
            " one more instance takes {more_ours} and {more_theirs}",
            container=first, machine=second, **image,
            more_ours=size(more[ours]), more_theirs=size(more[theirs]),
        )  # fmt: skip
    return Message(
        "{container} has an image of {ours} on disk, {machine} of {theirs}",
        container=first, machine=second, **image,
    )  # fmt: skip


def memory(run: Run) -> Message:
    """Return the finding on memory: one more container and one more machine."""
    evidence = evidence_of(run)
    samples = run.samples[run.samples["experiment"] == "density"]
    each = {
        name: figure
        for name in map(str, samples["target"].unique())
        if (figure := evidence.memory_each(name))
    }
    above_zero = {name: one for name, one in each.items() if one.low is None or one.low > 0}
    if names := pair(above_zero):
        ours, theirs = names
        return Message(
            "{container} takes {ours} of the host's memory, {machine} {theirs}",
            container=subject(ours, run), machine=noun(theirs, run),
            ours=size(each[ours]), theirs=size(each[theirs]),
        )  # fmt: skip
    if above_zero:
        name = labels.in_order(above_zero)[0]
        return Message(
            "{target} takes {size} of the host's memory",
            target=subject(name, run), size=size(each[name]),
        )  # fmt: skip
    return Message("Memory per instance")


def speed(run: Run) -> Message:
    """Return the finding on speed: the mean of all workloads relative to native."""
    evidence = evidence_of(run)
    measured = set(run.samples.loc[run.samples["experiment"] == "performance", "target"])
    ours = container(measured)
    mean = evidence.mean_ratio(ours, "native") if ours else None
    if ours is None or mean is None:
        return Message("Time relative to native")
    found = _against_native(subject(ours, run), mean)
    theirs = machine(measured)
    other = evidence.mean_ratio(theirs, "native") if theirs else None
    if theirs is None or other is None:
        return found
    return Message(
        "{found}; {machine} takes {times}",
        found=found, machine=noun(theirs, run), times=size(other),
    )  # fmt: skip


def _against_native(name: str, mean: Figure) -> Message:
    differs, times = differ(mean), size(mean)
    if differs is None:
        return Message("{target} takes {times} native time", target=name, times=times)
    if not differs:
        return Message(
            "{target} takes {times} native time: no difference beyond the interval",
            target=name,
            times=times,
        )
    if mean.centre > 1:
        return Message(
            "{target} is slower than native: it takes {times} its time", target=name, times=times
        )
    return Message(
        "{target} is faster than native: it takes {times} its time", target=name, times=times
    )


def _measured(run: Run, experiment: str, metric: str) -> dict[str, Figure]:
    evidence = evidence_of(run)
    samples = run.samples[run.samples["experiment"] == experiment]
    return {
        name: figure
        for name in map(str, samples["target"].unique())
        if (figure := evidence.measured(experiment, name, metric))
    }


def _round(number: float) -> str:
    """Return a factor with two significant digits, as titles have it, and three below 2."""
    if number < 2:
        return f"{number:.2f}"
    return f"{float(f'{number:.2g}'):,.0f}" if number >= 10 else f"{number:.2g}"
