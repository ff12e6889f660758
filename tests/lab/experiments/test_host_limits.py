"""Limits of the host: which one is nearly reached, and which a failure points to."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.experiments import host_limits


def test_a_limit_is_named_with_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert ": " in host_limits.met(tmp_path, margin=0.0)
    monkeypatch.setattr(
        host_limits,
        "_limits",
        lambda _: [host_limits.Limit("a", 1, 4), host_limits.Limit("b", 99, 100)],
    )
    assert host_limits.met(tmp_path) == "b: 99 of 100"
    assert host_limits.met(tmp_path, margin=0.995) == ""


@pytest.mark.parametrize(
    ("reason", "limit"),
    [
        ("A container did not start: Can't open it: Too many open files", "file descriptors"),
        ("Can't open /dev/null, to mount it: too many open files.", "file descriptors"),
        ("fork: Resource temporarily unavailable", "processes"),
        ("crun: clone: No space left on device", "disk, memory cgroups, or namespaces"),
        ("it hung", ""),
    ],
)
def test_the_reason_of_a_failed_start_names_a_limit(reason: str, limit: str) -> None:
    assert host_limits.of_failure(reason).startswith(limit)
    assert bool(host_limits.of_failure(reason)) == bool(limit)
