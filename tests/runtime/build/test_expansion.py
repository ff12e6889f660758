"""Patterns in variables, and the escape character that a Dockerfile chooses."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runtime.build.expansion import expand, split
from runtime.errors import InvalidConfig

SET = {"path": "/usr/lib/libx.so.1.2", "star": "a*b*c", "empty": "", "ext": "tar"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("${path#*/}", "usr/lib/libx.so.1.2"),
        ("${path##*/}", "libx.so.1.2"),
        ("${path%.*}", "/usr/lib/libx.so.1"),
        ("${path%%.*}", "/usr/lib/libx"),
        ("${path%nothing}", "/usr/lib/libx.so.1.2"),
        ("${path#????}", "/lib/libx.so.1.2"),
        ("${star#a\\*}", "b*c"),
        ("${star%\\*c}", "a*b"),
        ("${star/\\*/-}", "a-b*c"),
        ("${star//\\*/-}", "a-b-c"),
        ("${star//\\*/}", "abc"),
        ("${star//\\*}", "abc"),
        ("${path/l*b/X}", "/usr/Xx.so.1.2"),
        ("${missing#*}", ""),
        ("${empty-x}|${empty:-x}|${missing-x}", "|x|x"),
        ("${empty+x}|${empty:+x}|${missing+x}", "x||"),
        ("${path%.${missing:-2}}", "/usr/lib/libx.so.1"),
        ("a.${ext}.\\${ext}.'${ext}'", "a.tar.${ext}.${ext}"),
    ],
)
def test_patterns(text: str, expected: str) -> None:
    assert expand(text, SET) == expected


def test_a_missing_variable_says_the_authors_words() -> None:
    with pytest.raises(InvalidConfig, match="missing: name a version"):
        expand("${missing:?name a version}", SET)


def test_windows_paths_have_another_escape_character() -> None:
    assert expand("c:\\dir`$x\\$ext", SET, "`") == "c:\\dir$x\\tar"
    assert split("c:\\a` b c", {}, "`") == ["c:\\a b", "c"]


@given(st.text(alphabet=st.sampled_from("ab${}:-+?#%/\\'\"* "), max_size=40))
def test_any_text_expands_or_is_refused(text: str) -> None:
    with suppress(InvalidConfig):
        expand(text, SET)
    with suppress(InvalidConfig):
        split(text, SET)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a": "$X"}', '{"a": "value"}'),
        ("don't ${X}", "don't value"),
        ("'$X' \\$X \\\\", "'value' $X \\"),
        ("\\\nnext", "\nnext"),
        ("${Y:-it's}", "it's"),
    ],
)
def test_a_here_document_keeps_its_quotes(text: str, expected: str) -> None:
    assert expand(text, {"X": "value"}, quotes=False) == expected
