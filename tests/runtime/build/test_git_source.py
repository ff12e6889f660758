"""Which sources name git repositories."""

from __future__ import annotations

import pytest

from runtime.build.git_source import Repository, parse
from runtime.errors import InvalidConfig


@pytest.mark.parametrize(
    ("text", "remote", "version", "directory"),
    [
        ("https://h/a.git", "https://h/a.git", "", ""),
        ("http://h/a.git#v1", "http://h/a.git", "v1", ""),
        ("https://h/a.git#v1:sub/dir", "https://h/a.git", "v1", "sub/dir"),
        ("https://h/a.git#:sub", "https://h/a.git", "", "sub"),
        ("git://h/a", "git://h/a", "", ""),
        ("ssh://git@h:22/a.git#b", "ssh://git@h:22/a.git", "b", ""),
        ("git@github.com:o/r.git#main", "git@github.com:o/r.git", "main", ""),
    ],
)
def test_a_repository(text: str, remote: str, version: str, directory: str) -> None:
    assert parse(text) == Repository(remote, version, directory)


@pytest.mark.parametrize(
    "text", ["a.git", "https://h/a.tar.gz", "https://h/a.git/x", "./git@x", "file:///a.git", "dir"]
)
def test_another_source(text: str) -> None:
    assert parse(text) is None


def test_a_context_may_be_named_without_a_scheme() -> None:
    assert parse("github.com/o/r#v1") is None
    assert parse("github.com/o/r#v1", as_context=True) == Repository(
        "https://github.com/o/r", "v1", ""
    )


def test_an_option_is_no_version() -> None:
    with pytest.raises(InvalidConfig, match="'--upload-pack=x' is no branch"):
        parse("https://h/a.git#--upload-pack=x")
