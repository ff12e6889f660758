"""Carry out tasks that depend on each other, several at once."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from concurrent.futures import Future


def run(
    needs: Mapping[int, AbstractSet[int]],
    carry_out: Callable[[int], None],
    cancel: Callable[[], None],
    jobs: int,
) -> None:
    """Carry out each task after those that it needs, up to `jobs` at once.

    `needs` has no cycle. After the first failure start no other task, call `cancel`, wait for the
    tasks that run, and raise the failure.
    """
    if len(needs) == 1:
        carry_out(next(iter(needs)))
        return
    from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait

    waiting = {task: set(needed) for task, needed in needs.items()}
    running: dict[Future[None], int] = {}
    with ThreadPoolExecutor(jobs, "stage") as threads:
        try:
            while waiting or running:
                ready = sorted(task for task, needed in waiting.items() if not needed)
                for task in ready[: jobs - len(running)]:
                    del waiting[task]
                    running[threads.submit(carry_out, task)] = task
                done, _ = wait(running, return_when=FIRST_COMPLETED)
                for future in sorted(done, key=running.__getitem__):
                    task = running.pop(future)
                    future.result()
                    for needed in waiting.values():
                        needed.discard(task)
        except BaseException:
            cancel()
            raise
