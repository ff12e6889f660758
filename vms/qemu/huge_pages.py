"""Transparent huge pages, kept from a QEMU that libvirt starts: libvirt has no setting for it."""

from __future__ import annotations

import ctypes
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_THP_DISABLE = 41


@contextmanager
def without_huge_pages() -> Iterator[None]:
    """The kernel makes no huge pages for processes that are forked meanwhile, nor for their own.

    A process inherits it and keeps it across execve. (prctl(2), PR_SET_THP_DISABLE)
    """
    prctl = ctypes.CDLL(None).prctl
    prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)
    try:
        yield
    finally:
        prctl(_PR_SET_THP_DISABLE, 0, 0, 0, 0)
