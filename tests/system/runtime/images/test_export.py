"""`image export`: the tree that a container sees, as one archive."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
import tarfile
from typing import TYPE_CHECKING

import pytest

from runtime.images.archives import load
from runtime.images.imported import import_archive
from runtime.images.merged_tree import archive
from runtime.images.store import Store
from tests.runtime.images.image import blobs_of, oci_archive
from tests.system.runtime.images.shapes import SHAPES
from tests.system.runtime.images.tree import entries, mounted

if TYPE_CHECKING:
    from pathlib import Path

NAME = "docker.io/library/app:1"
COPY = "docker.io/library/copy:1"
EXTRACT = ["tar", "--extract", "--preserve-permissions", "--same-owner", "--numeric-owner",
           "--xattrs", "--xattrs-include=*"]  # fmt: skip


@pytest.fixture
def store(scratch: Path) -> Store:
    return Store(scratch / "images", "fast")


def add(store: Store, shape: str) -> list[Path]:
    """Add an image of a shape to the store; return its layers."""
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(SHAPES[shape].archives))))
    return store.layers(store.image(NAME))


def image(store: Store, *words: str) -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-m", "lab.cli.main", "image", words[0], "--store"]
    return subprocess.run(
        [*command, str(store.directory), *words[1:]], capture_output=True, check=False
    )


@pytest.mark.parametrize("shape", SHAPES)
def test_the_archive_is_what_the_kernel_shows(store: Store, scratch: Path, shape: str) -> None:
    """GNU tar extracts it to the tree that overlayfs makes of the layers."""
    layers = add(store, shape)
    target = scratch / "extracted"
    target.mkdir()
    document = b"".join(archive(layers))
    subprocess.run([*EXTRACT, "--directory", target], input=document, check=True)
    with mounted(layers, scratch) as root:
        assert entries(target) == entries(root)


@pytest.mark.parametrize("shape", ["a base", "hard links", "a sparse file", "a capability"])
def test_what_was_exported_is_imported_again(store: Store, scratch: Path, shape: str) -> None:
    layers = add(store, shape)
    document = b"".join(archive(layers))
    copy = import_archive(store, io.BytesIO(document), [COPY])
    assert b"".join(archive(store.layers(copy))) == document


def test_the_verb(store: Store, scratch: Path) -> None:
    layers = add(store, "hard links")
    expected = b"".join(archive(layers))
    written = scratch / "tree.tar"
    done = image(store, "export", "app:1", "--output", str(written))
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert written.read_bytes() == expected
    assert image(store, "export", "app:1").stdout == expected
    with tarfile.open(written) as read:
        assert read.getnames()[:3] == [".", "etc", "etc/h"]
    assert [path.name for path in scratch.iterdir() if path.name.startswith(".")] == []


def test_a_terminal_gets_no_archive(store: Store) -> None:
    add(store, "a base")
    controller, terminal = os.openpty()
    try:
        command = [sys.executable, "-m", "lab.cli.main", "image", "export"]
        done = subprocess.run(
            [*command, "--store", str(store.directory), "app:1"],
            stdout=terminal, stderr=subprocess.PIPE, text=True, check=False,
        )  # fmt: skip
    finally:
        os.close(terminal)
        os.close(controller)
    assert done.returncode == 2
    assert done.stderr.startswith("tonnage: Refused to write an archive to a terminal")


def test_errors_are_one_sentence(store: Store, scratch: Path) -> None:
    layers = add(store, "a base")
    done = image(store, "export", "nothing:1")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"There is no image docker.io/library/nothing:1" in done.stderr
    done = image(store, "export", "app:1", "--output", str(scratch / "no/tree.tar"))
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"can't be written: No such file or directory" in done.stderr
    shutil.rmtree(layers[0].parent)
    done = image(store, "export", "app:1")
    assert (done.returncode, done.stderr.count(b"\n")) == (2, 1)
    assert b"is not unpacked: pull or load it again" in done.stderr
