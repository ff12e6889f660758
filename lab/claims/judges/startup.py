"""Judges of claims about start times."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from lab.analysis import labels
from lab.claims.finding import (
    ENGINES,
    Finding,
    Judge,
    Verdict,
    even_emulated,
    inconclusive,
    lies_within,
    not_under_kvm,
    untested,
)
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA

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
        failed = joined("", (_failed_starts(evidence, name) for name in starts))
        answers = {name: lies_within(figure, least, most) for name, figure in starts.items()}
        if refuted := [name for name, answer in answers.items() if answer is False]:
            reason = _refutation(starts, refuted, least, most)
            return Finding(Verdict.FAILS, joined("", (reason, failed)), figures)
        if undecided := [name for name, answer in answers.items() if answer is None]:
            return inconclusive(starts[undecided[0]], figures, _bounds(least, most))
        reason = Message("ready in {least:g} to {most:g} s", least=least, most=most)
        return Finding(Verdict.HOLDS, joined("", (reason, failed)), figures)

    return judge


def _refutation(
    starts: dict[str, Figure], refuted: list[str], least: float, most: float
) -> Message:
    """Return the reason why the claim does not hold."""
    if all(lies_within(figure, 0, least) for figure in starts.values()):
        if len(starts) == 1:
            return Message("it is ready in less than {least:g} s: better than claimed", least=least)
        slowest = max(starts, key=lambda name: starts[name].centre)
        return Message(
            "{target}, the slowest, is ready in less than {least:g} s: better than claimed",
            target=labels.target_name(slowest),
            least=least,
        )
    if all(lies_within(figure, most, inf) for figure in starts.values()):
        return Message("it takes more than {most:g} s", most=most)
    names = joined(COMMA, map(labels.target_name, refuted))
    return Message("not true for {names}", names=names)


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
            boots = Message("it boots in less than {least:g} s", least=least)
            reason = joined("", (even_emulated(evidence, boots), failed))
            return Finding(Verdict.FAILS, reason, [figure])
        if not evidence.under_kvm:
            return not_under_kvm(evidence, [figure], failed)
        answer = lies_within(figure, least, most)
        if answer is None:
            return inconclusive(figure, [figure], _bounds(least, most))
        if answer:
            reason = Message(
                "it reaches its default target in {least:g} s to {most:g} s", least=least, most=most
            )
            return Finding(Verdict.HOLDS, joined("", (reason, failed)), [figure])
        reason = Message("it takes more than {most:g} s", most=most)
        return Finding(Verdict.FAILS, joined("", (reason, failed)), [figure])

    return judge


def containers_without_kvm(evidence: Evidence) -> Finding:
    """Judge: containers run on a host where KVM does not work."""
    figure = evidence.measured("startup", "container", "ready")
    if not figure:
        return untested(evidence.missing("startup", "container"))
    if evidence.kvm_works() is not False:
        return untested(
            Message("a test needs a host without working KVM; here it works or was not tried")
        )
    reason = Message("containers ran on a host where KVM does not work")
    return Finding(Verdict.HOLDS, reason, [figure])


def _failed_starts(evidence: Evidence, target: str) -> str:
    count, _ = evidence.failures("startup", target)
    if not count:
        return ""
    return Message(
        "; {count} more of {target} failed", count=count, target=labels.target_name(target)
    )


def _bounds(least: float, most: float) -> Message:
    return Message("{least:g} s or {most:g} s", least=least, most=most)
