"""tests/system and tests/oci need root; without it they are skipped, with that reason."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ("tests.missing",)

ROOTED = tuple(Path(__file__).parent / name for name in ("system", "oci"))


def pytest_configure() -> None:
    # A shell starts background jobs deaf to Ctrl-C, and what tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # How long an example takes is the host's doing: a busy one would fail what is right.
    settings.register_profile(
        "any host", deadline=None, suppress_health_check=[HealthCheck.too_slow]
    )
    settings.load_profile("any host")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(path in item.path.parents for path in ROOTED):
            item.add_marker("root")
        if os.geteuid() != 0 and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))
