"""Files of an archive by name: links, duplicates, limits, and names that lead nowhere."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig
from runtime.images import archive_members
from runtime.images.archive_members import Members
from runtime.images.layer import Limits
from tests.runtime.images.archive import archive, member

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path


def members(
    directory: Path, *found: tuple[tarfile.TarInfo, bytes], limits: Limits | None = None
) -> Members:
    return Members(directory, [archive(*found)], limits or Limits())


def test_files_by_their_names(tmp_path: Path) -> None:
    found = members(tmp_path, member("./a/b", content=b"1"), member("c", content=b"2"))
    assert (found.document("a/b"), found.document("c")) == (b"1", b"2")
    assert "a" not in found
    with pytest.raises(InvalidConfig, match="The archive has no file d"):
        found.path("d")


def test_links_lead_to_files_of_the_archive(tmp_path: Path) -> None:
    found = members(
        tmp_path,
        member("x/layer.tar", content=b"1"),
        member("y/layer.tar", "symlink", linkname="../x/layer.tar"),
        member("z", "hardlink", linkname="y/layer.tar"),
    )
    assert (found.document("y/layer.tar"), found.document("z")) == (b"1", b"1")


def test_a_link_whose_target_is_named_from_the_top(tmp_path: Path) -> None:
    found = members(
        tmp_path,
        member("x/layer.tar", "symlink", linkname=".layer.tar"),
        member(".layer.tar", content=b"1"),
    )
    assert found.document("x/layer.tar") == b"1"


@pytest.mark.parametrize("target", ["/etc/passwd", "../../etc/passwd", "loop", "nothing"])
def test_no_link_leads_out(tmp_path: Path, target: str) -> None:
    found = members(tmp_path, member("loop", "symlink", linkname=target))
    assert "loop" not in found
    with pytest.raises(InvalidConfig, match="no file loop"):
        found.document("loop")


@pytest.mark.parametrize("name", ["../out", "/out", "a/../../out"])
def test_no_name_leads_out(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "scratch"
    directory.mkdir()
    members(directory, member(name, content=b"1"))
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["1", "scratch"]


def test_the_last_of_two_counts(tmp_path: Path) -> None:
    found = members(
        tmp_path,
        member("a", content=b"first, and longer"),
        member("b", "symlink", linkname="a"),
        member("a", content=b"second"),
        member("b", content=b"a file"),
    )
    assert (found.document("a"), found.document("b")) == (b"second", b"a file")


def test_a_sparse_file_is_whole(tmp_path: Path) -> None:
    headers = {"GNU.sparse.map": "3,2", "GNU.sparse.size": "6"}
    found = members(tmp_path, member("s", content=b"ab", pax_headers=headers))
    assert found.document("s") == b"\0\0\0ab\0"


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"x" * 512, "is not an archive of images: the archive has a header whose checksum"),
        (archive(member("a", content=b"x" * 600))[:700], "The archive ends inside"),
    ],
)
def test_another_file_is_refused(tmp_path: Path, content: bytes, named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        Members(tmp_path, [content], Limits())


def test_more_than_the_limits_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    limits = Limits(size_bytes=10)
    with pytest.raises(InvalidConfig, match="holds more than 10 bytes"):
        members(tmp_path, member("a", content=b"x" * 11), limits=limits)
    long = {"GNU.sparse.map": "3,2", "GNU.sparse.size": str(1 << 60)}
    with pytest.raises(InvalidConfig, match="holds more than 10 bytes"):
        members(tmp_path, member("a", content=b"ab", pax_headers=long), limits=limits)
    monkeypatch.setattr(archive_members, "_MOST_FILES", 2)
    with pytest.raises(InvalidConfig, match="more than 2 files"):
        members(tmp_path, member("a"), member("b"), member("c"))


def test_a_document_is_small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive_members, "LARGEST_MANIFEST_BYTES", 3)
    found = members(tmp_path, member("a", content=b"1234"))
    with pytest.raises(InvalidConfig, match="a is larger than any manifest"):
        found.document("a")
