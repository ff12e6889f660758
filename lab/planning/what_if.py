"""The what-if analyses of a plan, as sentences and as a document.

draws     how often the hosts suffice, given the error of what was measured
what-if   losses of hosts, racks and zones, growth, and the sensitivity to each assumption
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from lab import units
from lab.language.message import Message
from lab.planning import failures, growth, sensitivity
from lab.planning.amounts import label
from lab.planning.headline import host_number, some
from lab.planning.inventory import level_name
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
        sentence = Message("Nothing that this plan needs was measured: there is no error to draw.")
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
    yield Message(
        "{hold} in {share} of {draws} of what was measured (the error of the run's figures,"
        " {scatter}).",
        hold=_hold(plan.host_count),
        share=units.share(reliability.share),
        draws=Message("1 draw")
        if reliability.draws == 1
        else Message("{count:,} draws", count=reliability.draws),
        scatter=scatter,
    )
    if reliability.share < SHARE and safe:
        yield Message(
            "{hold} in {share}.",
            hold=_hold(safe.plan.host_count),
            share=units.share(safe.reliability.share),
        )
    elif reliability.share < SHARE:
        yield Message(
            "No plan that was tried holds in {share} of the draws.", share=units.share(SHARE)
        )
    if reliability.shortages:
        first = reliability.shortages[0]
        yield Message(
            "Most often {host} is short of {resource}.",
            host=first.host,
            resource=label(first.resource),
        )
    if reliability.contributions:
        figure, share = reliability.contributions[0].figure, reliability.contributions[0].share
        yield Message(
            "Measure {figure} again first: it is {share} of the variance.",
            figure=_described(figure),
            share=units.share(share),
        )
    for figure in reliability.unknown:
        yield Message(
            "Not drawn, since its error is unknown: {figure}, measured once.",
            figure=_described(figure),
        )


def _loss_sentences(plan: Plan, found: Sequence[Loss]) -> Iterator[str]:
    hosts = [loss for loss in found if loss.level == "host"]
    fatal = [loss for loss in hosts if not loss.survives]
    if not fatal:
        yield Message("Any one host can be lost: the others have room for its replicas.")
    else:
        number = sum(loss.alike for loss in fatal)
        yield Message(
            "{number:,} of {hosts} can't be lost: the others have no room for their replicas;"
            " {more}.",
            number=number,
            hosts=host_number(plan.host_count),
            more=_more(failures.hosts_to_survive("host", hosts)),
        )
    for level in failures.LEVELS[1:]:
        yield from _domain_sentences(level, [loss for loss in found if loss.level == level])
    known = [loss.recovery_seconds for loss in found if loss.recovery_seconds is not None]
    if known:
        yield Message(
            "By the measured starts, the replicas of any loss run again within {time}, once it is"
            " noticed and hosts are there.",
            time=units.quantity(max(known), "second"),
        )


def _domain_sentences(level: failures.Level, found: Sequence[Loss]) -> Iterator[str]:
    if not found:
        return
    fatal = [loss for loss in found if not loss.survives]
    if not fatal:
        yield Message("Any one {level} can be lost.", level=level_name(level))
        return
    yield Message(
        "The plan does not survive the loss of {level} {names}; {more}.",
        level=level_name(level),
        names=some(sorted(loss.name for loss in fatal)),
        more=_more(failures.hosts_to_survive(level, found)),
    )


def _more(number: int | None) -> str:
    if number is None:
        return Message("no number of further hosts is known to do")
    if number == 1:
        return Message("1 more does")
    return Message("{count:,} more do", count=number)


def _growth_sentences(file: PlanFile, end: Growth) -> Iterator[str]:
    if not any(share > 0 for share in file.growth.values()):
        return
    if end.month is None:
        yield Message("These hosts suffice for {months} of growth.", months=_months(end.searched))
    elif not end.is_exact:
        yield Message(
            "These hosts suffice for {months} of growth; for later ones it was not decided in"
            " time.",
            months=_months(end.month - 1),
        )
    elif end.hosts is None:
        yield Message(
            "From month {month} on, no plan with these kinds of hosts was found.", month=end.month
        )
    else:
        yield Message(
            "These hosts are too few from month {month} on: {hosts:,} are then needed.",
            month=end.month,
            hosts=end.hosts,
        )


def _months(number: int) -> Message:
    return Message("1 month") if number == 1 else Message("{count} months", count=number)


def _sensitivity_sentences(found: Sensitivities) -> Iterator[str]:
    sensitive = [each for each in found.decided if each.matters]
    if not sensitive and not found.undecided:
        yield Message("No single assumption that is 10 % off changes the number of hosts.")
    for each in sensitive[:_MOST_SENTENCES]:
        yield Message(
            "If 10 % off, {assumption} changes the number of hosts: {lower} if it is lower,"
            " {higher} if higher.",
            assumption=each.assumption,
            lower=_signed(each.lower),
            higher=_signed(each.higher),
        )
    if found.undecided == 1:
        yield Message(
            "For 1 assumption it was not decided in time if 10 % more or less changes the number of"
            " hosts."
        )
    elif found.undecided:
        yield Message(
            "For {count:,} assumptions it was not decided in time if 10 % more or less changes the"
            " number of hosts.",
            count=found.undecided,
        )


def _signed(number: int | None) -> str:
    return Message("no plan") if number is None else f"{number:+,}" if number else "0"


def _described(figure: MeasuredFigure) -> str:
    return Message(
        "the {resource} of {target} in {run}",
        resource=label(figure.resource),
        target=figure.target,
        run=figure.run.name,
    )


def _hold(number: int) -> str:
    hosts = host_number(number)
    if number == 1:
        return Message("{hosts} holds", hosts=hosts)
    return Message("{hosts} hold", hosts=hosts)


def _scatter(per_replica: bool) -> str:
    if per_replica:
        return Message("and the scatter of single replicas")
    return Message("not the scatter of single replicas")
