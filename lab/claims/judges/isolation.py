"""Verdicts on what an instance is, is granted and is moved as; and on how many hosts it takes."""

from __future__ import annotations

from math import inf
from typing import TYPE_CHECKING

from lab.claims.finding import (
    ENGINES,
    MACHINES,
    Finding,
    Verdict,
    emulated,
    inconclusive,
    lies,
    untested,
)
from lab.errors import LabError
from lab.planning import Host, Instance, pack
from lab.units import quantity

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

_SCALE_OUT = 10_000
_OVER = 0.1  # of what was asked for, that may be granted beyond it
_LEAST = 0.5  # of what was asked for: a busy host grants less CPU, and that breaks no limit


def kernels_differ(evidence: Evidence) -> Finding:
    """A container says that it was booted when the host was; a machine was booted by itself."""
    figures = [
        figure
        for name in ("container", "vm")
        for metric in ("own-kernel", "processes-inside")
        if (figure := evidence.measured("footprint", name, metric))
    ]
    container = evidence.extremes("footprint", "container", "own-kernel")
    machine = evidence.extremes("footprint", "vm", "own-kernel")
    if not container or not machine:
        return untested(evidence.missing("footprint", "vm" if container else "container"))
    inside = evidence.note("footprint", "vm", "own-kernel")
    if (container, machine) == ((0, 0), (1, 1)):
        reason = f"the container sees the host's boot, the machine its own ({inside})"
        return Finding(Verdict.HOLDS, reason, figures)
    return Finding(Verdict.FAILS, "not by the boot that each of them sees", figures)


def neighbours_are_hidden(evidence: Evidence) -> Finding:
    """A container sees none of its neighbour's processes; what their noise costs stands beside."""
    seen = evidence.measured("isolation", "container", "neighbours-seen")
    if not seen:
        return untested(evidence.missing("isolation", "container"))
    noise = evidence.metrics("isolation", "container", "beside-")
    if evidence.extremes("isolation", "container", "neighbours-seen") != (0, 0):
        return Finding(Verdict.FAILS, "it sees its neighbour's processes", [seen, *noise])
    worst = max(noise, key=lambda figure: figure.centre, default=None)
    cost = f"; their noise costs it up to {quantity(worst.centre, 'ratio')}" if worst else ""
    return Finding(
        Verdict.HOLDS, f"it sees none of its neighbour's processes{cost}", [seen, *noise]
    )


def limits_hold(evidence: Evidence) -> Finding:
    """A container gets what it was allotted of CPU, memory and processes, and no more."""
    from lab.experiments.isolation import SMALL

    asked = {
        "cpus-granted": SMALL.cpus,
        "memory-granted": SMALL.memory_bytes,
        "processes-granted": SMALL.pids,
    }
    found = {name: evidence.measured("isolation", "container", name) for name in asked}
    figures = [figure for figure in found.values() if figure]
    if len(figures) < len(asked):
        return untested(evidence.missing("isolation", "container"))
    answers = {
        name: lies(figure, asked[name] * _LEAST, asked[name] * (1 + _OVER))
        for name, figure in found.items()
        if figure
    }
    wanted = (
        f"asked for {SMALL.cpus:g} CPUs, {SMALL.memory_bytes >> 20} MiB, {SMALL.pids} processes"
    )
    if beyond := [name for name, answer in answers.items() if answer is False]:
        reason = f"{', '.join(beyond)}: not what was {wanted}"
        return Finding(Verdict.FAILS, reason, figures)
    if None in answers.values():
        undecided = figures[list(answers.values()).index(None)]
        return inconclusive(undecided, figures, f"a tenth beyond what was {wanted}")
    return Finding(Verdict.HOLDS, f"none beyond what was {wanted}", figures)


def small_machine_is_slow(evidence: Evidence) -> Finding:
    """A machine with one CPU and 256 MiB takes longer for the same work than a roomy one.

    Emulation slows both down, so that it bounds their ratio from neither side.
    """
    figure = evidence.measured("isolation", "vm", "squeezed")
    if not figure:
        return untested(evidence.missing("isolation", "vm"))
    if evidence.emulated:
        return emulated([figure])
    answer = lies(figure, 1.1, inf)
    if answer is None:
        return inconclusive(figure, [figure], "1.10 ×")
    reason = "the same work with one CPU and 256 MiB against what the host has"
    return Finding(Verdict.HOLDS if answer else Verdict.FAILS, reason, [figure])


def kvm_needs_the_cpu(evidence: Evidence) -> Finding:
    """No guest runs under KVM where the CPU shows neither vmx nor svm."""
    flag, works = evidence.cpu_virtualization(), evidence.kvm_works()
    if flag is None or works is None:
        return untested("the run does not say what the CPU offers, or KVM was not tried")
    if flag and works:
        return untested(f"KVM works, and the CPU has {flag}; a CPU without it would tell")
    if flag:
        return untested(f"the CPU has {flag}, and yet KVM runs no Linux guest here")
    if works:
        return Finding(Verdict.FAILS, "KVM runs a guest, and the CPU shows neither vmx nor svm")
    reason = "the CPU shows neither vmx nor svm, and KVM, though there, ran no Linux guest"
    return Finding(Verdict.HOLDS, reason)


def image_is_the_same(evidence: Evidence) -> Finding:
    """The digest of the programs inside is that of the image, in whatever runs them."""
    found = {
        name: figure for name in (*ENGINES, "crun", "runc", *MACHINES)
        if (figure := evidence.measured("footprint", name, "same-user-land"))
    }  # fmt: skip
    figures = list(found.values())
    if not figures:
        return untested(evidence.missing("footprint", "container"))
    if other := [
        name for name in found if evidence.extremes("footprint", name, "same-user-land") != (1, 1)
    ]:
        return Finding(Verdict.FAILS, f"not in {', '.join(other)}", figures)
    digest = evidence.note("footprint", "container", "same-user-land")
    reason = (
        f"one digest in all of them ({digest}): of files, which is what an image carries;"
        " kernel and limits are each host's own"
    )
    return Finding(Verdict.HOLDS, reason, figures)


def many_at_a_time(evidence: Evidence) -> Finding:
    """Ten or more containers start at once; how long stopping a host full of them takes."""
    fastest = evidence.fastest_burst("container")
    if not fastest:
        return untested(evidence.missing("burst", "container"))
    count, figure = fastest
    figures = [figure]
    if teardown := evidence.measured("density", "container", "teardown"):
        figures.append(teardown)
    if count < 10:
        return untested("fewer than ten were asked for at once")
    reason = f"{count} were asked for at once and ran"
    return Finding(Verdict.HOLDS, reason, figures)


def moves_more_easily(evidence: Evidence) -> Finding:
    """Fewer bytes to ship, and less time to copy and unpack them, than a machine of the same."""
    figures = [
        figure
        for metric in ("image-compressed", "move")
        if (figure := evidence.compared("footprint", metric, "vm", "container"))
    ]
    if not figures:
        return untested(evidence.missing("footprint", "vm"))
    shown = [
        figure
        for name in ("container", "vm")
        for metric in ("image-compressed", "move")
        if (figure := evidence.measured("footprint", name, metric))
    ]
    what = "of one user land: bytes as shipped, seconds to copy and unpack them"
    answers = [lies(figure, 1.0, inf) for figure in figures]
    if all(answers):
        return Finding(Verdict.HOLDS, f"the machine takes more of both ({what})", figures + shown)
    if False not in answers:
        return inconclusive(figures[answers.index(None)], figures + shown, "1 ×")
    less = figures[answers.index(False)].name.partition(",")[0]
    reason = f"the machine takes no more of {less}, as its disk is used as it was shipped ({what})"
    return Finding(Verdict.FAILS, reason, figures + shown)


def clusters_carry_peaks(evidence: Evidence) -> Finding:
    """A projection: hosts like this one for 10,000 idle instances, by packing what each takes."""
    plans = {name: _plan(evidence, name) for name in ("container", *MACHINES)}
    told = [f"{evidence.label(name)} {plan}" for name, plan in plans.items() if plan]
    if not told:
        return untested("it takes more than one host; and no footprint was measured to plan with")
    figures: list[Figure] = [
        figure for name, plan in plans.items() if plan and (figure := evidence.memory_each(name))
    ]
    reason = (
        f"it takes more than one host. For {_SCALE_OUT:,} idle instances, hosts like this one, by"
        f" packing (a projection): {', '.join(told)}"
    )
    return Finding(Verdict.UNTESTED, reason, figures)


def _plan(evidence: Evidence, target: str) -> str:
    """How many hosts, and what bounds them; empty if too little was measured."""
    each, free = evidence.memory_each(target), evidence.free_memory_bytes(target)
    idle = evidence.measured("footprint", target, "idle-cpu")
    if not each or not free or each.centre <= 0:
        return ""
    instance = Instance(target, each.centre, idle.centre if idle else 0.0)
    host = Host(free, float(evidence.run.host.get("cpus", 1)), evidence.process_ids())
    try:
        plan = pack([instance] * _SCALE_OUT, host)
    except LabError:
        return ""
    return f"{plan.hosts:,}{f' (bound by {plan.bound})' if plan.bound else ''}"
