"""A state folder and a cache for each test, and a check that no file is left in the state."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def clean_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Put the state at a short path, since it holds sockets, and check that no file is left."""
    monkeypatch.chdir(tmp_path)
    state = Path(tempfile.mkdtemp(prefix="tv-", dir="/tmp"))
    monkeypatch.setenv("TONNAGE_STATE", str(state))
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    yield
    assert [path for path in state.rglob("*") if path.is_file()] == []
    shutil.rmtree(state)
