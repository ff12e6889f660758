"""Packing: seconds, cost and proven gap of the solver, beside published figures.

    python -m benchmarks.planning.packing [estimator million openb panigrahy triplet]

Each problem is solved once, in this process, after all imports. The certificate of each solution is
checked, outside the time that counts.
"""

from __future__ import annotations

import argparse
import os
import sys
from statistics import mean
from time import perf_counter, process_time
from typing import TYPE_CHECKING, NamedTuple

from benchmarks.harness import Finding, report, say
from benchmarks.planning import instances
from lab.errors import InvalidConfig
from lab.planning.certificate import check
from lab.planning.solution import Solution, to_document
from lab.planning.solver import solve

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from lab.planning.problem import Problem

_LATE = 0.5  # seconds that a solution is asked for before the limit


class Solved(NamedTuple):
    """A solution, the seconds that it took, and the seconds of CPU time."""

    solution: Solution
    seconds: float
    cpu_seconds: float

    def __str__(self) -> str:
        solution = self.solution
        return (
            f"{self.seconds:8.3f} s ({self.cpu_seconds:.3f} s of CPU), cost {solution.cost:,},"
            f" bound {solution.bound:,}, {solution.hosts:,} hosts, gap {solution.gap:.3%}"
        )


def main() -> int:
    """Measure what is named, or all, and return the exit code."""
    parser = argparse.ArgumentParser(description="Packing: seconds, cost and proven gap.")
    parser.add_argument("names", nargs="*", help=f"of {', '.join(BENCHMARKS)}; default: all")
    parser.add_argument("--panigrahy", type=int, default=100, help="instances of the sample")
    parser.add_argument("--triplet", type=int, default=60, help="instances of the sample")
    parser.add_argument("--seed", type=int, default=1, help="seed of the samples")
    options = parser.parse_args()
    if unknown := sorted(set(options.names) - set(BENCHMARKS)):
        parser.error(f"{unknown[0]} is no benchmark: use {', '.join(BENCHMARKS)}")
    warm_up()
    return report(_findings(options))


def warm_up() -> None:
    """Solve a small problem, so that what is imported late is there."""
    solve(instances.parse_vbp("1 10 3 6 3 4 5 3 4"), deadline_seconds=5)


def _findings(options: argparse.Namespace) -> Iterator[Finding]:
    yield Finding(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs at the start")
    for name, benchmark in BENCHMARKS.items():
        if not options.names or name in options.names:
            yield from benchmark(options)
    yield Finding(f"load average {os.getloadavg()[0]:.1f} on {os.cpu_count()} CPUs at the end")


def estimator(_options: argparse.Namespace) -> Iterator[Finding]:
    """Yield the time for 51,000 replicas of two kinds, with proof."""
    solved = _solve(instances.estimator(), 60.0)
    met = solved.seconds < 0.041 and solved.solution.gap == 0
    yield Finding.at_most(f"51,000 replicas: {solved}", 41, met=met, unit=" ms")


def million(_options: argparse.Namespace) -> Iterator[Finding]:
    """Yield time and gap for 1,000,000 replicas of 50 kinds."""
    solved = _solve(instances.million(), 5.0 - _LATE)
    met = solved.seconds <= 5 and solved.solution.gap <= 0.001
    yield Finding.at_most(f"1,000,000 replicas: {solved}", 5, met=met, unit=" s and 0.1 %")


def openb(_options: argparse.Namespace) -> Iterator[Finding]:
    """Yield time and gap for a production cluster's pods."""
    folder = _data("alibaba-gpu-2023")
    if folder is None:
        return
    for counted, words in ((True, "the cluster's nodes"), (False, "any number of each node")):
        try:
            solved = _solve(instances.openb(folder, counted=counted), 5.0 - _LATE)
        except InvalidConfig as error:
            yield Finding(f"openb, {words}: {error}", met=False)
            continue
        met = solved.seconds <= 5 and solved.solution.gap <= 0.005
        yield Finding.at_most(f"openb, {words}: {solved}", 5, met=met, unit=" s and 0.5 %")
        fitting = sum(
            pattern.times
            for pattern in solved.solution.patterns
            if instances.fits_devices(pattern.counts, pattern.host)
        )
        yield Finding(f"openb, {words}: shares fit on single devices on {fitting:,} of the hosts")


def panigrahy(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield shares of proven optima, and gaps, on a sample of Panigrahy's instances."""
    folder = _data("vectorpack")
    if folder is None:
        return
    cases = []
    for known in instances.vectorpack(folder, "Panigrahy", options.panigrahy, options.seed):
        solved = _solve(known.problem, 10.0 - _LATE)
        say(f"{known.name} optimum {known.optimum} heuristic {known.best_heuristic}: {solved}")
        cases.append((known, solved))
    with_optimum = [(known, solved) for known, solved in cases if known.optimum is not None]
    proven = [solved.solution.gap == 0 for _, solved in with_optimum]
    reached = [solved.solution.cost == known.optimum for known, solved in with_optimum]
    worse = [known.name for known, solved in cases if solved.solution.cost > known.best_heuristic]
    gap = mean(solved.solution.gap for _, solved in cases)
    slowest = max(solved.seconds for _, solved in cases)
    yield Finding(f"Panigrahy: {len(cases)} instances, optimum reached in {mean(reached):.1%}")
    yield Finding.at_least(
        f"Panigrahy: optimum proven in {mean(proven):.1%} of {len(proven)} with a known one",
        90,
        met=mean(proven) >= 0.9,
        unit=" %",
    )
    yield Finding.at_most(f"Panigrahy: mean gap {gap:.3%}", 1, met=gap <= 0.01, unit=" %")
    yield Finding.at_most(
        f"Panigrahy: worse than the best heuristic in {len(worse)}", 0, met=not worse
    )
    yield Finding.at_most(f"Panigrahy: slowest {slowest:.1f} s", 10, met=slowest <= 10, unit=" s")
    for name in worse:
        yield Finding(f"Panigrahy: worse in {name}")


def triplet(options: argparse.Namespace) -> Iterator[Finding]:
    """Yield the gap to the known optimum on a sample of the triplet instances."""
    folder = _data("vectorpack")
    if folder is None:
        return
    gaps, theirs = [], []
    for known in instances.vectorpack(folder, "Triplet", options.triplet, options.seed):
        solved = _solve(known.problem, 10.0 - _LATE)
        say(f"{known.name} optimum {known.optimum} heuristic {known.best_heuristic}: {solved}")
        assert known.optimum is not None
        gaps.append(solved.solution.cost / known.optimum - 1)
        theirs.append(known.best_heuristic / known.optimum - 1)
    text = (
        f"Triplet: {len(gaps)} instances, mean gap {mean(gaps):.2%}, optimum reached in"
        f" {gaps.count(0.0)}; best published heuristic {mean(theirs):.2%}"
    )
    yield Finding.at_most(text, 5, met=mean(gaps) <= 0.05, unit=" %")


def _solve(problem: Problem, deadline_seconds: float) -> Solved:
    """Solve a problem, and check the certificate."""
    begin, cpu_begin = perf_counter(), process_time()
    solution = solve(problem, deadline_seconds=deadline_seconds)
    seconds, cpu_seconds = perf_counter() - begin, process_time() - cpu_begin
    assert check(problem, to_document(problem, solution)) == solution.bound
    return Solved(solution, seconds, cpu_seconds)


def _data(name: str) -> Path | None:
    """Return the folder of a data set, or say that it is absent."""
    folder = instances.data_folder()
    if folder is None or not (folder / name).is_dir():
        say(f"skipped: no {name} in shared/data, nor in the folder that TONNAGE_DATA names")
        return None
    return folder / name


BENCHMARKS: dict[str, Callable[[argparse.Namespace], Iterator[Finding]]] = {
    "estimator": estimator,
    "million": million,
    "openb": openb,
    "panigrahy": panigrahy,
    "triplet": triplet,
}

if __name__ == "__main__":
    sys.exit(main())
