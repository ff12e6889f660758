"""Judges of claims about start times."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from lab.claims.finding import (
    ENGINES,
    Finding,
    Judge,
    Verdict,
    emulated,
    inconclusive,
    lies_within,
    untested,
)

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure


def container_starts(least: float, most: float) -> Judge:
    """Return a judge of: containers, in every installed engine, are ready within these seconds."""

    def judge(evidence: Evidence) -> Finding:
        starts = {
            name: figure
            for name in ENGINES
            if (figure := evidence.measured("startup", name, "ready"))
        }
        if "container" not in starts:
            return untested(evidence.missing("startup", "container"))
        figures = list(starts.values())
        failed = "".join(_failed_starts(evidence, name) for name in starts)
        answers = {name: lies_within(figure, least, most) for name, figure in starts.items()}
        if refuted := [name for name, answer in answers.items() if answer is False]:
            reason = _refutation(starts, refuted, least, most)
            return Finding(Verdict.FAILS, reason + failed, figures)
        if undecided := [name for name, answer in answers.items() if answer is None]:
            return inconclusive(starts[undecided[0]], figures, f"{least:g} s or {most:g} s")
        return Finding(Verdict.HOLDS, f"ready in {least:g} to {most:g} s{failed}", figures)

    return judge


def _refutation(starts: dict[str, Figure], refuted: list[str], least: float, most: float) -> str:
    """Return the reason why the claim does not hold."""
    if all(lies_within(figure, 0, least) for figure in starts.values()):
        slowest = max(starts, key=lambda name: starts[name].centre)
        subject = f"{slowest}, the slowest, is" if len(starts) > 1 else "it is"
        return f"{subject} ready in less than {least:g} s: better than claimed"
    if all(lies_within(figure, most, inf) for figure in starts.values()):
        return f"it takes more than {most:g} s"
    return f"not true for {', '.join(refuted)}"


def machine_boots(least: float, most: float) -> Judge:
    """Return a judge of: a traditional machine boots within these seconds under KVM.

    An emulated machine boots no faster than one under KVM, so it refutes the claim if it takes
    less.
    """

    def judge(evidence: Evidence) -> Finding:
        figure = evidence.measured("startup", "vm", "userspace")
        if not figure:
            return untested(evidence.missing("startup", "vm"))
        failed = _failed_starts(evidence, "vm")
        if lies_within(figure, 0, least):
            even = "even emulated, " if evidence.emulated else ""
            reason = f"{even}it boots in less than {least:g} s{failed}"
            return Finding(Verdict.FAILS, reason, [figure])
        if evidence.emulated:
            return emulated([figure], failed)
        answer = lies_within(figure, least, most)
        if answer is None:
            return inconclusive(figure, [figure], f"{least:g} s or {most:g} s")
        if answer:
            reason = f"it reaches its default target in {least:g} s to {most:g} s"
            return Finding(Verdict.HOLDS, reason + failed, [figure])
        return Finding(Verdict.FAILS, f"it takes more than {most:g} s{failed}", [figure])

    return judge


def containers_without_kvm(evidence: Evidence) -> Finding:
    """Judge: containers run on a host where KVM does not work."""
    figure = evidence.measured("startup", "container", "ready")
    if not figure:
        return untested(evidence.missing("startup", "container"))
    if evidence.kvm_works() is not False:
        return untested("a test needs a host without working KVM; here it works or was not tried")
    return Finding(Verdict.HOLDS, "containers ran on a host where KVM does not work", [figure])


def _failed_starts(evidence: Evidence, target: str) -> str:
    count, _ = evidence.failures("startup", target)
    return f"; {count} more of {target} failed" if count else ""
