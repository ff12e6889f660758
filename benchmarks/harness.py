"""The parts that benchmarks share: shuffled rounds, samples, paired ratios, bounds and printing.

A benchmark measures each contestant once in every round, in a random order, and compares two
contestants within a round. It prints a `Finding` a line; a finding with a bound says `met` or
`missed`, and the exit code is 1 if any bound was missed.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from lab.host.measurement_lock import measurement_lock
from lab.host.scratch import scratch_directory
from lab.statistics.estimates import Estimate, estimate_median, paired_ratio

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

Contestant = TypeVar("Contestant")
WARM_UP = -1  # the number of a round whose samples are dropped


@dataclass(frozen=True, slots=True)
class Finding:
    """One printed line; `met` is None where nothing is claimed."""

    text: str
    met: bool | None = None

    @classmethod
    def at_most(cls, text: str, limit: float, *, met: bool, unit: str = "") -> Finding:
        """Return a finding with an upper bound."""
        return cls(f"{text}  wanted: at most {limit:g}{unit}", met)

    @classmethod
    def at_least(cls, text: str, limit: float, *, met: bool, unit: str = "") -> Finding:
        """Return a finding with a lower bound."""
        return cls(f"{text}  wanted: at least {limit:g}{unit}", met)

    def __str__(self) -> str:
        return self.text if self.met is None else f"{self.text}: {verdict(met=self.met)}"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A comparison of two contestants in one measure, under one condition or under all of them.

    The bound is on the centre of the ratio, or with `by_interval` on the upper end of its interval.
    """

    measure: str
    ours: str
    peer: str
    limit: float | None = None
    condition: str | None = None
    by_interval: bool = False


class Samples:
    """The samples of a benchmark, by condition, measure, contestant and round."""

    def __init__(self) -> None:
        self.values: dict[str, dict[str, dict[str, dict[int, float]]]] = {}

    def add(
        self, condition: str, contestant: str, number: int, values: Mapping[str, float]
    ) -> None:
        """Keep one turn's values by measure, unless the round is the warm-up."""
        if number == WARM_UP:
            return
        by_measure = self.values.setdefault(condition, {})
        for measure, value in values.items():
            by_measure.setdefault(measure, {}).setdefault(contestant, {})[number] = value

    def of(self, condition: str, measure: str, contestant: str) -> dict[int, float]:
        """Return the values by round; none if the contestant took no part."""
        return self.values.get(condition, {}).get(measure, {}).get(contestant, {})

    def medians(self, units: Mapping[str, str] | None = None) -> Iterator[Finding]:
        """Yield the median of each series; a measure that `units` lacks is in milliseconds."""
        for condition, by_measure in self.values.items():
            for measure, by_contestant in by_measure.items():
                unit = (units or {}).get(measure, "ms")
                for name, values in by_contestant.items():
                    estimate = estimate_median(list(values.values()))
                    yield Finding(
                        f"{condition:7} {measure:18} {name:16} {estimate.centre:9.2f} {unit:4}"
                        f"{interval(estimate, 2)}"
                    )

    def ratios(self, wanted: Iterable[Ratio]) -> Iterator[Finding]:
        """Yield each comparison of contestants that both took part."""
        for claim in wanted:
            for condition in self.values if claim.condition is None else (claim.condition,):
                ours = self.of(condition, claim.measure, claim.ours)
                peer = self.of(condition, claim.measure, claim.peer)
                if ours and peer:
                    yield _judged(condition, claim, paired_ratio(ours, peer))


def _judged(condition: str, claim: Ratio, ratio: Estimate) -> Finding:
    text = (
        f"{condition:7} {claim.measure:18} {claim.ours} / {claim.peer}: {ratio.centre:.3f}"
        f"{interval(ratio, 3)}"
    )
    if claim.limit is None:
        return Finding(text)
    figure = ratio.high if claim.by_interval else ratio.centre
    return Finding.at_most(text, claim.limit, met=figure is not None and figure <= claim.limit)


def interval(estimate: Estimate, digits: int) -> str:
    """Return the interval and the number of rounds, as they are printed behind a figure."""
    if estimate.low is None or estimate.high is None:
        return f" [no interval] n={estimate.n}"
    return f" [{estimate.low:.{digits}f}, {estimate.high:.{digits}f}] n={estimate.n}"


def verdict(*, met: bool) -> str:
    """Return the word for a bound that was met or missed."""
    return "met" if met else "missed"


def turns(
    contestants: Sequence[Contestant],
    rounds: int,
    seed: int,
    conditions: Sequence[str] = ("",),
    *,
    warm_up: bool = False,
) -> Iterator[tuple[int, str, Contestant]]:
    """Yield round number, condition and contestant, shuffled within each condition of a round.

    With `warm_up` a round numbered `WARM_UP` comes first, whose samples are dropped.
    """
    chance = random.Random(seed)
    for number in range(WARM_UP if warm_up else 0, rounds):
        for condition in conditions:
            for contestant in chance.sample(contestants, len(contestants)):
                yield number, condition, contestant


@contextmanager
def quiet_host() -> Iterator[Path]:
    """Hold the measurement lock, and yield a scratch directory that is removed afterwards.

    If another process is measuring, wait for its end.
    """
    with measurement_lock(wait=True, progress=say), scratch_directory() as scratch:
        yield scratch


def say(line: str) -> None:
    """Print progress to standard error."""
    print(line, file=sys.stderr)


def parser(doc: str | None, rounds: int) -> argparse.ArgumentParser:
    """Return a parser with the options that every benchmark of rounds has."""
    parser = argparse.ArgumentParser(description=(doc or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=rounds, help="rounds to measure")
    parser.add_argument("--seed", type=int, default=1, help="seed of the order of turns")
    parser.add_argument("--out", type=Path, help="also write the raw samples to FILE, as JSON")
    return parser


def write_record(path: Path | None, record: object) -> None:
    """Write a record as JSON, if a path is given; its directory is created."""
    if path is not None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(record, indent=1) + "\n")


def report(findings: Iterable[Finding]) -> int:
    """Print the findings, and return the exit code: 1 if any bound was missed, else 0."""
    missed = False
    for finding in findings:
        print(finding)
        missed |= finding.met is False
    return int(missed)
