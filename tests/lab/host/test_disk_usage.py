"""Disk usage: apparent and allocated bytes of files and trees."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from lab.host.disk_usage import allocated_bytes, usage

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20


def test_allocated_bytes_count_each_block_once(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    full = tmp_path / "full"
    full.write_bytes(os.urandom(1 << 16))
    os.sync()
    once = allocated_bytes(full)
    (tmp_path / "link").hardlink_to(full)
    assert allocated_bytes(sparse) < 1 << 20
    assert once >= 1 << 16
    assert allocated_bytes(tmp_path) < 2 * once + (1 << 16)


def test_a_hole_is_apparent_and_not_allocated(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(64 * MIB)
    (tmp_path / "full").write_bytes(os.urandom(MIB))
    (tmp_path / "link").hardlink_to(tmp_path / "full")
    os.sync()
    of_tree = usage([tmp_path])
    assert of_tree.apparent >= 65 * MIB
    assert MIB <= of_tree.allocated < 2 * MIB
    assert of_tree.unique == of_tree.allocated
