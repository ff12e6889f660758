"""A lock on the whole host: at most one measurement at a time."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import shlex
import sys
import textwrap
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.errors import HostBusy, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# Outside of the cache: measurements with different caches would disturb each other as well.
LOCK_FILE = Path("/run/tonnage.lock")
_SHOWN_CHARACTERS = 160  # of the holder's command line


@contextmanager
def measurement_lock(
    *, wait: bool = False, progress: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold the host for one measurement during the block.

    If another measurement holds it, raise HostBusy, which says who and since when. With `wait`,
    report that to `progress` and wait for the lock. Raise Unavailable if the lock file can't be
    opened. (flock(2): the kernel releases the lock when its holder dies.)
    """
    try:
        opened = LOCK_FILE.open("a+", encoding="utf-8")
    except OSError as error:
        raise Unavailable(
            f"Can't lock the host for measuring: {LOCK_FILE}: {error.strerror}; use sudo."
        ) from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(lock)
            if not wait:
                raise HostBusy(
                    f"{holder} is measuring on this host, and two measurements at once would"
                    " disturb each other: run this later, or wait with --wait."
                ) from None
            progress(f"waiting: {holder} is measuring on this host")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(json.dumps(_this_process()))
        lock.flush()
        yield


def _this_process() -> dict[str, object]:
    now = datetime.datetime.now().astimezone()
    return {
        "pid": os.getpid(),
        "command": textwrap.shorten(shlex.join(sys.orig_argv), _SHOWN_CHARACTERS),
        "since": now.isoformat(timespec="seconds"),
    }


def _holder(lock: IO[str]) -> str:
    """Describe the lock's holder; the file may be incomplete while the holder writes it."""
    lock.seek(0)
    try:
        holder = json.loads(lock.read())
        return f"Process {holder['pid']} ({holder['command']}), since {holder['since']},"
    except (ValueError, LookupError, TypeError):
        return "Another process"
