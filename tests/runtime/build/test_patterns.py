"""Patterns, by the examples of docker's documentation and of its own tests."""

from __future__ import annotations

import pytest

from runtime.build.patterns import Ignored, matching
from runtime.errors import InvalidConfig


@pytest.mark.parametrize(
    ("lines", "ignored", "kept"),
    [
        (["*/temp*"], ["a/temp", "a/temporary.txt", "a/temp/x"], ["temp", "a/b/temp"]),
        (["*/*/temp*"], ["a/b/temporary"], ["a/temp"]),
        (["temp?"], ["tempa", "tempb/x"], ["temp", "a/tempa"]),
        (["**/*.go"], ["a.go", "a/b/c.go"], ["a.c"]),
        (["*.md", "!README.md"], ["a.md"], ["README.md", "d/a.md"]),
        (["*.md", "!README*.md", "README-secret.md"], ["README-secret.md"], ["README-a.md"]),
        (["*.md", "README-secret.md", "!README*.md"], [], ["README-secret.md"]),
        (["/dir"], ["dir", "dir/x"], ["a/dir"]),
        (["dir/"], ["dir", "dir/x"], []),
        (["dir", "!dir/x"], ["dir/y"], ["dir/x"]),
        (["# not this", "", "  b  "], ["b"], ["# not this"]),
        (["a/**/b"], ["a/b", "a/x/y/b"], ["b"]),
        (["**"], ["x", "a/b"], []),
        (["**", "!keep"], ["x"], ["keep", "keep/x"]),
        (["[a-c]*"], ["bx"], ["dx"]),
        (["[^a]x"], ["bx"], ["ax", "/x"]),
        (["a\\*"], ["a*"], ["ab"]),
        ([], [], ["a"]),
    ],
)
def test_a_file_of_rules(lines: list[str], ignored: list[str], kept: list[str]) -> None:
    rules = Ignored(lines)
    assert [path for path in ignored if path not in rules] == []
    assert [path for path in kept if path in rules] == []


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.txt", ["a.txt", "b.txt"]),
        ("?.txt", ["a.txt", "b.txt"]),
        ("d/*", ["d/c.txt"]),
        ("[b-z].txt", ["b.txt"]),
        ("*", ["a.txt", "b.txt", "d"]),
    ],
)
def test_a_source(pattern: str, expected: list[str]) -> None:
    assert matching(["a.txt", "b.txt", "d", "d/c.txt"], pattern) == expected


@pytest.mark.parametrize("pattern", ["[", "[]", "[^]", "a\\", "[z-a]", "[a"])
def test_a_pattern_that_is_none(pattern: str) -> None:
    with pytest.raises(InvalidConfig, match="pattern"):
        matching(["a"], pattern)
