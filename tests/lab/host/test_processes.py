"""Processes: new pids, command lines, parents and handles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.host import processes


def test_a_new_process_is_among_the_pids_after() -> None:
    last = processes.last_pid()
    argv = [sys.executable, "-c", "print(flush=True); input()", "tonnage"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()  # before exec has finished, a process has no arguments
        assert child.pid in processes.pids_after(last)
        assert processes.command_line(child.pid) == "\0".join([*argv, ""]).encode()
        assert processes.parent(child.pid) == os.getpid()
        with processes.handle_of(child.pid) as handle:
            assert not processes.ended(handle, 0)
            child.communicate()
            assert processes.ended(handle, 0)
    assert processes.command_line(child.pid) == b""


def test_pids_that_wrapped_are_found(monkeypatch: pytest.MonkeyPatch) -> None:
    most = int(Path("/proc/sys/kernel/pid_max").read_text())
    monkeypatch.setattr(processes, "last_pid", lambda: 302)
    assert list(processes.pids_after(most - 2)) == [most - 1, 300, 301, 302]


def test_a_killed_process_is_ending_before_its_parent_has_noticed() -> None:
    with subprocess.Popen(["sleep", "60"]) as child:
        assert not processes.is_ending(child.pid)
        child.kill()
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert processes.is_ending(child.pid)
    assert processes.is_ending(child.pid)
