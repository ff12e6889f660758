"""Programs of other projects: why they are absent, and why they failed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from lab import targets
from lab.targets.programs import last_words
from tests.lab.programs import program


@pytest.mark.parametrize(
    ("name", "package"),
    [("crun", "crun"), ("runc", "runc"), ("podman", "podman"), ("docker", "docker.io")],
)
def test_an_absent_tool_is_named_with_its_package(name: str, package: str, path: Path) -> None:
    cls = targets.find(name)
    assert cls.absent() == f"{name} is not installed: apt-get install {package}"


@pytest.mark.parametrize("name", ["crun", "runc", "podman"])
def test_an_installed_tool_is_absent_only_without_root(
    name: str, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(path, name)
    assert targets.find(name).absent() == ""
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert targets.find(name).absent() == "it needs root"


@pytest.mark.parametrize(
    ("stderr", "words"),
    [
        (b"", ""),
        (b"2026-11-24T10:00:00Z: cgroups in hybrid mode not supported\n",
         "2026-11-24T10:00:00Z: cgroups in hybrid mode not supported"),
        (b'time="2026-11-24T10:00:00Z" level=warning msg="old"\n'
         b'time="2026-11-24T10:00:00Z" level=error msg="runc run failed: exec \\"x\\": gone"\n',
         'runc run failed: exec "x": gone'),
        (b"docker: Error response from daemon: No such image: x.\nSee 'docker run --help'.\n",
         "docker: Error response from daemon: No such image: x."),
        (b"unknown flag: --x\n\nUsage:  docker run IMAGE\n\nRun 'docker run --help' for more\n",
         "unknown flag: --x"),
        (b"docker: Error response from daemon: no\n\n"
         b"Run 'docker run --help' for more information\n",
         "docker: Error response from daemon: no"),
    ],
)  # fmt: skip
def test_the_last_line_of_an_error_is_the_reason(stderr: bytes, words: str) -> None:
    assert last_words(stderr) == words
