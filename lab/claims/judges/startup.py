"""What a run says to the claims about starting, disk and performance."""

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
    lies,
    untested,
)
from lab.statistics.estimates import CONFIDENCE

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

NEAR = 1.10
_NAMED = 6  # workloads in a reason; more are counted


def container_starts(least: float, most: float) -> Judge:
    """Containers, by us and by the engines that are here, are ready within these seconds."""

    def judge(evidence: Evidence) -> Finding:
        found = {
            name: figure
            for name in ENGINES
            if (figure := evidence.measured("startup", name, "ready"))
        }
        if "container" not in found:
            return untested(evidence.missing("startup", "container"))
        figures = list(found.values())
        failed = "".join(_failed_starts(evidence, name) for name in found)
        answers = {name: lies(figure, least, most) for name, figure in found.items()}
        if refuted := [name for name, answer in answers.items() if answer is False]:
            return Finding(
                Verdict.FAILS, _other_starts(found, refuted, least, most) + failed, figures
            )
        if open_ones := [name for name, answer in answers.items() if answer is None]:
            return inconclusive(found[open_ones[0]], figures, f"{least:g} s or {most:g} s")
        return Finding(Verdict.HOLDS, f"ready in {least:g} to {most:g} s{failed}", figures)

    return judge


def _other_starts(found: dict[str, Figure], refuted: list[str], least: float, most: float) -> str:
    """How the refuted ones start, if not within these seconds."""
    if all(lies(figure, 0, least) for figure in found.values()):
        slowest = max(found, key=lambda name: found[name].centre)
        who = f"{slowest}, the slowest, is" if len(found) > 1 else "it is"
        return f"{who} ready in less than {least:g} s: better than claimed"
    if all(lies(figure, most, inf) for figure in found.values()):
        return f"it takes more than {most:g} s"
    return f"not for {', '.join(refuted)}"


def machine_boots(least: float, most: float) -> Judge:
    """The traditional machine has its default target up within these seconds, under KVM.

    An emulated one boots no faster than one under KVM: it refutes the claim if it takes less.
    """

    def judge(evidence: Evidence) -> Finding:
        figure = evidence.measured("startup", "vm", "userspace")
        if not figure:
            return untested(evidence.missing("startup", "vm"))
        failed = _failed_starts(evidence, "vm")
        if lies(figure, 0, least):
            even = "even emulated, " if evidence.emulated else ""
            return Finding(Verdict.FAILS, f"{even}it takes less than {least:g} s{failed}", [figure])
        if evidence.emulated:
            return emulated([figure], failed)
        answer = lies(figure, least, most)
        if answer is None:
            return inconclusive(figure, [figure], f"{least:g} s or {most:g} s")
        if answer:
            reason = f"its default target is up after {least:g} s to {most:g} s"
            return Finding(Verdict.HOLDS, reason + failed, [figure])
        return Finding(Verdict.FAILS, f"it takes more than {most:g} s{failed}", [figure])

    return judge


def image_takes(target: str, least: float, most: float) -> Judge:
    """The image of one user land takes so many bytes on disk."""

    def judge(evidence: Evidence) -> Finding:
        on_disk = evidence.measured("footprint", target, "image-on-disk")
        if not on_disk:
            return untested(evidence.missing("footprint", target))
        shipped = evidence.measured("footprint", target, "image-compressed")
        figures = [on_disk, shipped] if shipped else [on_disk]
        answer = lies(on_disk, least, most)
        if answer is None:
            return inconclusive(on_disk, figures, "the bounds")
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
        return untested(evidence.missing("footprint", "vm"))
    answers = [lies(figure, 1.0, inf) for figure in figures]
    if all(answers):
        return Finding(Verdict.HOLDS, "the machine takes more each way", figures)
    if False in answers:
        return Finding(Verdict.FAILS, f"not for {figures[answers.index(False)].name}", figures)
    return inconclusive(figures[answers.index(None)], figures, "1 ×")


def container_near_native(evidence: Evidence) -> Finding:
    """Every workload is within NEAR of native, by intervals that hold together.

    A claim of equality needs evidence of equality: it holds if every workload's whole interval lies
    below the bound, does not hold if one lies above it, and is inconclusive else. The intervals
    hold together in 95 % of runs (Bonferroni), since among many workloads one looks slow by chance.
    (Schuirmann, "A comparison of the two one-sided tests procedure and the power approach", Journal
    of Pharmacokinetics and Biopharmaceutics 1987)
    """
    mean = evidence.nearness("container", "native")
    if not mean:
        return untested(evidence.missing("performance", "container"))
    count = len(evidence.workloads("container", "native"))
    together = evidence.workloads("container", "native", 1 - (1 - CONFIDENCE) / count)
    if beyond := [figure for figure in together if lies(figure, NEAR, inf)]:
        reason = f"{_names(beyond)}: beyond {NEAR:.2f} × native for certain"
        return Finding(Verdict.FAILS, reason, [mean, *beyond])
    if lies(mean, NEAR, inf):
        reason = f"beyond {NEAR:.2f} × native over all workloads"
        return Finding(Verdict.FAILS, reason, [mean, together[0]])
    if not (undecided := [figure for figure in together if not lies(figure, 0, NEAR)]):
        reason = f"every workload is within {NEAR:.2f} × native"
        return Finding(Verdict.HOLDS, reason, [mean, together[0]])
    figures = [mean, *undecided[:_NAMED]]
    if undecided[0].low is None:
        return inconclusive(undecided[0], figures, "")
    reason = (
        f"{count - len(undecided)} of {count} workloads are within {NEAR:.2f} × native; the"
        f" intervals of {_names(undecided)} reach across it: more rounds would tell"
    )
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def _names(workloads: list[Figure]) -> str:
    """The workloads by name, the first few of many."""
    names = [figure.name.partition(", ")[2] for figure in workloads]
    more = len(names) - _NAMED
    return ", ".join(names[:_NAMED]) + (f" and {more} more" if more > 0 else "")


def machine_is_slower(baseline: str, least: float) -> Judge:
    """The traditional machine's mean over all workloads is beyond so many times the baseline's.

    An emulated one is no faster than one under KVM: it refutes the claim if it is within.
    """

    def judge(evidence: Evidence) -> Finding:
        mean = evidence.nearness("vm", baseline)
        if not mean:
            return untested(evidence.missing("performance", "vm"))
        figures = [mean, evidence.workloads("vm", baseline)[0]]
        answer = lies(mean, least, inf)
        even = "even emulated, " if evidence.emulated else ""
        if answer is False:
            reason = f"{even}within {least:.2f} × {baseline} over all workloads"
            return Finding(Verdict.FAILS, reason, figures)
        if evidence.emulated:
            return emulated(figures)
        if answer is None:
            return inconclusive(mean, figures, f"{least:.2f} ×")
        reason = f"beyond {least:.2f} × {baseline} over all workloads"
        return Finding(Verdict.HOLDS, reason, figures)

    return judge


def containers_without_kvm(evidence: Evidence) -> Finding:
    """Containers ran where KVM does not."""
    figure = evidence.measured("startup", "container", "ready")
    if not figure:
        return untested(evidence.missing("startup", "container"))
    if evidence.kvm_works() is not False:
        return untested(
            "KVM works on this host, or was not tried; one on which it fails would tell"
        )
    return Finding(Verdict.HOLDS, "they ran on a host on which KVM does not", [figure])


def _failed_starts(evidence: Evidence, target: str) -> str:
    count, _ = evidence.failures("startup", target)
    return f"; {count} more of {target} failed" if count else ""
