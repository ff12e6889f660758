"""Adoption of QEMU processes: overlapping starts, and starts by a daemon."""

from __future__ import annotations

import ctypes

from vms.qemu.reaper import adopting_orphans, adopting_qemu_of

_PR_GET_CHILD_SUBREAPER = 37


def adopts() -> bool:
    """Return True if this process adopts the orphans among its descendants. (prctl(2))"""
    setting = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(setting), 0, 0, 0) == 0
    return bool(setting.value)


def test_adoption_lasts_until_the_last_of_two_starts_ends() -> None:
    first, second = adopting_orphans(), adopting_orphans()
    assert not adopts()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert adopts()
    second.__exit__(None, None, None)
    assert not adopts()


def test_the_qemu_of_a_daemon_is_not_adopted() -> None:
    with adopting_qemu_of(embedded=False):
        assert not adopts()
    with adopting_qemu_of(embedded=True):
        assert adopts()
    assert not adopts()
