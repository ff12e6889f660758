"""The list of tests that run on cgroup version 2."""

from __future__ import annotations

from tests.v2 import guest, run


def test_every_pattern_matches_existing_files() -> None:
    assert all((guest.PROJECT / path).is_file() for path in run.files())
