"""The runtime under test, and bundles for it.

TONNAGE_OCI_RUNTIME names another runtime than ours, by a path or by a name on the PATH. With
TONNAGE_OCI_APART=1 what a test runs to its end is created, started and deleted by commands of their
own.
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
    """The runtime's path; None if it is not installed."""
    named = os.environ.get("TONNAGE_OCI_RUNTIME")
    if named:
        return shutil.which(named)
    beside = Path(sys.executable).with_name(OURS)
    return str(beside) if beside.exists() else None


@pytest.fixture(scope="session")
def installed() -> Iterator[Runtime]:
    found = command()
    if not found:
        pytest.skip(f"{os.environ.get('TONNAGE_OCI_RUNTIME') or OURS} is not installed")
    scratch = cache_directory() / f"oci-{os.getpid()}"
    scratch.mkdir(parents=True)
    tree = root_tree.build_tree(print)
    try:
        yield Runtime(found, scratch, tree, apart=os.environ.get("TONNAGE_OCI_APART") == "1")
    finally:
        shutil.rmtree(scratch)


@pytest.fixture
def runtime(installed: Runtime) -> Iterator[Runtime]:
    """The runtime; what a test makes with it is removed after the test."""
    yield installed
    installed.remove()


@pytest.fixture
def bundle(runtime: Runtime) -> Bundle:
    """A bundle with a configuration as containers have it, to be changed and run."""
    return runtime.bundle()


@pytest.fixture
def another(runtime: Runtime) -> Callable[[], Bundle]:
    """Makes further bundles."""
    return runtime.bundle
