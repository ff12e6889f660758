"""How much a run measures: `quick` for a first look, `full` for figures to rely on."""

from __future__ import annotations

from dataclasses import dataclass

from lab.errors import LabError


@dataclass(frozen=True, slots=True)
class Density:
    """When a density run stops: whichever limit is met first."""

    containers: int
    machines: int
    memory_floor_bytes: int
    start_limit_seconds: float


@dataclass(frozen=True, slots=True)
class Profile:
    """Rounds by experiment; machines, being slow, take part in every n-th round of `startup`."""

    name: str
    rounds: dict[str, int]
    machines_every: int
    density: Density


_GIB = 1 << 30

PROFILES = {
    "quick": Profile(
        name="quick",
        rounds={"startup": 15, "footprint": 2, "density": 1, "performance": 3},
        machines_every=5,
        density=Density(
            containers=500, machines=8, memory_floor_bytes=2 * _GIB, start_limit_seconds=60.0
        ),
    ),
    "full": Profile(
        name="full",
        rounds={"startup": 60, "footprint": 5, "density": 3, "performance": 10},
        machines_every=3,
        density=Density(
            containers=2000, machines=32, memory_floor_bytes=2 * _GIB, start_limit_seconds=120.0
        ),
    ),
}


def find(name: str) -> Profile:
    """The profile of that name. Raises LabError."""
    if name not in PROFILES:
        raise LabError(f"There is no profile {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
