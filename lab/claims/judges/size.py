"""Judges of claims about disk space and about the memory of an instance."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from lab.analysis.stored_texts import stored
from lab.claims.finding import (
    MACHINES,
    Finding,
    Judge,
    Verdict,
    even_emulated,
    inconclusive,
    lies_above,
    lies_within,
    not_under_kvm,
    untested,
)
from lab.language.message import Message, joined
from lab.units import decimal_bytes, quantity

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
            return inconclusive(on_disk, figures, Message("a bound"))
        remark = Message("same user land in container and machine")
        if answer:
            return Finding(Verdict.HOLDS, remark, figures)
        if on_disk.centre < least:
            side = Message("less than {bound} on disk", bound=decimal_bytes(least))
        else:
            side = Message("more than {bound} on disk", bound=decimal_bytes(most))
        reason = Message("{reason} ({remark})", reason=side, remark=remark)
        return Finding(Verdict.FAILS, reason, figures)

    return judge


def machine_takes_more_disk(evidence: Evidence) -> Finding:
    """Judge: a machine takes more disk than a container, shipped, unpacked and per instance."""
    figures = [
        figure
        for metric in ("image-on-disk", "image-compressed", "instance-disk")
        if (figure := evidence.compared("footprint", metric, "vm", "container"))
    ]
    if not figures:
        return untested(evidence.missing("footprint", "vm", "container"))
    answers = [lies_above(figure, 1.0) for figure in figures]
    if all(answers):
        return Finding(Verdict.HOLDS, Message("the machine takes more in every measure"), figures)
    if False in answers:
        names = figures[answers.index(False)].name
        return Finding(Verdict.FAILS, Message("not true for {names}", names=names), figures)
    return inconclusive(figures[answers.index(None)], figures, "1 ×")


def machine_takes_memory(times: float) -> Judge:
    """Return a judge of: an idle machine takes `times` the memory of an idle container, or more."""

    def judge(evidence: Evidence) -> Finding:
        target = machine_with_memory(evidence)
        ratio = evidence.memory_ratio(target, "container")
        if not ratio:
            return untested(evidence.missing("density", target, "container"))
        each = [evidence.memory_each(name) for name in (target, "container")]
        figures = [*filter(None, each), ratio]
        answer = _is_times(ratio, times)
        if answer is None:
            return inconclusive(ratio, figures, quantity(times, "ratio"))
        if not answer:
            return Finding(Verdict.FAILS, even_emulated(evidence, _takes_less(times)), figures)
        reason = joined("", (_takes_more(times), kernel_state_note(evidence)))
        under_kvm = _is_times(least_under_kvm(ratio), times)
        return larger_machine(evidence, under_kvm, reason, figures)

    return judge


def _is_times(ratio: Figure, times: float) -> bool | None:
    """Return whether the ratio is `times` or more; once as much is no more than the other has."""
    return lies_above(ratio, 1) if times == 1 else lies_within(ratio, times, inf)


def _takes_less(times: float) -> Message:
    if times == 1:
        return Message("an idle machine takes no more memory than an idle container")
    return Message(
        "an idle machine takes less than {times:g} times the memory of an idle container",
        times=times,
    )


def _takes_more(times: float) -> Message:
    if times == 1:
        return Message("an idle machine takes more than the memory of an idle container")
    return Message(
        "an idle machine takes more than {times:g} times the memory of an idle container",
        times=times,
    )


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
        reason = Message(
            "{reason}, even if {percent:.0f} % of it belonged to the emulator",
            reason=reason,
            percent=100 * (1 - _SHARE_WITHOUT_EMULATOR),
        )
        return Finding(Verdict.HOLDS, reason, figures)
    return not_under_kvm(
        evidence, figures, Message(": the difference may be the emulator's own memory")
    )


def kernel_state_note(evidence: Evidence) -> str:
    """Return the run's note on kernel memory from earlier cgroups in a container's figure."""
    note = evidence.note("density", "container", "memory-per-instance-available")
    return Message(" ({note})", note=stored(note)) if note else ""
