"""The registry: targets that are machines, and targets of the full profile only."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab import targets
from lab.analysis import summary
from lab.errors import Unavailable
from lab.measurement import run
from lab.results import run_folder
from tests.lab.plausible import write

if TYPE_CHECKING:
    from pathlib import Path


def test_the_quick_profile_leaves_other_machines_out() -> None:
    present, absent = run._choose(None, "quick", {})
    assert not set(targets.FULL_ONLY) & {*present, *absent}
    present, absent = run._choose(None, "full", {})
    assert set(targets.FULL_ONLY) <= {*present, *absent}
    assert all(absent.values())


def test_what_runs_without_kvm_is_not_called_emulated(tmp_path: Path) -> None:
    record = run_folder.load(write(tmp_path / "run", accelerator="tcg"))
    assert summary.label("uml", record) == "uml"
    assert summary.label("microvm", record) == "microvm (emulated)"


def test_targets_that_can_not_run_an_image_are_left_out_with_the_reason() -> None:
    refusals = {name: targets.find(name).image_refusal for name in targets.NAMES}
    able = {name for name, why in refusals.items() if not why}
    assert able == {
        "container", "crun", "runc", "podman", "docker", "vm", "microvm", "qemu", "qemu-microvm",
    }  # fmt: skip
    for name in set(targets.NAMES) - able:
        assert run._absent(name, {}, image=True) == f"it can't run an image: {refusals[name]}"
    with pytest.raises(Unavailable, match=r"native can't be measured here: it can't run an image"):
        run._choose(("native",), "quick", {}, image=True)
