"""Findings on claims, and the rules that all judges share.

A judge considers the whole interval. A claim holds if the whole interval lies where the claim says,
and does not hold if no part of it does. It is inconclusive if the interval includes a bound or is
unknown. A claim that the host or the run has no figures for can't be tested here.

Emulation (TCG) only makes a machine slower and larger, so an emulated machine bounds a machine
under KVM from that side: if even the emulated machine is neither slow nor large, a claim of being
slow or large is refuted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

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


COLOURS = {
    Verdict.HOLDS: "green",
    Verdict.FAILS: "red",
    Verdict.INCONCLUSIVE: "yellow",
    Verdict.UNTESTED: "cyan",
}


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


def inconclusive(figure: Figure, figures: list[Figure], bound: str) -> Finding:
    """Return the finding for a figure whose interval includes the bound, or is unknown."""
    if figure.low is None or figure.high is None:
        reason = f"too few values for an interval ({figure.n})"
    else:
        reason = f"the interval includes {bound}: more rounds may decide"
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def emulated(figures: list[Figure], remark: str = "") -> Finding:
    """Return the finding for emulated machines that bound the claim from the wrong side."""
    reason = f"the machines are emulated, which decides nothing about KVM{remark}"
    return Finding(Verdict.UNTESTED, reason, figures)
