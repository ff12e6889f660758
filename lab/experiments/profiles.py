"""Profiles: how much a run measures. `quick` gives a first impression, `full` reliable figures."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

from lab.errors import NotFound
from lab.targets.registry import NAMES, TUNED

if TYPE_CHECKING:
    from collections.abc import Mapping

    from lab.host.kvm import Accelerator
    from lab.targets.base import Kind
    from lab.workloads import Workload


@dataclass(frozen=True, slots=True)
class Density:
    """The limits of a density run, which stops at the first that is reached.

    `fill_seconds` limits targets that start too slowly to reach their count; `longer` gives some
    targets more time, so that they reach a limit of the host.
    """

    containers: int
    machines: int
    memory_floor_bytes: int
    start_limit_seconds: float
    fill_seconds: float = 60.0
    longer: Mapping[str, float] = field(default_factory=dict)

    def seconds_for(self, target: str) -> float:
        """Return for how long a target may start instances."""
        return self.longer.get(target, self.fill_seconds)


@dataclass(frozen=True, slots=True)
class Burst:
    """The maximum number of simultaneous starts; a kind with 0 does not take part.

    The number no longer grows once the median latency exceeds `limit_seconds`.
    """

    containers: int
    machines: int
    limit_seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Profile:
    """The rounds of each experiment, and the targets that take part.

    Emulated machines are slow and take part in every `machines_every`-th round. `only` restricts
    an experiment to some targets to save time, `only_emulated` does so where machines are emulated;
    neither applies to targets that the user names. A run adds `workloads`, for `performance`.
    `delivered` is what the images of `delivery` are made of: a few programs, or the user land.
    `minutes` is the time that a run of this profile may take on the reference host.
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
    delivered: Literal["programs", "user land"] = "user land"

    def on(self, accelerator: Accelerator) -> Profile:
        """Return the profile for an accelerator: under KVM, machines join every round."""
        if accelerator == "kvm":
            return replace(self, machines_every=1)
        return replace(self, only={**self.only, **self.only_emulated})

    def of_named_targets(self) -> Profile:
        """Return the profile for targets that the user named: none is left out to save time."""
        return replace(self, only={}, only_emulated={})

    def with_runtimes(self, names: tuple[str, ...]) -> Profile:
        """Return the profile for OCI runtimes that the user named: they take part as crun does."""
        only, emulated = (
            {
                experiment: (*chosen, *names) if "crun" in chosen else chosen
                for experiment, chosen in restrictions.items()
            }
            for restrictions in (self.only, self.only_emulated)
        )
        return replace(self, only=only, only_emulated=emulated)

    def asks(self, experiment: str, target: str) -> bool:
        """Return True if the experiment includes the target."""
        return target in self.only.get(experiment, (target,))

    def has_turn(self, kind: Kind, number: int) -> bool:
        """Return True if targets of that kind take part in round `number`."""
        return kind != "machine" or number % self.machines_every == 0


_GIB = 1 << 30
_UNTUNED = tuple(name for name in NAMES if name not in TUNED)
# Without machines that differ from `vm` only by what starts them: their density is the same.
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
            "delivery": 2,
        },
        machines_every=5,
        density=Density(
            containers=2000, machines=8, memory_floor_bytes=2 * _GIB, start_limit_seconds=60.0
        ),
        burst=Burst(16, 0),
        delivered="programs",
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
            "delivery": 3,
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
            **dict.fromkeys(("startup", "footprint", "isolation", "delivery"), _UNTUNED),
            **dict.fromkeys(("burst", "density"), _APART),
        },
        only_emulated={"performance": _UNTUNED},
    ),
}


def find(name: str) -> Profile:
    """Return the profile of that name. Raise NotFound."""
    if name not in PROFILES:
        raise NotFound(f"There is no profile {name!r}; choose from {', '.join(PROFILES)}.")
    return PROFILES[name]
