"""A store with a base image, and a context."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from runtime.images.store import Store
from tests.system.runtime.build import images

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scratch() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        yield Path(directory)


@pytest.fixture
def store(scratch: Path) -> Store:
    """A store with the image `base`: a static shell and two users."""
    store = Store(scratch / "store", "fast")
    images.add_base(store)
    return store


@pytest.fixture
def context(scratch: Path) -> Path:
    directory = scratch / "context"
    (directory / "sub/deep").mkdir(parents=True)
    (directory / "a.txt").write_text("a\n")
    (directory / "b.txt").write_text("b\n")
    (directory / "sub/c.txt").write_text("c\n")
    (directory / "sub/deep/d.sh").write_text("#!/bin/sh\necho d\n")
    (directory / "sub/deep/d.sh").chmod(0o755)
    (directory / "sub/link").symlink_to("c.txt")
    return directory
