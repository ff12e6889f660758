"""The end of a build whose stages run at once: the first failure stops the others."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Lock

from runtime.errors import ContainerError


class Cancelled(Exception):
    """The build ends because of another stage's failure, or because it was interrupted."""


class Cancellation:
    """Tells threads that they must end, and ends the programs that they wait for."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._is_cancelled = False
        self._stops: dict[object, Callable[[], object]] = {}

    def check(self) -> None:
        """Raise Cancelled if the build has been cancelled."""
        if self._is_cancelled:
            raise Cancelled

    def cancel(self) -> None:
        """Call the functions of all blocks of `stopping`, and refuse new blocks."""
        with self._lock:
            self._is_cancelled = True
            for stop in self._stops.values():
                with suppress(ContainerError, OSError):
                    stop()

    @contextmanager
    def stopping(self, stop: Callable[[], object]) -> Iterator[None]:
        """Call `stop` if the build is cancelled within the block. Raise Cancelled."""
        key = object()
        with self._lock:
            self.check()
            self._stops[key] = stop
        try:
            yield
        finally:
            with self._lock:
                del self._stops[key]
