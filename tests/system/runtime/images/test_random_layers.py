"""Layers of random entries: unpacked inside the tree or refused, and merged as the kernel does."""

from __future__ import annotations

import hashlib
import os
import tarfile
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.errors import InvalidConfig, Unavailable
from runtime.images.layer import Limits
from runtime.images.manifest import chain_ids
from runtime.images.merged_tree import archive as merged
from runtime.images.snapshots import Snapshots
from runtime.images.tar_reader import TarReader
from tests.runtime.images.archive import KINDS, archive, member
from tests.system.runtime.images.tree import mounted

if TYPE_CHECKING:
    from tests.system.runtime.images.shapes import Members

PARTS = st.sampled_from(
    ["a", "b", "c", "d", "a", "b", "..", ".", "", ".wh.a", ".wh.b", ".wh..wh..opq", "l", "m"]
)
PATHS = st.lists(PARTS, min_size=1, max_size=4).map("/".join)
TARGETS = st.one_of(PATHS, PATHS.map("/{}".format), st.just("../../../../outside"))
FORMATS = st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])


@st.composite
def entries(draw: st.DrawFn) -> tuple[tarfile.TarInfo, bytes]:
    """Return an entry with a name of few letters, so that entries meet."""
    kind = draw(st.sampled_from([*KINDS, "file", "directory", "directory", "symlink"]))
    content = draw(st.binary(max_size=3)) if kind == "file" else b""
    return member(
        draw(PATHS), kind, content,
        linkname=draw(TARGETS) if kind in ("symlink", "hardlink") else "",
        mode=draw(st.sampled_from([0o644, 0o755, 0o4711, 0o1777, 0])),
        uid=draw(st.sampled_from([0, 1000])), mtime=draw(st.integers(0, 99)),
        devmajor=draw(st.sampled_from([0, 1])), devminor=draw(st.sampled_from([0, 3])),
    )  # fmt: skip


LAYERS = st.lists(st.lists(entries(), max_size=6), min_size=1, max_size=3)


@settings(max_examples=60)
@given(LAYERS, FORMATS)
def test_random_layers(layers: list[Members], format: int) -> None:  # noqa: A002
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        scratch = Path(directory)
        (scratch / "outside").write_text("as before")
        snapshots = Snapshots(scratch / "deep/snapshots")
        archives = [archive(*each, format=format) for each in layers]
        ids = chain_ids([f"sha256:{hashlib.sha256(each).hexdigest()}" for each in archives])
        unpacked = unpack(snapshots, ids, archives)
        assert sorted(path.name for path in scratch.iterdir()) == ["deep", "outside"]
        assert (scratch / "outside").read_text() == "as before"
        assert [path.name for path in (scratch / "deep").iterdir()] == ["snapshots"]
        assert sum(snapshots.has(each) for each in set(ids)) == len(set(ids[:unpacked]))
        assert not list(snapshots.directory.glob(".*"))
        if unpacked:
            compare(snapshots.layers(ids[:unpacked]), scratch)


def unpack(snapshots: Snapshots, ids: list[str], archives: list[bytes]) -> int:
    """Unpack layers until one is refused; return how many were not."""
    for depth, document in enumerate(archives, start=1):
        try:
            snapshots.unpack(ids[:depth], [document], Limits())
        except (InvalidConfig, Unavailable) as error:
            assert "its process ended with" not in str(error)
            return depth - 1
    return len(archives)


def compare(layers: list[Path], scratch: Path) -> None:
    """Expect the merged archive to have the names, kinds, modes and sizes that overlayfs shows."""
    expected = {}
    with mounted(layers, scratch) as root:
        for parent, directories, files in os.walk(root):
            for name in directories + files:
                path = Path(parent, name)
                status = path.lstat()
                size_bytes = status.st_size if path.is_file() and not path.is_symlink() else 0
                expected[str(path.relative_to(root))] = (status.st_mode & 0o7777, size_bytes)
    found: dict[str, tuple[int, int]] = {}
    for entry in TarReader(merged(layers)):
        name = entry.name.decode().removeprefix("./").rstrip("/")
        size_bytes = found[entry.link.decode()][1] if entry.kind == "1" else entry.size_bytes
        if name:
            found[name] = (entry.mode, size_bytes)
    assert found == expected
