"""Commands: their time and memory, and the error of one that fails."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from lab.delivery import commands
from lab.errors import LabError


def test_time_and_memory_are_those_of_all_commands() -> None:
    allocate = [sys.executable, "-c", "x = b'x' * (64 << 20)"]
    result = commands.timed([["sleep", "0.1"], allocate, ["sleep", "0.1"]])
    assert 0.2 < result.seconds < 20
    assert 64 << 20 < result.peak_bytes < 256 << 20


def test_the_memory_of_this_process_is_not_a_commands() -> None:
    held = bytearray(256 << 20)
    held[::4096] = b"x" * (len(held) // 4096)
    assert commands.timed([["true"]]).peak_bytes < 64 << 20
    assert held


def test_a_failure_has_the_last_words_and_ends_the_series(tmp_path: Path) -> None:
    marker = tmp_path / "after"
    with pytest.raises(LabError, match=r"^sh echo first >&2; echo why >&2; exit 3 failed: why$"):
        commands.timed([["sh", "-c", "echo first >&2; echo why >&2; exit 3"],
                        ["touch", str(marker)]])  # fmt: skip
    assert not marker.exists()
    with pytest.raises(LabError, match=r"^false failed: exit code 1$"):
        commands.timed([["false"]])
    with pytest.raises(LabError, match=r"Can't run /no/such/program: No such file"):
        commands.timed([["/no/such/program"]])


def test_a_command_that_prints_much_does_not_hang() -> None:
    assert commands.timed([["sh", "-c", "head -c 10000000 /dev/zero >&2"]]).seconds < 60


def test_options_are_left_out_of_a_commands_name() -> None:
    words = ["/usr/bin/podman", "--root=/x", "pull", "--quiet", "localhost:1/app:1"]
    assert commands.shown(words) == "podman pull localhost:1/app:1"
