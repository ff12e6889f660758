"""Layers as a user namespace can hold them: unmapped owners and devices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from runtime.errors import InvalidConfig
from runtime.images.mapped_reader import DEVICES, Ids, MappedReader
from runtime.images.tar_reader import Entry
from tests.runtime.images.archive import archive, member

if TYPE_CHECKING:
    import tarfile
    from pathlib import Path


@pytest.fixture
def ids(tmp_path: Path) -> Ids:
    """The ids 0, 1 to 10 and 100."""
    path = tmp_path / "uid_map"
    path.write_text("         0      65534          1\n 1 300000 10\n 100 7 1\n")
    return Ids(str(path))


def read(
    ids: Ids, *members: tuple[tarfile.TarInfo, bytes], squash: bool = False
) -> tuple[list[Entry], dict[str, int]]:
    skipped: dict[str, int] = {}
    return list(MappedReader([archive(*members)], ids, ids, skipped, squash=squash)), skipped


def test_the_ids_of_the_namespace(ids: Ids) -> None:
    assert [number for number in range(200) if number in ids] == [*range(11), 100]
    assert str(ids) == "0, 1 to 10, 100"


def test_a_mapped_owner_is_kept(ids: Ids) -> None:
    (entry,), skipped = read(ids, member("f", uid=100, gid=10))
    assert (entry.uid, entry.gid, skipped) == (100, 10, {})


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"uid": 11}, r"f belongs to the user 11, .* in /etc/subuid"),
        ({"gid": 99}, r"f belongs to the group 99, .* in /etc/subgid"),
    ],
)
def test_another_owner_is_refused_or_root(ids: Ids, fields: dict[str, Any], named: str) -> None:
    with pytest.raises(InvalidConfig, match=named):
        read(ids, member("f", **fields))
    (entry,), _ = read(ids, member("f", **fields), squash=True)
    assert (entry.uid, entry.gid) == (0, 0)


def test_owners_of_whiteouts_and_links_do_not_count(ids: Ids) -> None:
    entries, _ = read(
        ids,
        member("f"),
        member("a/.wh.f", uid=999),
        member("g", "hardlink", linkname="f", uid=999),
    )
    assert [entry.uid for entry in entries] == [0, 999, 999]


def test_a_device_becomes_a_whiteout(ids: Ids) -> None:
    entries, skipped = read(
        ids,
        member("dev/null", "character", devmajor=1, devminor=3),
        member("./sda", "block", devmajor=8),
        member("link", "hardlink", linkname="/dev/null"),
    )
    assert [(entry.kind, entry.name) for entry in entries] == [
        ("0", b"dev/.wh.null"), ("0", b".wh.sda"), ("0", b".wh.link"),
    ]  # fmt: skip
    assert skipped == {DEVICES: 3}


def test_a_file_in_place_of_a_device_can_be_linked(ids: Ids) -> None:
    entries, skipped = read(
        ids,
        member("d", "character", devmajor=1, devminor=3),
        member("d", content=b"x"),
        member("e", "hardlink", linkname="d"),
    )
    assert [entry.kind for entry in entries] == ["0", "0", "1"]
    assert skipped == {DEVICES: 1}


def test_the_whiteout_of_overlayfs_is_left_to_be_refused(ids: Ids) -> None:
    (entry,), skipped = read(ids, member("w", "character"))
    assert (entry.kind, entry.major, entry.minor, skipped) == ("3", 0, 0, {})
