"""Leases protect blobs and snapshots from garbage collection while a process uses them.

A lease is a file that its process has locked. The kernel releases the lock when the process ends,
even if it is killed. A digest is added to the lease before the first byte of its blob is written.
"""

from __future__ import annotations

import fcntl
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import IO


class Lease:
    """The digests that this process uses. Several threads may add some."""

    def __init__(self, leases: Leases, file: IO[str]) -> None:
        self._leases = leases
        self._file = file
        self._lock = Lock()

    def add(self, *digests: str) -> None:
        """Protect these digests, which may not exist yet."""
        with self._lock, self._leases.shared():
            self._file.writelines(f"{digest}\n" for digest in digests)
            self._file.flush()


class Leases:
    """The leases in `directory`, which is created if it is missing."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        directory.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def lease(self) -> Iterator[Lease]:
        """Yield a lease. It ends with the block or with the process."""
        path = self._directory / str(uuid.uuid4())
        with self.shared():
            file = path.open("x", encoding="utf-8")
            fcntl.flock(file, fcntl.LOCK_EX)
        with file:
            try:
                yield Lease(self, file)
            finally:
                path.unlink(missing_ok=True)

    @contextmanager
    def shared(self) -> Iterator[None]:
        """Block garbage collection while the block runs."""
        with self._locked(fcntl.LOCK_SH):
            yield

    @contextmanager
    def collecting(self) -> Iterator[set[str]]:
        """Yield all leased digests. No lease can be added while the block runs.

        Remove the leases of processes that have ended.
        """
        with self._locked(fcntl.LOCK_EX):
            yield {digest for path in self._living() for digest in path.read_text("utf-8").split()}

    def _living(self) -> Iterator[Path]:
        for path in self._directory.iterdir():
            if path.name == _LOCK:
                continue
            with path.open("rb") as file:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    yield path
                else:
                    path.unlink(missing_ok=True)

    @contextmanager
    def _locked(self, kind: int) -> Iterator[None]:
        descriptor = os.open(self._directory / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)


_LOCK = "lock"
