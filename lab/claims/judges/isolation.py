"""Judges of claims about isolation: kernels, neighbours and resource limits."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis import labels
from lab.claims.finding import (
    Finding,
    Verdict,
    inconclusive,
    lies_above,
    lies_within,
    not_under_kvm,
    untested,
)
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA
from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence

_TOLERANCE = 0.1  # share of a request that may be granted beyond it
_LEAST = 0.5  # share of a request: a busy host grants less CPU, which breaks no limit


def kernels_differ(evidence: Evidence) -> Finding:
    """Judge: a container sees the host's boot, a machine its own."""
    figures = [
        figure
        for name in ("container", "vm")
        for metric in ("own-kernel", "processes-inside")
        if (figure := evidence.measured("footprint", name, metric))
    ]
    container = evidence.extremes("footprint", "container", "own-kernel")
    machine = evidence.extremes("footprint", "vm", "own-kernel")
    if not container or not machine:
        return untested(evidence.missing("footprint", "container", "vm"))
    kernel = evidence.note("footprint", "vm", "own-kernel")
    if (container, machine) == ((0, 0), (1, 1)):
        reason = Message(
            "the container sees the boot id of the host, the machine its own ({kernel})",
            kernel=kernel,
        )
        return Finding(Verdict.HOLDS, reason, figures)
    return Finding(Verdict.FAILS, Message("the boot ids seen inside contradict it"), figures)


def neighbours_are_hidden(evidence: Evidence) -> Finding:
    """Judge: a container sees no process of its neighbour. The cost of noise is shown as well."""
    seen = evidence.measured("isolation", "container", "neighbours-seen")
    if not seen:
        return untested(evidence.missing("isolation", "container"))
    noise = evidence.metrics("isolation", "container", "beside-")
    if evidence.extremes("isolation", "container", "neighbours-seen") != (0, 0):
        reason = Message("it sees its neighbour's processes")
        return Finding(Verdict.FAILS, reason, [seen, *noise])
    reason = Message("it sees none of its neighbour's processes")
    if noise:
        cost = Message(
            "; beside a noisy neighbour its work takes up to {factor} as long",
            factor=quantity(max(figure.centre for figure in noise), "ratio"),
        )
        reason = joined("", (reason, cost))
    return Finding(Verdict.HOLDS, reason, [seen, *noise])


def limits_hold(evidence: Evidence) -> Finding:
    """Judge: a container gets no more CPU, memory and processes than its limits allow."""
    from lab.experiments.isolation import SMALL

    limits = {
        "cpus-granted": SMALL.cpus,
        "memory-granted": SMALL.memory_bytes,
        "processes-granted": SMALL.pids,
    }
    granted = {name: evidence.measured("isolation", "container", name) for name in limits}
    figures = [figure for figure in granted.values() if figure]
    if len(figures) < len(limits):
        return untested(evidence.missing("isolation", "container"))
    answers = {
        name: lies_within(figure, limits[name] * _LEAST, limits[name] * (1 + _TOLERANCE))
        for name, figure in granted.items()
        if figure
    }
    request = Message(
        "{cpus:g} CPUs, {mib} MiB, {processes} processes",
        cpus=SMALL.cpus,
        mib=SMALL.memory_bytes >> 20,
        processes=SMALL.pids,
    )
    if beyond := [labels.metric(name) for name, answer in answers.items() if answer is False]:
        reason = Message(
            "{names}: outside the limits of {request}",
            names=joined(COMMA, beyond),
            request=request,
        )
        return Finding(Verdict.FAILS, reason, figures)
    if None in answers.values():
        undecided = figures[list(answers.values()).index(None)]
        bound = Message("10 % above the limits of {request}", request=request)
        return inconclusive(undecided, figures, bound)
    reason = Message("all within the limits of {request}", request=request)
    return Finding(Verdict.HOLDS, reason, figures)


def small_machine_is_slow(evidence: Evidence) -> Finding:
    """Judge: a machine with one CPU and 256 MiB takes longer for the same work than a large one.

    Emulation slows both down, so it bounds their ratio from neither side.
    """
    figure = evidence.measured("isolation", "vm", "squeezed")
    if not figure:
        return untested(evidence.missing("isolation", "vm"))
    if not evidence.under_kvm:
        return not_under_kvm(evidence, [figure])
    answer = lies_above(figure, 1.1)
    if answer is None:
        return inconclusive(figure, [figure], "1.10 ×")
    reason = Message("the same work with one CPU and 256 MiB, and with every CPU and 1 GiB")
    return Finding(Verdict.HOLDS if answer else Verdict.FAILS, reason, [figure])


def kvm_needs_the_cpu(evidence: Evidence) -> Finding:
    """Judge: no guest runs under KVM if the CPU has neither vmx nor svm."""
    flag, works = evidence.cpu_virtualization(), evidence.kvm_works()
    if flag is None or works is None:
        return untested(
            Message("the run does not record what the CPU supports, or KVM was not tried")
        )
    if flag and works:
        return untested(
            Message("KVM works and the CPU has {flag}; a test needs a CPU without it", flag=flag)
        )
    if flag:
        return untested(Message("the CPU has {flag}, but KVM runs no Linux guest here", flag=flag))
    if works:
        reason = Message("KVM runs a guest, but the CPU has neither vmx nor svm")
        return Finding(Verdict.FAILS, reason)
    reason = Message("the CPU has neither vmx nor svm, and KVM, though present, ran no Linux guest")
    return Finding(Verdict.HOLDS, reason)
