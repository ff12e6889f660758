"""Every verb that prints a table: four formats, two languages, any terminal, any reader."""

from __future__ import annotations

import argparse
import csv
import functools
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from lab.cli import main, parser
from lab.language.message import Language
from lab.results import run_folder
from tests.lab.plausible import write

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[3]
FORMATS = ("text", "json", "csv", "markdown")
# A verb without --format or --lang, or with fewer formats, prints no table: what it does instead.
NO_TABLE = {
    "report": "writes a page",
    "clean": "prints a line for each removal",
    "image inspect": "takes docker's templates beside the four formats",
    "image ls": "takes docker's templates beside the four formats",
    "image history": "takes docker's templates beside the four formats",
}


def leaves(
    above: argparse.ArgumentParser, name: str = ""
) -> Iterator[tuple[str, argparse.ArgumentParser]]:
    """Yield each verb that has no verbs below it, with its parser."""
    below = [action for action in above._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield name, above
    for action in below:
        for verb, each in action.choices.items():
            yield from leaves(each, f"{name} {verb}".strip())


VERBS = dict(leaves(parser.build()))


def option(verb: str, name: str) -> argparse.Action | None:
    return next((each for each in VERBS[verb]._actions if name in each.option_strings), None)


@pytest.mark.parametrize(
    "verb", [each for each in VERBS if each not in NO_TABLE and each.split()[0] != "class"]
)
def test_a_verb_has_all_formats_and_both_languages(verb: str) -> None:
    if verb.startswith("image "):  # the others of `image` print no table
        pytest.skip("prints no table")
    found = option(verb, "--format")
    assert found is not None
    assert tuple(found.choices or ()) == FORMATS
    assert option(verb, "--lang") is not None


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """Return two runs of the same host."""
    return [str(write(tmp_path_factory.mktemp("runs") / name)) for name in ("first", "later")]


def commands(runs: list[str]) -> list[list[str]]:
    plan, scenario = ROOT / "examples/plan.toml", ROOT / "examples/scale.toml"
    return [
        ["show", runs[0]],
        ["compare", *runs],
        ["doctor", "--tune"],
        ["plan", str(plan), "--draws", "10"],
        ["scale", str(scenario), "--replications", "2"],
        ["race", "container,vm", "--replay", runs[0]],
    ]


@pytest.mark.parametrize("place", range(6))
def test_each_format_can_be_read_by_its_readers(
    place: int,
    runs: list[str],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(run_folder, "load", functools.cache(run_folder.load))
    command = commands(runs)[place]
    assert main.main([*command, "--format", "json"]) == 0
    english = capsys.readouterr().out
    json.loads(english)
    assert main.main([*command, "--format", "json", "--lang", "zh"]) == 0
    assert capsys.readouterr().out == english
    assert main.main([*command, "--format", "csv", "--lang", "zh"]) == 0
    rows = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert len(rows) > 1
    assert len({len(row) for row in rows}) == 1
    assert all(name.isascii() for row in rows[:2] for name in row)
    for language in ("en", "zh"):
        assert main.main([*command, "--format", "markdown", "--lang", language]) == 0
        text = capsys.readouterr().out
        tables = re.findall(r"(?:^\|.*\n?)+", text, re.MULTILINE)
        assert tables
        for each in tables:
            counts = {len(re.findall(r"(?<!\\)\|", line)) for line in each.splitlines()}
            assert len(counts) == 1, each
        assert bool(re.search("[\u4e00-\u9fff]", text)) == (language == "zh")


def run(
    arguments: list[str], shell: str = "", **environment: str
) -> subprocess.CompletedProcess[bytes]:
    """Run tonnage as a command, with its output in a pipe."""
    command = [sys.executable, "-m", "lab", *arguments]
    if shell:
        words = " ".join(f"'{word}'" for word in command)
        command = ["bash", "-o", "pipefail", "-c", f"{words} {shell}"]
    return subprocess.run(
        command, capture_output=True, check=False, cwd=ROOT, env={**os.environ, **environment}
    )


QUICK = ["doctor", "--tune"]  # a table that needs no run


@pytest.mark.parametrize("output_format", FORMATS)
def test_a_reader_that_stops_early_gets_no_traceback(output_format: str) -> None:
    ended = run([*QUICK, "--format", output_format, "--lang", "zh"], "| head -1")
    assert ended.stderr == b""
    assert ended.stdout.count(b"\n") <= 1


@pytest.mark.parametrize("encoding", ["ascii", "latin-1"])
def test_a_terminal_without_chinese_characters_gets_replacements(encoding: str) -> None:
    ended = run([*QUICK, "--lang", "zh"], PYTHONIOENCODING=encoding)
    assert (ended.returncode, ended.stderr) == (0, b"")
    assert b"ASLR" in ended.stdout


@pytest.mark.parametrize("columns", ["0", "", "-5", "wide"])
def test_a_width_that_is_none_counts_as_80(columns: str) -> None:
    assert run(QUICK, COLUMNS=columns).stdout == run(QUICK, COLUMNS="80").stdout != b""


def test_no_color_is_honoured() -> None:
    coloured = run(QUICK, TERM="xterm", FORCE_COLOR="1", NO_COLOR="")
    plain = run(QUICK, TERM="xterm", FORCE_COLOR="1", NO_COLOR="1")
    assert b"\x1b" in coloured.stdout
    assert not re.search(rb"\x1b\[[\d;]*(?:3[0-7]|9[0-7])m", plain.stdout)


def test_the_language_comes_from_the_environment_too() -> None:
    assert "设置" in run(QUICK, TONNAGE_LANG="zh").stdout.decode()
    assert "设置" not in run([*QUICK, "--lang", "en"], TONNAGE_LANG="zh").stdout.decode()


def test_both_languages_of_a_class_are_english_in_a_table() -> None:
    assert "设置" not in run(QUICK, TONNAGE_LANG="both").stdout.decode()


@pytest.mark.parametrize(
    "verb",
    [["report", "x"], ["class", "make", "trust"], ["class", "serve"]],
)
@pytest.mark.parametrize("chosen", ["", "en", "zh", "both"])
def test_the_environment_chooses_the_language_of_what_can_be_in_both(
    verb: list[str], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_LANG", chosen)
    assert parser.build(verb).parse_args(verb).lang == (chosen or "both")
    other = [*verb, "--lang", "en"]
    assert parser.build(other).parse_args(other).lang == "en"


@pytest.mark.parametrize("verb", [["race"], ["class", "collect", "x"]])
def test_the_environment_chooses_the_language_of_a_class(
    verb: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_LANG", "zh")
    assert parser.build(verb).parse_args(verb).lang is Language.CHINESE


def test_an_unknown_language_of_a_report_is_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TONNAGE_LANG", "xx")
    with pytest.raises(SystemExit, match="2"):
        parser.build(["report", "x"]).parse_args(["report", "x"])
    assert "choose en, zh or both" in capsys.readouterr().err


@pytest.mark.parametrize(("arguments", "environment"), [(["--lang", "xx"], ""), ([], "xx")])
def test_an_unknown_language_is_refused(arguments: list[str], environment: str) -> None:
    ended = run([*QUICK, *arguments], TONNAGE_LANG=environment)
    assert ended.returncode == 2
    assert ended.stdout == b""
    assert b"there is no language 'xx'" in ended.stderr


def test_an_empty_list_of_machines_has_a_header(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TONNAGE_STATE", str(tmp_path))
    monkeypatch.delenv("LIBVIRT_DEFAULT_URI", raising=False)
    assert main.main(["vm", "list", "--format", "csv"]) == 0
    (names,) = csv.reader(io.StringIO(capsys.readouterr().out))
    assert {"name", "state", "memory_bytes"} <= set(names)
    assert main.main(["vm", "list", "--format", "markdown"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_no_different_figure_still_has_a_header(
    runs: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main.main(["compare", runs[0], runs[0], "--different", "--format", "csv"]) == 0
    shown = list(csv.reader(io.StringIO(capsys.readouterr().out)))
    assert main.main(["compare", runs[0], runs[0], "--format", "csv"]) == 0
    assert shown == list(csv.reader(io.StringIO(capsys.readouterr().out)))[:1]


def test_csv_of_images_has_bytes_and_times(tmp_path: Path) -> None:
    store = ["--store", str(tmp_path / "store")]
    archive = tmp_path / "files.tar"
    with tarfile.open(archive, "w") as files:
        files.add(__file__, "file", filter=of_root)
    message = 'a, "quoted"\ncomment'
    of_images(["import", *store, str(archive), "app:1", "-m", message])
    (listed,) = csv.DictReader(io.StringIO(of_images(["ls", *store, "--format", "csv"])))
    assert listed["Repository"] == "app"
    assert int(listed["SizeBytes"]) == Path(__file__).stat().st_size
    assert datetime.fromisoformat(listed["CreatedAt"]).tzinfo is not None
    shown = of_images(["history", *store, "app:1", "--format", "csv"])
    (step,) = csv.DictReader(io.StringIO(shown, newline=""))
    assert step["Comment"] == f"imported {message}"
    assert int(step["SizeBytes"]) > 0


def of_root(member: tarfile.TarInfo) -> tarfile.TarInfo:
    """Give a file to root, which every user namespace has."""
    member.uid = member.gid = 0
    return member


def of_images(arguments: list[str]) -> str:
    """Return what an image verb prints. It has its own process: a user's moves to a namespace."""
    program = "import sys; from lab.cli import main; sys.exit(main.main(sys.argv[1:]))"
    done = subprocess.run(
        [sys.executable, "-c", program, "image", *arguments], capture_output=True, check=False
    )
    if b"can't create a user namespace" in done.stderr:
        pytest.skip("users can't create user namespaces here")
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()
