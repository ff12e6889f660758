"""Reasons why a run lacks a figure."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.claims import missing, table
from lab.language.message import Language, translated
from lab.results import run_folder
from lab.results.run_folder import Run, RunFolder
from lab.results.sample import Sample
from tests.lab.plausible import HOST, SETTINGS, write
from tests.lab.with_samples import with_samples

if TYPE_CHECKING:
    from pathlib import Path

HUNG = "vm did not reach userspace within 60 s."


def starts(path: Path, *values: tuple[str, str, float | None]) -> Run:
    """Write a run of starts with these values by target and metric; None has failed."""
    with RunFolder(path / "run", HOST, SETTINGS) as made:
        made.append(
            Sample("startup", target, metric, "second", number, value, 0, "" if value else HUNG)
            for number, (target, metric, value) in enumerate(values)
        )
    return run_folder.load(path / "run")


def test_the_reason_is_that_of_the_target_without_values(tmp_path: Path) -> None:
    run = run_folder.load(write(tmp_path / "run"))
    run = with_samples(run, run.samples[run.samples["target"] != "native"])
    reason = missing.reason(run, "performance", ("container", "native"))
    assert reason == "native has no finished round of performance in this run"


def test_a_target_with_other_figures_has_finished_rounds(tmp_path: Path) -> None:
    run = starts(tmp_path, ("vm", "ready", 6.0))
    reason = missing.reason(run, "startup", ("vm",))
    assert reason == "vm has other figures of startup in this run, but not this one"
    part = starts(tmp_path / "b", ("vm", "ready", 6.0), ("vm", "userspace", None))
    assert missing.reason(part, "startup", ("vm",)).endswith(
        "but not this one: vm did not reach userspace within 60 s"
    )


@pytest.mark.parametrize(
    ("attempts", "words"),
    [(1, "the only attempt of vm failed: "), (3, "all 3 attempts of vm failed: ")],
)
def test_failed_attempts_are_counted(tmp_path: Path, attempts: int, words: str) -> None:
    run = starts(tmp_path, ("container", "ready", 0.1), *[("vm", "userspace", None)] * attempts)
    assert missing.reason(run, "startup", ("vm",)) == f"{words}{HUNG[:-1]}"


def test_a_sentence_ends_with_one_full_stop(tmp_path: Path) -> None:
    run = starts(tmp_path, ("container", "ready", 0.1), ("vm", "userspace", None))
    for language in Language:
        text = table.markdown(run, language)
        assert ".." not in text
        assert "。。" not in text
        assert ".。" not in text


def test_the_reason_is_chinese(tmp_path: Path) -> None:
    run = starts(tmp_path, ("vm", "ready", 6.0))
    reason = translated(missing.reason(run, "startup", ("vm",)), Language.CHINESE)
    assert reason == "本次运行有虚拟机在启动方面的其他数据，但没有这一项"
