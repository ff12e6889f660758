"""Descriptors that are open, without what the garbage collector would close some time later."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path


@contextmanager
def nothing_left_open() -> Iterator[None]:
    """Raise AssertionError if the block leaves a file or a pipe open."""
    gc.collect()
    gc.disable()
    try:
        before = _names()
        yield
        left = [name for number, name in _names().items() if number not in before]
        assert not left, left
    finally:
        gc.enable()


def _names() -> dict[str, str]:
    """Return what each descriptor of this process is open on."""
    found = {}
    for link in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            found[link.name] = str(link.readlink())
    return found
