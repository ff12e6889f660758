"""Workloads: errors in TOML files are reported, and results are read from outputs."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import workloads
from lab.errors import LabError
from lab.userland import root_tree
from lab.workloads import Result

SORT = """
[sort]
what = "numbers"
command = "seq 10 | sort"
packages = ["coreutils"]
threads = 1
bound-by = "CPU"
results.sort = { unit = "second", better = "less" }
"""

RATE = Result(unit="/s", better="more", pattern="^rate (.*)$")
AT_A = Result(unit="s", better="less", json="a")


def output(stdout: str, elapsed_ns: int = 1_500_000_000) -> tuple[bytes, int]:
    return stdout.encode(), elapsed_ns


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


def test_the_quick_ones_need_nothing_but_the_basic_user_land() -> None:
    quick, full = workloads.load("quick"), workloads.load("full")
    assert set(workloads.packages(quick)) == set(root_tree.BASIC_PACKAGES)
    assert set(quick) < set(full)
    assert all(each.bound_by and each.threads and each.what for each in full.values())


def test_nothing_is_attached_in_a_quick_run() -> None:
    assert not any(each.attached for each in workloads.load("quick").values())
    ways = {each.attached for each in workloads.load("full").values()}
    assert ways == {"", "host", "bridge", "nat", "user", "volume"}


def test_a_users_file_is_run_whatever_the_profile(tmp_path: Path) -> None:
    text = SORT.replace("threads", 'profile = "full"\nthreads')
    loaded = workloads.load("quick", [file(tmp_path, text)])
    assert loaded["sort"].argv == ["sh", "-ec", "seq 10 | sort"]
    assert "coreutils" in workloads.packages(loaded)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a", "own.toml is not a valid file of workloads"),
        (SORT.replace("threads = 1", "threads = true"), r"Expected `int`.*threads"),
        (SORT.replace("what", "why"), "unknown field `why`"),
        (SORT.replace('"less"', '"fewer"'), "Invalid enum value 'fewer'"),
        (SORT.replace('"second"', '"MB/s"'), "sort: sort has neither json nor pattern"),
        (SORT.replace('{ unit', '{ pattern = "x", unit'), "pattern has 0 groups: it must have one"),
        (SORT.replace('{ unit', '{ pattern = "(", unit'), "is not a valid regular expression"),
        (SORT.replace('{ unit', '{ pattern = "(x)", json = "a", unit'), "both json and pattern"),
        (SORT.replace('"seq 10 | sort"', "[]"), "sort: command is empty"),
        (SORT.replace('"seq 10 | sort"', '" "'), "sort: command is empty"),
        (SORT.replace('"seq 10 | sort"', '["a", "b\\u0000"]'), "NUL character"),
        (SORT.replace("threads = 1", "threads = 0"), "it must be at least 1"),
        (SORT.replace("threads", "timeout-seconds = nan\nthreads"), "timeout-seconds is nan"),
        (SORT.replace("threads", "timeout-seconds = -1\nthreads"), "timeout-seconds is -1"),
        (SORT.replace('{ unit', '{ times = inf, unit'), "times is inf"),
        (SORT.replace('{ unit', '{ times = 0, unit'), "times is 0"),
        (SORT.replace("results.sort", 'results." "'), "' ' is not a valid name"),
        (SORT.replace("results.sort", 'results."a\\nb"'), "is not a valid name"),
        (SORT.replace("[sort]", '["so\\u001brt"]'), "is not a valid name"),
        (SORT.replace('"coreutils"', '"pypi:x"'), "pypi:x is not pinned"),
        (SORT.replace("[sort]", "[redis]"), "a workload redis exists already"),
        (SORT.replace("results.sort", "results.sqlite"), "a metric sqlite exists already"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_file_is_said(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        workloads.load("full", [file(tmp_path, text)])


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"none.toml can't be read: No such file"):
        workloads.load("quick", [tmp_path / "none.toml"])


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
def test_a_figure_is_read(result: Result, stdout: str, value: float) -> None:
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
def test_a_figure_that_is_none_is_refused(result: Result, stdout: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        workloads.value_of(result, *output(stdout))


def test_the_digest_tells_one_definition_from_another(tmp_path: Path) -> None:
    first = workloads.load("quick", [file(tmp_path, SORT)])["sort"]
    other = workloads.load("quick", [file(tmp_path, SORT.replace("seq 10", "seq 11"))])["sort"]
    assert first.digest() != other.digest()
    assert first.digest() == workloads.load("full", [file(tmp_path, SORT)])["sort"].digest()
