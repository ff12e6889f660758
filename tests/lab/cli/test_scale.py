"""`tonnage scale`: its output, its picture and its errors."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from lab.cli import exit_codes, main
from tests.lab.scaling.scenarios import PEAK, write

EXAMPLE = Path(__file__).parents[3] / "examples" / "scale.toml"


def test_text_json_and_csv(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = str(write(tmp_path, PEAK))
    options = ["--replications", "2", "--seed", "9"]
    assert main.main(["scale", path, *options]) == exit_codes.DONE
    assert "2 replications, seed 9" in capsys.readouterr().out
    assert main.main(["scale", path, *options, "--format", "json"]) == exit_codes.DONE
    parsed = json.loads(capsys.readouterr().out)
    assert (parsed["seed"], parsed["replications"]) == (9, 2)
    assert main.main(["scale", path, *options, "--format", "csv"]) == exit_codes.DONE
    assert capsys.readouterr().out.startswith("variant,emulated,begin_seconds,")


def test_the_scenario_gives_the_defaults(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(write(tmp_path, PEAK, seed="4"))
    assert main.main(["scale", path]) == exit_codes.DONE
    assert "3 replications, seed 4" in capsys.readouterr().out


def test_the_example_draws_its_picture(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "peak.png"
    arguments = ["scale", str(EXAMPLE), "--replications", "1", "--picture", str(picture)]
    assert main.main(arguments) == exit_codes.DONE
    assert picture.read_bytes().startswith(b"\x89PNG")
    out = capsys.readouterr().out
    assert "vm, started in 40 s, misses " in out
    assert "of a peak of 30 s" in out


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["none.toml"], "none.toml can't be read: No such file or directory."),
        (["{bad}"], "peak.toml: duration: '-1 s' must be above 0."),
        (["{good}", "--picture", "peak.gif"], "peak.gif: a picture's name ends in .png, .svg"),
    ],
)
def test_errors_are_sentences(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], sentence: str
) -> None:
    (tmp_path / "bad").mkdir()
    paths = {
        "{bad}": str(write(tmp_path / "bad", PEAK, duration='"-1 s"')),
        "{good}": str(write(tmp_path, PEAK)),
    }
    words = [paths.get(word, word) for word in arguments]
    assert main.main(["scale", *words]) == exit_codes.BAD_USAGE
    output = capsys.readouterr()
    assert sentence in output.err
    assert output.out == ""


@pytest.mark.parametrize(
    "options", [[], ["a", "--replications", "0"], ["a", "--seed", "-1"], ["a", "--format", "xml"]]
)
def test_bad_arguments_exit_with_2(options: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main.main(["scale", *options])
    assert ended.value.code == exit_codes.BAD_USAGE
    assert "usage: tonnage scale" in capsys.readouterr().err
