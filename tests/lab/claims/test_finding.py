"""Rules that all judges share: equal figures, and machines of an unknown accelerator."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from lab.claims import finding
from lab.claims.evidence import Figure
from lab.claims.finding import Verdict
from lab.results import run_folder
from tests.lab.claims.judging import on, row
from tests.lab.plausible import write
from tests.lab.with_samples import with_samples

if TYPE_CHECKING:
    from pathlib import Path

OF_MACHINES = ("virtual machine: weak", "runs programs more slowly", "boots in perhaps 20 s",
               "tens on one host")  # fmt: skip
MORE = ("alone use up the host", "use file storage better", "another platform")


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    [(1.01, 2, True), (1, 2, None), (0.5, 2, None), (0.5, 1, False), (1, 1, False),
     (None, None, None)],
)  # fmt: skip
def test_what_equals_a_bound_is_not_above_it(
    low: float | None, high: float | None, answer: bool | None
) -> None:
    assert finding.lies_above(Figure("", 1.0, low, high, "ratio", ""), 1.0) is answer


@pytest.mark.parametrize("words", MORE)
def test_a_machine_that_takes_as_much_takes_no_more(words: str, tmp_path: Path) -> None:
    run = on(tmp_path)
    equal = run.samples.assign(value=run.samples["value"].where(run.samples["value"].isna(), 1.5))
    assert row(with_samples(run, equal), words).verdict == Verdict.FAILS


@pytest.mark.parametrize("words", OF_MACHINES)
def test_a_machine_of_an_unknown_accelerator_proves_nothing_about_kvm(
    words: str, tmp_path: Path
) -> None:
    path = write(tmp_path / "run", stop="memory")
    settings = json.loads((path / "run.json").read_text())
    del settings["accelerator"]
    (path / "run.json").write_text(json.dumps(settings))
    found = row(run_folder.load(path), words)
    assert found.verdict == Verdict.UNTESTED
    assert found.reason == "the run does not record whether the machines were emulated"
