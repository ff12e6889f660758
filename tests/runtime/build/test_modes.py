"""Modes of --chmod, octal and symbolic."""

from __future__ import annotations

import pytest

from runtime.build.modes import changed, check
from runtime.errors import InvalidConfig


@pytest.mark.parametrize(
    ("text", "before", "is_directory", "after"),
    [
        ("644", 0o777, False, 0o644),
        ("0755", 0o600, False, 0o755),
        ("4755", 0o600, False, 0o4755),
        ("0", 0o777, False, 0),
        ("u+x", 0o644, False, 0o744),
        ("+x", 0o644, False, 0o755),
        ("a=r", 0o777, False, 0o444),
        ("go-w", 0o666, False, 0o644),
        ("u=rwX,go=rX", 0o600, False, 0o644),
        ("u=rwX,go=rX", 0o700, False, 0o755),
        ("u=rwX,go=rX", 0o600, True, 0o755),
        ("g=u", 0o640, False, 0o660),
        ("o=g,g=", 0o750, False, 0o705),
        ("u+s", 0o755, False, 0o4755),
        ("g+s,+t", 0o755, True, 0o3755),
        ("u=rw", 0o4755, False, 0o655),
        ("u+r-x+w", 0o100, False, 0o600),
        ("a-x+X", 0o755, False, 0o644),
        ("a-x+X", 0o755, True, 0o755),
    ],
)
def test_a_mode(text: str, before: int, is_directory: bool, after: int) -> None:
    assert changed(text, before, is_directory=is_directory) == after


@pytest.mark.parametrize("text", ["", "888", "17777", "u", "u+z", "x+r", "u+r,", "+ x", "-1"])
def test_what_is_no_mode(text: str) -> None:
    with pytest.raises(InvalidConfig, match="is no mode"):
        check(text)
