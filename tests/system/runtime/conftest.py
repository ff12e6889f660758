"""The user land and the root directory of a test's containers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.userland import root_tree
from tests.system.runtime.containers import box_cgroups, children

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def tree() -> Path:
    """Return the directory of the user land, which containers use as a layer."""
    return root_tree.build_tree(lambda _: None)


@pytest.fixture
def root(tmp_path: Path, kept: int) -> Iterator[Path]:
    """Return a root directory for containers, and check that they leave nothing on the host.

    `kept` is the descriptor that a process keeps open from its second container on.
    """
    children_before = children()
    descriptors = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    yield tmp_path / "c"
    assert not list((tmp_path / "c").glob("*"))
    assert box_cgroups() == []
    assert str(tmp_path) not in Path("/proc/self/mounts").read_text()
    assert set(os.listdir("/proc/self/fd")) == descriptors  # noqa: PTH208
    assert children() == children_before
