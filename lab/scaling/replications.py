"""Replications of a scenario in parallel processes."""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections import deque
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TYPE_CHECKING

from lab import signals
from lab.scaling import simulation
from lab.scaling.results import Result, Summary

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Future

    from lab.scaling.recording import Record
    from lab.scaling.scenario import Scenario

_PENDING = 2  # tasks of each worker


def run(scenario: Scenario, replications: int, seed: int, processes: int | None = None) -> Result:
    """Return the result of a scenario; the seed alone fixes it, however many processes work."""
    timing = simulation.timing(scenario)
    summaries = [Summary(scenario, variant, timing) for variant in scenario.variants]
    tasks = [(place, number) for number in range(replications) for place in range(len(summaries))]
    workers = min(processes or len(os.sched_getaffinity(0)), len(tasks))
    for place, record in _records(scenario, tasks, seed, workers):
        summaries[place].add(record)
    return Result(scenario, seed, replications, tuple(each.result() for each in summaries))


def _records(
    scenario: Scenario, tasks: list[tuple[int, int]], seed: int, workers: int
) -> Iterator[tuple[int, Record]]:
    """Yield the variant's place and the record of each task, in the order of the tasks."""
    if workers == 1:
        for place, number in tasks:
            yield place, simulation.replicate(scenario, scenario.variants[place], number, seed)
        return
    with _executor(scenario, workers) as executor:
        pending: deque[tuple[int, Future[Record]]] = deque()
        for place, number in tasks:
            pending.append((place, executor.submit(_replicate, place, number, seed)))
            if len(pending) == _PENDING * workers:  # so that few records exist at once
                first, future = pending.popleft()
                yield first, future.result()
        for place, future in pending:
            yield place, future.result()


@contextmanager
def _executor(scenario: Scenario, workers: int) -> Iterator[ProcessPoolExecutor]:
    """Yield worker processes that have the scenario; an interrupted command ends them at once."""
    executor = ProcessPoolExecutor(
        workers, multiprocessing.get_context("fork"), _begin_worker, (scenario,)
    )
    try:
        yield executor
    except BaseException:
        executor.shutdown(wait=False, cancel_futures=True)
        for process in multiprocessing.active_children():
            process.terminate()
        raise
    executor.shutdown()


_scenarios: list[Scenario] = []  # a worker's


def _begin_worker(scenario: Scenario) -> None:
    signals.leave_to_parent()
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _scenarios[:] = [scenario]


def _replicate(place: int, number: int, seed: int) -> Record:
    (scenario,) = _scenarios
    return simulation.replicate(scenario, scenario.variants[place], number, seed)
