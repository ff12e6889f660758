"""The delay between an event in an instance and its time stamp here, and the drift of its clock.

Both are measured with a command that does nothing, timed by both clocks over the same span. The
time that the host saw beyond the instance's own is the channel, both ways together, so no event
arrives later than that. The difference of two spans of different length isolates the clocks.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import TargetFailed

if TYPE_CHECKING:
    from lab.targets.base import Instance, Target

_SECONDS = 60.0
_NO_WORK = ("true",)
_SHORT_SECONDS, _LONG_SECONDS = 0.1, 1.6


@dataclass(frozen=True, slots=True)
class Latencies:
    """The delays of a target's channels and the drift of its clock, a value per repetition.

    `agent_seconds`: request and reply together, beyond the command's own time in the instance.
    `console_seconds`: from the request to write a line to its arrival here; empty without console.
    `drift`: seconds that the instance's clock gains per second of the host's.
    """

    agent_seconds: list[float]
    console_seconds: list[float]
    drift: list[float]


def measure(target: Target, repetitions: int, drifts: int) -> Latencies:
    """Start an instance and measure its channels `repetitions` times, its drift `drifts` times."""
    with target.start() as instance:
        instance.reached("ready")
        return Latencies(
            agent_seconds=[_agent_seconds(instance) for _ in range(repetitions)],
            console_seconds=_console_seconds(instance, repetitions),
            drift=[_drift(instance) for _ in range(drifts)],
        )


def _agent_seconds(instance: Instance) -> float:
    here, there = _both_clocks(instance, _NO_WORK)
    return here - there


def _drift(instance: Instance) -> float:
    short_here, short_there = _both_clocks(instance, ("sleep", str(_SHORT_SECONDS)))
    long_here, long_there = _both_clocks(instance, ("sleep", str(_LONG_SECONDS)))
    return (long_there - short_there) / (long_here - short_here) - 1


def _both_clocks(instance: Instance, argv: tuple[str, ...]) -> tuple[float, float]:
    """Return a command's seconds by the host's clock, with the channel, and by the instance's."""
    begin_ns = time.monotonic_ns()
    result = instance.run(list(argv), _SECONDS)
    here_ns = time.monotonic_ns() - begin_ns
    if result.exit_code:
        raise TargetFailed(f"{argv[0]} failed in the instance with exit code {result.exit_code}.")
    return here_ns / 1e9, result.elapsed_ns / 1e9


def _console_seconds(instance: Instance, repetitions: int) -> list[float]:
    """Return a delay per repetition; an empty list if the instance has no console."""
    if not instance.has_console:
        return []
    return [_line_seconds(instance, f"tonnage-{number}") for number in range(repetitions)]


def _line_seconds(instance: Instance, word: str) -> float:
    """Return the delay of a console line, awaited by a thread so that it is stamped on arrival."""
    arrivals: list[int] = []
    deadline_ns = time.monotonic_ns() + int(_SECONDS * 1e9)
    reader = threading.Thread(target=lambda: arrivals.append(instance.console(word, deadline_ns)))
    reader.start()
    begin_ns = time.monotonic_ns()
    instance.run(["sh", "-c", f"echo {word} >/dev/ttyS0"], _SECONDS)
    reader.join()
    if not arrivals:
        raise TargetFailed(f"No line arrived on the instance's console within {_SECONDS:.0f} s.")
    return (arrivals[0] - begin_ns) / 1e9
