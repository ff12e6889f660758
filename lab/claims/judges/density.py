"""What a run says to the claims about how many instances a host carries, and by which memory."""

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
    history,
    inconclusive,
    lies,
    projection,
    untested,
)
from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

_THOUSANDS = 1000
_TENS, _HUNDREDS = 10, 100
# An emulator keeps the code that it translated. How much that is nobody measured, but a claim of
# being large that would hold with a tenth of what an emulated machine takes does not rest on it.
_NOT_THE_EMULATORS = 0.1


def thousands_of_containers(evidence: Evidence) -> Finding:
    """A thousand ran at once and answered."""
    carried = _carried(evidence, "container")
    if not carried:
        return untested(evidence.missing("density", "container"))
    figures, fewer = carried
    answer = lies(fewer, _THOUSANDS, inf)
    limit = evidence.host_limit("container")
    met = f"; the limit of the host that was met: {limit}" if limit else ""
    if answer:
        return Finding(Verdict.HOLDS, f"1,000 or more ran at once and answered{met}", figures)
    if answer is None:
        return inconclusive(fewer, figures, "1,000")
    if not limit:
        return _no_limit_met(evidence, "container", figures)
    return Finding(Verdict.FAILS, f"the host's limit was met: {limit}", figures)


def tens_of_machines(evidence: Evidence) -> Finding:
    """Ten and no hundred ran at once and answered when a limit of the host was met.

    A host carries no fewer machines under KVM than emulated: a hundred refute the claim either way.
    """
    found = {name: carried for name in MACHINES if (carried := _carried(evidence, name))}
    if not found:
        return untested(evidence.missing("density", "vm"))
    target = max(found, key=lambda name: found[name][1].centre)
    figures, fewer = found[target]
    if lies(fewer, _HUNDREDS, inf):
        even = "even emulated, " if evidence.emulated else ""
        return Finding(
            Verdict.FAILS, f"{even}it carries a hundred or more: better than claimed", figures
        )
    limit = evidence.host_limit(target)
    if not limit:
        return _no_limit_met(evidence, target, figures)
    if evidence.emulated:
        return emulated(figures, f", where it carries as many or more; the limit met was: {limit}")
    answer = lies(fewer, _TENS, _HUNDREDS)
    if answer is None:
        return inconclusive(fewer, figures, "10 or 100")
    verdict = Verdict.HOLDS if answer else Verdict.FAILS
    return Finding(verdict, f"the host's limit was met: {limit}", figures)


def machine_takes_memory(times: float) -> Judge:
    """One more idle machine takes at least so many times the memory of one more container."""

    def judge(evidence: Evidence) -> Finding:
        target = _machine_with_memory(evidence)
        ratio = evidence.memory_ratio(target, "container")
        if not ratio:
            there = evidence.memory_each(target)
            return untested(evidence.missing("density", "container" if there else target))
        each = [evidence.memory_each(name) for name in (target, "container")]
        figures = [*filter(None, each), ratio]
        answer = lies(ratio, times, inf)
        if answer is None:
            return inconclusive(ratio, figures, quantity(times, "ratio"))
        much = "" if times == 1 else f"{times:g} times "
        if not answer:
            even = "even emulated, " if evidence.emulated else ""
            reason = f"{even}an idle machine takes less than {much}the memory of an idle container"
            return Finding(Verdict.FAILS, reason, figures)
        reason = f"an idle machine takes more than {much}the memory of an idle container"
        reason += history(evidence)
        return _larger(evidence, lies(_least_under_kvm(ratio), times, inf), reason, figures)

    return judge


def guests_fill_the_host(evidence: Evidence) -> Finding:
    """An idle machine takes memory beyond what its payload takes in a container."""
    target = _machine_with_memory(evidence)
    machine, container = evidence.memory_each(target), evidence.memory_each("container")
    if not machine or not container:
        return untested(evidence.missing("density", "container" if machine else target))
    figures = [machine, container]
    if container.low is None or container.high is None:
        return inconclusive(container, figures, "")
    most = max(container.high, 0)
    if lies(machine, -inf, max(container.low, 0)):
        return Finding(Verdict.FAILS, "an idle guest takes no more than a container", figures)
    if not lies(machine, most, inf):
        return inconclusive(machine, figures, "what a container takes")
    reason = "the payload is the same and idle in both; the rest is the guest's system"
    finding = _larger(evidence, lies(_least_under_kvm(machine), most, inf), reason, figures)
    said = history(evidence) + projection(evidence, target)
    return replace(finding, reason=finding.reason + said)


def _least_under_kvm(emulated_one: Figure) -> Figure:
    """What is left of a memory figure if nearly all of it is the emulator's own."""
    low, high = emulated_one.low, emulated_one.high
    return replace(
        emulated_one, low=low and low * _NOT_THE_EMULATORS, high=high and high * _NOT_THE_EMULATORS
    )


def _larger(
    evidence: Evidence, without_emulator: bool | None, reason: str, figures: list[Figure]
) -> Finding:
    """A machine is larger: for certain under KVM, or if it is not the emulator that makes it so."""
    if not evidence.emulated:
        return Finding(Verdict.HOLDS, reason, figures)
    if without_emulator:
        share = f"{1 - _NOT_THE_EMULATORS:.0%}".replace("%", " %")
        return Finding(
            Verdict.HOLDS,
            f"{reason}, and would if {share} of it were the emulator's own",
            figures,
        )
    return emulated(figures, ": the emulator's own memory may make the difference")


def _carried(evidence: Evidence, target: str) -> tuple[list[Figure], Figure] | None:
    """How many were running and how many of them answered; both figures and the smaller one."""
    running = evidence.measured("density", target, "running")
    answering = evidence.measured("density", target, "answering")
    if not running or not answering:
        return None
    return [running, answering], min(running, answering, key=lambda figure: figure.centre)


def _no_limit_met(evidence: Evidence, target: str, figures: list[Figure]) -> Finding:
    reason = "the profile asked for no more, and no limit of the host was met"
    return Finding(Verdict.INCONCLUSIVE, reason + projection(evidence, target), figures)


def _machine_with_memory(evidence: Evidence) -> str:
    return next((name for name in MACHINES if evidence.memory_each(name)), MACHINES[0])
