"""The notebooks that need no root, executed from a clean kernel on the project's own run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from lab.classroom.class_run import RUN_VARIABLE
from tests.notebooks import sources

pytestmark = pytest.mark.timeout(sources.DEADLINE_SECONDS + 60)
PROJECT = Path(__file__).parents[2]


@pytest.fixture(scope="module", params=sources.READ_ONLY)
def executed(request: pytest.FixtureRequest) -> Any:
    """A notebook with its outputs."""
    return sources.executed(request.param)


def test_a_notebook_warns_of_nothing(executed: Any) -> None:
    assert sources.warnings(executed) == []


def test_a_notebook_shows_no_path_of_this_host(executed: Any) -> None:
    text = sources.shown(executed)
    assert str(PROJECT) not in text
    assert str(Path.home()) + "/" not in text


def test_every_cell_was_executed_in_order(executed: Any) -> None:
    counts = [cell.execution_count for cell in executed.cells if cell.cell_type == "code"]
    assert counts == list(range(1, len(counts) + 1))


def test_every_picture_is_described(executed: Any) -> None:
    for output in sources.outputs(executed):
        if "image/svg+xml" in output.get("data", {}):
            assert len(output.metadata["image/svg+xml"]["alt"]) > 40


@pytest.mark.parametrize("name", sources.READ_ONLY)
def test_a_notebook_reads_a_class_s_own_quick_run(name: str) -> None:
    quick = PROJECT / "results" / "2026-11-29-vm"
    assert sources.outputs(sources.executed(name, {RUN_VARIABLE: str(quick)}))
