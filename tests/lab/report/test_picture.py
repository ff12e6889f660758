"""The places where a picture may be written."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from lab.cli import exit_codes
from lab.cli.main import main
from lab.errors import InvalidConfig
from lab.report.picture import SUFFIXES, check_path

REFUSED = {
    "peak.gif": "ends in .png, .svg, .pdf",
    "peak": "ends in .png, .svg, .pdf",
    "none/peak.svg": "there is no folder",
    "folder.svg": "is a folder: name a file",
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_place_for_no_picture_is_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "folder.svg").mkdir()
    with pytest.raises(InvalidConfig, match=re.escape(REFUSED[name])):
        check_path(tmp_path / name)


@pytest.mark.parametrize("suffix", (*SUFFIXES, ".PNG"))
def test_a_place_for_a_picture(
    suffix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_path(tmp_path / f"peak{suffix}")
    monkeypatch.chdir(tmp_path)
    check_path(Path(f"peak{suffix}"))


@pytest.mark.parametrize("verb", ["plan", "scale"])
@pytest.mark.parametrize("name", REFUSED)
def test_a_verb_refuses_it_before_it_reads_the_file(
    verb: str, name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.svg").mkdir()
    words = [verb, str(tmp_path / "missing.toml"), "--picture", str(tmp_path / name)]
    assert main(words) == exit_codes.BAD_USAGE
    assert REFUSED[name] in capsys.readouterr().err
