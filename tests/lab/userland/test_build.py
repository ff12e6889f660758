"""Parts are built aside, renamed into place, and found again by the digest of their inputs."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from lab.errors import LabError
from lab.userland import build


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def quiet(_: str) -> None:
    pass


@needs_gcc
def test_the_payload_is_built_once(cache: Path) -> None:
    told: list[str] = []
    first = build.build_payload(told.append)
    again = build.build_payload(told.append)
    assert first == again
    assert told == ["compiling the payload"]
    assert [path.name for path in cache.iterdir()] == [first.parent.name]


@needs_gcc
def test_the_payload_tells_its_first_instruction_and_refuses_what_it_does_not_know() -> None:
    payload = build.build_payload(quiet)
    said = subprocess.run([payload, "hello"], capture_output=True, text=True, check=True).stdout
    word, ns = said.split()
    assert word == "first-instruction"
    assert int(ns) > 0
    bad = subprocess.run([payload, "fly"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "no such role: fly" in bad.stderr


def test_a_part_that_fails_leaves_nothing(cache: Path) -> None:
    with pytest.raises(ZeroDivisionError), build._part("x", "1") as (_, aside):
        assert aside is not None
        (aside / "half").touch()
        raise ZeroDivisionError
    assert list(cache.iterdir()) == []


def test_a_full_or_forbidden_cache_is_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(LabError, match="Can't build x in"), build._part("x", "1"):
        pass


def test_a_missing_tool_names_its_package(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="gcc is missing: apt-get install gcc"):
        build.build_payload(quiet)


def test_allocated_bytes_count_blocks_once(tmp_path: Path) -> None:
    sparse = tmp_path / "sparse"
    with sparse.open("wb") as file:
        file.truncate(1 << 30)
    full = tmp_path / "full"
    full.write_bytes(os.urandom(1 << 16))
    os.sync()
    one = build.allocated_bytes(full)
    (tmp_path / "link").hardlink_to(full)
    assert build.allocated_bytes(sparse) < 1 << 20
    assert one >= 1 << 16
    assert build.allocated_bytes(tmp_path) < 2 * one + (1 << 16)
