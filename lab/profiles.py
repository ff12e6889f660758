"""How much a run measures: `quick` for a first look, `full` for figures to rely on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.workloads import Workload


@dataclass(frozen=True, slots=True)
class Density:
    """When a density run stops: whichever limit is met first."""

    containers: int
    machines: int
    memory_floor_bytes: int
    start_limit_seconds: float


@dataclass(frozen=True, slots=True)
class Burst:
    """How many are asked for at once, at most; no more once half take longer than the limit."""

    containers: int
    machines: int
    limit_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Rounds by experiment; machines, being slow, take part in every n-th round of starts.

    `workloads` are those of `performance`, which a run adds. `minutes` is what the whole of it may
    take on the reference host.
    """

    name: Literal["quick", "full"]
    minutes: float
    rounds: dict[str, int]
    machines_every: int
    density: Density
    burst: Burst = Burst(16, 2)
    workloads: Mapping[str, Workload] = field(default_factory=dict)


_GIB = 1 << 30

PROFILES = {
    "quick": Profile(
        name="quick",
        minutes=5,
        rounds={
            "startup": 15,
            "burst": 1,
            "footprint": 2,
            "density": 1,
            "performance": 3,
            "isolation": 1,
        },
        machines_every=5,
        density=Density(
            containers=500, machines=8, memory_floor_bytes=2 * _GIB, start_limit_seconds=60.0
        ),
    ),
    "full": Profile(
        name="full",
        minutes=60,
        rounds={
            "startup": 40,
            "burst": 3,
            "footprint": 5,
            "density": 2,
            "performance": 4,
            "isolation": 4,
        },
        machines_every=3,
        density=Density(
            containers=4000, machines=32, memory_floor_bytes=2 * _GIB, start_limit_seconds=120.0
        ),
        burst=Burst(256, 16),
    ),
}


def find(name: str) -> Profile:
    """The profile of that name. Raises LabError."""
    if name not in PROFILES:
        raise LabError(f"There is no profile {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
