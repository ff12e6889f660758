"""The table: every claim is judged, and printed with its figures and reasons."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

from rich.console import Console

from lab.claims import table
from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from tests.lab.claims.judging import UNTESTED, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from pathlib import Path


def test_every_claim_of_the_text_is_judged(tmp_path: Path) -> None:
    rows = table.examine(on(tmp_path))
    assert {row.source for row in rows[:8]} == {"startup", "disk", "performance", "instances"}
    numbers = {number for row in rows[8:] for number in row.source.split(", ")}
    assert numbers == {str(number) for number in range(1, 13)}
    assert all(row.reason for row in rows)
    assert all(row.n for row in rows if row.measured)


def test_a_missing_experiment_is_named(tmp_path: Path) -> None:
    run = on(tmp_path, experiments=("startup",))
    result = row(run, "container: usually MB")
    assert result.verdict == UNTESTED
    assert result.reason == "footprint was not measured in this run"


def test_a_target_that_always_failed_has_a_reason(tmp_path: Path) -> None:
    with RunFolder(tmp_path / "run", HOST, SETTINGS) as made:
        made.append(
            Sample("startup", "vm", "first-instruction", "second", n, None, censored="it hung")
            for n in range(2)
        )
    result = row(run_folder.load(tmp_path / "run"), "virtual machine: minutes")
    assert result.reason == "all 2 attempts of vm failed: it hung"


def test_the_markdown_names_host_accelerator_and_why(tmp_path: Path) -> None:
    text = table.markdown(on(tmp_path))
    for words in ("host plausible", "page cache warm", "machines emulated (TCG)",
                  "KVM on this host: a Linux guest did not reach",
                  "**can't be tested here**"):  # fmt: skip
        assert words in text
    widths = {line.count("|") for line in text.splitlines() if line.startswith("|")}
    assert widths == {7}


def test_the_table_is_printed_with_intervals(tmp_path: Path) -> None:
    text = io.StringIO()
    table.show(on(tmp_path), Console(file=text, width=200))
    assert "container ready 3.36 ms (3.12 – 3.55 ms; 15 rounds)" in text.getvalue()
    assert "does not hold" in text.getvalue()
