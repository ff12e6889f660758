"""Short and plain paths for directories whose own path some tools can't use.

The path of a UNIX socket has at most 107 bytes (unix(7)). overlayfs, QEMU, libvirt and
user-mode-linux take lists of paths that are separated by commas or colons, and blanks end a word.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import InvalidConfig, Unavailable
from lab.paths import CACHE_VARIABLE, cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 40  # the rest of a socket's path is left for names below the directory
_PLAIN = re.compile(rb"[\w./+-]+")
_ALIASES = Path("/run")
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def is_plain(path: Path) -> bool:
    """Return True if every tool can use paths below the directory."""
    name = os.fsencode(path)
    return len(name) <= _LONGEST and _PLAIN.fullmatch(name) is not None


@contextmanager
def plain_cache() -> Iterator[None]:
    """Give the cache a plain path during the block, here and in child processes, if it has none.

    The path is a symbolic link, which is removed after the block; a link that a killed run left is
    replaced. Raise InvalidConfig if the cache can't be used.
    """
    cache = cache_directory()
    if is_plain(cache):
        yield
        return
    alias = _ALIASES / f"tonnage-{hashlib.sha256(os.fsencode(cache)).hexdigest()[:12]}"
    before = os.environ.get(CACHE_VARIABLE)
    try:
        cache.mkdir(parents=True, exist_ok=True)
        alias.unlink(missing_ok=True)
        alias.symlink_to(cache)
    except OSError as error:
        raise InvalidConfig(
            f"The cache {cache} can't be used: {error.filename}: {error.strerror}."
            f" Set {CACHE_VARIABLE} to another directory."
        ) from error
    os.environ[CACHE_VARIABLE] = str(alias)
    try:
        yield
    finally:
        if before is None:
            del os.environ[CACHE_VARIABLE]
        else:
            os.environ[CACHE_VARIABLE] = before
        with suppress(OSError):
            alias.unlink()


def temporary_directory(prefix: str) -> tempfile.TemporaryDirectory[str]:
    """Return a new directory whose path is short enough for sockets below it.

    It is made in TMPDIR, or in one of the host's own directories if TMPDIR is too long. Raise
    Unavailable if none of them can be written to.
    """
    for parent in map(Path, (os.environ.get("TMPDIR", "/tmp"), *_TEMPORARY)):
        if parent.is_dir() and os.access(parent, os.W_OK) and is_plain(parent):
            return tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
    raise Unavailable(
        "No directory for temporary files can be written to: set TMPDIR to one with a short path."
    )
