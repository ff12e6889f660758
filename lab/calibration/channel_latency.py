"""What stands between an instance's event and its stamp here; and whether its clock is right.

Both are found by asking: a command that does nothing, timed here and there over the same span. What
the host saw beyond what the instance timed is the channel, both ways together, so that no event
arrives later than that. Two spans of different length, one less the other, leave the clocks alone.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import LabError

if TYPE_CHECKING:
    from lab.targets.base import Instance, Target

_SECONDS = 60.0
_NOTHING = ("true",)
_SHORT_SECONDS, _LONG_SECONDS = 0.1, 1.6


@dataclass(frozen=True, slots=True)
class Heard:
    """What a target's channels take and how far its clock drifts, a value a repetition.

    `agent_seconds`: request and reply together, beyond what the command took there.
    `console_seconds`: from the request to write a line on the console until it was here; empty if
    the target has no console. `drift`: seconds that its clock gains in each of the host's.
    """

    agent_seconds: list[float]
    console_seconds: list[float]
    drift: list[float]


def listen(target: Target, repetitions: int, drifts: int) -> Heard:
    """Start one instance and measure its channels so many times."""
    with target.start() as instance:
        instance.reached("ready")
        return Heard(
            agent_seconds=[_beyond_seconds(instance) for _ in range(repetitions)],
            console_seconds=_console_seconds(instance, repetitions),
            drift=[_drift(instance) for _ in range(drifts)],
        )


def _beyond_seconds(instance: Instance) -> float:
    here, there = _both_clocks(instance, _NOTHING)
    return here - there


def _drift(instance: Instance) -> float:
    short_here, short_there = _both_clocks(instance, ("sleep", str(_SHORT_SECONDS)))
    long_here, long_there = _both_clocks(instance, ("sleep", str(_LONG_SECONDS)))
    return (long_there - short_there) / (long_here - short_here) - 1


def _both_clocks(instance: Instance, argv: tuple[str, ...]) -> tuple[float, float]:
    """Seconds that a command took by the host's clock, channel and all, and by the instance's."""
    begin_ns = time.monotonic_ns()
    done = instance.run(list(argv), _SECONDS)
    here_ns = time.monotonic_ns() - begin_ns
    if done.exit_code:
        raise LabError(f"{argv[0]} failed with exit code {done.exit_code}.")
    return here_ns / 1e9, done.elapsed_ns / 1e9


def _console_seconds(instance: Instance, repetitions: int) -> list[float]:
    """Empty if the instance has no console."""
    if not instance.has_console:
        return []
    return [_until_heard(instance, f"tonnage-{number}") for number in range(repetitions)]


def _until_heard(instance: Instance, word: str) -> float:
    """A thread waits for the line, since one that nobody waits for is stamped when it is read."""
    heard: list[int] = []
    deadline_ns = time.monotonic_ns() + int(_SECONDS * 1e9)
    listener = threading.Thread(target=lambda: heard.append(instance.console(word, deadline_ns)))
    listener.start()
    begin_ns = time.monotonic_ns()
    instance.run(["sh", "-c", f"echo {word} >/dev/ttyS0"], _SECONDS)
    listener.join()
    if not heard:
        raise LabError(f"The console did not carry a line within {_SECONDS:.0f} s.")
    return (heard[0] - begin_ns) / 1e9
