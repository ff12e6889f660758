"""The file of --pid-file: complete, or unchanged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from runtime.errors import ContainerError
from runtime.oci.pid_file import PidFile

if TYPE_CHECKING:
    from pathlib import Path


def write(path: Path) -> None:
    with PidFile(str(path)) as file:
        file.write(1234)


def test_it_is_written_at_once_and_alone(tmp_path: Path) -> None:
    path = tmp_path / "pid"
    path.write_text("before")
    with PidFile(str(path)) as file:
        assert path.read_text() == "before"
        file.write(1234)
        assert path.read_text() == "1234"
    assert os.listdir(tmp_path) == ["pid"]  # noqa: PTH208


def test_what_is_not_written_leaves_nothing(tmp_path: Path) -> None:
    with PidFile(str(tmp_path / "pid")):
        pass
    assert not list(tmp_path.iterdir())


def test_no_path_is_no_file() -> None:
    with PidFile("") as file:
        file.write(1)


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("pid")
    write(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "pid").read_text() == "1234"


def test_a_pipe_is_written_to(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    reading = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    write(tmp_path / "pipe")
    assert os.read(reading, 100) == b"1234"
    os.close(reading)
    assert (tmp_path / "pipe").is_fifo()


def test_a_link_that_lies_aside_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_text("whole")
    (tmp_path / ".pid").symlink_to("victim")
    write(tmp_path / "pid")
    assert (tmp_path / "victim").read_text() == "whole"
    assert (tmp_path / "pid").read_text() == "1234"


def test_a_name_as_long_as_can_be(tmp_path: Path) -> None:
    write(tmp_path / ("x" * 255))
    assert (tmp_path / ("x" * 255)).read_text() == "1234"


@pytest.mark.parametrize("path", ["/none/pid", "/", "/dev/full"])
def test_what_cannot_be_written_is_said(path: str) -> None:
    with pytest.raises(ContainerError, match=f"--pid-file {path}: "), PidFile(path) as file:
        file.write(1)
