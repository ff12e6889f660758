"""Tests that were skipped because a program is not installed: recorded, run again, or refused.

`make test` skips them by name. The gate runs it so, on a bare machine, then installs what Debian
has and runs again what was skipped; then no program may be missing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# Debian has no package of these.
NOT_PACKAGED = {"firecracker", "cloud-hypervisor"}
_MISSING = re.compile(r"(\S+) is not installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("missing programs")
    group.addoption(
        "--record-missing", type=Path, metavar="FILE",
        help="append the tests that were skipped because a program is not installed",
    )  # fmt: skip
    group.addoption(
        "--only-recorded", type=Path, metavar="FILE", help="run the tests that a file lists"
    )
    group.addoption(
        "--nothing-missing", action="store_true",
        help="fail what is skipped because a program that Debian has is not installed",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    path: Path | None = config.getoption("--only-recorded")
    if path is None:
        return
    wanted = set(path.read_text().splitlines()) if path.exists() else set()
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in wanted])
    items[:] = [item for item in items if item.nodeid in wanted]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    program = missing_program(report)
    if program is None or program in NOT_PACKAGED:
        return report
    record: Path | None = item.config.getoption("--record-missing")
    if record is not None:
        with record.open("a") as file:
            file.write(f"{item.nodeid}\n")
    if item.config.getoption("--nothing-missing"):
        report.outcome = "failed"
        report.longrepr = f"{program} is not installed, and the test was skipped."
    return report


def missing_program(report: pytest.TestReport) -> str | None:
    """Return the program for want of which a test was skipped, None for any other outcome."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return None
    found = _MISSING.search(report.longrepr[2])
    return Path(found[1]).name if found else None
