"""Lists of CPUs and memory nodes such as 0-3,7, and masks of them. (cpuset(7), "Formats")"""

from __future__ import annotations

MASK_BITS = 1024  # as many CPUs as glibc's cpu_set_t has; sched_setaffinity(2), set_mempolicy(2)
MASK_BYTES = MASK_BITS // 8
_LIMIT = 1 << 16  # more than any kernel can have


def parse(text: str, limit: int = _LIMIT) -> list[int]:
    """Return the numbers of a list. Raise ValueError for no list, and for a number over the limit.

    `limit` is the first number that is too large.
    """
    numbers: list[int] = []
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        if not first.isdecimal() or (dash and not last.isdecimal()):
            raise ValueError(f"{text!r} is not a list of numbers such as 0-3,7")
        if int(last or first) >= limit or int(first) >= limit:
            raise ValueError(f"{text!r} has a number above {limit - 1}")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def mask(numbers: list[int]) -> bytes:
    """Return the bit mask of these numbers, MASK_BYTES long. Raise OverflowError."""
    return sum(1 << number for number in set(numbers)).to_bytes(MASK_BYTES, "little")
