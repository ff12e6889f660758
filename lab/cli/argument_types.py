"""Types of command-line arguments, whose errors say which values are allowed."""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path

from lab.language import choice
from lab.language.message import Language

SEED_END = 1 << 63
LAST_PORT = 65_535
LONGEST_DEADLINE_SECONDS = 86_400.0
SHORTEST_BUDGET_MINUTES = 1 / 60
SMALLEST_FACTOR, LARGEST_FACTOR = 1e-6, 1e9
_SIZE = re.compile(r"(\d+)([KMGT])?(?:i?B)?", re.IGNORECASE)
_UNITS = {"K": 10, "M": 20, "G": 30, "T": 40}


def names(text: str) -> tuple[str, ...]:
    """Return the names in a comma-separated list."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def count(text: str) -> int:
    """Return an integer of at least 1."""
    number = _integer(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return number


def seed(text: str) -> int:
    """Return an integer that random number generators accept as a seed."""
    number = _integer(text)
    if not 0 <= number < SEED_END:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to 2^63 - 1")
    return number


def port(text: str) -> int:
    """Return a port, or 0."""
    number = _integer(text)
    if not 0 <= number <= LAST_PORT:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to {LAST_PORT}")
    return number


def sha256(text: str) -> str:
    """Return the 64 hexadecimal digits of a digest."""
    if not re.fullmatch("[0-9a-fA-F]{64}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no SHA-256: it has 64 hexadecimal digits")
    return text.lower()


def share(text: str) -> float:
    """Return a percentage between 0 and 100, exclusive, as a share of 1."""
    number = _finite(text.removesuffix("%")) / 100
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 % and less than 100 %")
    return number


def budget_minutes(text: str) -> float:
    """Return a number of minutes that is at least a second."""
    number = _finite(text)
    if number < SHORTEST_BUDGET_MINUTES:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 0.017 minutes (a second)")
    return number


def deadline_seconds(text: str) -> float:
    """Return a positive number of seconds up to a day."""
    number = _finite(text)
    if not 0 < number <= LONGEST_DEADLINE_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text}: must be more than 0 and at most {LONGEST_DEADLINE_SECONDS:.0f} seconds"
        )
    return number


def factor(text: str) -> float:
    """Return a number from a millionth to a billion."""
    number = _finite(text)
    if not SMALLEST_FACTOR <= number <= LARGEST_FACTOR:
        raise argparse.ArgumentTypeError(
            f"{text}: must be from {SMALLEST_FACTOR:f} to {LARGEST_FACTOR:,.0f}"
        )
    return number


def named_path(text: str) -> tuple[str, Path]:
    """Return a name and a path, from NAME=PATH."""
    name, equals, path = text.partition("=")
    if not (equals and name and path):
        raise argparse.ArgumentTypeError(f"{text!r} is not NAME=PATH")
    return name, Path(path)


def folder(text: str) -> Path:
    """Return the path of a folder or a file."""
    if not text:
        raise argparse.ArgumentTypeError("the path is empty: write . for the current folder")
    return Path(text)


def size(text: str) -> int:
    """Return the bytes of a size such as 512M or 20GiB, in powers of 1,024."""
    match = _SIZE.fullmatch(text)
    if not match or not int(match[1]) or not match[2]:
        raise argparse.ArgumentTypeError(f"{text!r} is not a size: write 512M or 20G")
    return int(match[1]) << _UNITS[match[2].upper()]


def image_reference(text: str) -> str:
    """Return a reference of an image, which is not empty."""
    if not text.strip():
        raise argparse.ArgumentTypeError("the reference is empty: write a name such as app:1")
    return text


def language(text: str) -> Language:
    """Return the language of a tag."""
    try:
        return Language(text)
    except ValueError:
        known = " or ".join(Language)
        raise argparse.ArgumentTypeError(
            f"there is no language {text!r} (from --lang or ${choice.VARIABLE}): choose {known}"
        ) from None


def language_or_both(text: str) -> str:
    """Return the tag of a language, or "both"."""
    if text not in choice.CHOICES:
        known = ", ".join(Language)
        raise argparse.ArgumentTypeError(
            f"there is no language {text!r} (from --lang or ${choice.VARIABLE}): choose {known} or"
            " both"
        )
    return text


def _integer(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not an integer") from None


def _finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text}: must be finite")
    return number
