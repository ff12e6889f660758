"""Events of the OOM killer in a cgroup."""

from __future__ import annotations

import os
import select
import time

from runtime.cgroups import files
from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Self


class OomEvents:
    """A source of OOM events; a context manager. `fileno` and `mask` are for poll(2).

    `take` returns the number of events since its last call, or None once the cgroup is gone.
    """

    def __init__(self, descriptors: list[int], mask: int, take: Callable[[], int | None]) -> None:
        self._descriptors = descriptors
        self.mask = mask
        self.take = take

    def fileno(self) -> int:
        """Return the descriptor on which `mask` is set when `take` has something to return."""
        return self._descriptors[0]

    def wait(self, timeout_seconds: float | None = None) -> int | None:
        """Return the number of events, 0 at the timeout, or None once the cgroup is gone."""
        poll = select.poll()
        poll.register(self.fileno(), self.mask)
        deadline = None if timeout_seconds is None else time.monotonic() + timeout_seconds
        while poll.poll(None if deadline is None else max(0.0, deadline - time.monotonic()) * 1000):
            # Version 2 reports that a limit was reached before it reports the kill.
            if (count := self.take()) != 0:
                return count
        return 0

    def close(self) -> None:
        """Stop watching."""
        while self._descriptors:
            os.close(self._descriptors.pop())

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def of_v1(directory: str) -> OomEvents:
    """Watch by an eventfd. (Documentation/admin-guide/cgroup-v1/memory.rst, "OOM Control")

    Raise ContainerError.
    """
    control = f"{directory}/memory.oom_control"
    event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
    try:
        source = os.open(control, os.O_RDONLY | os.O_CLOEXEC)
        try:
            files.write(f"{directory}/cgroup.event_control", f"{event} {source}")
        finally:
            os.close(source)
    except OSError as error:
        os.close(event)
        raise ContainerError(f"Can't watch {control}: {error.strerror}.") from error

    def take() -> int | None:
        try:
            count = os.eventfd_read(event)
        except BlockingIOError:
            return 0
        # Removal of the cgroup signals the eventfd as well.
        return count if os.path.exists(control) else None

    return OomEvents([event], select.POLLIN, take)


def of_v2(directory: str) -> OomEvents:
    """Watch memory.events, which can be polled. Raise ContainerError."""
    path = f"{directory}/memory.events"
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise ContainerError(f"Can't watch {path}: {error.strerror}.") from error
    seen = _killed(descriptor) or 0

    def take() -> int | None:
        nonlocal seen
        before, now = seen, _killed(descriptor)
        seen = now or 0
        return None if now is None else now - before

    return OomEvents([descriptor], select.POLLPRI, take)


def _killed(descriptor: int) -> int | None:
    """Return the number of kills so far, or None once the cgroup is gone."""
    try:
        lines = os.pread(descriptor, 4096, 0).decode().splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("oom_kill ")), 0)
