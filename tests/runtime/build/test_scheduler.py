"""The order of tasks, how many run at once, and what follows a failure."""

from __future__ import annotations

from threading import Barrier, Event, Lock

import pytest

from runtime.build.scheduler import run


def test_each_task_follows_those_that_it_needs() -> None:
    order: list[int] = []
    run({3: {1, 2}, 1: {0}, 2: {0}, 0: set()}, order.append, lambda: None, jobs=2)
    assert order[0] == 0
    assert sorted(order[1:3]) == [1, 2]
    assert order[3] == 3


def test_independent_tasks_run_at_once() -> None:
    both = Barrier(2)

    def meet(_: int) -> None:
        both.wait(10)

    run({0: set(), 1: set()}, meet, lambda: None, jobs=2)
    assert not both.broken


def test_one_job_runs_tasks_in_the_order_of_their_numbers() -> None:
    order: list[int] = []
    run({2: set(), 0: set(), 1: set()}, order.append, lambda: None, jobs=1)
    assert order == [0, 1, 2]


def test_no_more_than_the_jobs_run_at_once() -> None:
    lock, running, most = Lock(), [0], [0]
    pause = Event()

    def task(_: int) -> None:
        with lock:
            running[0] += 1
            most[0] = max(most[0], running[0])
        pause.wait(0.01)
        with lock:
            running[0] -= 1

    run({number: set() for number in range(12)}, task, lambda: None, jobs=3)
    assert most[0] <= 3


def test_a_failure_cancels_the_others_and_is_raised() -> None:
    cancelled = Event()
    done: list[int] = []

    def task(number: int) -> None:
        if number == 0:
            raise ValueError("the first")
        if number == 1:
            assert cancelled.wait(10)
        done.append(number)

    with pytest.raises(ValueError, match="the first"):
        run({0: set(), 1: set(), 2: {1}, 3: {0}}, task, cancelled.set, jobs=2)
    assert done == [1]  # the task that ran has ended; those that waited were not begun
