"""All containers are told of, however many there are, and in their order."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from runtime.container.state import State, StateDirectory

COMMAND = Path(sys.executable).with_name("tonnage-oci")


def made(root: Path, count: int) -> list[str]:
    """As many containers that have ended."""
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
    identifiers = made(tmp_path / "c", count)
    found = json.loads(listed(tmp_path / "c", "--format", "json"))
    assert [each["id"] for each in found] == identifiers
    assert {each["status"] for each in found} <= {"stopped"}
    assert listed(tmp_path / "c", "--quiet").split() == identifiers
    header, *rows = listed(tmp_path / "c").splitlines()
    assert header.split() == ["ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER"]
    assert len(rows) == count
