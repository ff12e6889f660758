"""Recovery: how long the replacement of lost replicas takes, by the measured starts of a run.

`burst` measured how long a number of starts at once takes until the last has started. Each host
starts its part of the replicas, all hosts at the same time, and the services of one host one after
the other: in truth they overlap. More starts at once than were measured go in waves. The time until
the loss is noticed, and that of fetching images, come on top.
"""

from __future__ import annotations

from collections import Counter
from statistics import median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from lab.planning.displacement import Room
    from lab.results.run_folder import Run

Starts = dict[int, float]  # the median of the seconds until so many starts at once are done


def measured_starts(run: Run, target: str) -> Starts:
    """Return the measured starts of a target: those of burst, else of startup; none if neither."""
    samples = run.samples
    own = samples[(samples["target"] == target) & samples["value"].notna()]
    burst = own[(own["experiment"] == "burst") & (own["metric"] == "started-per-second")]
    by_count: dict[int, list[float]] = {}
    for count, rate in zip(burst["position"], burst["value"], strict=True):
        if count > 0 and rate > 0:
            by_count.setdefault(int(count), []).append(count / rate)
    if not by_count:
        alone = own[(own["experiment"] == "startup") & (own["metric"] == "first-instruction")]
        if len(alone):
            by_count[1] = [float(value) for value in alone["value"]]
    return {count: median(seconds) for count, seconds in sorted(by_count.items())}


def seconds_to_start(number: int, starts: Starts) -> float:
    """Return the seconds until so many have started on a host; interpolated between counts."""
    counts = sorted(starts)
    waves, rest = divmod(number, counts[-1])
    seconds = waves * starts[counts[-1]]
    if not rest:
        return seconds
    above = next(count for count in counts if count >= rest)
    below = max((count for count in counts if count <= rest), default=above)
    if above == below:
        return seconds + starts[above]
    share = (rest - below) / (above - below)
    return seconds + starts[below] + share * (starts[above] - starts[below])


def recovery_seconds(
    rooms: Iterable[Room], service_of: Mapping[str, str], starts: Mapping[str, Starts]
) -> float | None:
    """Return the seconds until all displaced replicas have started; None if a start is unknown.

    `starts` has the measured starts of each service.
    """
    longest = 0.0
    for room in rooms:
        numbers: Counter[str] = Counter()
        for name, count in room.started.items():
            numbers[service_of[name]] += count
        if any(not starts.get(service) for service in numbers):
            return None
        seconds = sum(seconds_to_start(count, starts[name]) for name, count in numbers.items())
        longest = max(longest, seconds)
    return longest
