"""Output of a command that is still running, read from its pipe."""

from __future__ import annotations

import os
import select
import time
from typing import IO

BOOT_SECONDS = 90.0


def await_words(pipe: IO[bytes] | None, words: bytes, seconds: float = BOOT_SECONDS) -> bytes:
    """Read until the output contains the words, and return it; fail at its end or in time."""
    assert pipe is not None
    output, deadline = b"", time.monotonic() + seconds
    while words not in output:
        left_seconds = deadline - time.monotonic()
        assert left_seconds > 0, output
        if select.select([pipe], [], [], left_seconds)[0]:
            block = os.read(pipe.fileno(), 4096)
            assert block, output
            output += block
    return output
