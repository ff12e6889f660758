"""Judges of claims about disk space and about the memory of an instance."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from lab.claims.finding import (
    MACHINES,
    Finding,
    Judge,
    Verdict,
    emulated,
    inconclusive,
    lies_within,
    untested,
)
from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

# An emulator keeps the code that it translated; how much is unknown. A claim of being large that
# holds with a tenth of an emulated machine's memory does not depend on it.
_SHARE_WITHOUT_EMULATOR = 0.1


def image_takes(target: str, least: float, most: float) -> Judge:
    """Return a judge of: the image takes so many bytes on disk."""

    def judge(evidence: Evidence) -> Finding:
        on_disk = evidence.measured("footprint", target, "image-on-disk")
        if not on_disk:
            return untested(evidence.missing("footprint", target))
        shipped = evidence.measured("footprint", target, "image-compressed")
        figures = [on_disk, shipped] if shipped else [on_disk]
        answer = lies_within(on_disk, least, most)
        if answer is None:
            return inconclusive(on_disk, figures, "a bound")
        remark = "same user land in container and machine"
        if answer:
            return Finding(Verdict.HOLDS, remark, figures)
        side, bound = ("less", least) if on_disk.centre < least else ("more", most)
        return Finding(Verdict.FAILS, f"{side} than {bound / 1e9:g} GB on disk ({remark})", figures)

    return judge


def machine_takes_more_disk(evidence: Evidence) -> Finding:
    """Judge: a machine takes more disk than a container, shipped, unpacked and per instance."""
    figures = [
        figure
        for metric in ("image-on-disk", "image-compressed", "instance-disk")
        if (figure := evidence.compared("footprint", metric, "vm", "container"))
    ]
    if not figures:
        return untested(evidence.missing("footprint", "vm"))
    answers = [lies_within(figure, 1.0, inf) for figure in figures]
    if all(answers):
        return Finding(Verdict.HOLDS, "the machine takes more in every measure", figures)
    if False in answers:
        name = figures[answers.index(False)].name
        return Finding(Verdict.FAILS, f"not true for {name}", figures)
    return inconclusive(figures[answers.index(None)], figures, "1 ×")


def machine_takes_memory(times: float) -> Judge:
    """Return a judge of: an idle machine takes `times` the memory of an idle container, or more."""

    def judge(evidence: Evidence) -> Finding:
        target = machine_with_memory(evidence)
        ratio = evidence.memory_ratio(target, "container")
        if not ratio:
            has_machine = evidence.memory_each(target)
            return untested(evidence.missing("density", "container" if has_machine else target))
        each = [evidence.memory_each(name) for name in (target, "container")]
        figures = [*filter(None, each), ratio]
        answer = lies_within(ratio, times, inf)
        if answer is None:
            return inconclusive(ratio, figures, quantity(times, "ratio"))
        factor = "" if times == 1 else f"{times:g} times "
        if not answer:
            even = "even emulated, " if evidence.emulated else ""
            reason = (
                f"{even}an idle machine takes less than {factor}the memory of an idle container"
            )
            return Finding(Verdict.FAILS, reason, figures)
        reason = f"an idle machine takes more than {factor}the memory of an idle container"
        reason += kernel_state_note(evidence)
        under_kvm = lies_within(least_under_kvm(ratio), times, inf)
        return larger_machine(evidence, under_kvm, reason, figures)

    return judge


def machine_with_memory(evidence: Evidence) -> str:
    """Return the first machine whose memory was measured, else the first machine."""
    return next((name for name in MACHINES if evidence.memory_each(name)), MACHINES[0])


def least_under_kvm(figure: Figure) -> Figure:
    """Return the memory that remains if most of an emulated machine's is the emulator's own."""
    low, high = figure.low, figure.high
    return replace(
        figure,
        low=low and low * _SHARE_WITHOUT_EMULATOR,
        high=high and high * _SHARE_WITHOUT_EMULATOR,
    )


def larger_machine(
    evidence: Evidence, without_emulator: bool | None, reason: str, figures: list[Figure]
) -> Finding:
    """Return the finding that a machine is larger, unless the emulator may be the cause."""
    if not evidence.emulated:
        return Finding(Verdict.HOLDS, reason, figures)
    if without_emulator:
        share = f"{1 - _SHARE_WITHOUT_EMULATOR:.0%}".replace("%", " %")
        reason = f"{reason}, even if {share} of it belonged to the emulator"
        return Finding(Verdict.HOLDS, reason, figures)
    return emulated(figures, ": the difference may be the emulator's own memory")


def kernel_state_note(evidence: Evidence) -> str:
    """Return the run's note on kernel memory from earlier cgroups in a container's figure."""
    note = evidence.note("density", "container", "memory-per-instance-available")
    return f" ({note})" if note else ""
