"""Tests under tests/system need root and are skipped, with that reason, without it."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

SYSTEM = Path(__file__).parent / "system"


def pytest_configure() -> None:
    # A shell starts background jobs deaf to Ctrl-C, and what tests start would inherit that.
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if SYSTEM in item.path.parents:
            item.add_marker("root")
        if os.geteuid() != 0 and item.get_closest_marker("root"):
            item.add_marker(pytest.mark.skip(reason="needs root"))
