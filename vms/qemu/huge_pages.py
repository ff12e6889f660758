"""Transparent huge pages off for a QEMU that libvirt starts: libvirt has no setting for it."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from vms import linux

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def without_huge_pages() -> Iterator[None]:
    """Switch huge pages off for processes that are forked inside the block, and their children.

    A process inherits the setting and keeps it across execve. (prctl(2), PR_SET_THP_DISABLE)
    """
    linux.prctl(linux.PR_SET_THP_DISABLE, 1)
    try:
        yield
    finally:
        linux.prctl(linux.PR_SET_THP_DISABLE, 0)
