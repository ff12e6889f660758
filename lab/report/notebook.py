"""The notebook of a report, executed for a run in a thread beside other work."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from lab.errors import ReportFailed
from lab.experiments.registry import EXPERIMENTS
from lab.language import choice
from lab.language.message import Language
from lab.report import execution

if TYPE_CHECKING:
    from collections.abc import Collection, Coroutine, Iterator
    from concurrent.futures import Future

NOTEBOOK = Path(__file__).parent / "containers-vs-vms.ipynb"
QUESTIONS = "questions"  # the tag of the cells for a class, which are no part of a report
DEADLINE_SECONDS = 300.0


@contextmanager
def aside(
    path: Path, measured: Collection[str], languages: Collection[Language] = tuple(Language)
) -> Iterator[Future[Any]]:
    """Execute the notebook for a run during the block; yield the notebook to come.

    Its result raises ReportFailed if the notebook fails or takes longer than DEADLINE_SECONDS. The
    execution is cancelled if the block raises, by Ctrl-C as well.
    """
    running = _Running()
    with ThreadPoolExecutor(max_workers=1) as thread:
        executed = thread.submit(_execute, path, measured, languages, running)
        try:
            yield executed
        except BaseException:
            running.cancel()
            raise


class _Running:
    """A coroutine in another thread, which can be cancelled at any time, also before it runs."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_cancelled = False
        self._task: asyncio.Task[None] | None = None

    def run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run a coroutine to its end. Raise CancelledError if it was cancelled."""
        asyncio.run(self._run(coroutine))

    def cancel(self) -> None:
        with self._lock:
            self._is_cancelled = True
            if self._task:
                self._task.get_loop().call_soon_threadsafe(self._task.cancel)

    async def _run(self, coroutine: Coroutine[Any, Any, None]) -> None:
        with self._lock:
            self._task = asyncio.current_task()
            if self._is_cancelled and self._task:
                self._task.cancel()
        try:
            await coroutine
        finally:
            with self._lock:
                self._task = None


def _execute(
    path: Path, measured: Collection[str], languages: Collection[Language], running: _Running
) -> Any:
    """Return the notebook, executed for the run.

    Cells whose tag names an unmeasured experiment or another language, and questions, are left
    out. Raise ReportFailed.
    """
    import nbformat

    try:
        notebook = nbformat.read(NOTEBOOK, as_version=4)
    except OSError as error:
        raise ReportFailed(f"Can't read the notebook {NOTEBOOK}: {error.strerror}.") from error
    left_out = {*EXPERIMENTS} - {*measured} | {QUESTIONS}
    left_out |= {f"lang-{language}" for language in Language if language not in languages}
    notebook.cells = [
        cell for cell in notebook.cells if left_out.isdisjoint(cell.metadata.get("tags", ()))
    ]
    environment = {
        "TONNAGE_RUN": str(path.resolve()),
        choice.VARIABLE: choice.BOTH if len(languages) > 1 else next(iter(languages)),
    }
    execution.execute(notebook, environment, DEADLINE_SECONDS, running.run)
    return notebook
