"""Folding: between Chinese characters, not before their marks, and never within a figure."""

from __future__ import annotations

import io
import itertools

import pytest
from rich.console import Console

from lab import tables
from lab.folded_text import least_width, line_ends, pieces
from lab.language.text_width import width


def folded(text: str, most: int) -> list[str]:
    ends = [0, *line_ends(text, most), len(text)]
    return [text[begin:end].rstrip() for begin, end in itertools.pairwise(ends)]


def test_a_chinese_character_takes_two_columns() -> None:
    assert width("容器 4.41 ms") == 12
    assert width("e\u0301") == 1


def test_chinese_is_folded_between_characters_but_not_before_a_mark() -> None:
    assert folded("虚拟机（模拟）：用户空间", 8) == ["虚拟机", "（模", "拟）：用", "户空间"]


@pytest.mark.parametrize("most", range(8, 40))
def test_no_line_is_wider_than_the_terminal_and_no_figure_is_broken(most: int) -> None:
    text = "最慢的（docker）也不到 1 s 就绪：容器 4.41 ms（3.58 – 6.61 ms；22 轮），1.10 × 原生"
    lines = folded(text, most)
    assert all(width(line) <= most for line in lines)
    for figure in ("4.41 ms", "6.61 ms", "1.10 ×", "1 s", "docker"):
        assert any(figure in line for line in lines), lines


def test_a_number_stays_beside_its_unit_but_not_beside_other_words() -> None:
    assert list(pieces("ready 4.41 ms after 22 rounds")) == [
        "ready ", "4.41 ms ", "after ", "22 ", "rounds",
    ]  # fmt: skip


def test_a_name_is_folded_after_a_hyphen_and_a_date_is_not() -> None:
    assert list(pieces("file-cached-read 2026-11-29")) == [
        "file-", "cached-", "read ", "2026-11-29",
    ]  # fmt: skip


def test_a_word_wider_than_the_terminal_is_split() -> None:
    assert folded("a" * 25, 10) == ["a" * 10, "a" * 10, "a" * 5]
    assert least_width("a\nlonger word") == 6


def test_a_paragraph_is_printed_in_lines_that_fit() -> None:
    text = io.StringIO()
    Console(file=text, width=20).print(tables.paragraph("虚拟机是模拟运行的，不能说明 KVM 的情况"))
    lines = text.getvalue().splitlines()
    assert "".join(lines).replace(" ", "") == "虚拟机是模拟运行的，不能说明KVM的情况"
    assert all(width(line.rstrip()) <= 20 for line in lines)
