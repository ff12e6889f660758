"""The command line: errors, exit codes, output that can't be written, and help."""

from __future__ import annotations

import errno
import json
import os
import re
import subprocess
import sys
import traceback
from importlib import import_module
from pathlib import Path

import pytest

from lab import experiments, targets
from lab.analysis import conditions
from lab.cli import exit_codes, main
from tests.lab.plausible import write


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TONNAGE_CACHE", str(tmp_path / "cache"))


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["run", "startup", "--targets", "zeppelin"], "There is no target 'zeppelin'; choose from"),
        (["run", "colour"], "There is no experiment 'colour'; choose from startup"),
        (["table", "--profile", "heroic"], "There is no profile 'heroic'; choose from quick, full"),
        (["run", "startup", "--targets", ","], "names no target"),
        (["report", "nowhere"], "nowhere is not a run folder"),
    ],
)
def test_unknown_names_are_errors(
    arguments: list[str], sentence: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main.main(arguments) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.out == ""
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    [[], ["fly"], ["run"], ["run", "startup", "--rounds", "0"], ["run", "startup", "--rounds", "x"],
     ["table", "--accel", "warp"], ["doctor", "--format", "xml"], ["table", "--precision", "0%"],
     ["table", "--precision", "wide"], ["table", "--budget", "-1"], ["table", "--budget", "nan"],
     ["table", "--seed", "-1"], ["table", "--start-deadline", "nan"],
     ["table", "--start-deadline", "inf"], ["table", "--start-deadline", "0"],
     ["doctor", "--undo", "--apply"], ["run", "startup", "--out", ""],
     ["run", "startup", "--budget", "0.0001"]],
)  # fmt: skip
def test_bad_arguments_exit_with_2(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(arguments)
    assert ended.value.code == exit_codes.BAD_USAGE
    assert "usage: tonnage" in capsys.readouterr().err


def test_debug_shows_the_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TONNAGE_DEBUG", "")
    with pytest.raises(Exception, match="no experiment"):
        main.main(["--debug", "run", "colour"])
    assert not os.environ["TONNAGE_DEBUG"]  # not left set for later verbs of this process


@pytest.mark.parametrize(
    "arguments",
    [["show", "{}"], ["report", "{}"], ["compare", "{}", "{}"], ["race", "--replay", "{}"],
     ["class", "make", "{}", "--student", "a"], ["class", "collect", "{}"],
     ["class", "make", "trust", "--student", "a", "--run", "{}"],
     ["class", "make", "trust", "--student", "a", "--out", "{}"],
     ["class", "export-otter", "trust", "--student", "a", "--out", "{}"],
     ["class", "pack", "{}.tar", "--no-userland"], ["class", "unpack", "a.tar", "--out", "{}"],
     ["run", "startup", "--out", "{}"], ["plan", "{}"], ["plan", "plan.toml", "--out", "{}"],
     ["scale", "{}"], ["scale", "scale.toml", "--picture", "{}/a.png"]],
)  # fmt: skip
def test_a_path_that_no_file_system_can_hold_is_refused(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    path = "a" * 300
    assert main.main([each.format(path) for each in arguments]) == exit_codes.BAD_USAGE
    words = capsys.readouterr().err
    assert "File name too long" in words
    assert path in words


def test_a_folder_that_is_closed_to_the_user_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: Path, **_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path.name)

    monkeypatch.setattr(Path, "stat", refuse)
    assert main.main(["show", "closed"]) == exit_codes.BAD_USAGE
    assert capsys.readouterr().err == "tonnage: Can't use closed: Permission denied.\n"


def test_without_qemu_a_machine_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    if os.geteuid() != 0:
        pytest.skip("without root the refusal is about root")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main.main(["run", "startup", "--targets", "microvm"]) == exit_codes.BAD_USAGE
    assert "apt-get install qemu-system-x86" in capsys.readouterr().err


def test_without_root_measuring_is_refused(tmp_path: Path) -> None:
    code, output = as_nobody(["run", "startup", "--targets", "native"], tmp_path / "output")
    assert code == exit_codes.BAD_USAGE
    assert "needs root" in output
    assert "Traceback" not in output


def as_nobody(arguments: list[str], log: Path) -> tuple[int, str]:
    """Run a verb in a child without root; return its exit code and its standard error."""
    import_module("lab.measurement.run")  # while still root: nobody may lack access to this tree
    for name in targets.NAMES:
        targets.find(name)
    for name in experiments.EXPERIMENTS:
        experiments.find(name)
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
                code = main.main(arguments)
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
    _, status = os.waitpid(child, 0)
    return os.waitstatus_to_exitcode(status), log.read_text()


def test_help_names_every_verb(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["--help"])
    output = capsys.readouterr().out
    for verb in ("doctor", "table", "run", "show", "report", "calibrate", "compare", "clean"):
        assert verb in output


def test_a_closed_pipe_ends_quietly() -> None:
    """A closed pipe, as in `tonnage … | head`, gives no traceback."""
    reading, writing = os.pipe()
    os.close(reading)
    result = subprocess.run(
        [sys.executable, "-u", "-m", "lab", "doctor", "--tune", "--format", "json"],
        stdout=writing, stderr=subprocess.PIPE, cwd=Path(main.__file__).parents[2], check=False,
    )  # fmt: skip
    os.close(writing)
    assert (result.returncode, result.stderr) == (exit_codes.OUTPUT_CLOSED, b"")


def tonnage(words: str) -> subprocess.CompletedProcess[str]:
    """Run the command in a shell, which can close and redirect streams."""
    program = f"{sys.executable} -m lab"
    return subprocess.run(
        ["bash", "-c", words.replace("tonnage", program)], stderr=subprocess.PIPE, text=True,
        cwd=Path(main.__file__).parents[2], check=False,
    )  # fmt: skip


@pytest.mark.parametrize("verb", ["doctor --tune", "doctor --tune --format json", "--help"])
@pytest.mark.parametrize(
    ("to", "why"), [(">/dev/full", "No space left on device"), (">&-", "Bad file descriptor")]
)
def test_unwritable_output_is_an_error(verb: str, to: str, why: str) -> None:
    result = tonnage(f"tonnage {verb} {to}")
    assert result.returncode == exit_codes.OUTPUT_FAILED
    assert result.stderr == f"tonnage: Can't write to standard output: {why}.\n"


@pytest.mark.parametrize("verb", ["doctor --tune", "doctor --tune --format json"])
def test_a_reader_that_exits_is_no_error(verb: str) -> None:
    result = tonnage(f"tonnage {verb} | true; exit ${{PIPESTATUS[0]}}")
    assert (result.returncode, result.stderr) == (exit_codes.OUTPUT_CLOSED, "")


def test_a_closed_error_stream_is_not_reused() -> None:
    """The next opened file must not get descriptor 2 and receive the messages."""
    assert tonnage("tonnage report nowhere 2>&-").returncode == exit_codes.BAD_USAGE


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["--version"])
    assert not ended.value.code
    assert capsys.readouterr().out.startswith("tonnage 0.")


def test_names_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["run", "--list"])
    output = capsys.readouterr().out
    for name in ("startup", "density", "native", "container", "vm-restore", "full"):
        assert name in output


def test_names_are_listed_with_reasons_in_chinese(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(SystemExit) as ended:
        main.main(["run", "--list", "--lang", "zh"])
    assert not ended.value.code
    output = capsys.readouterr().out
    assert re.search(r"cloud-hypervisor (没有安装|需要 root)", output)
    assert "not installed" not in output


def test_debug_is_accepted_after_the_verb() -> None:
    with pytest.raises(Exception, match="no experiment"):
        main.main(["run", "colour", "--debug"])


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_finished_run_is_shown(
    form: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "run", experiments=("startup",))
    assert main.main(["show", str(tmp_path / "run"), "--format", form]) == exit_codes.DONE
    output = capsys.readouterr().out
    if form == "json":
        assert json.loads(output)["run"]["folder"] == "run"
    assert "first-instruction" in output


@pytest.mark.parametrize(
    ("output_format", "first", "row"),
    [
        ("csv", "experiment,target,metric,unit,median,low,high,n,outliers,excluded,failed,",
         "density,container,running,integer,2000.0,"),
        ("markdown", "host vm · 2 CPUs AMD EPYC ", "| density | container | running | 2,000 |"),
    ],
)  # fmt: skip
def test_figures_are_printed_for_other_programs(
    capsys: pytest.CaptureFixture[str], output_format: str, first: str, row: str
) -> None:
    committed = str(Path(__file__).parents[3] / "results/2026-11-29-vm")
    assert main.main(["show", committed, "--format", output_format]) == exit_codes.DONE
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith(first)
    assert any(line.startswith(row) for line in lines)


def test_only_differing_figures_are_printed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, slow in (("a", 1.0), ("b", 3.0)):
        write(
            tmp_path / name,
            experiments=("performance",),
            slowness={"container": slow},
            noise=0.01,
        )
    words = ["compare", str(tmp_path / "a"), str(tmp_path / "b")]
    assert main.main(words) == exit_codes.DONE
    everything = capsys.readouterr().out
    assert main.main([*words, "--different"]) == exit_codes.DONE
    some = capsys.readouterr().out
    assert "ratios that agree" in some.splitlines()[2]
    assert "different" in some
    assert not re.search(r"\bsame\b", some)
    assert len(some.splitlines()) < len(everything.splitlines())


def test_the_help_of_compare_names_every_condition(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main.main(["compare", "--help"])
    text = re.sub(r"\s+", " ", capsys.readouterr().out)
    assert f"if these conditions differ: {', '.join(conditions.CONDITIONS)}" in text
