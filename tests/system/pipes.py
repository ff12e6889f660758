"""Output of a running command on a pipe."""

from __future__ import annotations

import os
import select
import time
from typing import IO

BOOT_SECONDS = 90.0


def await_words(pipe: IO[bytes] | None, words: bytes, seconds: float = BOOT_SECONDS) -> None:
    """Read until the words appear; at the end of the output or after the timeout, fail with it."""
    assert pipe is not None
    output, deadline = b"", time.monotonic() + seconds
    while words not in output:
        left = deadline - time.monotonic()
        assert left > 0, output
        if select.select([pipe], [], [], left)[0]:
            chunk = os.read(pipe.fileno(), 4096)
            assert chunk, output
            output += chunk
