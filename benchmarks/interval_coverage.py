"""Coverage: how often an interval contains the true median, on noise from real hosts.

    python -m benchmarks.interval_coverage cloud-vm-noise.csv.gz

reads a table with the columns suite, test, sku, region, start and value, in which each benchmark
was repeated for weeks, such as Azure's VM noise data set (Azure/AzurePublicDataset, 2024, CC-BY
4.0). The true median is that of all repetitions of a benchmark. Samples are drawn at random, which
no run can do, and consecutively, as a run measures; and several short runs are drawn at different
times.
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
    """Share of draws whose interval contains the true median, and the typical relative width."""

    share: float
    width: float

    def __str__(self) -> str:
        return f"{self.share:.0%}, {units.share(self.width)} wide".replace("%,", " %,")


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
            *(f"{share_different(series, draw(size)):.0%}" for draw in (at_random, consecutive)),
        )
        for size in PAIRS
    ]
    print(*tables.markdown(("values in each of two", "at random", "in a row"), unchanged), sep="\n")


def read(path: Path) -> list[list[float]]:
    """Return each benchmark's values in the order in which they were measured."""
    by_benchmark = defaultdict(list)
    with gzip.open(path, "rt", encoding="utf-8", newline="") as file:
        for row in csv.DictReader(file):
            benchmark = (row["suite"], row["test"], row["sku"], row["region"])
            by_benchmark[benchmark].append((row["start"], float(row["value"])))
    return [[value for _, value in sorted(values)] for values in by_benchmark.values()]


def of_interval(
    series: Sequence[Sequence[float]],
    draw: Callable[[Sequence[float], random.Random], list[float]],
    ends: Callable[[Estimate], tuple[float, float]],
) -> Coverage:
    """Return how often the interval of the drawn values contains the median of all values."""
    chance = random.Random(1)
    contained, widths = 0, []
    for values in series:
        truth = median(values)
        for _ in range(DRAWS):
            low, high = ends(estimate_median(draw(values, chance)))
            contained += low <= truth <= high
            widths.append((high - low) / truth)
    return Coverage(contained / len(widths), median(widths))


def share_different(
    series: Sequence[Sequence[float]],
    draw: Callable[[Sequence[float], random.Random], list[float]],
) -> float:
    """Return the share of pairs of unchanged runs that `tonnage compare` would call different."""
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
    """Return a draw of values from anywhere, in any order."""
    return lambda values, chance: chance.sample(values, size)


def consecutive(size: int) -> Callable[[Sequence[float], random.Random], list[float]]:
    """Return a draw of consecutive values, from a random time on."""

    def draw(values: Sequence[float], chance: random.Random) -> list[float]:
        begin = chance.randrange(len(values) - size + 1)
        return list(values[begin : begin + size])

    return draw


def of_runs(count: int, size: int) -> Callable[[Sequence[float], random.Random], list[float]]:
    """Return a draw of the medians of several runs, each of consecutive values at its own time."""
    draw_run = consecutive(size)
    return lambda values, chance: [median(draw_run(values, chance)) for _ in range(count)]


def as_it_is(estimate: Estimate) -> tuple[float, float]:
    """Return both ends of the interval."""
    assert estimate.low is not None
    assert estimate.high is not None
    return estimate.low, estimate.high


def as_if_independent(estimate: Estimate) -> tuple[float, float]:
    """Return both ends as they would be if consecutive values were independent."""
    low, high = as_it_is(estimate)
    centre, times = estimate.centre, 1 / math.sqrt(estimate.dependence)
    assert centre is not None
    return centre * (low / centre) ** times, centre * (high / centre) ** times


if __name__ == "__main__":
    main()
