"""Judges of claims about how many instances a host carries."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from typing import TYPE_CHECKING

from lab.claims.finding import (
    MACHINES,
    Finding,
    Verdict,
    even_emulated,
    inconclusive,
    lies_above,
    lies_within,
    not_under_kvm,
    untested,
)
from lab.claims.judges.size import (
    kernel_state_note,
    larger_machine,
    least_under_kvm,
    machine_with_memory,
)
from lab.language.message import Message, joined
from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

_THOUSANDS = 1000
_TENS, _HUNDREDS = 10, 100


def thousands_of_containers(evidence: Evidence) -> Finding:
    """Judge: a thousand containers or more run at once and answer."""
    carried = _carried(evidence, "container")
    if not carried:
        return untested(evidence.missing("density", "container"))
    figures, fewer = carried
    answer = lies_within(fewer, _THOUSANDS, inf)
    limit = evidence.host_limit("container")
    if answer:
        remark = Message("; the host's limit: {limit}", limit=limit) if limit else ""
        reason = joined("", (Message("1,000 or more ran at once and answered"), remark))
        return Finding(Verdict.HOLDS, reason, figures)
    if answer is None:
        return inconclusive(fewer, figures, "1,000")
    if not limit:
        return _no_limit_reached(evidence, "container", figures)
    return Finding(Verdict.FAILS, _limited(limit), figures)


def tens_of_machines(evidence: Evidence) -> Finding:
    """Judge: 10 to 99 machines run at once and answer when the host reaches a limit.

    A host carries at least as many machines under KVM as emulated, so a hundred emulated machines
    refute the claim as well.
    """
    carried = {name: pair for name in MACHINES if (pair := _carried(evidence, name))}
    if not carried:
        return untested(evidence.missing("density", "vm"))
    target = max(carried, key=lambda name: carried[name][1].centre)
    figures, fewer = carried[target]
    if lies_within(fewer, _HUNDREDS, inf):
        reason = Message("100 or more ran at once: better than claimed")
        return Finding(Verdict.FAILS, even_emulated(evidence, reason), figures)
    limit = evidence.host_limit(target)
    if not limit:
        return _no_limit_reached(evidence, target, figures)
    if not evidence.under_kvm:
        remark = Message(", where at least as many run; the host's limit: {limit}", limit=limit)
        return not_under_kvm(evidence, figures, remark)
    answer = lies_within(fewer, _TENS, _HUNDREDS)
    if answer is None:
        return inconclusive(fewer, figures, Message("10 or 100"))
    verdict = Verdict.HOLDS if answer else Verdict.FAILS
    return Finding(verdict, _limited(limit), figures)


def guests_fill_the_host(evidence: Evidence) -> Finding:
    """Judge: an idle machine takes memory beyond that of the same payload in a container."""
    target = machine_with_memory(evidence)
    machine, container = evidence.memory_each(target), evidence.memory_each("container")
    if not machine or not container:
        return untested(evidence.missing("density", target, "container"))
    figures = [machine, container]
    if container.low is None or container.high is None:
        return inconclusive(container, figures, "")
    most = max(container.high, 0)
    if lies_above(machine, max(container.low, 0)) is False:
        reason = Message("an idle guest takes no more than a container")
        return Finding(Verdict.FAILS, reason, figures)
    if not lies_above(machine, most):
        return inconclusive(machine, figures, Message("the memory of a container"))
    reason = Message(
        "the payload is the same and idle in both; the difference is the guest's system"
    )
    under_kvm = lies_above(least_under_kvm(machine), most)
    finding = larger_machine(evidence, under_kvm, reason, figures)
    remarks = (kernel_state_note(evidence), _projection(evidence, target))
    return replace(finding, reason=joined("", (finding.reason, *remarks)))


def _carried(evidence: Evidence, target: str) -> tuple[list[Figure], Figure] | None:
    """Return the figures of running and of answering instances, and the smaller of the two."""
    running = evidence.measured("density", target, "running")
    answering = evidence.measured("density", target, "answering")
    if not running or not answering:
        return None
    return [running, answering], min(running, answering, key=lambda figure: figure.centre)


def _no_limit_reached(evidence: Evidence, target: str, figures: list[Figure]) -> Finding:
    reason = Message("the profile requested no more, and the host reached no limit")
    reason = joined("", (reason, _projection(evidence, target)))
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def _limited(limit: str) -> Message:
    return Message("the host reached a limit: {limit}", limit=limit)


def _projection(evidence: Evidence, target: str) -> str:
    """Return how many instances the free memory would hold, marked as a projection."""
    each, free = evidence.memory_each(target), evidence.free_memory_bytes(target)
    if not each or not free or each.centre <= 0:
        return ""
    number = quantity(float(f"{free / each.centre:.2g}"), "integer")
    return Message(
        " (a projection, free memory divided by memory per instance: {number})", number=number
    )
