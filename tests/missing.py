"""A pytest plug-in for tests that are skipped because a program is not installed.

It records their names, runs recorded tests again, or fails them. The gate (.ci/bare) runs `make
test` in a bare tree, then installs Debian's packages of the missing programs and runs the recorded
tests again; this time no program may be missing.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

# Programs that Debian does not package.
NOT_PACKAGED = {"firecracker", "cloud-hypervisor"}
_MISSING = re.compile(r"(\S+) is not installed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the plug-in's options."""
    group = parser.getgroup("missing programs")
    group.addoption(
        "--record-missing", type=Path, metavar="FILE",
        help="append the tests that were skipped because a program is not installed",
    )  # fmt: skip
    group.addoption(
        "--only-recorded", type=Path, metavar="FILE", help="run only the tests that FILE lists"
    )
    group.addoption(
        "--nothing-missing", action="store_true",
        help="fail tests that are skipped because a program that Debian packages is not installed",
    )  # fmt: skip


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect the tests that the recorded file does not list."""
    path: Path | None = config.getoption("--only-recorded")
    if path is None:
        return
    recorded = set(path.read_text().splitlines()) if path.exists() else set()
    config.hook.pytest_deselected(items=[item for item in items if item.nodeid not in recorded])
    items[:] = [item for item in items if item.nodeid in recorded]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Record or fail a test that was skipped because a program is missing."""
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
        report.longrepr = f"{program} is not installed, so the test was skipped."
    return report


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Pass a session whose tests were all deselected because none is recorded."""
    if (
        session.config.getoption("--only-recorded")
        and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED
    ):
        session.exitstatus = pytest.ExitCode.OK


def missing_program(report: pytest.TestReport) -> str | None:
    """Return the missing program because of which a test was skipped, or None."""
    if not report.skipped or not isinstance(report.longrepr, tuple):
        return None
    match = _MISSING.search(report.longrepr[2])
    return Path(match[1]).name if match else None
