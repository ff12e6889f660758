"""Everything derived from a lawful run folder can be made, without traceback, nan or warnings."""

from __future__ import annotations

import io
import json
import os
import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from rich.console import Console

from lab.analysis import comparison, comparison_text, conditions, provenance, summary_text
from lab.claims import table
from lab.errors import LabError
from lab.measurement import resumption
from lab.report import report
from lab.results import run_folder
from tests.lab import lawful
from tests.lab.report.pictures import DRAW, words

if TYPE_CHECKING:
    from lab.results.run_folder import Run
    from tests.lab.lawful import Lawful

NOT_A_NUMBER = re.compile(r"\b(nan|inf)\b|∞", re.IGNORECASE)
EXAMPLES = int(os.environ.get("TONNAGE_EXAMPLES", "5"))


def examples(times: float) -> settings:
    """Return settings with `times` the usual number of examples."""
    return settings(
        max_examples=max(1, round(EXAMPLES * times)),
        deadline=None,
        phases=[Phase.explicit, Phase.reuse, Phase.generate],  # shrinking takes long for pictures
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
        derandomize="TONNAGE_EXAMPLES" not in os.environ,
    )


@contextmanager
def written(*drawn: Lawful) -> Iterator[list[Run]]:
    """Write and load the folders; a warning in the block is an error."""
    with tempfile.TemporaryDirectory() as scratch, warnings.catch_warnings():
        warnings.simplefilter("error")
        yield [each.write(Path(scratch) / f"run-{at}") for at, each in enumerate(drawn)]


def printed(show: Callable[[Console], None]) -> str:
    out = io.StringIO()
    show(Console(file=out, width=160))
    return out.getvalue()


def check(text: str) -> None:
    found = NOT_A_NUMBER.search(text)
    assert not found, text[max(0, found.start() - 200) : found.end() + 50]


def document(found: dict[str, Any]) -> None:
    """Check that the document is standard JSON, which has no NaN."""
    json.loads(json.dumps(found, allow_nan=False))


@pytest.mark.parametrize("name", DRAW)
@examples(0.4)
@given(drawn=lawful.runs())
def test_every_picture_can_be_drawn(name: str, drawn: Lawful) -> None:
    with written(drawn) as (run,):
        check(words(DRAW[name](run)))


@examples(2)
@given(drawn=lawful.runs())
def test_every_table_verdict_and_document_can_be_made(drawn: Lawful) -> None:
    with written(drawn) as (run,):
        for text in (
            table.markdown(run),
            table.rules(run),
            summary_text.markdown(run),
            provenance.facts(run),
            provenance.workloads(run),
            printed(lambda console: table.show(run, console)),
            printed(lambda console: summary_text.show(run, console)),
        ):
            check(text)
        document(table.document(run))
        document(summary_text.document(run))


@examples(2)
@given(one=lawful.runs(), other=lawful.runs())
def test_every_two_runs_can_be_compared(one: Lawful, other: Lawful) -> None:
    with written(one, other) as (first, later), suppress(LabError):  # no figure in common
        for runs in ([first, first], [first, later], [later, first]):
            found = comparison.compare(runs, conditions.CONDITIONS)
            check(printed(lambda console, found=found: comparison_text.show(found, console)))  # type: ignore[misc]
            document(comparison_text.document(found))


@examples(1)
@given(drawn=lawful.runs())
def test_a_run_is_resumed_unless_it_has_ended(drawn: Lawful) -> None:
    with written(drawn) as (run,):
        if "finished" in drawn.settings:
            with pytest.raises(LabError, match="is finished"):
                resumption.load(run.path)
            return
        begun = resumption.load(run.path)
        with begun.reopen({**drawn.settings, "started": "now"}):
            pass
        assert not run_folder.load(run.path).torn


@pytest.mark.skipif(
    "TONNAGE_EXAMPLES" not in os.environ, reason="TONNAGE_EXAMPLES is not set: takes minutes"
)
@examples(0.3)
@given(drawn=lawful.runs())
def test_every_report_can_be_written(drawn: Lawful) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "run"
        run = drawn.write(path)
        if run.samples["value"].isna().all():
            with pytest.raises(LabError, match="holds no measurements"):
                report.write(path)
            return
        report.write(path)
        page = (path / "report.html").read_text()
        assert "Warning" not in page
        check(re.sub(r'"data:[^"]*"', "", page))
