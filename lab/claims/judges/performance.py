"""Judges of claims about the speed of work inside an instance."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from lab.claims.finding import (
    Finding,
    Judge,
    Verdict,
    emulated,
    inconclusive,
    lies_within,
    untested,
)
from lab.statistics.estimates import CONFIDENCE

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

NEAR = 1.10
_MOST_NAMES = 6  # workloads named in a reason; further ones are counted


def container_near_native(evidence: Evidence) -> Finding:
    """Judge: every workload is within NEAR of native, by intervals that hold simultaneously.

    A claim of equality needs evidence of equality: it holds if the whole interval of every workload
    lies below the bound, does not hold if one lies above it, and is inconclusive otherwise. The
    intervals hold simultaneously in 95 % of runs (Bonferroni), since among many workloads some look
    slow by chance. (Schuirmann, "A comparison of the two one-sided tests procedure and the power
    approach", Journal of Pharmacokinetics and Biopharmaceutics 1987)
    """
    mean = evidence.mean_ratio("container", "native")
    if not mean:
        return untested(evidence.missing("performance", "container"))
    count = len(evidence.workload_ratios("container", "native"))
    ratios = evidence.workload_ratios("container", "native", 1 - (1 - CONFIDENCE) / count)
    if slower := [figure for figure in ratios if lies_within(figure, NEAR, inf)]:
        reason = f"{_names(slower)}: the whole interval is above {NEAR:.2f} × native"
        return Finding(Verdict.FAILS, reason, [mean, *slower])
    if lies_within(mean, NEAR, inf):
        reason = f"above {NEAR:.2f} × native in the mean of all workloads"
        return Finding(Verdict.FAILS, reason, [mean, ratios[0]])
    if not (undecided := [figure for figure in ratios if not lies_within(figure, 0, NEAR)]):
        reason = f"every workload is within {NEAR:.2f} × native"
        return Finding(Verdict.HOLDS, reason, [mean, ratios[0]])
    figures = [mean, *undecided[:_MOST_NAMES]]
    if undecided[0].low is None:
        return inconclusive(undecided[0], figures, "")
    reason = (
        f"{count - len(undecided)} of {count} workloads are within {NEAR:.2f} × native; the"
        f" intervals of {_names(undecided)} include that bound: more rounds may decide"
    )
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def _names(workloads: list[Figure]) -> str:
    """Return the names of the first few workloads, and the number of the others."""
    names = [figure.name.partition(", ")[2] for figure in workloads]
    more = len(names) - _MOST_NAMES
    return ", ".join(names[:_MOST_NAMES]) + (f" and {more} more" if more > 0 else "")


def machine_is_slower(baseline: str, least: float) -> Judge:
    """Return a judge of: a traditional machine takes more than `least` × the baseline's time.

    The mean of all workloads counts. An emulated machine is no faster than one under KVM, so it
    refutes the claim if it takes less.
    """

    def judge(evidence: Evidence) -> Finding:
        mean = evidence.mean_ratio("vm", baseline)
        if not mean:
            return untested(evidence.missing("performance", "vm"))
        figures = [mean, evidence.workload_ratios("vm", baseline)[0]]
        answer = lies_within(mean, least, inf)
        even = "even emulated, " if evidence.emulated else ""
        if answer is False:
            reason = f"{even}within {least:.2f} × {baseline} in the mean of all workloads"
            return Finding(Verdict.FAILS, reason, figures)
        if evidence.emulated:
            return emulated(figures)
        if answer is None:
            return inconclusive(mean, figures, f"{least:.2f} ×")
        reason = f"above {least:.2f} × {baseline} in the mean of all workloads"
        return Finding(Verdict.HOLDS, reason, figures)

    return judge
