"""One thread that reads the machines' serial ports as data arrives, so that no guest blocks.

A UART delivers single bytes, and the kernel charges a socket for each as for a whole buffer: after
some 300 unread bytes, QEMU halts the guest until they are read.
"""

from __future__ import annotations

import functools
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

Reader = Callable[[], bool]  # reads what has arrived; returns False at the end of the stream


def watch(descriptor: int, reader: Reader) -> None:
    """Call `reader` in the thread whenever the descriptor is readable, until it returns False."""
    _loop().add(descriptor, reader)


def unwatch(descriptor: int, reader: Reader) -> None:
    """Stop calling the reader; call this before the descriptor is closed."""
    _loop().remove(descriptor, reader)


class _Loop:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._readers: dict[int, Reader] = {}
        threading.Thread(target=self._run, name="serial ports", daemon=True).start()

    def add(self, descriptor: int, reader: Reader) -> None:
        with self._lock:
            self._readers[descriptor] = reader
            self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int, reader: Reader) -> None:
        with self._lock:
            # Another port may have been opened under the same number since.
            if self._readers.get(descriptor) == reader:
                del self._readers[descriptor]
                with suppress(OSError):
                    self._epoll.unregister(descriptor)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                reader = self._readers.get(descriptor)
                if reader and not reader():
                    self.remove(descriptor, reader)


_loop = functools.cache(_Loop)
os.register_at_fork(after_in_child=_loop.cache_clear)  # a forked child has no such thread
