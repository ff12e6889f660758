"""Locks on directories."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

from vms.storage import locks

if TYPE_CHECKING:
    from pathlib import Path


def test_a_missing_directory_is_made_and_locked_once(tmp_path: Path) -> None:
    directory = tmp_path / "new"
    lock = locks.try_lock(directory)
    assert lock is not None
    assert directory.is_dir()
    assert locks.try_lock(directory) is None
    os.close(lock)
    again = locks.try_lock(directory)
    assert again is not None
    os.close(again)


def test_an_exclusive_holder_waits_for_the_shared_ones(tmp_path: Path) -> None:
    entered = threading.Event()

    def enter() -> None:
        with locks.exclusive(tmp_path):
            entered.set()

    thread = threading.Thread(target=enter)
    with locks.shared(tmp_path), locks.shared(tmp_path):
        thread.start()
        assert not entered.wait(0.1)
    assert entered.wait(60)
    thread.join()


def test_only_an_empty_directory_without_holders_is_removed(tmp_path: Path) -> None:
    directory = tmp_path / "used"
    directory.mkdir()
    with locks.shared(directory):
        locks.remove_if_unused(directory)
    assert directory.is_dir()
    (directory / "file").touch()
    locks.remove_if_unused(directory)
    assert directory.is_dir()
    (directory / "file").unlink()
    locks.remove_if_unused(directory)
    assert not directory.exists()
    locks.remove_if_unused(directory)
