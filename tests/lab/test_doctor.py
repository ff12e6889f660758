"""The doctor's JSON document and its table."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import targets
from lab.cli import exit_codes, main
from lab.measurement import host_record


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))


def test_the_document_is_json_and_agrees_with_the_kernel(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main.main(["doctor", "--format", "json", "--accel", "tcg"]) == exit_codes.DONE
    document = json.loads(capsys.readouterr().out)
    assert document["kernel"] == os.uname().release
    assert document["cpus"] == len(os.sched_getaffinity(0))
    assert document["memory_bytes"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert (document["accelerator"], document["emulated"]) == ("tcg", True)
    assert document["kvm"]["works"] is None
    assert set(document["targets"]) == set(targets.NAMES)
    assert document["cgroup"]["version"] in {"v1", "v2", "hybrid", "none"}


def test_every_limitation_has_a_meaning() -> None:
    for each in host_record.inspect("tcg").facts:
        assert each.value, each.name
        assert each.state == "ok" or each.meaning, each.name


def test_missing_programs_are_listed_with_their_packages(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setenv("COLUMNS", "200")
    assert main.main(["doctor", "--accel", "tcg"]) == exit_codes.DONE
    output = capsys.readouterr().out
    for package in ("qemu-system-x86", "mmdebstrap", "crun", "podman"):
        assert f"apt-get install {package}" in output
