"""Judges of claims about images: equal everywhere, built and shared, moved to other hosts."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis import labels
from lab.analysis.stored_texts import stored
from lab.claims.finding import (
    ENGINES,
    MACHINES,
    Finding,
    Verdict,
    inconclusive,
    lies_above,
    untested,
)
from lab.language.message import Message, joined
from lab.language.punctuation import COMMA, SEMICOLON

if TYPE_CHECKING:
    from collections.abc import Iterable

    from lab.claims.evidence import Evidence, Figure

# What an engine does from a Dockerfile to an image on another host.
_FROM_DOCKERFILE_TO_HOST = ("build-cold", "build-cached", "push", "pull-cold")


def image_is_the_same(evidence: Evidence) -> Finding:
    """Judge: programs inside and pulled images have the digests of what was shipped, everywhere."""
    inside = _by_target(
        evidence, "footprint", "same-user-land", (*ENGINES, "crun", "runc", *MACHINES)
    )
    pulled = _by_target(evidence, "delivery", "same-image", (*ENGINES, "runc"))
    figures = [*inside.values(), *pulled.values()]
    if not figures:
        return untested(evidence.missing("footprint", "container"))
    if different := _different(evidence, "footprint", "same-user-land", inside):
        reason = Message("the files differ in {targets}", targets=_names(different))
        return Finding(Verdict.FAILS, reason, figures)
    if different := _different(evidence, "delivery", "same-image", pulled):
        return Finding(Verdict.FAILS, _pulled_another(different), figures)
    reasons = []
    if inside:
        digest = evidence.note("footprint", "container", "same-user-land")
        reasons.append(Message("the same digest in all of them ({digest})", digest=digest))
    if pulled:
        reasons.append(Message("every tool pulled the image that was pushed, by its ID"))
    reasons.append(
        Message(
            "this covers files, which are what an image carries; kernel and limits belong to"
            " each host"
        )
    )
    return Finding(Verdict.HOLDS, joined(SEMICOLON, reasons), figures)


def images_are_built_and_shared(evidence: Evidence) -> Finding:
    """Judge: every engine builds a Dockerfile, pushes the image to a registry, and pulls it."""
    done = {name: list(_of_metrics(evidence, name, _FROM_DOCKERFILE_TO_HOST)) for name in ENGINES}
    if not done["container"]:
        return untested(evidence.missing("delivery", "container"))
    figures = [figure for each in done.values() for figure in each]
    tried = [name for name in ENGINES if done[name] or evidence.failures("delivery", name)[0]]
    if broken := [name for name in tried if not done[name]]:
        _, reasons = evidence.failures("delivery", broken[0])
        reason = Message(
            "{target} failed: {reason}",
            target=labels.target_name(broken[0]),
            reason=stored(reasons[0]),
        )
        return Finding(Verdict.INCONCLUSIVE, reason, figures)
    pulled = [name for name in tried if evidence.measured("delivery", name, "same-image")]
    if different := _different(evidence, "delivery", "same-image", pulled):
        return Finding(Verdict.FAILS, _pulled_another(different), figures)
    reason = Message(
        "built from a Dockerfile, pushed to a registry and pulled from one by {targets}",
        targets=joined(COMMA, map(evidence.label, tried)),
    )
    return Finding(Verdict.HOLDS, reason, figures)


def moves_more_easily(evidence: Evidence) -> Finding:
    """Judge: a container has fewer bytes to ship than a machine, and arrives in less time.

    Runs without a delivery of both are judged by their copies on one disk.
    """
    return (
        _moved(evidence, "delivery", ("wire-cold", "pull-cold"),
               Message("bytes on the wire, seconds to fetch and unpack them"))
        or _moved(evidence, "footprint", ("image-compressed", "move"),
                  Message("bytes as shipped, seconds to copy and unpack them"))
        or untested(evidence.missing("footprint", "vm", "container"))
    )  # fmt: skip


def _moved(
    evidence: Evidence, experiment: str, metrics: tuple[str, str], measures: Message
) -> Finding | None:
    """Return the finding by two metrics of an experiment; None if it measured neither of them."""
    ratios = [
        figure
        for metric in metrics
        if (figure := evidence.compared(experiment, metric, "vm", "container"))
    ]
    if not ratios:
        return None
    figures = ratios + [
        figure
        for name in ("container", "vm")
        for metric in metrics
        if (figure := evidence.measured(experiment, name, metric))
    ]
    answers = [lies_above(ratio, 1.0) for ratio in ratios]
    if all(answers):
        reason = Message(
            "the machine takes more in both measures (same user land: {measures})",
            measures=measures,
        )
        return Finding(Verdict.HOLDS, reason, figures)
    if False not in answers:
        return inconclusive(ratios[answers.index(None)], figures, "1 ×")
    reason = Message(
        "no more in {metric}: a machine's disk is used as it was shipped (same user land:"
        " {measures})",
        metric=ratios[answers.index(False)].metric,
        measures=measures,
    )
    return Finding(Verdict.FAILS, reason, figures)


def _by_target(
    evidence: Evidence, experiment: str, metric: str, targets: Iterable[str]
) -> dict[str, Figure]:
    return {
        name: figure for name in targets if (figure := evidence.measured(experiment, name, metric))
    }


def _of_metrics(evidence: Evidence, target: str, metrics: Iterable[str]) -> Iterable[Figure]:
    for metric in metrics:
        if figure := evidence.measured("delivery", target, metric):
            yield figure


def _different(
    evidence: Evidence, experiment: str, metric: str, targets: Iterable[str]
) -> list[str]:
    """Return the targets in which a round found another digest."""
    return [name for name in targets if evidence.extremes(experiment, name, metric) != (1, 1)]


def _names(targets: Iterable[str]) -> Message:
    return joined(COMMA, map(labels.target_name, targets))


def _pulled_another(targets: Iterable[str]) -> Message:
    return Message(
        "the image that was pulled differs from the pushed one in {targets}",
        targets=_names(targets),
    )
