"""The table: every claim is judged, and printed with its figures and reasons."""

from __future__ import annotations

import io
import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
from rich.console import Console

from lab.claims import table
from lab.claims.catalogue import TABLE
from lab.claims.evidence import Evidence, evidence_of
from lab.claims.finding import Finding, Verdict
from lab.language.message import Language, Message, translated
from lab.results import run_folder
from lab.results.run_folder import RunFolder
from lab.results.sample import Sample
from lab.statistics.estimates import Estimate, estimate_median
from tests.lab.claims.judging import UNTESTED, on, row
from tests.lab.plausible import HOST, SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence
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


def test_every_sentence_of_the_table_is_a_message(tmp_path: Path) -> None:
    run = on(tmp_path)
    for each in table.examine(run):
        for text in (each.claim, each.measure, each.reason, *each.measured, *each.n):
            assert isinstance(text, Message), text
    assert all(isinstance(line, Message) for line in table.conditions(run))


def test_verdicts_are_translated() -> None:
    assert all(verdict.message == verdict.value for verdict in Verdict)
    chinese = [translated(verdict.message, Language.CHINESE) for verdict in Verdict]
    assert chinese == ["成立", "不成立", "尚无定论", "此处无法检验"]


def test_the_table_in_chinese_has_the_figures_of_the_english_one(tmp_path: Path) -> None:
    run = on(tmp_path)
    english, chinese = (table.markdown(run, language) for language in Language)
    rows = [line for line in chinese.splitlines() if line.startswith("|")]
    assert {line.count("|") for line in rows} == {7}
    assert rows[2].startswith("| 启动 | 容器：秒级 | 容器：就绪 3.36 ms<br>podman：就绪 ")
    assert "**此处无法检验**：" in chinese
    figure = re.compile(r"\d+(?:\.\d+)? (?:ms|s|MiB|×)")
    assert sorted(figure.findall(chinese)) == sorted(figure.findall(english))


def test_a_claim_is_judged_once_for_all_that_show_it(tmp_path: Path) -> None:
    judged: list[Evidence] = []

    def judge(evidence: Evidence) -> Finding:
        judged.append(evidence)
        return TABLE[0].judge(evidence)

    run, claim = on(tmp_path), replace(TABLE[0], judge=judge)
    assert table.examine(run, [claim]) == table.examine(run, [claim])
    assert len(judged) == 1
    table.examine(run_folder.load(run.path), [claim])
    assert len(judged) == 2


def test_a_figure_is_worked_out_once_for_the_same_arguments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = evidence_of(on(tmp_path))
    worked_out: list[float] = []

    def counted(values: Sequence[float], *given: Any) -> Estimate:
        worked_out.append(len(values))
        return estimate_median(values, *given)

    monkeypatch.setattr("lab.claims.evidence.estimate_median", counted)
    mean = found.mean_ratio("container", "native")
    assert mean
    assert found.mean_ratio("container", "native") is mean
    assert len(worked_out) == 1
    assert found.mean_ratio("vm", "native") != mean
    assert len(worked_out) == 2
