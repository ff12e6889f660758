"""Results are read from the output of tools."""

from __future__ import annotations

import pytest

from lab import workloads
from lab.errors import LabError
from lab.workloads import Result

RATE = Result(unit="/s", better="more", pattern="^rate (.*)$")


AT_A = Result(unit="s", better="less", json="a")


def output(stdout: str, elapsed_ns: int = 1_500_000_000) -> tuple[bytes, int]:
    return stdout.encode(), elapsed_ns


@pytest.mark.parametrize(
    ("result", "stdout", "value"),
    [
        (Result(unit="second", better="less"), "", 1.5),
        (Result(unit="second", better="less", times=0.1), "", 0.15),
        (Result(unit="MB/s", better="more", json="jobs.0.bw", times=2), '{"jobs":[{"bw":4}]}', 8),
        (Result(unit="/s", better="more", json="a"), 'note: it warns\n{"a": 3}', 3),
        (Result(unit="/s", better="more", pattern=r"^at ([\d,.]+)"), "at 1\nat 1,234.5", 1234.5),
        (RATE, "rate 1,234,567", 1_234_567),
        (RATE, "rate 1,5", 1.5),
        (RATE, "rate 12345,678", 12345.678),
        (RATE, "rate 2,5e3", 2500),
        (RATE, "rate .5", 0.5),
        (Result(unit="/s", better="more", json="0.rate"), '[{"rate": 3}]', 3),
        (Result(unit="/s", better="more", json="a"), 'in {cache}, [info]\n{"a": 3}\ndone.\n', 3),
        (Result(unit="/s", better="more", json="a"), '{"a": 3}\n{"a": 4}\n{"b": 5}\n', 4),
        (Result(unit="/s", better="more", json="a"), '{"a": "3.5"}', 3.5),
        (AT_A, '{"b": -nan, "c": inf, "d": "nan", "e": {"a": 9}, "a": 3}', 3),
        (AT_A, '[1/5] 12 % [done] {x}\n{"a": 3}', 3),
    ],
)  # fmt: skip
def test_a_result_is_read(result: Result, stdout: str, value: float) -> None:
    assert workloads.value_of(result, *output(stdout)) == pytest.approx(value)


@pytest.mark.parametrize(
    ("result", "stdout", "sentence"),
    [
        (Result(unit="/s", better="more", json="a.b"), '{"a": 1}', "no number at a.b"),
        (Result(unit="/s", better="more", json="a"), "not json", "no number at a"),
        (Result(unit="/s", better="more", pattern="rate (.*)"), "none", "no match of 'rate"),
        (Result(unit="/s", better="more", pattern="rate (.*)"), "rate fast", "has 'fast' where"),
        (
            Result(unit="GB/s", better="more", pattern="rate (.*)"),
            "rate -0.01",
            "a result in GB/s is above zero",
        ),
        *((RATE, f"rate {text}", "in /s is above") for text in ("nan", "-inf", "1e999", "0")),
        (RATE, f"rate 1{'0' * 400}", "result is inf"),
        (RATE, "rate 1,234", "may mean 1234 or 1.234: make it print numbers without commas"),
        (RATE, "rate 1_000", "has '1_000' where"),
        (RATE, "rate ", "has '' where"),
        *((AT_A, f'{{"a": {text}}}', "is above zero") for text in ("NaN", "Infinity", "1e400")),
        (AT_A, f'{{"a": 1{"0" * 400}}}', "its result has 401 digits"),
        (AT_A, '{"a": -nan, "b": {"a": 3}}', "its result is nan"),
        (AT_A, '{"b": {"a": 9}, "a": ', "has broken JSON"),
        (AT_A, '{"b": {"a": 9}, "a": 5', "has broken JSON"),
        (AT_A, '{"a": true}', "no number at a"),
        (AT_A, '{"a": null}', "no number at a"),
        (AT_A, '{"a": {"b": 1}}', "no number at a"),
        (AT_A, "[" * 100_000, "nests brackets too deeply"),
    ],
)
def test_an_unreadable_result_is_refused(result: Result, stdout: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        workloads.value_of(result, *output(stdout))
