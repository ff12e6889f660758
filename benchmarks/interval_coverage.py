"""How often an interval holds the truth, on noise that real hosts made.

    python -m benchmarks.interval_coverage cloud-vm-noise.csv.gz

reads a table with the columns suite, test, sku, region, start and value, where each benchmark was
repeated for weeks, such as Azure's VM noise data set (Azure/AzurePublicDataset, 2024, CC-BY 4.0).
The truth is the median of all repetitions of a benchmark. Samples of it are drawn at random, which
no run can do, and in a row, as a run does; and several short runs are drawn, each at its own time.
"""

from __future__ import annotations

import argparse
import csv
import gzip
import math
import random
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from lab import tables, units
from lab.statistics.estimates import Estimate, estimate_median

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SIZES = (35, 24, 12, 8, 5, 3)
RUNS = (2, 3, 4, 6, 8)
PAIRS = (24, 12, 3)
ROUNDS = 12  # of each of several runs
DRAWS = 4  # of each benchmark
_ROUNDING = 1e-12


class Coverage(NamedTuple):
    """In which share of the draws the interval held the truth, and how wide it typically was."""

    held: float
    width: float

    def __str__(self) -> str:
        return f"{self.held:.0%}, {units.share(self.width)} wide".replace("%,", " %,")


def main() -> None:
    """Print both tables as Markdown."""
    parser = argparse.ArgumentParser(description=__doc__, allow_abbrev=False)
    parser.add_argument("file", type=Path)
    series = read(parser.parse_args().file)
    print(f"{len(series)} benchmarks, {DRAWS} draws of each.\n")
    in_a_row = [
        (
            str(size),
            *(str(of_interval(series, draw, after)) for draw, after in (
                (at_random(size), as_it_is),
                (consecutive(size), as_if_independent),
                (consecutive(size), as_it_is),
            )),
        )
        for size in SIZES
    ]  # fmt: skip
    print(*tables.markdown(("values", "at random", "in a row", "widened"), in_a_row), sep="\n")
    print()
    across = [
        (str(runs), str(of_interval(series, of_runs(runs, ROUNDS), as_it_is))) for runs in RUNS
    ]
    print(*tables.markdown((f"runs of {ROUNDS} in a row", "across runs"), across), sep="\n")
    print()
    unchanged = [
        (
            str(size),
            *(f"{found_to_differ(series, draw(size)):.0%}" for draw in (at_random, consecutive)),
        )
        for size in PAIRS
    ]
    print(*tables.markdown(("values in each of two", "at random", "in a row"), unchanged), sep="\n")


def read(path: Path) -> list[list[float]]:
    """Return each benchmark's values in the order in which they were measured."""
    found = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            of = (row["suite"], row["test"], row["sku"], row["region"])
            found[of].append((row["start"], float(row["value"])))
    return [[value for _, value in sorted(values)] for values in found.values()]


def of_interval(
    series: Sequence[Sequence[float]],
    draw: Callable[[Sequence[float], random.Random], list[float]],
    ends: Callable[[Estimate], tuple[float, float]],
) -> Coverage:
    """Return how often the interval of what was drawn holds the median of all values."""
    chance = random.Random(1)
    held, widths = 0, []
    for values in series:
        truth = median(values)
        for _ in range(DRAWS):
            low, high = ends(estimate_median(draw(values, chance)))
            held += low <= truth <= high
            widths.append((high - low) / truth)
    return Coverage(held / len(widths), median(widths))


def found_to_differ(
    series: Sequence[Sequence[float]],
    draw: Callable[[Sequence[float], random.Random], list[float]],
) -> float:
    """Return in which share of pairs two runs of one thing would be found to differ."""
    chance = random.Random(1)
    differ = []
    for values in series:
        for _ in range(DRAWS):
            pair = [estimate_median(draw(values, chance)) for _ in range(2)]
            ends = [as_it_is(each) for each in pair]
            if min(low for low, _ in ends) <= 0:
                continue
            reach = math.hypot(*(math.log(high / low) / 2 for low, high in ends))
            first, later = (each.centre or math.nan for each in pair)
            differ.append(abs(math.log(later / first)) > reach + _ROUNDING)
    return sum(differ) / len(differ)


def at_random(size: int) -> Callable[[Sequence[float], random.Random], list[float]]:
    """Values from anywhere, in any order."""
    return lambda values, chance: chance.sample(values, size)


def consecutive(size: int) -> Callable[[Sequence[float], random.Random], list[float]]:
    """Values that follow one another, from a time at random."""

    def draw(values: Sequence[float], chance: random.Random) -> list[float]:
        begin = chance.randrange(len(values) - size + 1)
        return list(values[begin : begin + size])

    return draw


def of_runs(count: int, size: int) -> Callable[[Sequence[float], random.Random], list[float]]:
    """The medians of so many runs, each of values in a row from a time of its own."""
    one = consecutive(size)
    return lambda values, chance: [median(one(values, chance)) for _ in range(count)]


def as_it_is(estimate: Estimate) -> tuple[float, float]:
    """Both ends of the interval."""
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def as_if_independent(estimate: Estimate) -> tuple[float, float]:
    """Both ends as they would be if no value resembled the one before it."""
    low, high = as_it_is(estimate)
    centre, times = estimate.centre, 1 / math.sqrt(estimate.dependence)
    assert centre is not None
    return centre * (low / centre) ** times, centre * (high / centre) ** times


if __name__ == "__main__":
    main()
