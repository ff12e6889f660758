"""Cache entries are built in a staging directory, renamed into place, and removed on failure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.errors import LabError
from lab.userland.cache_entry import cache_entry

if TYPE_CHECKING:
    from pathlib import Path


def test_an_entry_that_fails_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError), cache_entry("x", "1") as (_, staging):
        assert staging is not None
        (staging / "half").touch()
        raise ZeroDivisionError
    assert list(cache.iterdir()) == []


def test_an_unwritable_cache_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LabError, match="Can't build x in"), cache_entry("x", "1"):
        pass
