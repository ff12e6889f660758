"""Numbers as students write them."""

from __future__ import annotations

import math

import pytest

from lab.classroom.exercises.reading import plain, quantities, quantity


@pytest.mark.parametrize(
    ("answer", "kind", "value"),
    [
        ("286 MiB", "byte", 286 * 2**20),
        ("286MB", "byte", 286e6),
        ("4,41 ms", "second", 4.41e-3),
        ("4.41 µs", "second", 4.41e-6),
        ("4.41 μs", "second", 4.41e-6),
        ("约 4.4 毫秒", "second", 4.4e-3),
        ("１２ 秒", "second", 12.0),
        ("１２％", "share", 0.12),
        ("−3.5%", "share", -0.035),
        ("1,234", "integer", 1234.0),
        ("1,234.5", "integer", 1234.5),
        ("8 033 个", "integer", 8033.0),
        ("1.2 倍", "ratio", 1.2),
        ("120 %", "ratio", 1.2),
        ("x1.2", "ratio", 1.2),
        ("1.2-fold", "ratio", 1.2),
        ("1.2 times as long", "ratio", 1.2),
        ("2 % faster", "share", -0.02),
        ("4.4 msec", "second", 4.4e-3),
        ("0.5 secs", "second", 0.5),
        ("286 兆字节", "byte", 286 * 2**20),
        ("1 instance", "integer", 1.0),
        ("12 个实例", "integer", 12.0),
        ("0.51 CPUs", "CPUs", 0.51),
        ("0.51 核", "CPUs", 0.51),
        ("2.1×10^5 B", "byte", 2.1e5),
        ("2.1·10⁵ B", "byte", 2.1e5),
        ("1e3 s", "second", 1000.0),
        (".5 s", "second", 0.5),
        (12, "integer", 12.0),
        (1.5, "integer", 1.5),
    ],
)
def test_a_number_with_its_unit_is_read(answer: object, kind: str, value: float) -> None:
    read = quantity(answer)
    assert read is not None
    if not read.unit and kind == "ratio":
        kind = "integer"  # a factor may be written as a number alone
    assert read.in_base(kind) == pytest.approx(value)


@pytest.mark.parametrize(
    "answer",
    ["", "abc", "4.4.4", "3 – 5 ms", "nan", "inf", "1,23,4", "10⁵ 7", "9" * 100, True, math.nan,
     math.inf, 10**400, None, [1], b"3", {"a": 1}, 1 + 2j],
)  # fmt: skip
def test_other_answers_are_no_number(answer: object) -> None:
    assert quantity(answer) is None


@pytest.mark.parametrize("text", ["calls", "capacity", "aboutness", "约束"])
def test_a_word_that_begins_like_about_stays_whole(text: str) -> None:
    assert plain(text) == text


def test_both_ends_of_an_interval_have_the_unit_behind_the_second() -> None:
    found = [each.in_base("second") for each in quantities("3.58 – 6.61 ms")]
    assert found == [pytest.approx(3.58e-3), pytest.approx(6.61e-3)]
    assert len(quantities("从 3.58 到 6.61 毫秒")) == 2
