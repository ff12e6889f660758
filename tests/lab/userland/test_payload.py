"""Compiling the payload, and its answers."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from lab.errors import LabError
from lab.userland.payload import build_payload

if TYPE_CHECKING:
    from pathlib import Path

needs_gcc = pytest.mark.skipif(not shutil.which("gcc"), reason="gcc is not installed")


def quiet(_: str) -> None:
    pass


@needs_gcc
def test_the_payload_is_built_once(cache: Path) -> None:
    progress: list[str] = []
    first = build_payload(progress.append)
    again = build_payload(progress.append)
    assert first == again
    assert progress == ["compiling the payload"]
    assert [path.name for path in cache.iterdir()] == [first.parent.name]


@needs_gcc
def test_the_payload_reports_its_first_instruction_and_refuses_unknown_roles() -> None:
    payload = build_payload(quiet)
    output = subprocess.run([payload, "hello"], capture_output=True, text=True, check=True).stdout
    word, ns = output.split()
    assert word == "first-instruction"
    assert int(ns) > 0
    bad = subprocess.run([payload, "fly"], capture_output=True, text=True, check=False)
    assert bad.returncode == 2
    assert "no such role: fly" in bad.stderr


def test_a_missing_compiler_names_its_package(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LabError, match="gcc is missing: apt-get install gcc"):
        build_payload(quiet)
