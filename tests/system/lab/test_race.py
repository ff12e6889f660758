"""`tonnage race` on this host: real starts at the same moment."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from lab import targets

pytestmark = pytest.mark.root


def race(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "lab", "race", "--wait", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def test_a_container_and_a_machine_race() -> None:
    if why := targets.find("microvm").absent():
        pytest.skip(why)
    done = race("container,microvm", "--json")
    assert done.returncode == 0, done.stderr
    document = json.loads(done.stdout)
    assert document["order"][0] == "container"
    assert document["order"][1].startswith("microvm")
    assert document["times_longer"] > 1
    assert document["steps_seconds"]["container"]


def test_a_target_that_can_not_run_here_is_named() -> None:
    done = race("container,nothing")
    assert done.returncode == 2
    assert "There is no target 'nothing'" in done.stderr
