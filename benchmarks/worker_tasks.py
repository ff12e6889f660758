"""Tasks that a target's worker runs for a benchmark; a worker imports this module by its name."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from lab.experiments.startup import REST_SECONDS

if TYPE_CHECKING:
    from lab.targets.base import Target

STATES = ("rested", "busy")


def first_instruction_ms(target: Target, state: str) -> float:
    """Return the milliseconds from the request to the first instruction of one start."""
    bring_host_to(state)
    with target.start() as instance:
        reached_ns = instance.reached("first-instruction")
    assert reached_ns is not None
    return (reached_ns - instance.t0_ns) / 1e6


def bring_host_to(state: str) -> None:
    """Bring the host to a state: at rest, as a user meets it, or past the kernel's grace period."""
    if state == "rested":
        time.sleep(REST_SECONDS)
    else:
        move_between_cgroups()


def move_between_cgroups() -> None:
    """Write this process to its own cgroup, which waits out the kernel's grace period."""
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        root = Path("/sys/fs/cgroup") / controllers.removeprefix("name=")
        procs = root / path.lstrip("/") / "cgroup.procs"
        if controllers == "pids" or not controllers:
            procs.write_text(str(os.getpid()))
            return


def start_and_gone_ms(target: Target) -> dict[str, float]:
    """Return a start's milliseconds to the first instruction and to ready, and with the destroy."""
    time.sleep(REST_SECONDS)
    with target.start() as instance:
        first_ns, ready_ns = instance.reached("first-instruction"), instance.reached("ready")
        assert first_ns is not None and ready_ns is not None
        stop_ns = time.monotonic_ns()
        instance.stop()
        gone_ns = time.monotonic_ns() - stop_ns
    first_ns -= instance.t0_ns
    return {
        "first-instruction": first_ns / 1e6,
        "ready": (ready_ns - instance.t0_ns) / 1e6,
        "start and destroy": (first_ns + gone_ns) / 1e6,
    }
