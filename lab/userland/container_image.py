"""The user land as a container image: one layer, compressed as registries distribute it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from lab.userland.cache_entry import cache_entry, digest
from lab.userland.host_tools import run_tool

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_TAR = ("tar", "--numeric-owner", "--xattrs")


def build_image(tree: Path, progress: Callable[[str], None]) -> Path:
    """Return the layer of a tree, a tar archive packed by gzip. Raises LabError."""
    with cache_entry("image", digest(tree.parent.name)) as (directory, staging):
        if staging:
            progress("compressing the container image")
            # Without --sort and --mtime: the tree is built once, and its digest is recorded.
            run_tool([*_TAR, "-C", str(tree), "-czf", str(staging / "layer.tar.gz"), "."], "tar")
    return directory / "layer.tar.gz"


def unpack(image: Path, directory: Path) -> None:
    """Unpack a layer into an existing directory. Raises LabError."""
    run_tool([*_TAR, "-C", str(directory), "-xzf", str(image)], "tar")
