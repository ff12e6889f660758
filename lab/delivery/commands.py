"""Commands of a tool, one after the other, with their time and their peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
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


def timed(commands: Commands) -> Timed:
    """Run the commands. Raise TargetFailed with the last words of one that fails. (getrusage(2))"""
    peak_kib = 0
    begin_ns = time.monotonic_ns()
    for words in commands:
        with tempfile.TemporaryFile() as stderr:
            try:
                process = subprocess.Popen(
                    words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=stderr
                )
            except OSError as error:
                raise TargetFailed(f"Can't run {words[0]}: {error.strerror}.") from error
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
            if process.returncode:
                stderr.seek(0)
                reason = last_words(stderr.read()) or f"exit code {process.returncode}"
                raise TargetFailed(f"{shown(words)} failed: {reason}")
        peak_kib = max(peak_kib, usage.ru_maxrss)
    return Timed((time.monotonic_ns() - begin_ns) / 1e9, peak_kib << 10)


def shown(words: Sequence[str]) -> str:
    """Return a command without its options, as errors name it."""
    program, *rest = words
    name = os.path.basename(program)  # noqa: PTH119 - a word, which may be no path
    return " ".join([name, *(word for word in rest if not word.startswith("-"))])
