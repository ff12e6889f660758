"""Judges of claims about scale: many starts, many hosts."""

from __future__ import annotations

from math import ceil, floor, inf
from typing import TYPE_CHECKING

from lab.claims.finding import MACHINES, Finding, Verdict, untested
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA

if TYPE_CHECKING:
    from lab.claims.evidence import Evidence, Figure

_FLEET = 10_000
_MANY_AT_ONCE = 10


def many_at_a_time(evidence: Evidence) -> Finding:
    """Judge: ten or more containers start at once. The time to stop a full host is shown too."""
    fastest = evidence.fastest_burst("container")
    if not fastest:
        return untested(evidence.missing("burst", "container"))
    count, figure = fastest
    figures = [figure]
    if teardown := evidence.measured("density", "container", "teardown"):
        figures.append(teardown)
    if count < _MANY_AT_ONCE:
        return untested(Message("fewer than ten were requested at once"))
    reason = Message("{count} were requested at once and ran", count=count)
    return Finding(Verdict.HOLDS, reason, figures)


def clusters_carry_peaks(evidence: Evidence) -> Finding:
    """Project how many hosts like this carry 10,000 idle instances, by packing their footprints."""
    plans = {name: _plan(evidence, name) for name in ("container", *MACHINES)}
    hosts = [joined(" ", (evidence.label(name), plan)) for name, plan in plans.items() if plan]
    if not hosts:
        return untested(
            Message("a test needs several hosts, and no footprint was measured to project from")
        )
    figures: list[Figure] = [
        figure for name, plan in plans.items() if plan and (figure := evidence.memory_each(name))
    ]
    reason = Message(
        "a test needs several hosts. Hosts like this for {count:,} idle instances, by packing"
        " (a projection): {hosts}",
        count=_FLEET,
        hosts=joined(COMMA, hosts),
    )
    return Finding(Verdict.UNTESTED, reason, figures)


def _plan(evidence: Evidence, target: str) -> str:
    """Return the number of hosts and the limiting resource; empty without measured footprints."""
    each, free = evidence.memory_each(target), evidence.free_memory_bytes(target)
    idle = evidence.measured("footprint", target, "idle-cpu")
    if not each or not free or each.centre <= 0:
        return ""
    # Equal instances: as many on each host as the scarcest resource allows.
    cpus = float(evidence.run.host.get("cpus", 1))
    fit = {
        Message("memory"): free / each.centre,
        Message("CPU"): cpus / idle.centre if idle and idle.centre else inf,
        Message("process ids"): evidence.process_ids(),
    }
    bound = min(fit, key=fit.__getitem__)
    on_a_host = floor(fit[bound])
    if not on_a_host:
        return ""
    hosts = ceil(_FLEET / on_a_host)
    if hosts == 1:
        return "1"
    return Message("{hosts:,} (bound by {bound})", hosts=hosts, bound=bound)
