"""The tree that umoci unpacks, entry by entry, for layers of every shape. (docs/conformance.md)"""

from __future__ import annotations

import io
import shutil
import subprocess
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from runtime.images.archives import load
from runtime.images.store import Store
from tests.runtime.images.image import blobs_of, oci_archive
from tests.system.runtime.images.shapes import SHAPES
from tests.system.runtime.images.tree import File, entries, mounted

if TYPE_CHECKING:
    from pathlib import Path

NAME = "docker.io/library/app:1"
NOW = -1
# Names that umoci leaves otherwise, each with the reason that docs/conformance.md gives.
DIFFERENT = {
    # The time of a directory in which only the unpacking itself changed something.
    "a child under a whited-out directory": {"etc"},
    "a parent that comes after its content": {"."},
    "a parent that is missing": {"."},
    "long names by GNU tar": {"."},
    "long names by PAX": {"."},
    "names that are not ASCII": {"."},
    "opaque in the root": {"."},
    "ustar": {"."},
    # An extended attribute with an empty value.
    "attributes": {"f"},
}


def comparable(found: dict[str, File], started_ns: int) -> dict[str, File]:
    """Return entries in which each time after the start of the test is NOW."""
    return {
        name: replace(each, mtime_ns=NOW) if each.mtime_ns >= started_ns else each
        for name, each in found.items()
    }


@pytest.mark.parametrize("name", SHAPES)
def test_the_tree_is_that_of_umoci(name: str, scratch: Path) -> None:
    if not shutil.which("umoci"):
        pytest.skip("umoci is not installed")
    started_ns = time.time_ns() - 1_000_000_000
    store = Store(scratch / "images", "fast")
    load(store, io.BytesIO(oci_archive("app:1", *blobs_of(SHAPES[name].archives))))
    layers = store.layers(store.image(NAME))
    with mounted(layers, scratch) as root:
        ours = comparable(entries(root), started_ns)
    done = subprocess.run(
        ["umoci", "unpack", "--image", f"{store.directory}:{NAME}", scratch / "bundle"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    theirs = comparable(entries(scratch / "bundle/rootfs"), started_ns)
    names = ours.keys() | theirs.keys()
    different = {each for each in names if ours.get(each) != theirs.get(each)}
    assert different == DIFFERENT.get(name, set()), {
        each: (ours.get(each), theirs.get(each)) for each in different
    }
