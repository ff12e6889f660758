"""A race: what happens in each target after one request, in the order in which it happens."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from lab import units

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


def outcome(race: Race, predicted: float | None = None) -> list[str]:
    """Return sentences: how the targets differ, the prediction, and where the time went."""
    ready = race.finished()
    lines = []
    if times := race.times_longer():
        first, last = ready[0], ready[-1]
        lines.append(
            f"{last.target} took {_times(times)} as long as {first.target}:"
            f" {units.quantity(last.seconds, 'second')} and"
            f" {units.quantity(first.seconds, 'second')}."
        )
        if predicted is not None:
            lines.append(f"You predicted {_times(predicted)}: {_judged(predicted / times)}.")
    lines += [f"{lap.target} did not finish: {lap.failed}" for lap in race.failed()]
    lines += list(_reasons(race, (lap.target for lap in ready)))
    return lines


def _reasons(race: Race, targets: Iterable[str]) -> Iterable[str]:
    for target in targets:
        if longest := race.longest_step(target):
            step, seconds = longest
            shown = units.quantity(seconds, "second")
            yield f"{target}: most of the time went into {step!r}, {shown}."


def _times(ratio: float) -> str:
    return f"{ratio:,.0f} times" if ratio >= 10 else f"{ratio:.2g} times"


def _judged(ratio: float) -> str:
    """Return how good a prediction is, by its ratio to what was measured."""
    if 0.5 <= ratio <= 2:
        return "within a factor of two"
    much = max(ratio, 1 / ratio)
    return f"{'too many' if ratio > 1 else 'too few'} by a factor of {much:,.0f}"
