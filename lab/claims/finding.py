"""Verdicts, and what the judges of claims share.

A judge looks at the whole interval: a claim holds if all of it lies where the claim says, does not
hold if none of it does, and is inconclusive where the interval reaches across a bound or is
unknown. What the host or the run can't bear on at all can't be tested here.

Emulation (TCG) only ever makes a machine slower and larger. So an emulated machine bounds one under
KVM from that side: it refutes a claim of being slow or large when even it is neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

MACHINES = ("vm", "microvm")
ENGINES = ("container", "podman", "docker")


class Verdict(StrEnum):
    """What a run says to a claim."""

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
    """A verdict, the reason for it and the figures that it rests on."""

    verdict: Verdict
    reason: str
    figures: list[Figure] = field(default_factory=list)


Judge = Callable[["Evidence"], Finding]


def not_measured(reason: str) -> Judge:
    """No measure of the run bears on the claim."""
    return lambda evidence: untested(reason)


def untested(reason: str) -> Finding:
    """Nothing was measured that bears on the claim."""
    return Finding(Verdict.UNTESTED, reason)


def lies(figure: Figure, least: float, most: float) -> bool | None:
    """Return whether the interval lies within [least, most); None if it can't be said.

    It can't where the interval reaches across a bound or is unknown.
    """
    if figure.low is None or figure.high is None:
        return None
    if least <= figure.low and figure.high < most:
        return True
    if figure.high < least or figure.low >= most:
        return False
    return None


def inconclusive(figure: Figure, figures: list[Figure], bound: str) -> Finding:
    """The figure's interval reaches across the bound, or is unknown."""
    if figure.low is None or figure.high is None:
        reason = f"{figure.n} can't give an interval"
    else:
        reason = f"the interval reaches across {bound}: more rounds would tell"
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def emulated(figures: list[Figure], remark: str = "") -> Finding:
    """Emulated machines do not bound the claim from the side that would decide it."""
    reason = f"the machines are emulated, which does not bound the claim under KVM{remark}"
    return Finding(Verdict.UNTESTED, reason, figures)


def history(evidence: Evidence) -> str:
    """Return what the host's past added to a container's memory, as it was measured beside."""
    note = evidence.note("density", "container", "memory-per-instance-available")
    return f" ({note})" if note else ""


def projection(evidence: Evidence, target: str) -> str:
    """How many the free memory would hold: a projection, and said to be one."""
    each, free = evidence.memory_each(target), evidence.free_memory_bytes(target)
    if not each or not free or each.centre <= 0:
        return ""
    number = float(f"{free / each.centre:.2g}")
    return f" (free memory divided by memory each, a projection: {quantity(number, 'integer')})"
