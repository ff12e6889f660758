"""How much a run measures: `quick` for a first look, `full` for figures to rely on."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from lab.errors import LabError
from lab.targets.registry import NAMES, TUNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.host.kvm import Accelerator
    from lab.targets.base import Kind
    from lab.workloads import Workload


@dataclass(frozen=True, slots=True)
class Density:
    """When a density run stops: whichever limit is met first.

    `fill_seconds` is for those that start so slowly that their count would take all day, and
    `longer` names those that get more time, to meet a limit of the host.
    """

    containers: int
    machines: int
    memory_floor_bytes: int
    start_limit_seconds: float
    fill_seconds: float = 60.0
    longer: Mapping[str, float] = field(default_factory=dict)

    def seconds_for(self, target: str) -> float:
        """For how long a target may start instances."""
        return self.longer.get(target, self.fill_seconds)


@dataclass(frozen=True, slots=True)
class Burst:
    """How many are asked for at once, at most; no more once half take longer than the limit.

    None of a kind means that it takes no part.
    """

    containers: int
    machines: int
    limit_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Profile:
    """Rounds by experiment; machines that are emulated, being slow, take part in every n-th.

    `only` names the targets of an experiment that not all have time for, `only_emulated` those of
    one where machines are emulated; both yield to targets that the user names. `workloads` are
    those of `performance`, which a run adds. `minutes` is what the whole of it may take on the
    reference host.
    """

    name: Literal["quick", "full"]
    minutes: float
    rounds: dict[str, int]
    machines_every: int
    density: Density
    burst: Burst
    only: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    only_emulated: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    workloads: Mapping[str, Workload] = field(default_factory=dict)

    def on(self, accelerator: Accelerator) -> Profile:
        """The profile for machines that are as fast as that: under KVM they join every round."""
        if accelerator == "kvm":
            return replace(self, machines_every=1)
        return replace(self, only={**self.only, **self.only_emulated})

    def of_named_targets(self) -> Profile:
        """The profile where the user has named the targets: it has time for them all."""
        return replace(self, only={}, only_emulated={})

    def asks(self, experiment: str, target: str) -> bool:
        """Whether the experiment has time for the target."""
        return target in self.only.get(experiment, (target,))

    def has_turn(self, kind: Kind, number: int) -> bool:
        """Whether targets of that kind take part in the round of this number."""
        return kind != "machine" or number % self.machines_every == 0


_GIB = 1 << 30
_UNTUNED = tuple(name for name in NAMES if name not in TUNED)
# Without those machines that differ by who starts them alone: many of them are as many of `vm`.
_APART = tuple(name for name in _UNTUNED if name not in {"qemu", "qemu-microvm", "virt-install"})

PROFILES = {
    "quick": Profile(
        name="quick",
        minutes=5,
        rounds={
            "startup": 12,
            "burst": 1,
            "footprint": 2,
            "density": 1,
            "performance": 3,
            "isolation": 3,
        },
        machines_every=5,
        density=Density(
            containers=2000, machines=8, memory_floor_bytes=2 * _GIB, start_limit_seconds=60.0
        ),
        burst=Burst(16, 0),
        only={
            "burst": ("container",),
            "density": ("container", "microvm"),
            "isolation": ("container",),
        },
    ),
    "full": Profile(
        name="full",
        minutes=60,
        rounds={
            "startup": 24,
            "burst": 2,
            "footprint": 3,
            "density": 1,
            "performance": 3,
            "isolation": 3,
        },
        machines_every=3,
        density=Density(
            containers=100_000,
            machines=10_000,
            memory_floor_bytes=2 * _GIB,
            start_limit_seconds=120.0,
            fill_seconds=20.0,
            longer={"container": 240.0, "microvm": 300.0, "vm": 40.0},
        ),
        burst=Burst(64, 8, limit_seconds=20.0),
        only={
            **dict.fromkeys(("startup", "footprint", "isolation"), _UNTUNED),
            **dict.fromkeys(("burst", "density"), _APART),
        },
        only_emulated={"performance": _UNTUNED},
    ),
}


def find(name: str) -> Profile:
    """The profile of that name. Raises LabError."""
    if name not in PROFILES:
        raise LabError(f"There is no profile {name!r}; there are {', '.join(PROFILES)}.")
    return PROFILES[name]
