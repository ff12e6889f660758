"""Bad usage is refused at the door: one sentence, exit code 2, nothing made."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path

import pytest

from lab import cli, targets


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "startup", "--targets", "zeppelin"], "There is no target 'zeppelin'; there are"),
        (["run", "colour"], "There is no experiment 'colour'; there are startup"),
        (["table", "--profile", "heroic"], "There is no profile 'heroic'; there are quick, full"),
        (["run", "startup", "--targets", ","], "No target was named"),
        (["report", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_what_does_not_exist_is_named(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert cli.main(arguments) == cli.BAD_USAGE
    said = capsys.readouterr()
    assert sentence in said.err
    assert said.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run"], ["run", "startup", "--rounds", "0"], ["run", "startup", "--rounds", "x"],
     ["table", "--accel", "warp"], ["doctor", "--format", "xml"], ["table", "--precision", "0%"],
     ["table", "--precision", "wide"], ["table", "--budget", "-1"]],
)  # fmt: skip
def test_bad_words_exit_with_2(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == cli.BAD_USAGE
    assert "usage: tonnage" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_DEBUG", "")
    with pytest.raises(Exception, match="no experiment"):
        cli.main(["--debug", "run", "colour"])


def test_without_qemu_a_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root the refusal is about root")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cli.main(["run", "startup", "--targets", "microvm"]) == cli.BAD_USAGE
    assert "apt-get install qemu-system-x86" in capsys.readouterr().err


def test_without_root_measuring_is_refused(tmp_path: Path) -> None:
    code, said = as_nobody(["run", "startup", "--targets", "native"], tmp_path / "said")
    assert code == cli.BAD_USAGE
    assert "needs root" in said
    assert "Traceback" not in said


def as_nobody(arguments: list[str], log: Path) -> tuple[int, str]:
    """Run a verb in a child that has dropped root; its exit code and what it said."""
    import_module("lab.run")  # while root can: nobody may not be able to read this tree
    for name in targets.NAMES:
        targets.find(name)
    with log.open("wb") as sink:
        child = os.fork()
        if child == 0:
            code = 99
            try:
                os.dup2(sink.fileno(), 2)
                sys.stderr = os.fdopen(2, "w", buffering=1)  # past pytest's own capture
                if os.geteuid() == 0:
                    os.setresgid(65534, 65534, 65534)
                    os.setresuid(65534, 65534, 65534)
                code = cli.main(arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text()


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    said = capsys.readouterr().out
    for verb in ("doctor", "table", "run", "report", "calibrate", "compare", "clean"):
        assert verb in said


def test_nobody_reads_on() -> None:
    """As in `tonnage … | head`: no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [sys.executable, "-u", "-m", "lab.cli", "doctor", "--tune", "--format", "json"],
        stdout=writing, stderr=subprocess.PIPE, cwd=Path(cli.__file__).parents[1], check=False,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (cli.UNREAD, b"")
