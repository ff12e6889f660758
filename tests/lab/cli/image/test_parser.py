"""The options of the image verbs."""

from __future__ import annotations

import pytest

from lab.cli import parser


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["push", "app"], {"chunk_size": 0, "tls_verify": None}),
        (["push", "app", "--chunk-size", "16M"], {"chunk_size": 16 << 20}),
        (["pull", "a", "b"], {"references": ["a", "b"], "mirror": [], "tls_verify": None}),
        (["pull", "a", "--mirror", "m:5000", "--mirror", "n"], {"mirror": ["m:5000", "n"]}),
        (["pull", "a", "--tls-verify=false"], {"tls_verify": "false"}),
        (["export", "app"], {"reference": "app", "output": None, "unmapped_ids": "refuse"}),
        (["ls", "--unmapped-ids", "root"], {"unmapped_ids": "root"}),
    ],
)
def test_options_of_the_verbs(words: list[str], expected: dict[str, object]) -> None:
    options = vars(parser.build().parse_args(["image", *words]))
    assert {name: options[name] for name in expected} == expected


@pytest.mark.parametrize("size", ["16", "0M", "x"])
def test_a_wrong_size_of_chunks(size: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser.build().parse_args(["image", "push", "app", "--chunk-size", size])
    assert "is not a size: write 512M or 20G" in capsys.readouterr().err
