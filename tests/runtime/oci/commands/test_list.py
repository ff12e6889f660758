"""`list` prints any number of containers, in order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.container.state import State, StateDirectory

COMMAND = Path(sys.executable).with_name("tonnage-oci")


def stopped_containers(root: Path, count: int) -> list[str]:
    """Make this many containers that have ended; return their ids."""
    identifiers = [f"box-{number:04}" for number in range(count)]
    for number, identifier in enumerate(identifiers):
        directory = StateDirectory(str(root), identifier)
        directory.make()
        directory.save(State(identifier=identifier, pid=1, bundle=f"/b/{number}", process_start=-1))
    return identifiers


def listed(root: Path, *words: str) -> str:
    command = [str(COMMAND), "--root", str(root), "list", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


@pytest.mark.parametrize("count", [0, 1, 999, 1000, 2501])
def test_every_container_is_listed_once(tmp_path: Path, count: int) -> None:
    identifiers = stopped_containers(tmp_path / "c", count)
    documents = json.loads(listed(tmp_path / "c", "--format", "json"))
    assert [each["id"] for each in documents] == identifiers
    assert [each["status"] for each in documents] == ["stopped"] * count
    assert listed(tmp_path / "c", "--quiet").split() == identifiers
    header, *rows = listed(tmp_path / "c").splitlines()
    assert header.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert len(rows) == count
