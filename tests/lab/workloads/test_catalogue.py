"""The catalogue: workloads of the profiles and of the user."""

from __future__ import annotations

from pathlib import Path

from lab import workloads
from lab.userland import root_tree

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


def test_quick_workloads_need_only_the_basic_user_land() -> None:
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
