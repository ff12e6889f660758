"""Rollback of a failed operation."""

from __future__ import annotations

import pytest

from runtime.launcher.rollback import Rollback


def test_a_failure_undoes_the_steps_last_first() -> None:
    undone: list[int] = []
    with pytest.raises(ValueError, match="failed"), Rollback() as undo:
        undo(undone.append, 1)
        undo(undone.append, 2)
        raise ValueError("failed")
    assert undone == [2, 1]


def test_a_success_undoes_nothing() -> None:
    undone: list[int] = []
    with Rollback() as undo:
        undo(undone.append, 1)
    assert undone == []
