"""Definitions of workloads: errors in TOML files are reported."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import workloads
from lab.errors import LabError

SORT = """
[sort]
what = "numbers"
command = "seq 10 | sort"
packages = ["coreutils"]
threads = 1
bound-by = "CPU"
results.sort = { unit = "second", better = "less" }
"""


def file(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "own.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[a", "own.toml is not valid TOML"),
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
def test_an_error_in_a_file_is_reported(tmp_path: Path, text: str, sentence: str) -> None:
    with pytest.raises(LabError, match=sentence):
        workloads.load("full", [file(tmp_path, text)])


def test_a_missing_file_is_reported(tmp_path: Path) -> None:
    with pytest.raises(LabError, match=r"none.toml can't be read: No such file"):
        workloads.load("quick", [tmp_path / "none.toml"])


def test_different_definitions_have_different_digests(tmp_path: Path) -> None:
    first = workloads.load("quick", [file(tmp_path, SORT)])["sort"]
    other = workloads.load("quick", [file(tmp_path, SORT.replace("seq 10", "seq 11"))])["sort"]
    assert first.digest() != other.digest()
    assert first.digest() == workloads.load("full", [file(tmp_path, SORT)])["sort"].digest()
