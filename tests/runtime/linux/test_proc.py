"""Files of /proc about processes of this test and about the host."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from runtime.linux import proc


def test_the_fields_of_a_process_are_found_behind_any_name() -> None:
    """The name of a process may contain brackets and spaces."""
    script = (
        "import sys\nfrom pathlib import Path\n"
        "Path('/proc/self/comm').write_text(') S 1 (')\n"
        "print(flush=True)\nsys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as child:
        assert child.stdin
        assert child.stdout
        child.stdout.readline()
        fields = proc.stat(child.pid)
        child.stdin.close()
    assert int(fields[proc.PARENT]) == os.getpid()
    assert fields[proc.STATE] in {b"S", b"R"}
    own = proc.stat(os.getpid())
    assert 0 < int(own[proc.START_TICKS]) <= int(fields[proc.START_TICKS])


def test_a_process_that_is_absent_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        proc.stat(0)


def test_fields_of_the_status() -> None:
    assert int(proc.status("self", "Pid")) == os.getpid()
    assert proc.status("self", "Uid").split()[0] == str(os.getuid())
    assert proc.status("self", "NoSuchField") == ""


def test_the_memory_is_in_bytes_and_huge_pages_are_counted() -> None:
    memory = proc.meminfo()
    assert memory["MemTotal"] == os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    assert 0 < memory["MemAvailable"] <= memory["MemTotal"]
    assert memory.get("HugePages_Total", 0) * memory.get("Hugepagesize", 0) <= memory["MemTotal"]


def test_ignored_signals_are_reported() -> None:
    before = signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    try:
        assert {signal.SIGUSR1, signal.SIGPIPE} <= set(proc.ignored_signals())
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert signal.SIGUSR1 not in proc.ignored_signals()


def test_a_process_of_the_same_pid_namespace_is_its_only_member() -> None:
    assert proc.pid_namespace_members(os.getpid()) == [os.getpid()]
