"""The size of a machine's disk from an image; disks are made in tests/system/lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.userland.image_disk import SMALLEST_BYTES, default_size_bytes

if TYPE_CHECKING:
    from pathlib import Path


def test_a_small_image_gets_the_size_of_the_common_disk(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"x")
    assert default_size_bytes([tmp_path]) == SMALLEST_BYTES


def test_a_disk_has_room_for_twice_the_image_and_is_whole_mib(tmp_path: Path) -> None:
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5 << 30)
    size_bytes = default_size_bytes([tmp_path])
    assert 2 * (5 << 30) < size_bytes < 11 << 30
    assert size_bytes % (1 << 20) == 0
