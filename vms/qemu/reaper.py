"""Reap QEMU processes as soon as they end.

libvirt makes QEMU a daemon. When it stops QEMU it waits until the process is gone, and a zombie is
gone only once its parent has reaped it. Process 1 of some hosts takes seconds for that, so this
process becomes the parent instead.
"""

from __future__ import annotations

import functools
import os
import select
import threading
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from vms import linux

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_REAP_SECONDS = 0.02
# Programs that libvirt starts for devices. An adopted helper looks like any child that another
# thread has spawned meanwhile, except for its name.
_HELPERS = {"virtiofsd", "swtpm", "passt", "passt.avx2"}


def adopting_qemu_of(*, embedded: bool) -> AbstractContextManager[None]:
    """Adopt the QEMU that an embedded libvirt starts inside the block; leave a daemon's alone.

    The pid of a daemon's QEMU is unknown here. If this process had started the daemon and adopted
    its QEMU, nothing would reap it, and libvirt's `destroy` waits 40 s for a zombie.
    """
    return adopting_orphans() if embedded else nullcontext()


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of QEMUs that libvirt starts inside the block; reap those that end.

    The helpers that libvirt starts for a QEMU are adopted too; libvirt ends them with the machine
    and waits for them. (prctl(2), PR_SET_CHILD_SUBREAPER)
    """
    before = set(_children())
    started = threading.Event()
    reaper = threading.Thread(target=_reap_until, args=(started,), daemon=True)
    _subreaper.enter()
    reaper.start()
    try:
        yield
    finally:
        _subreaper.leave()
        started.set()
        reaper.join()
        for pid in set(_children()) - before:
            if _name(pid) in _HELPERS:
                reap_when_ended(pid)


class _Subreaper:
    """A count of overlapping starts: this process adopts orphans while any of them is under way."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._starts = 0

    def enter(self) -> None:
        """Count a start that begins."""
        self._change(1)

    def leave(self) -> None:
        """Count a start that has ended."""
        self._change(-1)

    def _change(self, by: int) -> None:
        with self._lock:
            self._starts += by
            linux.prctl(linux.PR_SET_CHILD_SUBREAPER, int(self._starts > 0))


_subreaper = _Subreaper()


def reap_when_ended(pid: int) -> None:
    """Reap an adopted process in the background when it ends. (pidfd_open(2))"""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        _pids()[pidfd] = pid
        _epoll().register(pidfd, select.EPOLLIN)


@functools.cache
def _pids() -> dict[int, int]:
    """Return the adopted processes by their pidfds."""
    return {}


@functools.cache
def _epoll() -> select.epoll:
    """Return the poll object of the thread that reaps, and start that thread."""
    epoll = select.epoll()
    threading.Thread(target=_reap, args=(epoll,), name="reaper of QEMUs", daemon=True).start()
    return epoll


def _reap(epoll: select.epoll) -> None:
    while True:
        for pidfd, _ in epoll.poll():
            with suppress(ChildProcessError):  # reaped elsewhere, or never our child
                os.waitpid(_pids().pop(pidfd), os.WNOHANG)
            os.close(pidfd)


def _reap_until(started: threading.Event) -> None:
    """Reap QEMUs that end before `started` is set, and no other children.

    libvirt itself waits for the QEMUs whose capabilities it queries, so a zombie is reaped here
    only if it is still there at the next look.
    """
    before: set[int] = set()
    while not started.wait(_REAP_SECONDS):
        zombies = {pid for pid in _children() if _is_zombie_qemu(pid)}
        for pid in zombies & before:
            with suppress(ChildProcessError):  # reaped elsewhere meanwhile
                os.waitpid(pid, os.WNOHANG)
        before = zombies


def _children() -> Iterator[int]:
    """Yield the children of every thread of this process. (proc_tid_children(5))"""
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            yield from map(int, file.read_text(encoding="utf-8").split())


def _name(pid: int) -> str:
    try:
        name, _ = linux.process_state(pid)
    except OSError:
        return ""
    return name


def _is_zombie_qemu(pid: int) -> bool:
    try:
        name, state = linux.process_state(pid)
    except OSError:
        return False
    return name.startswith("qemu-system") and state == linux.ZOMBIE
