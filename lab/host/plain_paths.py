"""Short and plain names for directories whose own name a tool can't work with.

A UNIX socket's name has at most 107 bytes (unix(7)); overlayfs, QEMU, libvirt and user-mode-linux
take lists of paths in which a comma or a colon separates, and blanks end a word.
"""

from __future__ import annotations

import hashlib
import os
import re
import tempfile
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from lab.errors import LabError
from lab.paths import CACHE_VARIABLE, cache_directory

if TYPE_CHECKING:
    from collections.abc import Iterator

_LONGEST = 40  # what is left of a socket's name goes to the names below
_PLAIN = re.compile(rb"[\w./+-]+")
_ALIASES = Path("/run")
_TEMPORARY = ("/tmp", "/var/tmp", "/dev/shm", "/run")


def is_plain(path: Path) -> bool:
    """Return True if every tool can work below the directory."""
    name = os.fsencode(path)
    return len(name) <= _LONGEST and _PLAIN.fullmatch(name) is not None


@contextmanager
def plain_cache() -> Iterator[None]:
    """Have the cache under a plain name, here and in what is started, if its own is not.

    The name is a link that goes with the block; a link that a killed run left is used again.
    Raises LabError.
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
        raise LabError(
            f"{cache} can't be used: {error.filename}: {error.strerror}. Name another folder in"
            f" {CACHE_VARIABLE}."
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
    """Return a new directory with a name short enough for sockets below it. Raises LabError.

    It is where others are (TMPDIR), or in the host's own place if that is too long.
    """
    for parent in map(Path, (os.environ.get("TMPDIR", "/tmp"), *_TEMPORARY)):
        if parent.is_dir() and os.access(parent, os.W_OK) and is_plain(parent):
            return tempfile.TemporaryDirectory(prefix=prefix, dir=parent)
    raise LabError("No folder for temporary files can be written to: name one in TMPDIR.")
