"""Traces: points, and broken lines by number."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from lab.errors import InvalidConfig
from lab.scaling import trace

if TYPE_CHECKING:
    from pathlib import Path


def written(path: Path, text: str) -> Path:
    file = path / "trace.csv"
    file.write_text(text)
    return file


def test_the_rate_stays_until_the_next_line(tmp_path: Path) -> None:
    file = written(tmp_path, "second,rate\n\n# from a log\n100,5\n160, 20.5\n220,0\n")
    times, rates = trace.read(file)
    assert times.tolist() == [0, 60, 60, 120, 120]
    assert rates.tolist() == [5, 5, 20.5, 20.5, 0]


def test_a_heading_stands_after_comments_or_a_byte_order_mark(tmp_path: Path) -> None:
    for text in ("# from a log\n\nsecond,rate\n0,5\n", "\ufeffsecond,rate\n0,5\n", "\ufeff0,5\n"):
        times, rates = trace.read(written(tmp_path, text))
        assert (times.tolist(), rates.tolist()) == ([0], [5])


def test_a_path_that_can_not_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="can't be read: embedded null"):
        trace.read(tmp_path / "a\0b")


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("0,1\n1;2\n", "line 2: it has 1 fields instead of 2: '1;2'"),
        ("0,1\n5,x\n", "line 2: it is not two numbers: '5,x'"),
        ("0,1\n5,-1\n", "line 2: the rate is negative: '5,-1'"),
        ("0,1\n5,nan\n", "line 2: a number is not finite: '5,nan'"),
        ("0,1\ninf,1\n", "line 2: a number is not finite"),
        ("0,1\n5,1\n5,2\n", "line 3: its time is not after the line before: '5,2'"),
        ("0,1,2\n", "line 1: it has 3 fields instead of 2"),
        ("0,1\n" + "9" * 80 + "\n", f"line 2: it has 1 fields instead of 2: '{'9' * 60}…'"),
        ("second,rate\n", "has no line with a rate above zero"),
        ("0,0\n9,0\n", "has no line with a rate above zero"),
        ("", "has no line with a rate above zero"),
        ("0,1\nsecond,rate\n", "line 2: it is not two numbers"),
        ("# a\nsecond,rate\nsecond,rate\n0,1\n", "line 3: it is not two numbers"),
        ("0,1_000\n", "line 1: it is not two numbers: '0,1_000'"),
    ],
)
def test_a_broken_line_is_named(tmp_path: Path, text: str, fault: str) -> None:
    with pytest.raises(InvalidConfig) as error:
        trace.read(written(tmp_path, text))
    assert fault in str(error.value)
    assert str(error.value).startswith("arrivals.file: ")


def test_a_missing_trace_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match=r"arrivals.file: .* can't be read: No such file"):
        trace.read(tmp_path / "none.csv")
