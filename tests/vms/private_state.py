"""A state directory of each test's own, and a connection to test:///default that uses it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from vms import Connection

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def state(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a state directory of this test's own; its path is short, for the sockets below it."""
    with tempfile.TemporaryDirectory(prefix="tv-", dir="/tmp") as path:
        monkeypatch.setenv("TONNAGE_STATE", path)
        yield Path(path)


@pytest.fixture
def connection(state: Path) -> Iterator[Connection]:
    with Connection.open(state / "c", "test:///default") as opened:
        yield opened
