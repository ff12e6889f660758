"""A terminal in the foreground: if it is gone, nothing hangs and nothing is left.

(crun issues 1623 and 1838)
"""

from __future__ import annotations

import os
import pty
import select
import signal
import socket
import subprocess
import termios
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tests.oci.driver import DEADLINE_SECONDS, waited_for

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.oci.driver import Bundle

LOTS = b"".join(b"%d\n" % number for number in range(200_000))
VERBS = ("run", "exec")


@dataclass
class Session:
    """The runtime's command as a session leader, on a terminal whose master we hold."""

    primary: int
    secondary: int
    process: subprocess.Popen[bytes]

    def type(self, data: bytes, seconds: float) -> None:
        """Type as much as the terminal takes in this time."""
        os.set_blocking(self.primary, False)
        deadline = time.monotonic() + seconds
        while data and time.monotonic() < deadline:
            try:
                data = data[os.write(self.primary, data[:4096]) :]
            except BlockingIOError:
                time.sleep(0.01)

    def shown(self) -> bytes:
        """Return the output until the command ends."""
        text = b""
        while self.process.poll() is None or select.select([self.primary], [], [], 0.1)[0]:
            if select.select([self.primary], [], [], 0.05)[0]:
                text += os.read(self.primary, 65536)
        return text

    def hang_up(self) -> None:
        os.close(self.primary)
        self.primary = -1

    def wait(self) -> int:
        return self.process.wait(DEADLINE_SECONDS)


@contextmanager
def session(
    bundle: Bundle, verb: str, script: str, stdout: int | None = None, stdin: int | None = None
) -> Iterator[Session]:
    """Run a script by `run` or `exec --tty` in a session."""
    if verb == "run":
        bundle.process["terminal"] = True
        bundle.shell(script)
        bundle.write()
        words = ["run", "--bundle", str(bundle.path), bundle.identity]
    else:
        bundle.running()
        words = ["exec", "--tty", bundle.identity, "sh", "-c", script]
    primary, secondary = pty.openpty()
    command = [bundle.runtime.command, "--root", str(bundle.runtime.root), *words]
    leader = ["setsid", "--ctty"] if stdin is None else ["setsid"]
    with (bundle.path / "stderr").open("wb") as stderr:
        process = subprocess.Popen(
            [*leader, *command],
            stdin=secondary if stdin is None else stdin,
            stdout=secondary if stdout is None else stdout,
            stderr=stderr,
        )
    begun = Session(primary, secondary, process)
    try:
        yield begun
        assert begun.process.poll() is not None, "the command hangs"
        assert bundle.errors() == ""
        assert verb == "exec" or not bundle.runtime.left(bundle.identity)
    finally:
        begun.process.kill()
        begun.process.wait()
        for descriptor in (begun.primary, begun.secondary):
            with suppress(OSError):
                os.close(descriptor)


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_typed_and_nobody_reads(bundle: Bundle, verb: str) -> None:
    with session(bundle, verb, "sleep 1; exit 7") as at:
        at.type(LOTS, 3)
        assert at.wait() == 7


@pytest.mark.parametrize("verb", VERBS)
def test_every_line_is_shown(bundle: Bundle, verb: str) -> None:
    with session(bundle, verb, "seq 1 50000; exit 3") as at:
        lines = at.shown().split(b"\r\n")
        assert lines[:-1] == [b"%d" % number for number in range(1, 50001)]
        assert at.wait() == 3


@pytest.mark.parametrize("verb", VERBS)
def test_what_is_typed_is_read(bundle: Bundle, verb: str) -> None:
    with session(bundle, verb, "stty -echo; echo ready; read word; echo got $word") as at:
        text = b""
        while b"ready" not in text:
            text += os.read(at.primary, 100)
        at.type(b"ahoy\r", 3)
        assert at.shown() == b"got ahoy\r\n"
        assert at.wait() == 0


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("script", ["seq 1 20000; sleep 0.5; exit 4", "yes", "cat"])
def test_who_reads_the_output_goes(bundle: Bundle, verb: str, script: str) -> None:
    """The process's terminal is hung up, so that a program that prints endlessly ends."""
    reading, writing = os.pipe()
    with session(bundle, verb, f"echo begun; {script}", stdout=writing) as at:
        os.close(writing)
        assert os.read(reading, 5) == b"begun"
        os.close(reading)
        at.type(b"more\r", 0.5)
        assert at.wait() in {0, 1, 4, 128 + signal.SIGHUP}


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("script", ["cat", "while read word; do :; done", "yes"])
def test_our_terminal_is_hung_up(bundle: Bundle, verb: str, script: str) -> None:
    with session(bundle, verb, f"echo begun; {script}") as at:
        assert os.read(at.primary, 5) == b"begun"
        os.close(at.secondary)
        at.hang_up()
        at.wait()


@pytest.mark.parametrize("verb", VERBS)
def test_a_reader_that_does_not_read_and_a_signal(bundle: Bundle, verb: str) -> None:
    """The process has ended, and its output is not read: a signal ends the wait."""
    reading, writing = os.pipe()
    with session(bundle, verb, "seq 1 11500; exit 5", stdout=writing) as at:
        time.sleep(1)
        assert at.process.poll() is None
        deadline = time.monotonic() + 10
        while at.process.poll() is None and time.monotonic() < deadline:
            at.process.send_signal(signal.SIGTERM)
            time.sleep(0.1)
        assert at.wait() in {5, 128 + signal.SIGTERM}
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize("verb", VERBS)
def test_our_terminal_is_as_it_was_though_nobody_reads_it(bundle: Bundle, verb: str) -> None:
    """The restoration does not wait until all output has been read."""
    with session(bundle, verb, "head -c 3000 /dev/zero | tr '\\0' x; exit 6") as at:
        before = termios.tcgetattr(at.secondary)
        assert at.wait() == 6
        assert termios.tcgetattr(at.secondary) == before


@pytest.mark.parametrize("verb", VERBS)
def test_a_terminal_that_nobody_has_open_for_a_while(bundle: Bundle, verb: str) -> None:
    """Init systems open /dev/console for a moment only."""
    script = "t=$(tty); exec </dev/null >/dev/null 2>&1; sleep 0.5; echo again >$t; sleep 0.5"
    with session(bundle, verb, script) as at:
        assert at.shown() == b"again\r\n"
        assert at.wait() == 0


@pytest.mark.parametrize("verb", VERBS)
def test_a_stdin_that_ends_is_an_end_of_file(bundle: Bundle, verb: str) -> None:
    with session(bundle, verb, "cat; exit 8", stdin=subprocess.DEVNULL) as at:
        assert at.wait() == 8


@pytest.mark.parametrize("verb", VERBS)
def test_in_the_background_of_a_terminal(bundle: Bundle, verb: str) -> None:
    """timeout(1) does this: the process is not stopped, and its output is shown.

    (runc issue 3334)
    """
    before = bundle.runtime.command
    bundle.runtime.command = str(bundle.path / "in-background")
    (bundle.path / "in-background").write_text(f'#!/bin/sh\ntimeout 20 {before} "$@"; exit $?\n')
    (bundle.path / "in-background").chmod(0o755)
    try:
        with session(bundle, verb, "echo shown; exit 6") as at:
            assert at.shown().split() == [b"shown"]
            assert at.wait() == 6
    finally:
        bundle.runtime.command = before


@pytest.mark.parametrize("size", [None, (12, 34)])
def test_it_is_as_large_as_ours(bundle: Bundle, size: tuple[int, int] | None) -> None:
    with session(bundle, "run", "sleep 0.3; stty size") as at:
        if size:
            termios.tcsetwinsize(at.primary, size)
        height, width = size or (0, 0)
        assert at.shown() == b"%d %d\r\n" % (height, width)
        at.wait()


@pytest.mark.parametrize("verb", VERBS)
def test_it_becomes_as_large_as_ours(bundle: Bundle, verb: str) -> None:
    """The kernel notifies the process of the new size. (crun pull request 1262)"""
    script = "trap 'stty size; exit 0' WINCH; echo begun; while :; do sleep 0.1; done"
    with session(bundle, verb, script) as at:
        assert os.read(at.primary, 100) == b"begun\r\n"
        termios.tcsetwinsize(at.primary, (20, 40))
        assert at.shown() == b"20 40\r\n"
        assert at.wait() == 0


def test_it_is_taken_in_the_foreground(bundle: Bundle) -> None:
    """Input is read once a shell has moved the command to the foreground."""
    shell = bundle.path / "shell"
    shell.write_text(
        f'#!/bin/sh\nset -m\n{bundle.runtime.command} "$@" &\nsleep 1.5\nfg >/dev/null\nexit $?\n'
    )
    shell.chmod(0o755)
    before, bundle.runtime.command = bundle.runtime.command, str(shell)
    try:
        with session(bundle, "run", "stty -echo; echo begun; read word; echo got $word") as at:
            text = b""
            while b"begun" not in text:
                text += os.read(at.primary, 100)
            time.sleep(2)
            at.type(b"ahoy\r", 3)
            assert b"got ahoy" in at.shown()
            assert at.wait() == 0
    finally:
        bundle.runtime.command = before


# By --console-socket.


@pytest.mark.parametrize("verb", ["run", "create", "exec"])
def test_a_console_socket_whose_reader_goes(bundle: Bundle, verb: str) -> None:
    """A closed reader causes no hang and no traceback; the terminal is hung up."""
    with socket.socket(socket.AF_UNIX) as listening:
        path = bundle.path / "console"
        listening.bind(str(path))
        listening.listen()
        bundle.process["terminal"] = verb != "exec"
        bundle.shell("echo up; sleep 0.2")
        if verb == "exec":
            bundle.running()
            words: tuple[str, ...] = ("--tty", "--detach", bundle.identity, "echo", "up")
        else:
            bundle.write()
            words = ("--bundle", str(bundle.path), bundle.identity)
        detached = ("--detach",) if verb == "run" else ()
        with subprocess.Popen(
            [bundle.runtime.command, "--root", bundle.runtime.root, verb, *detached,
             "--console-socket", path, *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        ) as process:  # fmt: skip
            listening.accept()[0].close()
            _, output = process.communicate(timeout=DEADLINE_SECONDS)
        assert b"Traceback" not in output
        if process.returncode:
            assert output.count(b"\n") == 1
            assert verb == "exec" or not bundle.runtime.left(bundle.identity)
        else:
            waited_for(lambda: bundle.state()["status"] != "running" or verb == "exec", "it ends")
