"""The registry of experiments: names, and the order of targets."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import pytest

from lab import experiments
from lab.errors import LabError
from lab.experiments import profiles

if TYPE_CHECKING:
    from lab.targets.worker import Worker


def test_density_comes_last_and_ends_with_the_largest_filling() -> None:
    assert experiments.EXPERIMENTS[-1] == "density"
    given = ["crun", "vm", "container", "docker", "microvm"]
    workers = cast("list[Worker]", [SimpleNamespace(target=name) for name in given])
    assert [worker.target for worker in experiments.in_turn("startup", workers)] == given
    turns = [worker.target for worker in experiments.in_turn("density", workers)]
    assert turns == ["vm", "microvm", "docker", "crun", "container"]


def test_unknown_names_are_refused() -> None:
    with pytest.raises(LabError, match="no experiment 'colour'"):
        experiments.find("colour")
    with pytest.raises(LabError, match="no profile"):
        profiles.find("heroic")
