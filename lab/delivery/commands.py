"""Commands of a tool, one after the other, with their time and their peak memory."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING

from lab.errors import TargetFailed
from lab.targets.programs import last_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    Commands = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True)
class Timed:
    """The elapsed time of commands, and the resident memory of the largest of their processes."""

    seconds: float
    peak_bytes: int


# A process of little memory runs a command: until a child calls execve(2), the memory of its parent
# counts as its own. It writes time, status and peak to a descriptor, or the error of the start.
_RUN = """
import os, sys, time
out, *words = sys.argv[1:]
begin_ns = time.monotonic_ns()
try:
    pid = os.posix_spawnp(words[0], words, os.environ)
except OSError as error:
    os.write(int(out), f"{error.errno}".encode())
else:
    _, status, usage = os.wait4(pid, 0)
    took_ns = time.monotonic_ns() - begin_ns
    os.write(int(out), f"{took_ns} {status} {usage.ru_maxrss}".encode())
"""


def timed(commands: Commands) -> Timed:
    """Run the commands. Raise TargetFailed with the last words of one that fails. (getrusage(2))"""
    runs = [_run(words) for words in commands]
    return Timed(sum(each.seconds for each in runs), max(each.peak_bytes for each in runs))


def _run(words: Sequence[str]) -> Timed:
    with tempfile.TemporaryFile() as stderr, tempfile.TemporaryFile() as result:
        os.set_inheritable(result.fileno(), True)
        subprocess.run(
            [sys.executable, "-IS", "-c", _RUN, str(result.fileno()), *words],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr,
            pass_fds=[result.fileno()], check=False,
        )  # fmt: skip
        result.seek(0)
        numbers = [int(word) for word in result.read().split()]
        if len(numbers) == 1:
            raise TargetFailed(f"Can't run {words[0]}: {os.strerror(numbers[0])}.")
        stderr.seek(0)
        if not numbers:
            raise TargetFailed(f"{shown(words)} was not run: {last_words(stderr.read())}")
        took_ns, status, peak_kib = numbers
        if code := os.waitstatus_to_exitcode(status):
            raise TargetFailed(
                f"{shown(words)} failed: {last_words(stderr.read()) or f'exit code {code}'}"
            )
    return Timed(took_ns / 1e9, peak_kib << 10)


def shown(words: Sequence[str]) -> str:
    """Return a command without its options, as errors name it."""
    program, *rest = words
    name = os.path.basename(program)  # noqa: PTH119 - a word, which may be no path
    return " ".join([name, *(word for word in rest if not word.startswith("-"))])
