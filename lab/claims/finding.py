"""Findings on claims, and the rules that all judges share.

A judge considers the whole interval. A claim holds if the whole interval lies where the claim says,
and does not hold if no part of it does. It is inconclusive if the interval includes a bound or is
unknown. A claim that the host or the run has no figures for can't be tested here.

Emulation (TCG) only makes a machine slower and larger, so an emulated machine bounds a machine
under KVM from that side: if even the emulated machine is neither slow nor large, a claim of being
slow or large is refuted. A machine that may have been emulated, because the run does not record its
accelerator, counts as one that was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.language.message import Message, joined

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

MACHINES = ("vm", "microvm")
ENGINES = ("container", "podman", "docker", "lxc")


class Verdict(StrEnum):
    """The result of judging a claim by a run."""

    HOLDS = "holds"
    FAILS = "does not hold"
    INCONCLUSIVE = "inconclusive"
    UNTESTED = "can't be tested here"

    @property
    def message(self) -> Message:
        """The verdict as a text that can be translated."""
        return _MESSAGES[self]


_MESSAGES = {
    Verdict.HOLDS: Message("holds"),
    Verdict.FAILS: Message("does not hold"),
    Verdict.INCONCLUSIVE: Message("inconclusive"),
    Verdict.UNTESTED: Message("can't be tested here"),
}

COLOURS = {
    Verdict.HOLDS: "green",
    Verdict.FAILS: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.UNTESTED: "cyan",
}


@dataclass(frozen=True, slots=True)
class Range:
    """The values that a claim allows: from `least` to below `most`; infinite without a bound."""

    least: float
    most: float
    unit: str


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, the reason for it, and the figures that it is based on."""

    verdict: Verdict
    reason: str
    figures: list[Figure] = field(default_factory=list)


Judge = Callable[["Evidence"], Finding]


def untested(reason: str) -> Finding:
    """Return the finding on a claim that the run has no figures for."""
    return Finding(Verdict.UNTESTED, reason)


def lies_within(figure: Figure, least: float, most: float) -> bool | None:
    """Return True if the interval lies within [least, most), False if it lies outside.

    Return None if the interval includes a bound or is unknown.
    """
    if figure.low is None or figure.high is None:
        return None
    if least <= figure.low and figure.high < most:
        return True
    if figure.high < least or figure.low >= most:
        return False
    return None


def lies_above(figure: Figure, bound: float) -> bool | None:
    """Return True if the interval lies above the bound, False if no part of it does.

    Return None if the interval includes values on both sides or is unknown. A figure that equals
    the bound is not above it.
    """
    if figure.low is None or figure.high is None:
        return None
    if figure.low > bound:
        return True
    return False if figure.high <= bound else None


def inconclusive(figure: Figure, figures: list[Figure], bound: str) -> Finding:
    """Return the finding for a figure whose interval includes the bound, or is unknown."""
    if figure.low is None or figure.high is None:
        reason = Message("too few values for an interval ({n})", n=figure.n)
    else:
        reason = Message("the interval includes {bound}: more rounds may decide", bound=bound)
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def not_under_kvm(evidence: Evidence, figures: list[Figure], remark: str = "") -> Finding:
    """Return the finding for machines that bound the claim from the wrong side if emulated.

    The remark is about emulated machines.
    """
    if not evidence.emulated:
        return Finding(
            Verdict.UNTESTED,
            Message("the run does not record whether the machines were emulated"),
            figures,
        )
    reason = Message("the machines are emulated, which decides nothing about KVM")
    return Finding(Verdict.UNTESTED, joined("", (reason, remark)), figures)


def even_emulated(evidence: Evidence, reason: Message) -> Message:
    """Return the reason, with a remark if the machines were emulated."""
    return Message("even emulated, {reason}", reason=reason) if evidence.emulated else reason
