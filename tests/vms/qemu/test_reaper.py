"""Starts that overlap adopt together."""

from __future__ import annotations

import ctypes

from vms.qemu.reaper import adopting_orphans, adopting_qemu_of

_PR_GET_CHILD_SUBREAPER = 37


def adopts() -> bool:
    """Whether this process is the parent of its descendants' orphans. (prctl(2))"""
    found = ctypes.c_int(-1)
    assert ctypes.CDLL(None).prctl(_PR_GET_CHILD_SUBREAPER, ctypes.byref(found), 0, 0, 0) == 0
    return bool(found.value)


def test_the_first_of_two_starts_to_end_leaves_the_other_adopting() -> None:
    first, second = adopting_orphans(), adopting_orphans()
    assert not adopts()
    first.__enter__()
    second.__enter__()
    first.__exit__(None, None, None)
    assert adopts()
    second.__exit__(None, None, None)
    assert not adopts()


def test_the_qemu_of_a_daemon_is_left_to_who_reaps_it() -> None:
    with adopting_qemu_of(embedded=False):
        assert not adopts()
    with adopting_qemu_of(embedded=True):
        assert adopts()
    assert not adopts()
