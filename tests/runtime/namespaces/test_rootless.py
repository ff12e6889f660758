"""Ranges of ids that a user is granted, and their mapping."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runtime.namespaces.rootless import granted, mappings

if TYPE_CHECKING:
    from pathlib import Path


def test_ranges_by_name_and_by_number(tmp_path: Path) -> None:
    path = tmp_path / "subuid"
    path.write_text("me:100000:65536\nyou:1:2\n1000:300000:10\n me:500000:1 \n")
    assert granted(path, ("me", "1000")) == [(100000, 65536), (300000, 10), (500000, 1)]
    assert granted(path, ("nobody",)) == []
    assert granted(tmp_path / "missing", ("me",)) == []


def test_lines_that_are_not_well_formed_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "subuid"
    lines = [b"me:100000", b"me:x:1", b"me:1:", b"me:1:0", b"me:-1:5", b"me:4294967295:2",
             b"# me:1:1", b"\xff:1:1", b"me:7:1:2"]  # fmt: skip
    path.write_bytes(b"\n".join(lines))
    assert granted(path, ("me",)) == []


def test_the_user_is_root_and_ranges_follow() -> None:
    found = mappings(1000, [(100000, 10), (300000, 5)])
    assert [(each.container_id, each.host_id, each.size) for each in found] == [
        (0, 1000, 1), (1, 100000, 10), (11, 300000, 5),
    ]  # fmt: skip
