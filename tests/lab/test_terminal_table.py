"""Tables on a terminal: columns where they fit, else a line for each cell, and nothing lost."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from lab import tables
from lab.language.message import Language, Message
from lab.language.text_width import width
from lab.terminal_table import distribute

HEADINGS = (Message("target"), Message("metric"), Message("median"), Message("95 % interval"))
ROWS = (
    (Message("container"), Message("first-instruction"), "4.03 ms", "3.63 – 4.73 ms"),
    (Message("vm"), Message("memory-per-instance-available"), "1,009 MiB", "0.76 – 1.30 GiB"),
)
FIGURES = ("4.03 ms", "3.63 – 4.73 ms", "1,009 MiB", "0.76 – 1.30 GiB")


def printed(columns: int, language: Language = Language.ENGLISH) -> str:
    text = io.StringIO()
    table = tables.numeric("startup", HEADINGS, ROWS, language)
    Console(file=text, width=columns).print(table)
    return text.getvalue()


@pytest.mark.parametrize("language", Language)
@pytest.mark.parametrize("columns", [32, 40, 60, 80, 120])
def test_every_figure_is_whole_and_every_line_fits(columns: int, language: Language) -> None:
    shown = printed(columns, language)
    assert all(figure in shown for figure in FIGURES), shown
    assert all(width(line.rstrip()) <= columns for line in shown.splitlines())
    assert "…" not in shown


def test_a_narrow_terminal_gets_a_line_for_each_cell() -> None:
    assert "container\nmetric: first-instruction\nmedian: 4.03 ms\n" in printed(40)
    assert "容器\n指标：首条指令\n中位数：4.03 ms\n" in printed(40, Language.CHINESE)


def test_columns_are_aligned_beside_chinese_characters() -> None:
    lines = printed(100, Language.CHINESE).splitlines()[1:]
    ends = {width(line[: line.index("B" if "GiB" in line else "ms")]) for line in lines[1:]}
    assert len({width(line) for line in lines}) == 1, lines
    assert ends


def test_plain_columns_are_aligned_beside_chinese_characters() -> None:
    rows = [(Message("container"), "a"), ("vm", "b")]
    lines = tables.columns((Message("target"), "x"), rows, Language.CHINESE)
    assert [width(line[: line.index(end)]) for line, end in zip(lines, "xab", strict=True)] == [
        6
    ] * 3


def test_the_widest_columns_are_folded_first() -> None:
    assert distribute([3, 3, 3], [3, 10, 40], 30) == [3, 10, 17]
    assert distribute([3, 3], [3, 10], 30) == [3, 10]
    assert distribute([20, 20], [20, 30], 39) == []


def test_a_mark_shares_its_line_with_what_it_marks() -> None:
    output = io.StringIO()
    rows = [("✓", "distribution", "Debian GNU/Linux 12", ""), ("!", "", "unnamed", "why")]
    table = tables.folding(("", "subject", "value", "meaning"), rows)
    Console(file=output, width=24).print(table)
    assert output.getvalue().split("\n")[:3] == ["✓ distribution", "value: Debian GNU/Linux", "12"]
