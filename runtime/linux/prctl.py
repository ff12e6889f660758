"""Attributes of a process. (prctl(2), linux/prctl.h)"""

from __future__ import annotations

SET_PDEATHSIG = 1
GET_DUMPABLE, SET_DUMPABLE = 3, 4
SET_KEEPCAPS = 8
CAPBSET_DROP = 24
SET_CHILD_SUBREAPER = 36
SET_NO_NEW_PRIVS = 38
CAP_AMBIENT, CAP_AMBIENT_RAISE, CAP_AMBIENT_CLEAR_ALL = 47, 2, 4


def set_parent_death_signal(number: int) -> None:
    """Send this process a signal when the thread that created it ends. Raise OSError."""
    _prctl(SET_PDEATHSIG, number)


def set_child_subreaper(enabled: bool) -> None:
    """Make this process the parent of descendants whose parents end, or cease to. Raise OSError."""
    _prctl(SET_CHILD_SUBREAPER, int(enabled))


def dumpable() -> int:
    """Return which other processes may trace this one. Raise OSError. (PR_GET_DUMPABLE)"""
    return _prctl(GET_DUMPABLE, 0)


def set_dumpable(value: int) -> None:
    """Set which other processes may trace this one: none for 0. Raise OSError."""
    _prctl(SET_DUMPABLE, value)


def _prctl(option: int, value: int) -> int:
    from runtime.linux.libc import call

    return call("prctl", option, value, 0, 0, 0)
