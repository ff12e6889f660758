"""What a run says to a claim: the rules that turn figures into verdicts.

A rule looks at the whole 95 % interval: a claim holds if all of it lies where the claim says, does
not hold if none of it does, and else can't be told. Machines that were emulated are evidence about
memory and disk, and none about the speed of KVM.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from math import inf
from typing import TYPE_CHECKING

from lab.statistics import CONFIDENCE
from lab.units import quantity

if TYPE_CHECKING:
    from lab.evidence import Evidence, Figure

NEAR = 1.10
MACHINES = ("vm", "microvm")
ENGINES = ("container", "podman", "docker")


class Verdict(StrEnum):
    """What a run says to a claim."""

    HOLDS = "holds"
    FAILS = "does not hold"
    UNTESTED = "can't be tested here"


@dataclass(frozen=True, slots=True)
class Finding:
    """A verdict, the reason for it and the figures that it rests on."""

    verdict: Verdict
    reason: str
    figures: list[Figure] = field(default_factory=list)


Judge = Callable[["Evidence"], Finding]


def container_starts(least: float, most: float) -> Judge:
    """Containers, by us and by the engines that are here, are ready within these seconds."""

    def judge(evidence: Evidence) -> Finding:
        found = {
            name: figure
            for name in ENGINES
            if (figure := evidence.measured("startup", name, "ready"))
        }
        if "container" not in found:
            return untold(evidence.missing("startup", "container"))
        figures = list(found.values())
        failed = "".join(_failed_starts(evidence, name) for name in found)
        answers = {name: lies(figure, least, most) for name, figure in found.items()}
        if None in answers.values():
            name = next(name for name in answers if answers[name] is None)
            return unclear(found[name], figures, f"{least:g} s or {most:g} s")
        if all(answers.values()):
            return Finding(Verdict.HOLDS, f"ready in {least:g} to {most:g} s{failed}", figures)
        slowest = max(found, key=lambda name: found[name].centre)
        if found[slowest].centre < least:
            who = f"{slowest}, the slowest, is" if len(found) > 1 else "it is"
            reason = f"{who} ready in less than {least:g} s: better than claimed"
        elif not any(answers.values()) and found["container"].centre > most:
            reason = f"it takes more than {most:g} s"
        else:
            reason = f"not for {', '.join(name for name in answers if not answers[name])}"
        return Finding(Verdict.FAILS, reason + failed, figures)

    return judge


def machine_boots(least: float, most: float) -> Judge:
    """The traditional machine has its default target up within these seconds, under KVM."""

    def judge(evidence: Evidence) -> Finding:
        figure = evidence.measured("startup", "vm", "userspace")
        if not figure:
            return untold(evidence.missing("startup", "vm"))
        failed = _failed_starts(evidence, "vm")
        if evidence.emulated:
            faster = lies(figure, 0, least)
            remark = f"; even emulated it takes less than {least:g} s" if faster else ""
            return emulated([figure], remark + failed)
        answer = lies(figure, least, most)
        if answer is None:
            return unclear(figure, [figure], f"{least:g} s or {most:g} s")
        if answer:
            reason = f"its default target is up after {least:g} s to {most:g} s"
            return Finding(Verdict.HOLDS, reason + failed, [figure])
        side = f"less than {least:g}" if figure.centre < least else f"more than {most:g}"
        return Finding(Verdict.FAILS, f"it takes {side} s{failed}", [figure])

    return judge


def image_takes(target: str, least: float, most: float) -> Judge:
    """The image of one user land takes so many bytes on disk."""

    def judge(evidence: Evidence) -> Finding:
        on_disk = evidence.measured("footprint", target, "image-on-disk")
        if not on_disk:
            return untold(evidence.missing("footprint", target))
        shipped = evidence.measured("footprint", target, "image-compressed")
        figures = [on_disk, shipped] if shipped else [on_disk]
        answer = lies(on_disk, least, most)
        if answer is None:
            return unclear(on_disk, figures, "the bounds")
        one = "one image, its user land the same in container and machine"
        if answer:
            return Finding(Verdict.HOLDS, one, figures)
        side, bound = ("less", least) if on_disk.centre < least else ("more", most)
        return Finding(Verdict.FAILS, f"{side} than {bound / 1e9:g} GB on disk ({one})", figures)

    return judge


def machine_takes_more_disk(evidence: Evidence) -> Finding:
    """A machine takes more than a container as shipped, as unpacked and for one more instance."""
    figures = [
        figure
        for metric in ("image-on-disk", "image-compressed", "instance-disk")
        if (figure := evidence.compared("footprint", metric, "vm", "container"))
    ]
    if not figures:
        return untold(evidence.missing("footprint", "vm"))
    answers = [lies(figure, 1.0, inf) for figure in figures]
    if all(answers):
        return Finding(Verdict.HOLDS, "the machine takes more each way", figures)
    if False in answers:
        return Finding(Verdict.FAILS, f"not for {figures[answers.index(False)].name}", figures)
    return unclear(figures[answers.index(None)], figures, "1 ×")


def container_near_native(evidence: Evidence) -> Finding:
    """The mean over all workloads is near, and no workload is for certain beyond.

    For certain: with all intervals holding together in 95 % of cases (Bonferroni), since among
    many workloads one looks slow by chance.
    """
    mean = evidence.nearness("container", "native")
    workloads = evidence.workloads("container", "native")
    if not mean:
        return untold(evidence.missing("performance", "container"))
    together = 1 - (1 - CONFIDENCE) / len(workloads)
    surely = {
        figure.name
        for figure in evidence.workloads("container", "native", together)
        if lies(figure, 0, NEAR) is False
    }
    if beyond := [figure for figure in workloads if figure.name in surely]:
        names = ", ".join(figure.name.partition(", ")[2] for figure in beyond)
        return Finding(Verdict.FAILS, f"{names}: beyond {NEAR:.2f} × native", [mean, *beyond])
    figures = [mean, workloads[0]]
    answer = lies(mean, 0, NEAR)
    if answer is None:
        return unclear(mean, figures, f"{NEAR:.2f} ×")
    if answer:
        return Finding(Verdict.HOLDS, f"within {NEAR:.2f} × native over all workloads", figures)
    return Finding(Verdict.FAILS, f"beyond {NEAR:.2f} × native over all workloads", figures)


def machine_is_slower(baseline: str, least: float) -> Judge:
    """The traditional machine's mean over all workloads is beyond so many times the baseline's."""

    def judge(evidence: Evidence) -> Finding:
        mean = evidence.nearness("vm", baseline)
        if not mean:
            return untold(evidence.missing("performance", "vm"))
        figures = [mean, evidence.workloads("vm", baseline)[0]]
        if evidence.emulated:
            return emulated(figures)
        answer = lies(mean, least, inf)
        if answer is None:
            return unclear(mean, figures, f"{least:.2f} ×")
        verdict, side = (Verdict.HOLDS, "beyond") if answer else (Verdict.FAILS, "within")
        return Finding(verdict, f"{side} {least:.2f} × {baseline} over all workloads", figures)

    return judge


def thousands_of_containers(evidence: Evidence) -> Finding:
    """A thousand ran at once and answered."""
    carried = _carried(evidence, "container")
    if not carried:
        return untold(evidence.missing("density", "container"))
    figures, count = carried
    if count >= 1000:
        return Finding(Verdict.HOLDS, "1,000 or more ran at once and answered", figures)
    limit = evidence.host_limit("container")
    if not limit:
        return _no_limit_met(evidence, "container", figures)
    return Finding(Verdict.FAILS, f"the host's limit was met: {limit}", figures)


def tens_of_machines(evidence: Evidence) -> Finding:
    """Ten and no hundred ran at once and answered when a limit of the host was met."""
    found = {name: carried for name in MACHINES if (carried := _carried(evidence, name))}
    if not found:
        return untold(evidence.missing("density", "vm"))
    target = max(found, key=lambda name: found[name][1])
    figures, count = found[target]
    if count >= 100:
        return Finding(Verdict.FAILS, "it carries hundreds: better than claimed", figures)
    limit = evidence.host_limit(target)
    if not limit:
        return _no_limit_met(evidence, target, figures)
    if evidence.emulated:
        return emulated(figures, f"; the limit met was: {limit}")
    verdict = Verdict.HOLDS if count >= 10 else Verdict.FAILS
    return Finding(verdict, f"the host's limit was met: {limit}", figures)


def machine_takes_memory(times: float) -> Judge:
    """One more idle machine takes at least so many times the memory of one more container."""

    def judge(evidence: Evidence) -> Finding:
        target = _machine_with_memory(evidence)
        ratio = evidence.memory_ratio(target, "container")
        if not ratio:
            there = evidence.memory_each(target)
            return untold(evidence.missing("density", "container" if there else target))
        each = [evidence.memory_each(name) for name in (target, "container")]
        figures = [*filter(None, each), ratio]
        answer = lies(ratio, times, inf)
        if answer is None:
            return unclear(ratio, figures, quantity(times, "ratio"))
        verdict, side = (Verdict.HOLDS, "more") if answer else (Verdict.FAILS, "less")
        much = "" if times == 1 else f"{times:g} times "
        reason = f"an idle machine takes {side} than {much}the memory of an idle container"
        return Finding(verdict, reason, figures)

    return judge


def guests_fill_the_host(evidence: Evidence) -> Finding:
    """An idle machine takes memory beyond what its payload takes in a container."""
    target = _machine_with_memory(evidence)
    machine, container = evidence.memory_each(target), evidence.memory_each("container")
    if not machine or not container:
        return untold(evidence.missing("density", "container" if machine else target))
    figures = [machine, container]
    if machine.low is None or container.high is None:
        return unclear(machine if machine.low is None else container, figures, "")
    if machine.low <= max(container.high, 0):
        return Finding(Verdict.FAILS, "an idle guest takes no more than a container", figures)
    reason = "the payload is the same and idle in both; the rest is the guest's system"
    return Finding(Verdict.HOLDS, reason + _projection(evidence, target), figures)


def containers_without_kvm(evidence: Evidence) -> Finding:
    """Containers ran where KVM does not."""
    figure = evidence.measured("startup", "container", "ready")
    if not figure:
        return untold(evidence.missing("startup", "container"))
    if evidence.kvm_works() is not False:
        return untold("KVM works on this host, or was not tried; one on which it fails would tell")
    return Finding(Verdict.HOLDS, "they ran on a host on which KVM does not", [figure])


def not_measured(reason: str) -> Judge:
    """No measure of the run bears on the claim."""
    return lambda evidence: untold(reason)


def untold(reason: str) -> Finding:
    """Nothing was measured that would tell."""
    return Finding(Verdict.UNTESTED, reason)


def lies(figure: Figure, least: float, most: float) -> bool | None:
    """Whether the interval lies within [least, most); None if it lies on a bound or is unknown."""
    if figure.low is None or figure.high is None:
        return None
    if least <= figure.low and figure.high < most:
        return True
    if figure.high < least or figure.low >= most:
        return False
    return None


def unclear(figure: Figure, figures: list[Figure], bound: str) -> Finding:
    """The figure's interval does not say on which side of the bound it lies, or is unknown."""
    if figure.low is None:
        return Finding(Verdict.UNTESTED, f"{figure.n} can't give an interval", figures)
    reason = f"the interval reaches across {bound}: more rounds would tell"
    return Finding(Verdict.UNTESTED, reason, figures)


def emulated(figures: list[Figure], remark: str = "") -> Finding:
    """What was measured under emulation, and is no evidence on KVM."""
    reason = f"the machines are emulated, which tells nothing of KVM{remark}"
    return Finding(Verdict.UNTESTED, reason, figures)


def _failed_starts(evidence: Evidence, target: str) -> str:
    count, _ = evidence.failures("startup", target)
    return f"; {count} more of {target} failed" if count else ""


def _carried(evidence: Evidence, target: str) -> tuple[list[Figure], float] | None:
    """How many were running and how many of them answered; both figures and the smaller count."""
    running = evidence.measured("density", target, "running")
    answering = evidence.measured("density", target, "answering")
    if not running or not answering:
        return None
    return [running, answering], min(running.centre, answering.centre)


def _no_limit_met(evidence: Evidence, target: str, figures: list[Figure]) -> Finding:
    reason = "the profile asked for no more, and no limit of the host was met"
    return Finding(Verdict.UNTESTED, reason + _projection(evidence, target), figures)


def _machine_with_memory(evidence: Evidence) -> str:
    return next((name for name in MACHINES if evidence.memory_each(name)), MACHINES[0])


def _projection(evidence: Evidence, target: str) -> str:
    """How many the free memory would hold: a projection, and said to be one."""
    each, free = evidence.memory_each(target), evidence.free_memory_bytes(target)
    if not each or not free or each.centre <= 0:
        return ""
    number = float(f"{free / each.centre:.2g}")
    return f" (free memory divided by memory each, a projection: {quantity(number, 'integer')})"
