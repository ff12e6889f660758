"""What a command says on a pipe, while it goes on."""

from __future__ import annotations

import os
import select
import time
from typing import IO

BOOT_SECONDS = 90.0


def await_words(pipe: IO[bytes] | None, words: bytes, seconds: float = BOOT_SECONDS) -> None:
    """Read until the words are among what was read; fail with that at the end or in time."""
    assert pipe is not None
    said, give_up = b"", time.monotonic() + seconds
    while words not in said:
        left = give_up - time.monotonic()
        assert left > 0, said
        if select.select([pipe], [], [], left)[0]:
            some = os.read(pipe.fileno(), 4096)
            assert some, said
            said += some
