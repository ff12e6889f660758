"""Lists of CPUs and the masks of them."""

from __future__ import annotations

import pytest

from runtime.linux import cpu_list


@pytest.mark.parametrize(
    ("text", "numbers"),
    [("", []), ("0", [0]), ("0-3,7", [0, 1, 2, 3, 7]), ("5-4", []), ("1,1", [1, 1])],
)
def test_a_list_is_parsed(text: str, numbers: list[int]) -> None:
    assert cpu_list.parse(text) == numbers


@pytest.mark.parametrize("text", ["a", "0-", "-1", "0,,1", "0-b", " 1", "0-99999999999", "2048-1"])
def test_what_is_no_list_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"is not a list of numbers|has a number above 1023"):
        cpu_list.parse(text, cpu_list.MASK_BITS)


def test_each_number_is_one_bit_however_often_it_is_named() -> None:
    mask = cpu_list.mask(cpu_list.parse("0-2,1"))
    assert mask == b"\x07".ljust(cpu_list.MASK_BYTES, b"\0")
