"""What a run holds of the host while it measures: the lock, and a directory to write in."""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import shlex
import shutil
import sys
import textwrap
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

from lab.errors import LabError
from lab.host import mount_namespace
from lab.paths import cache_directory

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

# The host's, wherever a cache lies: two measurements with caches of their own spoil each other too.
MEASURING = Path("/run/tonnage.lock")
_LOCK = "lock"
_SHOWN = 160  # characters of a holder's command
_DYING_SECONDS = 15.0
_PAUSE_SECONDS = 0.05


@contextmanager
def scratch_directory() -> Iterator[Path]:
    """A directory for what a run makes on disk, on the disk that holds the user land.

    It and its workers hold its lock, which tells a living run's from one that was left.
    """
    path = cache_directory() / f"s{os.getpid()}"
    path.mkdir(parents=True)
    try:
        with (path / _LOCK).open("wb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)
            yield path
    finally:
        remove(path)


def remove(path: Path) -> None:
    """Remove a directory of ours, and nothing that is mounted below it: that may be the host's."""
    mounted = [
        Path(line.split()[4].encode().decode("unicode_escape"))
        for line in Path("/proc/self/mountinfo").read_text(encoding="utf-8").splitlines()
    ]
    real = path.resolve()
    for mount in reversed([each for each in mounted if real in each.parents]):
        mount_namespace.unmount(mount)
    shutil.rmtree(path, ignore_errors=True)


@contextmanager
def hold(scratch: Path) -> Iterator[None]:
    """Take part in holding a run's directory, if it is one that is locked."""
    with ExitStack() as stack:
        with suppress(FileNotFoundError):
            lock = stack.enter_context((scratch / _LOCK).open("rb"))
            fcntl.flock(lock, fcntl.LOCK_SH)
        yield


def left_directories() -> list[Path]:
    """The directories of runs that are gone; the workers of a run that is dying are waited for."""
    return [path for path in sorted(cache_directory().glob("s[0-9]*")) if not _is_held(path)]


def _is_held(path: Path) -> bool:
    deadline = time.monotonic() + _DYING_SECONDS
    try:
        with (path / _LOCK).open("rb") as lock:
            while True:
                try:
                    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        return True
                    time.sleep(_PAUSE_SECONDS)
                else:
                    return False
    except FileNotFoundError:
        return False


@contextmanager
def measurement_lock(
    *, wait: bool = False, tell: Callable[[str], None] = lambda _: None
) -> Iterator[None]:
    """Hold the host for one measurement at a time.

    Raises LabError that says who holds it and since when; with `wait` it is told instead, and the
    lock is taken when it is free. (flock(2): it dies with its holder.)
    """
    try:
        opened = MEASURING.open("a+", encoding="utf-8")
    except OSError as error:
        raise LabError(f"Can't hold the host: {MEASURING}: {error.strerror}; use sudo.") from error
    with opened as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(lock)
            if not wait:
                raise LabError(
                    f"{holder} is measuring on this host; wait for it (--wait does), since two"
                    " measurements at once spoil both."
                ) from None
            tell(f"waiting: {holder} is measuring on this host")
            fcntl.flock(lock, fcntl.LOCK_EX)
        lock.truncate(0)
        lock.write(json.dumps(_ourselves()))
        lock.flush()
        yield


def _ourselves() -> dict[str, object]:
    now = datetime.datetime.now().astimezone()
    return {
        "pid": os.getpid(),
        "command": textwrap.shorten(shlex.join(sys.orig_argv), _SHOWN),
        "since": now.isoformat(timespec="seconds"),
    }


def _holder(lock: IO[str]) -> str:
    """Who holds the lock, in words; what a holder wrote that is being written now is not known."""
    lock.seek(0)
    try:
        found = json.loads(lock.read())
        return f"Process {found['pid']} ({found['command']}), since {found['since']},"
    except (ValueError, LookupError, TypeError):
        return "Another process"
