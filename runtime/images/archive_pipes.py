"""Archives in pipes: from a program that writes one, and to a process that reads one."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Generator, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

_PIECE_BYTES = 1 << 18


@dataclass(frozen=True, slots=True)
class Ended:
    """The exit code of a program, and what it wrote to standard error."""

    exit_code: int
    words: str


def read(
    command: Sequence[str], environment: Mapping[str, str] | None = None
) -> Generator[bytes, None, Ended]:
    """Yield what a program writes to standard output; return how it ended.

    Its standard error goes to a file in memory: a pipe, which nobody reads before the output has
    ended, would stop a program that writes more than 64 KiB to it.
    """
    with open(os.memfd_create("errors"), "w+b") as errors:
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=errors, env=environment
        ) as process:
            assert process.stdout
            while piece := process.stdout.read(_PIECE_BYTES):
                yield piece
        errors.seek(0)
        return Ended(process.returncode, errors.read().decode("utf-8", "replace").strip())


def write(process: subprocess.Popen[bytes], pieces: Iterable[bytes]) -> None:
    """Write pieces to the standard input of a process, and close it.

    A process that reads no further has refused the archive, and says why: that is no error here.
    If the pieces raise one, the process is killed.
    """
    assert process.stdin
    try:
        for piece in pieces:
            try:
                process.stdin.write(piece)
            except BrokenPipeError:
                break
    except BaseException:
        process.kill()
        raise
    finally:
        with suppress(BrokenPipeError):  # of what is buffered; the descriptor is closed
            process.stdin.close()
