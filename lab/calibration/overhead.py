"""The time that the harness adds: the same work timed by the harness, and without it.

The reference is as short as possible: spawn, read or wait, a single clock, no class of the lab. The
two sides of a pair run next to each other in random order, in a worker like any target's.
"""

from __future__ import annotations

import os
import random
import time
from typing import TYPE_CHECKING

from lab.calibration.aa_trials import in_random_order
from lab.paths import PAYLOAD_IN_TREE

if TYPE_CHECKING:
    from collections.abc import Callable

    from lab.targets.base import Target

Pairs = list[tuple[float, float]]

_RUN_SECONDS = 60.0


def of_starts(target: Target, pairs: int, seed: int) -> Pairs:
    """Return seconds to the payload's first instruction: by the harness, and without it."""

    def by_harness() -> float:
        with target.start() as instance:
            reached_ns = instance.reached("first-instruction")
            assert reached_ns is not None
            return (reached_ns - instance.t0_ns) / 1e9

    payload = str(target.settings.userland.payload)
    return _paired(by_harness, lambda: _start(payload), pairs, seed)


def of_runs(target: Target, count: int, pairs: int, seed: int) -> Pairs:
    """Return seconds of the payload's `syscalls`: by the harness in an instance, and without it."""
    payload = str(target.settings.userland.payload)
    with target.start() as instance:
        instance.reached("ready")

        def by_harness() -> float:
            argv = [PAYLOAD_IN_TREE, "syscalls", str(count)]
            return instance.run(argv, _RUN_SECONDS).elapsed_ns / 1e9

        return _paired(by_harness, lambda: _run(payload, count), pairs, seed)


def _paired(
    by_harness: Callable[[], float], without: Callable[[], float], pairs: int, seed: int
) -> Pairs:
    chance = random.Random(seed)
    sides = (by_harness, without)
    return [in_random_order(chance, lambda side: sides[side]()) for _ in range(pairs)]


def _start(payload: str) -> float:
    """Return seconds from spawn to the first instruction, which the payload itself reports."""
    read_end, write_end = os.pipe2(os.O_CLOEXEC)
    begin_ns = time.monotonic_ns()
    pid = os.posix_spawn(
        payload, [payload, "hello"], {}, file_actions=[(os.POSIX_SPAWN_DUP2, write_end, 1)]
    )
    os.close(write_end)
    line = os.read(read_end, 100)
    os.close(read_end)
    os.waitpid(pid, 0)
    return (int(line.split()[1]) - begin_ns) / 1e9


def _run(payload: str, count: int) -> float:
    begin_ns = time.monotonic_ns()
    pid = os.posix_spawn(payload, [payload, "syscalls", str(count)], {})
    os.waitpid(pid, 0)
    return (time.monotonic_ns() - begin_ns) / 1e9
