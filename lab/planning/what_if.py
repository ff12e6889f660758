"""The what-if analyses of a plan, as sentences and as a document.

draws     how often the hosts suffice, given the error of what was measured
what-if   losses of hosts, racks and zones, growth, and the sensitivity to each assumption
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab import units
from lab.planning import failures, growth, sensitivity
from lab.planning.amounts import label
from lab.planning.recovery import Starts, measured_starts
from lab.planning.safe_plan import SHARE, find_safe_plan
from lab.planning.uncertainty import DRAWS, Draws

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from lab.planning.failures import Loss
    from lab.planning.growth import Growth
    from lab.planning.measured import MeasuredFigure
    from lab.planning.plan import Plan
    from lab.planning.plan_file import PlanFile
    from lab.planning.safe_plan import SafePlan
    from lab.planning.sensitivity import Sensitivities
    from lab.planning.uncertainty import Reliability

_MOST_SENTENCES = 5  # on assumptions


@dataclass(frozen=True, slots=True)
class Further:
    """The findings on a plan: sentences for the text, and parts of the document by key."""

    sentences: tuple[str, ...]
    document: dict[str, Any]


def draw(
    file: PlanFile,
    plan: Plan,
    *,
    draws: int = DRAWS,
    seed: int = 0,
    per_replica: bool = False,
    deadline_seconds: float = 60.0,
) -> Further:
    """Return how often the hosts suffice, which do in most draws, and what to measure again."""
    if not file.uncertain:
        sentence = "Nothing that this plan needs was measured: there is no error to draw."
        return Further((sentence,), {"draws": None})
    drawn = Draws(file.uncertain, draws=draws, seed=seed, per_replica=per_replica)
    reliability = drawn.assess(plan, plan.services)
    safe = None
    if reliability.share < SHARE:
        safe = find_safe_plan(plan, drawn, deadline_seconds=deadline_seconds)
    document = {
        "draws": reliability.draws,
        "seed": seed,
        "drawn": f"medians of measured figures over their rounds, {_scatter(per_replica)}",
        "hold": reliability.share,
        "short_of": [asdict(each) for each in reliability.shortages],
        "measure_again": [
            {"figure": each.figure.name, "services": each.services, "variance": each.share}
            for each in reliability.contributions
        ],
        "not_drawn": [figure.name for figure in reliability.unknown],
        "safe_hosts": safe.plan.host_count if safe else None,
        "safe_hold": safe.reliability.share if safe else None,
    }
    sentences = tuple(_reliability_sentences(plan, reliability, safe, _scatter(per_replica)))
    return Further(sentences, {"draws": document})


def what_if(file: PlanFile, plan: Plan, *, deadline_seconds: float = 60.0) -> Further:
    """Return what losses and growth do to the plan, and how it depends on its assumptions.

    A third of the time is for each of the three.
    """
    seconds = deadline_seconds / 3
    found = failures.losses(plan, _starts(file), deadline_seconds=seconds)
    end = growth.find_end(plan, file.growth, deadline_seconds=seconds)
    sensitivities = sensitivity.find_sensitivities(plan, deadline_seconds=seconds)
    return Further(
        (
            *_loss_sentences(plan, found),
            *_growth_sentences(file, end),
            *_sensitivity_sentences(sensitivities),
        ),
        {
            "losses": [{**asdict(each), "survives": each.survives} for each in found],
            "growth": asdict(end),
            "sensitivity": [asdict(each) for each in sensitivities.decided],
            "sensitivity_undecided": sensitivities.undecided,
        },
    )


def _starts(file: PlanFile) -> dict[str, Starts]:
    """Return the measured starts of the services that a run measured."""
    from lab.results import run_folder

    by_target: dict[tuple[Path, str], Starts] = {}
    found: dict[str, Starts] = {}
    for part in file.uncertain:
        key = (part.figure.run, part.figure.target)
        if key not in by_target:
            by_target[key] = measured_starts(run_folder.load(part.figure.run), part.figure.target)
        if by_target[key]:
            found[part.service] = by_target[key]
    return found


def _reliability_sentences(
    plan: Plan, reliability: Reliability, safe: SafePlan | None, scatter: str
) -> Iterator[str]:
    yield (
        f"{_hold(plan.host_count)} in {units.share(reliability.share)} of"
        f" {reliability.draws:,} draws of what was measured (the error of the run's figures,"
        f" {scatter})."
    )
    if reliability.share < SHARE:
        yield (
            f"{_hold(safe.plan.host_count)} in {units.share(safe.reliability.share)}."
            if safe
            else f"No plan that was tried holds in {units.share(SHARE)} of the draws."
        )
    if reliability.shortages:
        first = reliability.shortages[0]
        yield f"Most often {first.host} is short of {label(first.resource)}."
    if reliability.contributions:
        figure, share = reliability.contributions[0].figure, reliability.contributions[0].share
        yield (
            f"Measure {_described(figure)} again first: it is {units.share(share)} of the variance."
        )
    for figure in reliability.unknown:
        yield f"Not drawn, since its error is unknown: {_described(figure)}, measured once."


def _loss_sentences(plan: Plan, found: Sequence[Loss]) -> Iterator[str]:
    hosts = [loss for loss in found if loss.level == "host"]
    fatal = [loss for loss in hosts if not loss.survives]
    if not fatal:
        yield "Any one host can be lost: the others have room for its replicas."
    else:
        number = sum(loss.alike for loss in fatal)
        yield (
            f"{number:,} of {_hosts(plan.host_count)} can't be lost: the others have no room for"
            f" their replicas; {_more(failures.hosts_to_survive('host', hosts))}."
        )
    for level in failures.LEVELS[1:]:
        yield from _domain_sentences(level, [loss for loss in found if loss.level == level])
    known = [loss.recovery_seconds for loss in found if loss.recovery_seconds is not None]
    if known:
        yield (
            f"By the measured starts, the replicas of any loss run again within"
            f" {units.quantity(max(known), 'second')}, once it is noticed and hosts are there."
        )


def _domain_sentences(level: failures.Level, found: Sequence[Loss]) -> Iterator[str]:
    if not found:
        return
    fatal = [loss for loss in found if not loss.survives]
    if not fatal:
        yield f"Any one {level} can be lost."
        return
    names = ", ".join(sorted(loss.name for loss in fatal)[:3])
    rest = f" and {len(fatal) - 3:,} more" if fatal[3:] else ""
    yield (
        f"The plan does not survive the loss of {level} {names}{rest};"
        f" {_more(failures.hosts_to_survive(level, found))}."
    )


def _more(number: int | None) -> str:
    if number is None:
        return "no number of further hosts is known to do"
    return f"{number:,} more {'does' if number == 1 else 'do'}"


def _growth_sentences(file: PlanFile, end: Growth) -> Iterator[str]:
    if not any(share > 0 for share in file.growth.values()):
        return
    if end.month is None:
        yield f"These hosts suffice for {end.searched} months of growth."
    elif not end.is_exact:
        yield (
            f"These hosts suffice for {end.month - 1} months of growth; for later ones it was not"
            " decided in time."
        )
    elif end.hosts is None:
        yield f"From month {end.month} on, no plan with these kinds of hosts was found."
    else:
        yield f"These hosts are too few from month {end.month} on: {end.hosts:,} are then needed."


def _sensitivity_sentences(found: Sensitivities) -> Iterator[str]:
    sensitive = [each for each in found.decided if each.matters]
    if not sensitive and not found.undecided:
        yield "No single assumption that is 10 % off changes the number of hosts."
    for each in sensitive[:_MOST_SENTENCES]:
        yield (
            f"If 10 % off, {each.assumption} changes the number of hosts: {_signed(each.lower)} if"
            f" it is lower, {_signed(each.higher)} if higher."
        )
    if found.undecided:
        yield (
            f"For {found.undecided:,} assumptions it was not decided in time if 10 % more or less"
            " changes the number of hosts."
        )


def _signed(number: int | None) -> str:
    return "no plan" if number is None else f"{number:+,}" if number else "0"


def _hosts(number: int) -> str:
    return f"{number:,} host{'' if number == 1 else 's'}"


def _described(figure: MeasuredFigure) -> str:
    return f"the {label(figure.resource)} of {figure.target} in {figure.run.name}"


def _hold(number: int) -> str:
    return f"{_hosts(number)} hold{'s' if number == 1 else ''}"


def _scatter(per_replica: bool) -> str:
    return f"{'and' if per_replica else 'not'} the scatter of single replicas"
