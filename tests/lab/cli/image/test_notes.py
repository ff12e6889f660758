"""Sentences with the names and words of others stay on one line."""

from __future__ import annotations

import pytest

from lab.cli.image.notes import ignore, note, on_one_line


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a name", "a name"),
        ("ä – €", "ä – €"),
        ("a\nb\r\tc", r"a\nb\r\tc"),
        ("\x1b[31mred\x07", r"\x1b[31mred\x07"),
        ("\u202eback", r"\u202eback"),
        ("\udcff", r"\udcff"),
    ],
)
def test_control_characters_are_escaped(text: str, shown: str) -> None:
    assert on_one_line(text) == shown


def test_notes_go_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    note("one\ntwo")
    ignore("three")
    assert capsys.readouterr() == ("", "tonnage: one\\ntwo\n")
