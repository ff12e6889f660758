"""Templates as scripts pass them to docker."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab.cli import exit_codes
from lab.cli.image.templates import check, fill
from lab.cli.main import main
from lab.errors import LabError
from runtime.namespaces import rootless

CONFIG = {"Env": ["A=b", "C=d"], "Labels": {"x.y": "z"}, "User": ""}
NEEDS_A_ROW = (r"no field '\.Nothing'; known here: ID, Config", "no field", "does not take")
ROW = {"ID": "abc", "Config": CONFIG, "Size": 7, "Ok": True, "None": None}


@pytest.mark.parametrize(
    ("template", "expected"),
    [
        ("{{.ID}}", "abc"),
        ("{{ .ID }}:{{.Size}}", "abc:7"),
        ("table {{.ID}}\\t{{.Size}}", "abc\t7"),
        ("{{json .Config.Env}}", '["A=b", "C=d"]'),
        ("{{.Config.Env}}", "[A=b C=d]"),
        ("{{.Config.Labels}}", "map[x.y:z]"),
        ('{{index .Config.Labels "x.y"}}', "z"),
        ('{{index .Config.Labels "none"}}', ""),
        ("{{index .Config.Env 1}}", "C=d"),
        ('{{join .Config.Env ","}}', "A=b,C=d"),
        ("{{len .Config.Env}}{{upper .ID}}", "2ABC"),
        ("{{.Ok}} {{.None}}", "true <nil>"),
        ("{{- .ID -}}", "abc"),
        ("plain", "plain"),
    ],
)
def test_a_template_is_filled_as_go_fills_it(template: str, expected: str) -> None:
    assert fill(template, ROW) == expected


@pytest.mark.parametrize(
    ("template", "named"),
    [
        ("{{.Nothing}}", r"no field '\.Nothing'; known here: ID, Config"),
        ("{{.ID.Deeper}}", "no field"),
        ("{{if .Ok}}x{{end}}", "'if' is not supported"),
        ("{{range .Config.Env}}{{end}}", "'range' is not supported"),
        ("{{nope .ID}}", "no function 'nope'"),
        ("{{len .Size}}", "does not take"),
        ("{{}}", "empty action"),
        ("{{.ID", "not closed"),
        ("{{.ID}} {{", "not closed"),
        ("{{.Config.Env | json}}", "behind a field is not supported"),
        ('{{json "}}', "neither a text in quotes nor a number"),
        (r'{{join .Config.Env "\x"}}', "neither a text in quotes nor a number"),
        (f"{{{{index .Config.Env {'9' * 5000}}}}}", "neither a text in quotes nor a number"),
    ],
)
def test_what_is_not_known_is_refused(template: str, named: str) -> None:
    with pytest.raises(LabError, match=named):
        fill(template, ROW)
    if named not in NEEDS_A_ROW:
        with pytest.raises(LabError, match=named):
            check(template)


@pytest.mark.parametrize("template", ["{{.Nothing}}", "{{len .Size}}", '{{join .ID ","}}', "plain"])
def test_only_a_row_tells_its_fields(template: str) -> None:
    check(template)


@pytest.mark.parametrize("template", ["{{nope .ID}}", "{{.ID", "{{if .ID}}x{{end}}"])
def test_a_bad_template_is_refused_though_there_is_no_image(
    template: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rootless, "enter", lambda: None)  # a user's process would not come back
    words = ["image", "ls", "--store", str(tmp_path / "store"), "--format", template]
    assert main(words) == exit_codes.BAD_USAGE
    assert f"--format {template!r}" in capsys.readouterr().err
