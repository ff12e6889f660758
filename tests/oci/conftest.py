"""The runtime under test, and bundles for it.

TONNAGE_OCI_RUNTIME names another runtime, by a path or by a name on the PATH. With
TONNAGE_OCI_APART=1 `run` is replaced by separate commands: create, start and delete.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.paths import cache_directory
from lab.userland import root_tree
from tests.oci.driver import Bundle, Runtime

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

OURS = "tonnage-oci"


def command() -> str | None:
    """Return the runtime's path; None if it is not installed."""
    named = os.environ.get("TONNAGE_OCI_RUNTIME")
    if named:
        return shutil.which(named)
    beside = Path(sys.executable).with_name(OURS)
    return str(beside) if beside.exists() else None


@pytest.fixture(scope="session")
def installed() -> Iterator[Runtime]:
    path = command()
    if not path:
        pytest.skip(f"{os.environ.get('TONNAGE_OCI_RUNTIME') or OURS} is not installed")
    scratch = cache_directory() / f"oci-{os.getpid()}"
    scratch.mkdir(parents=True)
    tree = root_tree.build_tree(print)
    try:
        yield Runtime(path, scratch, tree, apart=os.environ.get("TONNAGE_OCI_APART") == "1")
    finally:
        shutil.rmtree(scratch)


@pytest.fixture
def runtime(installed: Runtime) -> Iterator[Runtime]:
    """Return the runtime; remove after the test whatever the test made with it."""
    yield installed
    installed.remove()


@pytest.fixture
def bundle(runtime: Runtime) -> Bundle:
    """Return a bundle with a typical configuration, which the test changes and runs."""
    return runtime.bundle()


@pytest.fixture
def another(runtime: Runtime) -> Callable[[], Bundle]:
    """Return a function that makes further bundles."""
    return runtime.bundle
