"""Layers unpacked over one another: the tree that a container sees, entry by entry."""

from __future__ import annotations

import hashlib
import os
import stat
import struct
import subprocess
import tarfile
import time
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.errors import InvalidConfig
from runtime.images.layer import Limits
from runtime.images.manifest import chain_ids
from runtime.images.snapshots import Snapshots
from tests.runtime.images.archive import archive, member

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SHOW = """
mount -t overlay overlay -o "lowerdir=$1" "$2" || exit 1
cd "$2" && find . -mindepth 1 -printf '%P %y %l\\n' | LC_ALL=C sort
"""
BASE = archive(
    member("usr", "directory"),
    member("usr/lib", "directory", mtime=5),
    member("lib", "symlink", linkname="usr/lib"),
    member("usr/lib/a", content=b"a"),
    member("etc", "directory", mtime=6, uid=3, mode=0o750),
    member("etc/x", content=b"x"),
    member("etc/y", content=b"y"),
)


@pytest.fixture
def snapshots(disk: Path) -> Snapshots:
    return Snapshots(disk / "snapshots")


@pytest.fixture
def disk() -> Iterator[Path]:
    """A directory on a disk, where overlayfs may write."""
    import tempfile

    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        yield Path(directory)


def unpack(snapshots: Snapshots, *layers: bytes) -> list[Path]:
    """Unpack layers; return their directories, topmost first."""
    ids = chain_ids([f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers])
    for depth, layer in enumerate(layers, start=1):
        if not snapshots.has(ids[depth - 1]):
            snapshots.unpack(ids[:depth], [layer], Limits())
    return snapshots.layers(ids)


def seen(layers: Sequence[Path]) -> dict[str, str]:
    """Return name and type of all that is seen of layers; a link's type has its target."""
    empty, target = layers[0].parent / "empty", layers[0].parent / "target"
    empty.mkdir(exist_ok=True)
    target.mkdir(exist_ok=True)
    lower = ":".join(str(each) for each in [*layers, empty])
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", SHOW, "sh", lower, target],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    parts = (line.split(" ") for line in done.stdout.splitlines())
    return {name: kind + (f" {link}" if link else "") for name, kind, link in parts}


BEYOND = {"GNU.sparse.map": "9,3", "GNU.sparse.size": "5"}
BELOW = {"usr": "d", "usr/lib": "d", "lib": "l usr/lib", "usr/lib/a": "f", "etc": "d",
         "etc/x": "f", "etc/y": "f"}  # fmt: skip


@pytest.mark.parametrize(
    ("members", "changes"),
    [
        pytest.param([member("etc/.wh.x")], {"etc/x": None}, id="a whiteout"),
        pytest.param([member(".wh.nothing")], {}, id="a whiteout of nothing"),
        pytest.param([member("no/.wh.thing")], {}, id="a whiteout in no directory"),
        pytest.param(
            [member("n", "directory"), member("n/.wh.f"), member("n/g")],
            {"n": "d", "n/g": "f"},
            id="a whiteout in a new directory",
        ),
        pytest.param(
            [member("etc/x", content=b"2"), member("etc/.wh.x")], {}, id="written, then whited out"
        ),
        pytest.param(
            [member("etc/.wh.x"), member("etc/x", content=b"2")], {}, id="whited out, then written"
        ),
        pytest.param(
            [member("etc/.wh..wh..opq"), member("etc/z")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"},
            id="opaque",
        ),
        pytest.param(
            [member("etc/z"), member("etc/.wh..wh..opq")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"},
            id="opaque at the end",
        ),
        pytest.param(
            [member("etc/z"), member(".wh.etc")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"},
            id="a child under a whited-out directory",
        ),
        pytest.param(
            [member(".wh.etc"), member("etc", "directory"), member("etc/z")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"},
            id="a directory made anew",
        ),
        pytest.param(
            [member("etc", content=b"now a file")],
            {"etc": "f", "etc/x": None, "etc/y": None},
            id="a file for a directory",
        ),
        pytest.param(
            [member("etc/x", "directory"), member("etc/x/f")],
            {"etc/x": "d", "etc/x/f": "f"},
            id="a directory for a file",
        ),
        pytest.param([member("lib/b")], {"usr/lib/b": "f"}, id="through a link"),
        pytest.param(
            [member("lib", "directory"), member("lib/b")],
            {"lib": "d", "lib/b": "f"},
            id="a directory for a link",
        ),
        pytest.param(
            [member("out", "symlink", linkname="/etc"), member("out/z")],
            {"out": "l /etc", "etc/z": "f"},
            id="through an absolute link, inside",
        ),
        pytest.param(
            [member("up", "symlink", linkname="../../../../etc"), member("up/z")],
            {"up": "l ../../../../etc", "etc/z": "f"},
            id="through a link that climbs, inside",
        ),
        pytest.param([member("h", "hardlink", linkname="etc/x")], {"h": "f"}, id="a hard link"),
        pytest.param(
            [member("h", "hardlink", linkname="lib/a")], {"h": "f"}, id="a hard link through a link"
        ),
        pytest.param(
            [member("h", "hardlink", linkname="etc/x"), member("etc/.wh.x")],
            {"h": "f", "etc/x": None},
            id="renamed by a hard link",
        ),
        pytest.param(
            [member("etc", "directory"), member(".wh.etc")],
            {"etc/x": None, "etc/y": None},
            id="a directory written, then whited out",
        ),
        pytest.param(
            [member("usr/lib/.wh.a"), member("usr/.wh..wh..opq")],
            {"usr/lib": None, "usr/lib/a": None},
            id="a whiteout in an opaque directory",
        ),
        pytest.param(
            [member("usr/lib/.wh.a"), member(".wh.usr")],
            {"usr": None, "usr/lib": None, "usr/lib/a": None},
            id="a whiteout in a removed directory",
        ),
        pytest.param(
            [member("etc", content=b"f"), member("etc", "directory"), member("etc/z")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"},
            id="a directory for a file for a directory",
        ),
        pytest.param(
            [member("etc/x", "symlink", linkname="new/place"), member("etc/x/f")],
            {"etc/x": "l new/place", "etc/new": "d", "etc/new/place": "d", "etc/new/place/f": "f"},
            id="through a link to what is not there yet",
        ),
        pytest.param([member("etc/.wh.x"), member("etc/x/f")],
                     {"etc/x": "d", "etc/x/f": "f"}, id="a missing parent where a file was"),
        pytest.param(
            [member("lib/b"), member("lib", "symlink", linkname="etc"), member("lib/c")],
            {"usr/lib/b": "f", "lib": "l etc", "etc/c": "f"},
            id="a link that is replaced",
        ),
        pytest.param(
            [member("lib/b"), member("lib", "directory"), member("lib/c")],
            {"usr/lib/b": "f", "lib": "d", "lib/c": "f"},
            id="a directory for a link that was used",
        ),
        pytest.param(
            [member("lib/b"), member(".wh.lib"), member("lib/c")],
            {"usr/lib/b": "f", "lib": "d", "lib/c": "f"},
            id="a removed link that was used",
        ),
        pytest.param([member("a/b/c")], {"a": "d", "a/b": "d", "a/b/c": "f"}, id="missing parents"),
        pytest.param([member("f"), member("f", "directory")], {"f": "d"}, id="twice"),
        pytest.param([member("etc/.wh..wh.plnk", "directory")], {}, id="a file of aufs"),
        pytest.param([], {}, id="an empty layer"),
    ],
)  # fmt: skip
def test_a_layer_changes_what_is_below(
    snapshots: Snapshots,
    members: list[tuple[tarfile.TarInfo, bytes]],
    changes: dict[str, str | None],
) -> None:
    expected = {name: kind for name, kind in {**BELOW, **changes}.items() if kind}
    assert seen(unpack(snapshots, BASE, archive(*members))) == expected


def test_attributes_are_those_of_the_archive(snapshots: Snapshots) -> None:
    capability = struct.pack("<5I", 0x02000001, 1 << 13, 0, 0, 0)  # cap_net_raw=ep
    file, _ = member("f", mode=0o4755, uid=7, gid=8)
    file.pax_headers = {"mtime": "123.000000456"}
    ping, _ = member("ping", uid=9, mode=0o755)
    ping.pax_headers = {"SCHILY.xattr.security.capability": capability.decode("latin-1")}
    (top,) = unpack(
        snapshots,
        archive(
            (file, b""),
            (ping, b""),
            member("null", "character", devmajor=1, devminor=3, mode=0o666),
            member("pipe", "fifo", mode=0o600),
            member("d", "directory", mtime=9, mode=0o1777, uid=5),
            member("d/in"),
            member("l", "symlink", linkname="nowhere", uid=6, mtime=4),
        ),
    )
    status = (top / "f").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_gid) == (0o4755, 7, 8)
    assert status.st_mtime_ns == 123_000_000_456
    status = (top / "d").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o1777, 5, 9)
    status = (top / "null").stat()
    assert stat.S_ISCHR(status.st_mode) and status.st_rdev == os.makedev(1, 3)
    assert stat.S_ISFIFO((top / "pipe").stat().st_mode)
    status = (top / "l").lstat()
    assert (status.st_uid, status.st_mtime) == (6, 4)
    assert os.getxattr(top / "ping", "security.capability") == capability


def test_directories_below_keep_owner_and_time(snapshots: Snapshots) -> None:
    top, _ = unpack(snapshots, BASE, archive(member("etc/z"), member("lib/b"), member("etc/.wh.x")))
    status = (top / "etc").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o750, 3, 6)
    assert (top / "usr/lib").stat().st_mtime == 5


def test_sparse_files_stay_sparse(snapshots: Snapshots) -> None:
    headers = {"GNU.sparse.map": "1000000,3", "GNU.sparse.size": str(1 << 30)}
    (top,) = unpack(snapshots, archive(member("s", content=b"abc", pax_headers=headers)))
    status = (top / "s").stat()
    assert (status.st_size, status.st_blocks * 512 < 1 << 20) == (1 << 30, True)
    with (top / "s").open("rb") as file:
        file.seek(999_999)
        assert file.read(5) == b"\0abc\0"


@pytest.mark.parametrize(
    ("members", "named"),
    [
        ([member("../out")], "'..' in its name: ../out"),
        ([member("a/../../out")], "'..' in its name"),
        ([member("h", "hardlink", linkname="../../etc/passwd")], "'..' in its name"),
        ([member("h", "hardlink", linkname="nothing")], "which is missing"),
        ([member("f"), member("f/g")], "no directory"),
        ([member("w", "character")], "whiteout"),
        ([member("etc/.wh...")], "a whiteout of no name"),
        ([member(".wh..")], "a whiteout of no name"),
        ([member(".wh.")], "a whiteout of no name"),
        ([member("h", "hardlink", linkname="etc")], "a hard link to a directory"),
        ([member("a", "symlink", linkname="b"), member("b", "symlink", linkname="a"),
          member("a/f")], "too many links"),
        ([member("etc/x/f")], "no directory"),
        ([member("d/" * 1000 + "f")], "more than 400 directories"),
        ([member("s", content=b"abc", pax_headers=BEYOND)], "beyond its end"),
    ],
)  # fmt: skip
def test_a_bad_layer_is_refused_and_leaves_nothing(
    snapshots: Snapshots, members: list[tuple[tarfile.TarInfo, bytes]], named: str
) -> None:
    unpack(snapshots, BASE)
    before = sorted(snapshots.directory.iterdir())
    with pytest.raises(InvalidConfig, match=named):
        unpack(snapshots, BASE, archive(*members))
    assert sorted(snapshots.directory.iterdir()) == before


@pytest.mark.parametrize("limits", [Limits(size_bytes=10), Limits(entries=1)])
def test_a_layer_beyond_the_limits_is_refused(snapshots: Snapshots, limits: Limits) -> None:
    layer = archive(member("a", content=b"x" * 8), member("b", content=b"x" * 8))
    with pytest.raises(InvalidConfig, match="more than"):
        snapshots.unpack(["sha256:" + "a" * 64], [layer], limits)
    assert not list(snapshots.directory.iterdir())


def test_an_archive_that_fails_on_the_way_leaves_nothing(snapshots: Snapshots) -> None:
    def pieces() -> Iterator[bytes]:
        yield BASE[:1024]
        raise InvalidConfig("wrong digest")

    with pytest.raises(InvalidConfig, match="wrong digest"):
        snapshots.unpack(["sha256:" + "a" * 64], pieces(), Limits())
    assert not list(snapshots.directory.iterdir())


def test_files_of_overlayfs_own_are_skipped(snapshots: Snapshots) -> None:
    info, _ = member("d", "directory")
    info.pax_headers = {"SCHILY.xattr.trusted.overlay.opaque": "y"}
    skipped = snapshots.unpack(["sha256:" + "b" * 64], [archive((info, b""))], Limits())
    assert skipped == {"trusted.overlay.opaque": 1}


def early(snapshots: Snapshots, layer: bytes, until: str) -> int:
    """Unpack a layer over BASE, and BASE when the layer has `until`.

    Return how often the layer was read.
    """
    ids = chain_ids([f"sha256:{hashlib.sha256(each).hexdigest()}" for each in (BASE, layer)])
    below: Future[None] = Future()
    read = []

    def archive_again() -> list[bytes]:
        read.append(1)
        return [layer]

    with ThreadPoolExecutor(1) as pool:
        unpacking = pool.submit(snapshots.unpack_early, ids, archive_again, Limits(), below)
        try:
            deadline = time.monotonic() + 30
            while not list(snapshots.directory.glob(f".new-*/fs/{until}")):
                assert time.monotonic() < deadline and not unpacking.done()
                time.sleep(0.01)
            assert not snapshots.has(ids[1])
            snapshots.unpack(ids[:1], [BASE], Limits())
        finally:
            below.set_result(None)
        unpacking.result()
    return len(read)


@pytest.mark.parametrize(
    ("members", "changes"),
    [
        pytest.param(
            [member("etc", "directory"), member("etc/.wh..wh..opq"), member("etc/z")],
            {"etc/x": None, "etc/y": None, "etc/z": "f"}, id="with its directories",
        ),
        pytest.param([member("etc/z")], {"etc/z": "f"}, id="with a parent that is below"),
        pytest.param(
            [member("a/b/c")], {"a": "d", "a/b": "d", "a/b/c": "f"}, id="with new parents"
        ),
        pytest.param(
            [member("etc", "directory"), member("etc/.wh.x"), member("etc/.wh.none")],
            {"etc/x": None}, id="with whiteouts",
        ),
        pytest.param(
            [member("h", "hardlink", linkname="etc/x")], {"h": "f"}, id="with a hard link"
        ),
        pytest.param([member("usr/.wh.lib")], {"usr/lib": None, "usr/lib/a": None},
                     id="with a whiteout in a directory that is below"),
    ],
)  # fmt: skip
def test_a_layer_is_unpacked_before_those_below(
    snapshots: Snapshots,
    members: list[tuple[tarfile.TarInfo, bytes]],
    changes: dict[str, str | None],
) -> None:
    layer = archive(member("new"), *members)
    assert early(snapshots, layer, "new") == 1
    after = {**BELOW, **changes, "new": "f"}
    expected = {name: kind for name, kind in after.items() if kind}
    assert seen(unpack(snapshots, BASE, layer)) == expected


def test_a_parent_that_is_below_keeps_its_attributes(snapshots: Snapshots) -> None:
    layer = archive(member("etc/z"), member("etc/.wh.none"), member("new"))
    assert early(snapshots, layer, "new") == 1
    status = (unpack(snapshots, BASE, layer)[0] / "etc").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_uid, status.st_mtime) == (0o750, 3, 6)


@pytest.mark.parametrize(
    ("after", "changes"),
    [
        ([], {"usr/lib/b": "f"}),
        ([member("lib", "directory")], {"usr/lib/b": "f", "lib": "d"}),
        ([member("lib", "symlink", linkname="etc")], {"usr/lib/b": "f", "lib": "l etc"}),
        ([member(".wh.lib")], {"usr/lib/b": "f", "lib": None}),
    ],
    ids=["a link", "then a directory", "then another link", "then a whiteout"],
)  # fmt: skip
def test_a_layer_that_uses_a_link_below_is_unpacked_again(
    snapshots: Snapshots,
    after: list[tuple[tarfile.TarInfo, bytes]],
    changes: dict[str, str | None],
) -> None:
    layer = archive(member("lib/b"), *after, member("new"))
    assert early(snapshots, layer, "new") == 2
    expected = {name: kind for name, kind in {**BELOW, **changes, "new": "f"}.items() if kind}
    assert seen(unpack(snapshots, BASE, layer)) == expected


def test_a_failure_below_leaves_nothing_of_a_layer(snapshots: Snapshots) -> None:
    below: Future[None] = Future()
    below.set_exception(InvalidConfig("the layer below is damaged"))
    ids = ["sha256:" + "a" * 64, "sha256:" + "b" * 64]
    for layer in (archive(member("etc", "directory")), archive(member("etc/z"))):
        with pytest.raises(InvalidConfig, match="below is damaged"):
            snapshots.unpack_early(ids, partial(list, (layer,)), Limits(), below)
        assert not list(snapshots.directory.iterdir())


def test_a_chain_is_synced_once(snapshots: Snapshots, monkeypatch: pytest.MonkeyPatch) -> None:
    ids = chain_ids([f"sha256:{hashlib.sha256(BASE).hexdigest()}"])
    snapshots.unpack(ids, [BASE], Limits())
    synced = []
    monkeypatch.setattr(snapshots, "write", lambda: synced.append(1))
    snapshots.sync(ids)
    snapshots.sync(ids)
    assert synced == [1]
