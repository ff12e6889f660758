"""Profiles: which targets take part in which rounds."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from lab import experiments
from lab.experiments import profiles, startup

if TYPE_CHECKING:
    pass


@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=profiles.PROFILES)
def test_machines_join_the_first_round_and_then_evenly(profile: profiles.Profile) -> None:
    joined = [n for n in range(30) if startup.joins("vm", "machine", n, profile)]
    assert joined[0] == 0
    assert {b - a for a, b in itertools.pairwise(joined)} == {profile.machines_every}
    assert all(startup.joins("crun", "container", n, profile) for n in range(30))


@pytest.mark.parametrize("profile", profiles.PROFILES.values(), ids=profiles.PROFILES)
def test_every_profile_covers_every_experiment(profile: profiles.Profile) -> None:
    assert set(profile.rounds) == set(experiments.EXPERIMENTS)


def test_an_experiment_may_be_restricted_to_some_targets() -> None:
    quick = profiles.PROFILES["quick"]
    assert quick.asks("density", "container")
    assert not quick.asks("density", "crun")
    assert all(quick.asks("startup", name) for name in ("crun", "vm"))
    assert replace(quick, only={}).asks("density", "crun")


def test_the_full_profile_fills_until_a_limit_of_the_host_ends_it() -> None:
    quick, full = (profiles.PROFILES[name].density for name in ("quick", "full"))
    assert quick.containers == 2000
    assert full.containers > 32_768  # more than the default limit on process ids
    assert full.seconds_for("container") > full.seconds_for("crun")
    assert min(quick.memory_floor_bytes, full.memory_floor_bytes) >= 1 << 31
