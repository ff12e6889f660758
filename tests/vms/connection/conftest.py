"""Directories for connections: a state directory, and a root with a short path."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the files of these tests off the host's own directories."""
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


@pytest.fixture
def short() -> Iterator[Path]:
    """A directory whose path is short enough for sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        yield Path(path)
