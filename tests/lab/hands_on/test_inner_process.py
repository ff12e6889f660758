"""The process that `%%inside` cells run in, without a namespace."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path

import pytest

from lab.errors import TargetFailed
from lab.hands_on.inner_process import InnerProcess

SECONDS = 10.0


def test_it_prints_keeps_names_and_returns_the_last_value(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with InnerProcess() as inside:
        assert inside.run("a = 20\nprint('值', a)\na + 1") == 21
        assert capsys.readouterr().out == "值 20\n"
        assert inside.run("b = a") is None
        assert inside.run("") is None
        assert inside.run("(b, 'x', [None])") == (20, "x", [None])
        assert inside.run("os.getpid()") == inside.pid != os.getpid()


def test_an_error_inside_is_named_and_the_process_lives_on() -> None:
    with InnerProcess() as inside:
        with pytest.raises(TargetFailed, match=r"inside: ZeroDivisionError.*line 2 of the cell"):
            inside.run("a = 1\na / 0")
        with pytest.raises(TargetFailed, match="inside: SyntaxError"):
            inside.run("a =")
        assert inside.run("a + 1") == 2


def test_a_process_that_ends_is_told_of() -> None:
    with InnerProcess() as inside:
        with pytest.raises(TargetFailed, match="has ended: run the notebook again from its top"):
            inside.run("os._exit(0)")
        with pytest.raises(TargetFailed, match="has ended"):
            inside.run("1")


def test_an_interrupted_cell_ends_the_process() -> None:
    """Its late reply would be taken for that of the next cell."""
    with InnerProcess() as inside:
        pid = inside.pid
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            inside.run("import time; time.sleep(60)")
        timer.join()
        assert not Path(f"/proc/{pid}").exists()
        with pytest.raises(TargetFailed, match="has ended"):
            inside.run("1")


def test_after_a_fork_the_child_carries_on_and_ends_with_its_parent() -> None:
    with InnerProcess() as inside:
        before = inside.run("a = 1\nos.getpid()")
        assert inside.run("fork()\nos.getppid()") == before
        assert inside.run("a") == 1
        child = inside.pid
        assert child == inside.run("os.getpid()") != before
    deadline = time.monotonic() + SECONDS
    while Path(f"/proc/{child}").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not Path(f"/proc/{child}").exists()


def test_both_sides_evaluate_an_expression(capsys: pytest.CaptureFixture[str]) -> None:
    with InnerProcess() as inside:
        inside.run("os.environ['WHERE'] = 'in'")
        inside.both("os.environ.get('WHERE')")
    assert capsys.readouterr().out == "outside  None\ninside   in\n"
