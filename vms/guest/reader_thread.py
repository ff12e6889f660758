"""One thread takes in what machines say as it arrives: no guest has to wait until we listen.

A UART hands on a byte at a time, and the kernel charges a socket for each as for a whole buffer:
after some 300 bytes that nobody has read, QEMU halts the guest until somebody does.
"""

from __future__ import annotations

import functools
import os
import select
import threading
from collections.abc import Callable
from contextlib import suppress

Taker = Callable[[], bool]  # takes in what is there; whether more can come


def take_in(descriptor: int, taker: Taker) -> None:
    """Have `taker` called, in that thread, when there is something to read, while it wants more."""
    _loop().add(descriptor, taker)


def leave(descriptor: int, taker: Taker) -> None:
    """Not any more; for a descriptor that is about to be closed."""
    _loop().remove(descriptor, taker)


class _Loop:
    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._lock = threading.Lock()
        self._takers: dict[int, Taker] = {}
        threading.Thread(target=self._run, name="arrivals", daemon=True).start()

    def add(self, descriptor: int, taker: Taker) -> None:
        with self._lock:
            self._takers[descriptor] = taker
            self._epoll.register(descriptor, select.EPOLLIN)

    def remove(self, descriptor: int, taker: Taker) -> None:
        with self._lock:
            if self._takers.get(descriptor) == taker:  # else the number is another one's by now
                del self._takers[descriptor]
                with suppress(OSError):
                    self._epoll.unregister(descriptor)

    def _run(self) -> None:
        while True:
            for descriptor, _ in self._epoll.poll():
                taker = self._takers.get(descriptor)
                if taker and not taker():
                    self.remove(descriptor, taker)


_loop = functools.cache(_Loop)
os.register_at_fork(after_in_child=_loop.cache_clear)  # where there is no such thread
