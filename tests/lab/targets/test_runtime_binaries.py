"""Runtimes that the user names: what is refused, and how they become targets."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from lab import targets
from lab.cli import argument_types, exit_codes, main
from lab.errors import LabError
from lab.experiments import profiles
from lab.measurement import host_record, resumption, run
from lab.measurement.request import RunRequest
from lab.results import run_folder
from lab.targets import leftovers, runtime_binaries
from lab.targets.runtime_binaries import RuntimeBinary
from tests.lab.plausible import write
from tests.lab.programs import program

ENDED_PID = 1 << 22  # above every pid_max


@pytest.fixture
def youki(tmp_path: Path) -> Path:
    """A program that prints a version, as runtimes do."""
    program(tmp_path, "youki", "echo youki version: 0.3.1")
    return tmp_path / "youki"


def test_a_program_becomes_a_target_with_its_version(
    youki: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtimes = runtime_binaries.examine([("youki", youki)])
    assert runtimes == {"youki": RuntimeBinary(youki, "0.3.1")}
    cls = targets.find("youki", runtime_binaries.paths(runtimes))
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    assert (cls.name, cls.kind, cls.absent()) == ("youki", "container", "")
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert cls.absent() == "it needs root"
    record = host_record.inspect("tcg", runtimes=runtimes)
    (fact,) = [each for each in record.facts if each.name == "target youki"]
    assert fact.value == f"{youki} 0.3.1"
    with pytest.raises(LabError, match="no target 'youki'"):
        targets.find("youki")


@pytest.mark.parametrize("name", ["Youki", "you ki", "you_ki", "-y", "9y", "y--k", "ü", "y" * 33])
def test_a_name_that_is_no_word_is_refused(name: str, youki: Path) -> None:
    with pytest.raises(LabError, match=r"can't name a target: use up to 32 small letters"):
        runtime_binaries.examine([(name, youki)])


@pytest.mark.parametrize("name", ["crun", "native", "vm"])
def test_a_name_that_is_taken_is_refused(name: str, youki: Path) -> None:
    with pytest.raises(LabError, match=f"there is a target {name} already"):
        runtime_binaries.examine([(name, youki)])
    with pytest.raises(LabError, match="the name y is given twice"):
        runtime_binaries.examine([("y", youki), ("y", youki)])


def test_a_path_that_is_no_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("not a program\n")
    for path in (tmp_path / "text", tmp_path / "nothing", tmp_path):
        with pytest.raises(LabError, match=f"{path} is not a program that can be run"):
            runtime_binaries.examine([("y", path)])


@pytest.mark.parametrize("script", ["", "echo no number", "echo 1.2.3 >&2; exit 1"])
def test_a_program_without_a_version_is_refused(script: str, tmp_path: Path) -> None:
    program(tmp_path, "odd", script)
    with pytest.raises(LabError, match=r"--version prints no version \(version unknown\)"):
        runtime_binaries.examine([("y", tmp_path / "odd")])


def test_a_damaged_program_is_refused(tmp_path: Path) -> None:
    (tmp_path / "damaged").write_bytes(b"\x7fELF\x02\x01\x01")
    (tmp_path / "damaged").chmod(0o755)
    with pytest.raises(LabError, match=r"prints no version \(does not answer\)"):
        runtime_binaries.examine([("y", tmp_path / "damaged")])


@pytest.mark.parametrize("text", ["youki", "=x", "youki=", "", "="])
def test_the_option_takes_a_name_and_a_path(
    text: str, capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path))
    with pytest.raises(SystemExit) as ended:
        main.main(["run", "startup", "--runtime-binary", text])
    assert ended.value.code == exit_codes.BAD_USAGE
    assert f"{text!r} is not NAME=PATH" in capsys.readouterr().err
    assert argument_types.named_path("a=b=c") == ("a", Path("b=c"))


def test_a_runtime_that_the_targets_leave_out_is_an_error(youki: Path) -> None:
    runtimes = {"youki": RuntimeBinary(youki, "0.3.1")}
    with pytest.raises(LabError, match="names youki, but --targets does not"):
        run._choose(("native",), "quick", runtimes)
    with pytest.raises(LabError, match="names youki, but --targets does not"):
        run.measure(RunRequest(targets=("native",), runtime_binaries=(("youki", youki),)))


def test_it_takes_part_where_crun_does(youki: Path) -> None:
    quick, full = (profiles.PROFILES[name].with_runtimes(("youki",)) for name in ("quick", "full"))
    assert quick.asks("startup", "youki")
    assert not quick.asks("density", "youki")
    assert all(full.asks(name, "youki") for name in full.rounds)
    assert profiles.PROFILES["full"].with_runtimes(()) == profiles.PROFILES["full"]


def test_a_resumed_run_keeps_its_runtimes(youki: Path, tmp_path: Path) -> None:
    path = write(tmp_path / "run", experiments=("startup",))
    settings = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(
        json.dumps(
            settings
            | {"interrupted": True, "targets_asked": ["youki"], "rounds_asked": None,
               "start_deadline_seconds": 60.0, "precision": None, "budget_seconds": None,
               "runtime_binaries": {"youki": {"path": str(youki), "version": "0.3.1"}}}
        )
    )  # fmt: skip
    assert resumption.request(path, (), ()).runtime_binaries == (("youki", youki),)
    interrupted = resumption.load(path)
    now = {"path": str(youki), "version": "0.3.1"}
    interrupted.require_same_runtimes({"youki": now})
    with pytest.raises(LabError, match=r"youki was .*/youki 0\.3\.1, and is now .*/youki 0\.4\.0"):
        interrupted.require_same_runtimes({"youki": {**now, "version": "0.4.0"}})
    assert run_folder.load(path).settings["runtime_binaries"]["youki"] == now


def test_clean_finds_the_folders_of_runtimes_that_it_does_not_know(tmp_path: Path) -> None:
    left = tmp_path / f"tonnage-my-runtime2-{ENDED_PID}"
    left.mkdir()
    (tmp_path / "lock").touch()
    assert leftovers.names(tmp_path) == {"my-runtime2"}
    assert leftovers.clean("my-runtime2", tmp_path) == [f"removed {left}"]
    assert leftovers.is_left_by_dead(f"tonnage-my-runtime2-{ENDED_PID}-3")
