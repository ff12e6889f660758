"""Reasons why a run lacks the figure that a claim is judged by."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.analysis import labels, series
from lab.analysis.stored_texts import stored
from lab.language.message import Message, clause, joined
from lab.language.punctuation import COLON

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lab.results.run_folder import Run


def reason(run: Run, experiment: str, targets: Sequence[str]) -> Message:
    """Return the reason why the run has no figure of the targets, without a full stop.

    The reason is that of the first target without any value in the experiment, if there is one.
    """
    shown = labels.experiment(experiment)
    if untested := run.settings.get("untested", {}).get(experiment):
        return Message(
            "{experiment} can't be measured on this host: {reason}",
            experiment=shown,
            reason=clause(stored(untested)),
        )
    if experiment not in run.settings.get("experiments", ()):
        return Message("{experiment} was not measured in this run", experiment=shown)
    without = [target for target in targets if not _has_values(run, experiment, target)]
    if not without:
        return _other_figures(run, experiment, targets[0])
    name = labels.target_name(without[0])
    if absent := run.settings.get("absent", {}).get(without[0]):
        return Message(
            "{target} is absent on this host: {reason}", target=name, reason=clause(stored(absent))
        )
    count, reasons = failures(run, experiment, without[0])
    if not count:
        return Message(
            "{target} has no finished round of {experiment} in this run",
            target=name,
            experiment=shown,
        )
    first = clause(stored(reasons[0]))
    if count == 1:
        return Message("the only attempt of {target} failed: {reason}", target=name, reason=first)
    return Message(
        "all {count} attempts of {target} failed: {reason}", count=count, target=name, reason=first
    )


def failures(run: Run, experiment: str, target: str) -> tuple[int, list[str]]:
    """Return the number of the target's censored samples, and their distinct reasons."""
    failed = series.failures(run).get((experiment, target), [])
    return len(failed), list(dict.fromkeys(failure.reason for failure in failed))


def _other_figures(run: Run, experiment: str, target: str) -> Message:
    other = Message(
        "{target} has other figures of {experiment} in this run, but not this one",
        target=labels.target_name(target),
        experiment=labels.experiment(experiment),
    )
    _, reasons = failures(run, experiment, target)
    return joined(COLON, (other, clause(stored(reasons[0])))) if reasons else other


def _has_values(run: Run, experiment: str, target: str) -> bool:
    by_metric = series.of_experiment(run, experiment).values()
    return any(target in each and each[target].values for each in by_metric)
