"""A race: what happens in each target after one request, in the order in which it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab import units
from lab.analysis.stored_texts import stored
from lab.errors import InvalidConfig
from lab.language.message import Message

if TYPE_CHECKING:
    from collections.abc import Iterable

FINISH = "ready"


@dataclass(frozen=True, slots=True)
class Lap:
    """One event of a target: a step that ended or a milestone, in seconds since the request.

    `failed` is the reason why the target does not finish; empty otherwise.
    """

    target: str
    name: str
    seconds: float
    failed: str = ""


@dataclass(slots=True)
class Race:
    """A race while it is run: the laps so far, and how long each step took."""

    targets: tuple[str, ...]
    laps: list[Lap] = field(default_factory=list)
    steps: dict[str, dict[str, float]] = field(default_factory=dict)

    def finished(self) -> list[Lap]:
        """Return the last laps of the targets that are ready, the first one first."""
        return sorted(
            (lap for lap in self.laps if lap.name == FINISH and not lap.failed),
            key=lambda lap: lap.seconds,
        )

    def failed(self) -> list[Lap]:
        """Return the laps of the targets that failed."""
        return [lap for lap in self.laps if lap.failed]

    def times_longer(self) -> float | None:
        """Return how many times as long the last target took as the first; None without two."""
        ready = self.finished()
        return ready[-1].seconds / ready[0].seconds if len(ready) > 1 and ready[0].seconds else None

    def longest_step(self, target: str) -> tuple[str, float] | None:
        """Return the step that took most of a target's time, with its seconds; None if unknown."""
        steps = self.steps.get(target)
        return max(steps.items(), key=lambda step: step[1]) if steps else None

    def document(self, predicted: float | None = None) -> dict[str, Any]:
        """Return the race as JSON data."""
        return {
            "targets": list(self.targets),
            "laps": [
                {"target": lap.target, "name": lap.name, "seconds": lap.seconds}
                for lap in self.laps
                if not lap.failed
            ],
            "order": [lap.target for lap in self.finished()],
            "failed": {lap.target: lap.failed for lap in self.failed()},
            "steps_seconds": self.steps,
            "times_longer": self.times_longer(),
            "predicted_times_longer": predicted,
        }


def each_once(targets: Iterable[str]) -> list[str]:
    """Return the targets that a race is asked for, each once. Raise InvalidConfig without any."""
    chosen = list(dict.fromkeys(targets))
    if not chosen:
        raise InvalidConfig("The race has no target: give names, separated by commas.")
    return chosen


def outcome(race: Race, predicted: float | None = None) -> list[Message]:
    """Return sentences: how the targets differ, the prediction, and where the time went."""
    ready = race.finished()
    lines = []
    if times := race.times_longer():
        first, last = ready[0], ready[-1]
        lines.append(
            Message(
                "{last} took {times} times as long as {first}: {last_time} and {first_time}.",
                last=last.target,
                first=first.target,
                times=_ratio(times),
                last_time=units.quantity(last.seconds, "second"),
                first_time=units.quantity(first.seconds, "second"),
            )
        )
        if predicted is not None:
            lines.append(
                Message(
                    "You predicted {predicted} times: {judged}.",
                    predicted=_ratio(predicted),
                    judged=_judged(predicted / times),
                )
            )
    lines += [
        Message("{target} did not finish: {reason}", target=lap.target, reason=stored(lap.failed))
        for lap in race.failed()
    ]
    lines += list(_reasons(race, (lap.target for lap in ready)))
    return lines


def _reasons(race: Race, targets: Iterable[str]) -> Iterable[Message]:
    for target in targets:
        if longest := race.longest_step(target):
            step, seconds = longest
            yield Message(
                "{target}: most of the time went into '{step}', {time}.",
                target=target,
                step=step,
                time=units.quantity(seconds, "second"),
            )


def _ratio(ratio: float) -> str:
    """Return a ratio with three digits below 10, since 1.04 times is not once."""
    return f"{ratio:,.0f}" if ratio >= 9.995 else f"{ratio:.3g}"


def _judged(ratio: float) -> Message:
    """Return how good a prediction is, by its ratio to what was measured."""
    if 0.5 <= ratio <= 2:
        return Message("within a factor of two")
    factor = f"{max(ratio, 1 / ratio):,.0f}"
    if ratio > 1:
        return Message("too many by a factor of {factor}", factor=factor)
    return Message("too few by a factor of {factor}", factor=factor)
