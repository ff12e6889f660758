"""Fixtures of the tests of images: a scratch directory where overlayfs may write."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def scratch() -> Iterator[Path]:
    """A directory on a disk, removed at the end."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="tonnage-test-") as directory:
        yield Path(directory)
