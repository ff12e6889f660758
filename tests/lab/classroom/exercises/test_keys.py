"""Points and reasons: known mistakes of numbers, choices, orders and sentences."""

from __future__ import annotations

import pytest

from lab.classroom.exercises.draw import Draw
from lab.classroom.exercises.letters import Choice, Ordering
from lab.classroom.exercises.numbers import Number
from lab.classroom.exercises.sentences import Explanation, Part, ends
from lab.language.message import Message, joined

TIME = Number.sampled(4.41e-3, "second", 3.58e-3, 6.61e-3)
SIZE = Number.counted(286 * 2.0**20, "byte")
RATIO = Number.sampled(2.5, "ratio", 2.4, 2.6)
SHARE = Number.sampled(0.12, "share", 0.115, 0.125, signed=True)
COUNT = Number.counted(101, "integer")


@pytest.mark.parametrize(
    ("key", "answer", "share", "reason"),
    [
        (TIME, "4.41 ms", 1.0, "Right"),
        (TIME, "0.0044 秒", 1.0, "Right"),
        (TIME, "3.6 ms", 1.0, "Right"),
        (TIME, "4.41", 0.5, "unit is missing"),
        (TIME, "4.41 s", 0.25, "digits are right, the unit is not"),
        (TIME, "4.41 MiB", 0.25, "does not fit"),
        (TIME, "12 ms", 0.25, "order of magnitude"),
        (TIME, "-4.41 ms", 0.0, "sign"),
        (TIME, "900 ms", 0.0, "too much"),
        (TIME, "1 µs", 0.0, "too little"),
        (TIME, "0 s", 0.0, "Not right"),
        (TIME, "fast", 0.0, "not one finite number"),
        (TIME, True, 0.0, "not one finite number"),
        (SIZE, "286 MiB", 1.0, "Right"),
        (SIZE, "300 MB", 1.0, "Right"),
        (SIZE, "286 MB", 0.25, "MB and MiB differ"),
        (SIZE, "320 MiB", 0.5, "Near"),
        (RATIO, 2.5, 1.0, "Right"),
        (RATIO, "250 %", 1.0, "Right"),
        (RATIO, "0.4", 0.5, "inverse"),
        (RATIO, "250", 0.5, "percent and factor"),
        (RATIO, "1.5", 0.5, "how much more"),
        (RATIO, "2.5 s", 0.25, "does not fit"),
        (SHARE, "12 %", 1.0, "Right"),
        (SHARE, "0.12", 1.0, "Right"),
        (SHARE, "12", 0.5, "% sign is missing"),
        (SHARE, "-12 %", 0.25, "sign is not"),
        (SHARE, "0.12 %", 0.5, "share and percent"),
        (SHARE, "112 %", 0.5, "difference"),
        (COUNT, "101", 1.0, "Right"),
        (COUNT, "１０１ 个", 1.0, "Right"),
        (COUNT, "120", 0.5, "Near"),
    ],
)
def test_a_number_gets_its_share(key: Number, answer: object, share: float, reason: str) -> None:
    mark = key.check(answer)
    assert (mark.share, reason in mark.reason) == (share, True), mark


def test_a_wide_interval_does_not_accept_everything() -> None:
    key = Number.sampled(1.5, "ratio", 0.3, 8.9)
    assert key.check("1.8").share == 1.0
    assert key.check("4").share < 1.0


def choice() -> Choice:
    return Choice.of(
        Draw("x"),
        Message("slower"),
        Message("faster"),
        (joined("", ["alike"]), Message("Not right.")),
    )


@pytest.mark.parametrize("form", ["{}", "{} ", "({})", "{}.", "［{}］"])
def test_a_letter_is_read_in_many_forms(form: str) -> None:
    key = choice()
    letter = key.example()
    assert key.check(form.format(letter)).share == 1.0
    assert key.check(form.format(letter.lower())).share == 1.0


def test_the_text_of_a_choice_counts_in_every_language() -> None:
    assert choice().check("slower").share == choice().check("更慢").share == 1.0
    assert choice().check("faster").share == 0.0


@pytest.mark.parametrize("answer", ["H", "AB", 1, True, None, ["A"], "x" * 999])
def test_what_is_no_choice_is_told_so(answer: object) -> None:
    mark = choice().check(answer)
    assert mark.share == 0.0
    assert "none of the choices" in mark.reason


def ordering(*ties: tuple[int, int]) -> Ordering:
    return Ordering.of(Draw("y"), [joined("", [name]) for name in ("one", "two", "three")], ties)


def test_an_order_gets_the_share_of_its_pairs() -> None:
    key = ordering()
    right = key.example().split()
    assert key.check(" ".join(right)).share == key.check(right).share == 1.0
    assert key.check(",".join(right)).share == key.check("".join(right)).share == 1.0
    assert key.check(["one", "two", "three"]).share == 1.0
    swapped = [right[1], right[0], right[2]]
    assert 0 < key.check(swapped).share < 1
    assert key.check(right[::-1]).share == 0.0
    assert "once" in key.check([right[0], right[0], right[1]]).reason
    assert "once" in key.check("one").reason


def test_an_order_of_texts_that_hold_commas_is_read() -> None:
    names = ("pipes, sources", "calls", "names, loopback", "sources")
    key = Ordering.of(Draw("z"), [joined("", [name]) for name in names])
    for separator in (", ", "; ", " - ", "、", " < "):
        assert key.check(separator.join(names)).share == 1.0, separator
    assert "once" in key.check("pipes, sources, calls").reason
    assert "once" in key.check("pipes, sources, calls, names, loopback, sourcesX").reason


def test_a_number_of_cpus_is_read_as_tables_show_it() -> None:
    key = Number.sampled(0.51, "CPUs", 0.49, 0.52)
    assert key.check("0.51 CPUs").share == key.check("0.5").share == key.check("51 %").share == 1
    assert "0.49 CPUs to 0.52 CPUs" in key.solution()


def test_a_tie_may_come_either_way() -> None:
    key = ordering((0, 1))
    right = key.example().split()
    assert key.check([right[1], right[0], right[2]]).share == 1.0


def test_a_sentence_gets_the_share_of_its_parts() -> None:
    key = Explanation(
        (*ends(3.58e-3, 6.61e-3, "second"), Part(Message("Say what lies in the interval."),
                                                pattern="median|中位数")),
        Message("Right."),
    )  # fmt: skip
    assert key.check("The median is between 3.58 and 6.61 ms.").share == 1.0
    assert key.check("中位数在 3.58 毫秒到 6.61 毫秒之间").share == 1.0
    part = key.check("The median is above 3.58 ms.")
    assert part.share == pytest.approx(2 / 3)
    assert "upper end" in part.reason
    assert key.check("between 3.58 and 6.61 s, median").share == pytest.approx(1 / 3)
    assert key.check(5).share == 0.0


@pytest.mark.parametrize("unit", ["integer", "second", "byte", "share", "ratio"])
@pytest.mark.parametrize(
    "value", [1.0614e-9, 0.1061, 0.01449, 0.9551, 0.1049, 1.0449, 104.9, 0.0, 1 - 1e-8]
)
def test_a_value_as_tables_show_it_is_right(value: float, unit: str) -> None:
    for key in (Number.counted(value, unit), Number.sampled(value, unit, value, value)):
        assert key.check(key.example()).share == 1
