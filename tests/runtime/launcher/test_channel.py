"""The start of a child: its messages, its permits, its program, and its end."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from runtime import ContainerError
from runtime.launcher.channel import ChildLaunch, die_with_parent
from runtime.launcher.program import Program
from runtime.linux import syscalls
from runtime.linux.pidfd import reap
from runtime.process.executable import execute


def test_a_child_executes_its_program(tmp_path: Path) -> None:
    with ChildLaunch() as launch:
        die_with_parent(launch.calls)
        program = Program()
        program.call("enter a directory", syscalls.CHDIR, os.fsencode(tmp_path))
        launch.end.report(program, "it is in the directory")
        launch.end.wait(program, "it may go on")
        execute(program, ["sh", "-c", "echo ran > file"], ["PATH=/usr/bin:/bin"])
        child, channel = launch.start(kept=(0, 1, 2))
        launch.execute(program)
        channel.await_mounts()
        assert not (tmp_path / "file").exists()
        channel.hooks_done()
        channel.await_exec()
        launch.release()
    assert reap(child.pid) == 0
    os.close(child.pidfd)
    assert (tmp_path / "file").read_text() == "ran\n"


def test_a_failed_call_is_named() -> None:
    with ChildLaunch() as launch:
        program = Program()
        program.call("enter /no/such", syscalls.CHDIR, b"/no/such")
        _, channel = launch.start()
        launch.execute(program)
        with pytest.raises(ContainerError, match=r"^Can't enter /no/such: no such file"):
            channel.await_exec()


def test_a_failed_first_call_is_named() -> None:
    with ChildLaunch() as launch:
        launch.calls.call("enter /no/such", syscalls.CHDIR, b"/no/such")
        _, channel = launch.start()
        with pytest.raises(ContainerError, match=r"^Can't enter /no/such: no such file"):
            channel.await_calls()


def test_a_child_that_is_not_released_is_killed() -> None:
    before = set(os.listdir("/proc/self/fd"))  # noqa: PTH208
    with ChildLaunch() as launch:
        launch.end.report(launch.calls, "it is there")
        child, channel = launch.start()
        channel.await_calls()
        assert Path(f"/proc/{child.pid}").exists()
    assert not Path(f"/proc/{child.pid}").exists()
    assert set(os.listdir("/proc/self/fd")) == before  # noqa: PTH208
