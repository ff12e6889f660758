"""Fixtures of the system tests, and a final check that nothing of ours is left on the host."""

from __future__ import annotations

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from runtime.rootfs import empty_mount_namespace
from tests.left_on_host import nothing_left

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def kept() -> int:
    """Return the empty mount namespace of a process that has started a container before."""
    descriptor = empty_mount_namespace.descriptor() or empty_mount_namespace.descriptor()
    assert descriptor
    return descriptor


@pytest.fixture(scope="session", autouse=True)
def _nothing_is_left() -> Iterator[None]:
    with nothing_left() if os.geteuid() == 0 else nullcontext():
        yield


@pytest.fixture(scope="session")
def embedded() -> Iterator[Path]:
    """Return the directory of the embedded libvirt's root `l-tested`, of which a process has one.

    It lies below the cache, where images may be cloned; its path is short, for the sockets in it.
    """
    cache = cache_directory()
    cache.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="tests-", dir=cache) as path:
        yield Path(path)
