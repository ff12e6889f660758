"""A race as CSV and as Markdown."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab import tables, units
from lab.analysis import labels
from lab.classroom.race import FINISH, outcome
from lab.language.message import Language, Message, translated

if TYPE_CHECKING:
    from lab.classroom.race import Lap, Race

_COLUMNS = ("target", "event", "seconds", "place", "failed")


def csv_lines(race: Race) -> str:
    """Return the laps in the order in which they happened; a target that failed has no time."""
    rows = [
        (str(lap.target), str(lap.name), "" if lap.failed else lap.seconds, _place(race, lap),
         str(lap.failed))
        for lap in race.laps
    ]  # fmt: skip
    return tables.csv_lines(_COLUMNS, rows)


def markdown(race: Race, predicted: float | None, language: Language) -> str:
    """Return the laps as a table, and below it the sentences on the outcome."""
    headings = (Message("time"), Message("target"), Message("event"), Message("place"))
    rows = [
        (
            Message("out") if lap.failed else units.quantity(lap.seconds, "second"),
            lap.target,
            labels.metric(lap.name),
            str(_place(race, lap)),
        )
        for lap in race.laps
    ]
    sentences = [tables.literal(translated(line, language)) for line in outcome(race, predicted)]
    return "\n\n".join(["\n".join(tables.markdown(headings, rows, language)), *sentences])


def _place(race: Race, lap: Lap) -> int | str:
    """Return the place of a target that is ready; empty for every other event."""
    if lap.failed or lap.name != FINISH:
        return ""
    return [each.target for each in race.finished()].index(lap.target) + 1
