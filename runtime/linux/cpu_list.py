"""Lists of CPUs and memory nodes, as the kernel writes them. (cpuset(7), "List format")"""

from __future__ import annotations


def parse(text: str) -> list[int]:
    """Return the numbers in a list such as 0-3,7. Raise ValueError."""
    numbers: list[int] = []
    for part in text.split(",") if text else ():
        first, _, last = part.partition("-")
        if not first.isdecimal() or (last and not last.isdecimal()):
            raise ValueError(f"{text!r} is not a list of numbers such as 0-3,7")
        numbers += range(int(first), int(last or first) + 1)
    return numbers
