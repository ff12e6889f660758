"""Verbs with several names try every name, and `screenshot` checks its file first."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import exit_codes, main
from vms import Connection, MachineError
from vms.operations import screenshot

if TYPE_CHECKING:
    from collections.abc import Iterator

URI = "test:///default"


@pytest.fixture
def connection(monkeypatch: pytest.MonkeyPatch) -> Iterator[Connection]:
    """Hold a connection open, so that each command sees the same simulated host."""
    with tempfile.TemporaryDirectory(dir="/tmp") as state:
        monkeypatch.setenv("TONNAGE_STATE", state)
        with Connection.open(Path(state) / "held", URI) as opened:
            yield opened


def test_every_machine_is_tried_and_every_failure_is_printed(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["vm", "suspend", "--connect", URI, "first", "test", "second"]
    assert main.main(words) == exit_codes.SOME_FAILED
    first, second = capsys.readouterr().err.splitlines()
    assert first.startswith("tonnage: There is no machine first here")
    assert second.startswith("tonnage: There is no machine second here")
    assert connection.find("test").state == "paused"
    assert main.main(["vm", "resume", "--connect", URI, "test", "test"]) == exit_codes.SOME_FAILED
    assert connection.find("test").state == "running"


def test_the_error_of_a_single_machine_exits_with_2(
    connection: Connection, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["vm", "suspend", "--connect", URI, "first"]) == exit_codes.BAD_USAGE
    assert "There is no machine first here" in capsys.readouterr().err


def test_every_image_is_tried(connection: Connection, capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["vm", "image", "remove", "first", "second"]) == exit_codes.SOME_FAILED
    first, second = capsys.readouterr().err.splitlines()
    assert "There is no image first" in first
    assert "There is no image second" in second


def test_a_screenshot_is_not_taken_for_a_file_that_cannot_be_written(
    connection: Connection,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    taken: list[object] = []
    monkeypatch.setattr(screenshot, "take", taken.append)
    words = ["vm", "screenshot", "--connect", URI, "test"]
    for file in (tmp_path / "nowhere/x.png", tmp_path):
        assert main.main([*words, str(file)]) == exit_codes.BAD_USAGE
        assert capsys.readouterr().err.startswith(f"tonnage: Can't write {file}: ")
    assert taken == []
    assert list(tmp_path.iterdir()) == []


def test_a_failed_screenshot_leaves_files_as_they_were(
    connection: Connection, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> bytes:
        raise MachineError("no screen.")

    old = tmp_path / "old.png"
    old.write_bytes(b"an older and longer picture")
    words = ["vm", "screenshot", "--connect", URI, "test"]
    monkeypatch.setattr(screenshot, "take", fail)
    assert main.main([*words, str(old)]) == exit_codes.BAD_USAGE
    assert main.main([*words, str(tmp_path / "new.png")]) == exit_codes.BAD_USAGE
    assert old.read_bytes() == b"an older and longer picture"
    assert list(tmp_path.iterdir()) == [old]
    monkeypatch.setattr(screenshot, "take", lambda *_: b"picture")
    assert main.main([*words, str(old)]) == exit_codes.DONE
    assert old.read_bytes() == b"picture"
