"""Allocated bytes of files and trees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.host.disk_usage import allocated_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_allocated_bytes_count_each_block_once(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    full = tmp_path / "full"
    full.write_bytes(os.urandom(1 << 16))
    os.sync()
    one = allocated_bytes(full)
    (tmp_path / "link").hardlink_to(full)
    assert allocated_bytes(sparse) < 1 << 20
    assert one >= 1 << 16
    assert allocated_bytes(tmp_path) < 2 * one + (1 << 16)
