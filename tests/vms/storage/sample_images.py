"""Small images for tests."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

MIB = 1 << 20
needs_qemu_img = pytest.mark.skipif(
    not shutil.which("qemu-img"), reason="qemu-img is not installed: apt-get install qemu-utils"
)


def raw(path: Path) -> Path:
    """Write an empty raw image of 1 MiB."""
    with path.open("wb") as file:
        file.truncate(MIB)
    return path
