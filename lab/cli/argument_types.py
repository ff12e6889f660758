"""Words of the command line as values, refused at the door with what they may be."""

from __future__ import annotations

import argparse
import math
from pathlib import Path

SEED_END = 1 << 63
LONGEST_DEADLINE_SECONDS = 86_400.0
SHORTEST_BUDGET_MINUTES = 1 / 60


def names(text: str) -> tuple[str, ...]:
    """Return the names of a list with commas."""
    return tuple(name.strip() for name in text.split(",") if name.strip())


def count(text: str) -> int:
    """Return a whole number from 1 on."""
    number = _whole(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 1")
    return number


def seed(text: str) -> int:
    """Return a whole number that the generators of random numbers take."""
    number = _whole(text)
    if not 0 <= number < SEED_END:
        raise argparse.ArgumentTypeError(f"{text}: must be from 0 to 2^63 - 1")
    return number


def share(text: str) -> float:
    """Return a share of 1, of a percentage between 0 and 100."""
    number = _finite(text.removesuffix("%")) / 100
    if not 0 < number < 1:
        raise argparse.ArgumentTypeError(f"{text}: must be more than 0 and less than 100 %")
    return number


def budget_minutes(text: str) -> float:
    """Return minutes, of which there must be enough for a second."""
    number = _finite(text)
    if number < SHORTEST_BUDGET_MINUTES:
        raise argparse.ArgumentTypeError(f"{text}: must be at least 0.017 minutes, a second")
    return number


def deadline_seconds(text: str) -> float:
    """Return seconds, more than none and at most a day."""
    number = _finite(text)
    if not 0 < number <= LONGEST_DEADLINE_SECONDS:
        raise argparse.ArgumentTypeError(
            f"{text}: must be more than 0 and at most {LONGEST_DEADLINE_SECONDS:.0f} seconds"
        )
    return number


def folder(text: str) -> Path:
    """Return the path of a folder."""
    if not text:
        raise argparse.ArgumentTypeError("a folder has a name: write . for the one you are in")
    return Path(text)


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number") from None


def _finite(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
    if not math.isfinite(number):
        raise argparse.ArgumentTypeError(f"{text}: must be finite")
    return number
