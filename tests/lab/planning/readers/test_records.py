"""Records: amounts, names, broken lines, and resources that no host states."""

from __future__ import annotations

import pytest

from lab.errors import InvalidConfig
from lab.planning.inventory import BrokenLine, Host, Service
from lab.planning.readers.records import (
    BrokenLines,
    above_zero,
    amount,
    apply_each,
    inventory,
    offered_only,
    printable,
    require,
    unique,
)


@pytest.mark.parametrize(("text", "value"), [("0", 0.0), (" 1.5 ", 1.5), ("2e3", 2000.0)])
def test_an_amount_is_a_number_of_0_or_more(text: str, value: float) -> None:
    assert amount(text, "CPUs") == value


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "CPUs is missing"),
        ("  ", "CPUs is missing"),
        ("many", "CPUs is 'many', which is not a number"),
        ("nan", "CPUs is 'nan', which is not a number"),
        ("1_000", "CPUs is '1_000', which is not a number"),
        ("-1", "CPUs is -1, which is not a number of 0 or more"),
        ("inf", "CPUs is inf, which is not a number of 0 or more"),
        ("1e999", "CPUs is 1e999, which is not a number of 0 or more"),
        ("1e300", "CPUs is 1e300, which is more than any machine has"),
    ],
)
def test_anything_else_is_refused_with_its_field(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match="CPUs") as refused:
        amount(text, "CPUs")
    assert str(refused.value) == reason


def test_a_taken_name_gets_a_number() -> None:
    taken: dict[str, int] = {}
    names = ["web", "web", "web (2)", "web", "db"]
    assert [unique(name, taken) for name in names] == [
        "web",
        "web (2)",
        "web (2) (2)",
        "web (3)",
        "db",
    ]


def test_a_thousand_broken_lines_are_kept_and_the_others_counted() -> None:
    broken = BrokenLines()
    broken.file = "part-1"
    for number in range(1, 1004):
        broken.add(number, "bad")
    lines = broken.lines()
    assert len(lines) == 1001
    assert lines[0] == BrokenLine(1, "part-1: bad")
    assert lines[-1] == BrokenLine(1003, "the last of 3 more lines that are broken")


def test_a_source_without_any_record_is_of_another_kind() -> None:
    broken = BrokenLines()
    with pytest.raises(InvalidConfig) as refused:
        inventory("x.csv", "a list of pods", [], [], broken)
    said = "x.csv has nothing to plan as a list of pods: it has no such record."
    assert str(refused.value) == said
    broken.add(3, "it has 1 columns, 7 are needed")
    with pytest.raises(InvalidConfig, match="line 3: it has 1 columns, 7 are needed"):
        inventory("x.csv", "a list of pods", [], [], broken)


def test_rows_that_raise_are_broken_and_the_others_are_used() -> None:
    broken = BrokenLines()
    used: list[list[str]] = []

    def apply(row: list[str]) -> None:
        require(row, 2)
        used.append(row)

    apply_each([(1, ["a", "b"]), (2, ["c"]), (5, ["d", "e"])], broken, apply)
    assert used == [["a", "b"], ["d", "e"]]
    assert broken.lines() == (BrokenLine(2, "it has 1 columns, 2 are needed"),)


def test_resources_that_no_host_states_are_not_requested() -> None:
    service = Service("web", 2, {"cpus": 1.0, "disk_bytes": 5.0})
    (left,) = offered_only([service], [Host("h", {"cpus": 4.0})])
    assert left == Service("web", 2, {"cpus": 1.0})
    assert offered_only([service], []) == [service]


def test_amounts_of_0_are_left_out() -> None:
    assert above_zero({"cpus": 1.0, "gpus": 0.0}) == {"cpus": 1.0}


def test_control_characters_are_no_part_of_names() -> None:
    assert printable("Köln 1") == "Köln 1"
    assert printable("a\x1b[2J\n\u00a0b") == "a\\x1b[2J  b"
    bell, other = Service("a\x07", 1, {}, hosts=frozenset({"h\n"})), Service("a\\x07", 1, {})
    found = inventory(
        "x.csv",
        "a list",
        [bell, other, Service("b", 1, {}, apart_from=frozenset({"a\x07"}))],
        [Host("h\n", {}, zone="z\x1b")],
        BrokenLines(),
    )
    assert [each.name for each in found.services] == ["a\\x07 (2)", "a\\x07", "b"]
    assert found.services[0].hosts == frozenset({"h "})
    assert found.services[2].apart_from == frozenset({"a\\x07 (2)"})
    assert found.hosts == (Host("h ", {}, zone="z\\x1b"),)
    broken = BrokenLines()
    broken.add(1, "a\x1b is bad")
    assert broken.lines() == (BrokenLine(1, "a\\x1b is bad"),)
