"""Fixtures of the tests of machine targets."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lab.programs import program

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def path(path: Path) -> Path:
    """A PATH with only qemu-img."""
    program(path, "qemu-img")
    return path
