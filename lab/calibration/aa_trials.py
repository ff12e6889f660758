"""A/A trials: fixed work against itself, or against itself made slower.

Every value is a real measurement of a command in an instance. A repetition is a small run of its
own, with rounds in random order and a ratio within each round.
"""

from __future__ import annotations

import os
import random
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from lab.paths import PAYLOAD_IN_TREE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from lab.targets.base import Instance, Target

_RUN_SECONDS = 60.0
_TRIED_CALLS = (20_000, 220_000)
_TRIES = 15


@dataclass(frozen=True, slots=True)
class Work:
    """System calls of known cost: seconds = `fixed_seconds` + `calls` × `call_seconds`."""

    calls: int
    fixed_seconds: float
    call_seconds: float

    def slower(self, size: float) -> int:
        """Return the number of calls that takes longer by the share `size` of the whole."""
        whole = self.fixed_seconds + self.calls * self.call_seconds
        return self.calls + round(size * whole / self.call_seconds)


def find_work(target: Target, seconds: float) -> Work:
    """Return the work that takes that long in an instance of the target."""
    few, many = _TRIED_CALLS
    with _ready(target) as instance:
        fastest = {
            calls: min(_run(instance, calls) for _ in range(_TRIES)) for calls in (few, many)
        }
    call_seconds = (fastest[many] - fastest[few]) / (many - few)
    fixed_seconds = max(0.0, fastest[few] - few * call_seconds)
    calls = max(1, round((seconds - fixed_seconds) / call_seconds))
    return Work(calls, fixed_seconds, call_seconds)


def work_rounds(
    target: Target, calls: tuple[int, int], rounds: int, seed: int
) -> list[tuple[float, float]]:
    """Return seconds of two amounts of work in the same instance, a pair per round."""
    chance = random.Random(seed)
    with _ready(target) as instance:
        return [
            in_random_order(chance, lambda side: _run(instance, calls[side])) for _ in range(rounds)
        ]


def start_rounds(target: Target, rounds: int, seed: int) -> list[tuple[float, float]]:
    """Return seconds to the first instruction of two starts of a target, a pair per round.

    Each start follows a grace period of the kernel, so that both starts of a round meet the same
    state. Waiting until the host is at rest would take a hundred times longer than the starts.
    """
    chance = random.Random(seed)
    return [in_random_order(chance, lambda _: _start(target)) for _ in range(rounds)]


def in_random_order(
    chance: random.Random, measure: Callable[[Literal[0, 1]], float]
) -> tuple[float, float]:
    """Return the values of `measure` for sides 0 and 1, measured in random order."""
    if chance.random() < 0.5:
        first = measure(0)
        return first, measure(1)
    second = measure(1)
    return measure(0), second


@contextmanager
def _ready(target: Target) -> Iterator[Instance]:
    with target.start() as instance:
        instance.reached("ready")
        yield instance


def _run(instance: Instance, calls: int) -> float:
    return instance.run([PAYLOAD_IN_TREE, "syscalls", str(calls)], _RUN_SECONDS).elapsed_ns / 1e9


def _start(target: Target) -> float:
    _move_between_cgroups()
    with target.start() as instance:
        reached_ns = instance.reached("first-instruction")
        assert reached_ns is not None
        return (reached_ns - instance.t0_ns) / 1e9


def _move_between_cgroups() -> None:
    """Move this process to its own cgroup of version 1, which waits for a grace period.

    A start waits for one as well. With version 2 alone neither does. (cgroups(7))
    """
    for line in Path("/proc/self/cgroup").read_text(encoding="utf-8").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers == "pids":
            procs = Path("/sys/fs/cgroup/pids") / path.lstrip("/") / "cgroup.procs"
            with suppress(OSError):  # the hierarchy may be mounted elsewhere
                procs.write_text(str(os.getpid()))
