"""Lists of CPUs and memory nodes."""

from __future__ import annotations

import pytest

from runtime.linux import cpu_list


@pytest.mark.parametrize(
    ("text", "numbers"), [("", []), ("3", [3]), ("0-3,7", [0, 1, 2, 3, 7]), ("5-4", [])]
)
def test_a_list_is_parsed(text: str, numbers: list[int]) -> None:
    assert cpu_list.parse(text) == numbers


@pytest.mark.parametrize("text", ["x", "-1", "1,,2", "0-x", "1 2"])
def test_a_text_that_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a list of numbers"):
        cpu_list.parse(text)
