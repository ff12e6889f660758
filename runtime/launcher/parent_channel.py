"""The parent's side of a meeting (launcher.channel): what it hears from a child, and answers."""

from __future__ import annotations

import os
import sys

from runtime.errors import ContainerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

HERE = b"\xff"  # no errno is that large, and a report of a failure begins with one
ANSWER_BYTES = 8
_ANSWER = (1).to_bytes(ANSWER_BYTES, sys.byteorder)
MESSAGE_BYTES = 16


class Talk:
    """The parent's side: what it hears, and answers.

    `explain` tells what the child could not do, and the errno, from what it reported.
    """

    def __init__(
        self, reading: int, writing: int, explain: Callable[[bytes], tuple[str, int]]
    ) -> None:
        self._reading = reading
        self._writing = writing
        self._explain = explain

    def hear(self) -> None:
        """Wait until the child is there. Raises ContainerError if it failed or ended before."""
        said = os.read(self._reading, 1)
        if said != HERE:
            self._refuse(said)

    def answer(self) -> None:
        """Let it go on; why it can't, if it has ended, is heard next."""
        try:
            os.write(self._writing, _ANSWER)
        except BrokenPipeError:
            return

    def number(self) -> int:
        """A number that it tells, of a descriptor or a process. Raises ContainerError."""
        said = os.read(self._reading, MESSAGE_BYTES)
        if said[:1] != HERE:
            self._refuse(said)
        return int.from_bytes(said[8:12], "little")

    def finish(self) -> None:
        """Wait until it has execed. Raises ContainerError if it can't."""
        if said := os.read(self._reading, 1):
            self._refuse(said)

    def _refuse(self, said: bytes) -> None:
        from runtime.launcher.program import REPORT

        if said:
            said += os.read(self._reading, REPORT.size - len(said))
        if len(said) < REPORT.size:
            raise ContainerError("The container's process was killed while it was set up.")
        what, code = self._explain(said)
        raise ContainerError(f"Can't {what}: {_reason(code)}.")


def _reason(code: int) -> str:
    """An errno in words, as docker looks for them."""
    words = os.strerror(code)
    return words[0].lower() + words[1:]
