"""The layout: blobs and names that are whole, and partial blobs that are gone on with."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import pytest

from runtime.errors import CorruptState, InvalidConfig, NotFound
from runtime.images import manifest
from runtime.images.layout import Layout
from runtime.images.leases import Leases
from tests.runtime.images.image import descriptor

if TYPE_CHECKING:
    from pathlib import Path

CONTENT = b"layer" * 1000
BLOB = descriptor(manifest.LAYER_TAR, CONTENT)


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "images", synced=False)


def test_a_new_layout_is_one_of_ocis(layout: Layout) -> None:
    assert (layout.directory / "oci-layout").read_text() == '{"imageLayoutVersion": "1.0.0"}'
    assert layout.images() == []


def test_a_blob_is_there_once_it_is_whole(layout: Layout) -> None:
    with layout.partial(BLOB) as file:
        assert file is not None
        file.write(CONTENT[:100])
    assert not layout.has(BLOB)
    with layout.partial(BLOB) as file:
        assert file is not None and file.tell() == 100
        file.write(CONTENT[100:])
        layout.keep(BLOB, file)
    assert layout.has(BLOB)
    assert layout.read(BLOB.digest) == CONTENT
    with layout.partial(BLOB) as file:
        assert file is None
    assert not list(layout.partials())


@pytest.mark.parametrize("content", [CONTENT[:-1], CONTENT + b"x", b"l" + CONTENT[1:][::-1]])
def test_another_blob_is_refused_and_forgotten(layout: Layout, content: bytes) -> None:
    with layout.partial(BLOB) as file:
        assert file is not None
        file.write(content)
        with pytest.raises(InvalidConfig, match=f"came as {len(content)} bytes"):
            layout.keep(BLOB, file)
    assert not layout.has(BLOB)
    assert not list(layout.partials())


def test_the_second_of_two_writers_takes_what_the_first_wrote(layout: Layout) -> None:
    entered, results = threading.Event(), []

    def second() -> None:
        entered.set()
        with layout.partial(BLOB) as file:
            results.append(file)

    with layout.partial(BLOB) as file:
        assert file is not None
        thread = threading.Thread(target=second)
        thread.start()
        entered.wait()
        file.write(CONTENT)
        layout.keep(BLOB, file)
    thread.join()
    assert results == [None]


def test_names(layout: Layout) -> None:
    layout.tag("docker.io/library/a:1", BLOB)
    layout.tag("docker.io/library/b:1", BLOB)
    other = descriptor(manifest.MANIFEST, b"{}")
    layout.tag("docker.io/library/a:1", other)
    assert layout.find("docker.io/library/a:1").digest == other.digest
    assert [name for name, _ in layout.images()] == [
        "docker.io/library/b:1",
        "docker.io/library/a:1",
    ]
    layout.untag("docker.io/library/b:1")
    for missing in (layout.find, layout.untag):
        with pytest.raises(NotFound, match="no image docker"):
            missing("docker.io/library/b:1")


def test_a_damaged_blob_is_said(layout: Layout) -> None:
    digest = layout.add(b"{}")
    layout.path(digest).write_bytes(b"[]")
    with pytest.raises(CorruptState, match="damaged"):
        layout.read(digest)


def test_a_lease_holds_while_its_process_lives(tmp_path: Path) -> None:
    leases = Leases(tmp_path)
    with leases.lease() as lease:
        lease.add("sha256:a", "sha256:b")
        with leases.collecting() as leased:
            assert leased == {"sha256:a", "sha256:b"}
    with leases.collecting() as leased:
        assert leased == set()


def test_a_lease_of_a_process_that_was_killed_is_removed(tmp_path: Path) -> None:
    (tmp_path / "killed").write_text("sha256:a\n")
    with Leases(tmp_path).collecting() as leased:
        assert leased == set()
    assert not (tmp_path / "killed").exists()


def test_leftovers_are_removed_but_not_files_in_use(layout: Layout) -> None:
    with layout.partial(BLOB) as file:
        assert file is not None
        file.write(CONTENT[:100])
        file.flush()
        assert layout.remove_partial(layout.partial_path(BLOB)) == 0
    assert layout.remove_partial(layout.partial_path(BLOB)) == 100
    assert layout.remove_partial(layout.partial_path(BLOB)) == 0
    scratch = layout.directory / "partial/.load-x"
    scratch.mkdir()
    (scratch / "1").touch()
    assert layout.remove_partial(scratch) == 0
    assert not list(layout.partials())
