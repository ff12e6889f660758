"""Set-up of all tests; those of tests/system and tests/oci are skipped without root."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.missing",)

ROOTED = tuple(Path(__file__).parent / name for name in ("system", "oci"))
USER_NAMESPACE = Path("/proc/self/ns/user").readlink()


def pytest_configure() -> None:
    """Reset SIGINT, forget a make(1) around, and load a Hypothesis profile for busy hosts."""
    for name in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):  # a test that runs make has its own options
        os.environ.pop(name, None)
    # A shell ignores SIGINT in background jobs, and children of the tests would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # A deadline for each example would fail correct code on a busy host.
    settings.register_profile(
        "any host", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any host")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests that need root, and skip them without it."""
    for item in items:
        if any(path in item.path.parents for path in ROOTED):
            item.add_marker("root")
        if os.geteuid() != 0 and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))


def pytest_runtest_teardown(item: pytest.Item) -> None:
    """End the run after a test that moved it to a user namespace, where the others had root."""
    if Path("/proc/self/ns/user").readlink() != USER_NAMESPACE:
        pytest.exit(f"{item.nodeid} entered a user namespace: it needs a process of its own", 1)
