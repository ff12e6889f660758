"""QEMUs that end, reaped at once.

libvirt makes QEMU a daemon, waits until one that it stopped is gone, and a zombie is not gone until
its parent has reaped it: process 1 of some hosts takes seconds. So this process is the parent.
"""

from __future__ import annotations

import ctypes
import functools
import os
import select
import threading
from contextlib import contextmanager, nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator
    from contextlib import AbstractContextManager

_PR_SET_CHILD_SUBREAPER = 36
_REAP_SECONDS = 0.02
_HELPERS = {"virtiofsd", "swtpm", "passt", "passt.avx2"}
_starting = threading.Lock()
_starts = [0]  # that go on now


def adopting_qemu_of(*, embedded: bool) -> AbstractContextManager[None]:
    """Adopt the QEMU that an embedded libvirt starts meanwhile, and nothing of a libvirtd's.

    The pid of a libvirtd's is not known here. If this process had started that daemon and adopted
    its QEMU, nobody would reap it, and libvirt's `destroy` waits 40 s for a zombie.
    """
    return adopting_orphans() if embedded else nullcontext()


@contextmanager
def adopting_orphans() -> Iterator[None]:
    """Become the parent of the QEMU that libvirt starts meanwhile; one that ends is reaped.

    So are the helpers that libvirt starts for it, which it ends with the machine and waits for.
    (prctl(2), PR_SET_CHILD_SUBREAPER)
    """
    before = set(_children())
    started = threading.Event()
    reaper = threading.Thread(target=_reap_until, args=(started,), daemon=True)
    _adopt(1)
    reaper.start()
    try:
        yield
    finally:
        _adopt(-1)
        started.set()
        reaper.join()
        for pid in set(_children()) - before:
            if _name(pid) in _HELPERS:
                reap_when_ended(pid)


def _adopt(more: int) -> None:
    """Adopt as long as any start goes on: they overlap."""
    with _starting:
        _starts[0] += more
        ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, int(_starts[0] > 0), 0, 0, 0)


def reap_when_ended(pid: int) -> None:
    """Reap a process that was adopted whenever it ends. (pidfd_open(2))"""
    with suppress(ProcessLookupError):
        pidfd = os.pidfd_open(pid)
        _adopted()[pidfd] = pid
        _ending().register(pidfd, select.EPOLLIN)


@functools.cache
def _adopted() -> dict[int, int]:
    """The processes by their descriptors."""
    return {}


@functools.cache
def _ending() -> select.epoll:
    """What the one thread that reaps waits for."""
    ending = select.epoll()
    threading.Thread(target=_reap, args=(ending,), name="reaper of QEMUs", daemon=True).start()
    return ending


def _reap(ending: select.epoll) -> None:
    while True:
        for pidfd, _ in ending.poll():
            with suppress(ChildProcessError):  # reaped elsewhere, or never a child of ours
                os.waitpid(_adopted().pop(pidfd), os.WNOHANG)
            os.close(pidfd)


def _reap_until(started: threading.Event) -> None:
    """Reap QEMUs that end before `started`, and nobody else's children.

    One that libvirt waits for itself, to ask it what it can do, is gone by the next look.
    """
    before: set[int] = set()
    while not started.wait(_REAP_SECONDS):
        ended = {pid for pid in _children() if _is_ended_qemu(pid)}
        for pid in ended & before:
            with suppress(ChildProcessError):  # it was reaped elsewhere meanwhile
                os.waitpid(pid, os.WNOHANG)
        before = ended


def _children() -> Iterator[int]:
    """This process's children, of every thread. (proc_tid_children(5))"""
    for file in Path("/proc/self/task").glob("*/children"):
        with suppress(OSError):  # the thread has ended
            yield from map(int, file.read_text(encoding="utf-8").split())


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").rstrip()
    except OSError:
        return ""


def _is_ended_qemu(pid: int) -> bool:
    """Return True for a QEMU that waits to be reaped. (proc_pid_stat(5))"""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    _, _, named = stat.partition("(")
    name, _, rest = named.rpartition(")")
    return name.startswith("qemu-system") and rest.startswith(" Z")
