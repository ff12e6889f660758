"""Judges of claims about the speed of work inside an instance."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from lab.analysis import labels
from lab.claims.finding import (
    Finding,
    Judge,
    Verdict,
    even_emulated,
    inconclusive,
    lies_above,
    lies_within,
    not_under_kvm,
    untested,
)
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA
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
        return untested(evidence.missing("performance", "container", "native"))
    count = len(evidence.workload_ratios("container", "native"))
    ratios = evidence.workload_ratios("container", "native", 1 - (1 - CONFIDENCE) / count)
    if slower := [figure for figure in ratios if lies_within(figure, NEAR, inf)]:
        reason = Message(
            "{names}: the whole interval is above {near:.2f} × native",
            names=_names(slower),
            near=NEAR,
        )
        return Finding(Verdict.FAILS, reason, [mean, *slower])
    if lies_within(mean, NEAR, inf):
        reason = Message("above {near:.2f} × native in the mean of all workloads", near=NEAR)
        return Finding(Verdict.FAILS, reason, [mean, ratios[0]])
    if not (undecided := [figure for figure in ratios if not lies_within(figure, 0, NEAR)]):
        reason = Message("every workload is within {near:.2f} × native", near=NEAR)
        return Finding(Verdict.HOLDS, reason, [mean, ratios[0]])
    figures = [mean, *undecided[:_MOST_NAMES]]
    if undecided[0].low is None:
        return inconclusive(undecided[0], figures, "")
    reason = Message(
        "{near_native} of {count} workloads are within {near:.2f} × native; the intervals of"
        " {names} include that bound: more rounds may decide",
        near_native=count - len(undecided),
        count=count,
        near=NEAR,
        names=_names(undecided),
    )
    return Finding(Verdict.INCONCLUSIVE, reason, figures)


def _names(workloads: list[Figure]) -> Message:
    """Return the names of the first few workloads, and the number of the others."""
    names = joined(COMMA, (figure.metric for figure in workloads[:_MOST_NAMES]))
    more = len(workloads) - _MOST_NAMES
    return Message("{names} and {more} more", names=names, more=more) if more > 0 else names


def machine_is_slower(baseline: str, least: float) -> Judge:
    """Return a judge of: a traditional machine takes more than `least` × the baseline's time.

    The mean of all workloads counts. An emulated machine is no faster than one under KVM, so it
    refutes the claim if it takes less.
    """

    def judge(evidence: Evidence) -> Finding:
        mean = evidence.mean_ratio("vm", baseline)
        if not mean:
            return untested(evidence.missing("performance", "vm", baseline))
        figures = [mean, evidence.workload_ratios("vm", baseline)[0]]
        answer = lies_above(mean, least)
        name = labels.target_name(baseline)
        if answer is False:
            reason = Message(
                "within {least:.2f} × {baseline} in the mean of all workloads",
                least=least,
                baseline=name,
            )
            return Finding(Verdict.FAILS, even_emulated(evidence, reason), figures)
        if not evidence.under_kvm:
            return not_under_kvm(evidence, figures)
        if answer is None:
            return inconclusive(mean, figures, f"{least:.2f} ×")
        reason = Message(
            "above {least:.2f} × {baseline} in the mean of all workloads",
            least=least,
            baseline=name,
        )
        return Finding(Verdict.HOLDS, reason, figures)

    return judge
