"""The merged tree of layers: whiteouts, opaque directories, links and holes."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.images.merged_tree import archive
from runtime.images.tar_reader import TarReader

if TYPE_CHECKING:
    from pathlib import Path

HOLE_BYTES = 1 << 20


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """A layer with a directory, files and a link."""
    base = tmp_path / "base"
    (base / "etc/sub").mkdir(parents=True)
    (base / "etc/x").write_text("x below")
    (base / "etc/sub/y").write_text("y")
    (base / "bin").symlink_to("usr/bin")
    return base


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """An empty layer above it."""
    (tmp_path / "top").mkdir()
    return tmp_path / "top"


def whiteout(path: Path) -> None:
    try:
        os.mknod(path, stat.S_IFCHR, os.makedev(0, 0))
    except PermissionError:
        pytest.skip("this kernel lets only root make whiteouts (before Linux 5.8)")


def names(*layers: Path) -> list[str]:
    return [entry.name.decode() for entry in TarReader(archive(layers))]


def contents(*layers: Path) -> dict[str, bytes]:
    reader = TarReader(archive(layers))
    return {entry.name.decode(): b"".join(reader.content()) for entry in reader}


def test_one_layer_is_sorted_with_the_root_first(base: Path) -> None:
    assert names(base) == ["./", "bin", "etc/", "etc/sub/", "etc/sub/y", "etc/x"]


def test_no_layer_is_an_empty_archive() -> None:
    assert b"".join(archive([])) == bytes(1024)


def test_the_topmost_file_counts(base: Path, top: Path) -> None:
    (top / "etc").mkdir(mode=0o700)
    (top / "etc/x").write_text("x above")
    found = contents(top, base)
    assert found["etc/x"] == b"x above"
    assert sorted(found) == ["./", "bin", "etc/", "etc/sub/", "etc/sub/y", "etc/x"]
    (directory,) = [each for each in TarReader(archive([top, base])) if each.name == b"etc/"]
    assert directory.mode == 0o700


def test_a_whiteout_hides(base: Path, top: Path) -> None:
    (top / "etc").mkdir()
    whiteout(top / "etc/sub")
    whiteout(top / "nothing")
    assert names(top, base) == ["./", "bin", "etc/", "etc/x"]


def test_what_is_hidden_in_the_middle_stays_hidden(base: Path, top: Path, tmp_path: Path) -> None:
    """A directory above a whiteout is not merged with the one below it."""
    middle = tmp_path / "middle"
    middle.mkdir()
    whiteout(middle / "etc")
    (top / "etc").mkdir()
    (top / "etc/new").touch()
    assert names(top, middle, base) == ["./", "bin", "etc/", "etc/new"]


def test_an_opaque_directory_hides(base: Path, top: Path) -> None:
    (top / "etc").mkdir()
    (top / "etc/new").touch()
    os.setxattr(top / "etc", "user.overlay.opaque", b"y")
    assert names(top, base) == ["./", "bin", "etc/", "etc/new"]
    assert all(not entry.xattrs for entry in TarReader(archive([top, base])))


def test_a_file_replaces_a_directory_and_the_reverse(base: Path, top: Path) -> None:
    (top / "etc").mkdir()
    (top / "etc/sub").write_text("a file")
    (top / "etc/x").mkdir()
    (top / "bin").mkdir()
    assert names(top, base) == ["./", "bin/", "etc/", "etc/sub", "etc/x/"]


def test_names_of_one_file_are_hard_links(base: Path) -> None:
    (base / "a").hardlink_to(base / "etc/x")
    os.link(base / "bin", base / "z", follow_symlinks=False)
    entries = {entry.name: entry for entry in TarReader(archive([base]))}
    assert (entries[b"a"].kind, entries[b"a"].size_bytes) == ("0", 7)
    assert (entries[b"etc/x"].kind, entries[b"etc/x"].link) == ("1", b"a")
    assert (entries[b"z"].kind, entries[b"z"].link) == ("1", b"bin")


def sparse(path: Path) -> bytes:
    """Write `abc` between two holes; return the content."""
    with path.open("wb") as file:
        file.seek(HOLE_BYTES)
        file.write(b"abc")
        file.truncate(3 * HOLE_BYTES)
    return path.read_bytes()


def test_sparse_files_stay_sparse(top: Path) -> None:
    content = sparse(top / "s")
    document = b"".join(archive([top]))
    assert len(document) < 100_000
    with tarfile.open(fileobj=io.BytesIO(document)) as read:
        member = read.getmember("s")
        file = read.extractfile(member)
        assert file is not None and file.read() == content
    reader = TarReader([document])
    ((entry, pieces),) = [(each, list(reader.pieces(each))) for each in reader if each.name == b"s"]
    assert entry.length_bytes == 3 * HOLE_BYTES
    assert b"abc" in b"".join(piece for _, piece in pieces)
    assert all(HOLE_BYTES - 65536 <= offset <= HOLE_BYTES + 65536 for offset, _ in pieces)


def test_a_file_of_one_hole(top: Path) -> None:
    with (top / "s").open("wb") as file:
        file.truncate(HOLE_BYTES)
    document = b"".join(archive([top]))
    reader = TarReader([document])
    (found,) = [(each, list(reader.pieces(each))) for each in reader if each.name == b"s"]
    assert (found[0].length_bytes, found[0].pieces, found[1]) == (HOLE_BYTES, [(HOLE_BYTES, 0)], [])
    with tarfile.open(fileobj=io.BytesIO(document)) as read:
        assert read.getmember("s").size == HOLE_BYTES


def test_a_deep_tree_needs_no_recursion(top: Path) -> None:
    path = top
    for _ in range(600):
        path = path / "d"
        path.mkdir()
    assert len(names(top)) == 601
