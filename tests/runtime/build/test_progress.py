"""Lines of progress."""

from __future__ import annotations

import os
import re

from runtime.build.progress import Progress


def test_steps_are_numbered_and_their_output_carries_the_number() -> None:
    lines: list[str] = []
    progress = Progress(lines.append)
    first, second = progress.begin("[a 1/1] RUN x"), progress.begin("[b 1/1] RUN y")
    reader, writer = os.pipe()
    os.write(writer, b"one\r\ntwo\n\xff rest")
    os.close(writer)
    first.relay(reader)
    os.close(reader)
    second.say("CACHED")
    first.done()
    shown = [re.sub(r"\d+\.\d+", "N", line) for line in lines]
    assert shown == [
        "#1 [a 1/1] RUN x", "#2 [b 1/1] RUN y", "#1 N one", "#1 N two", "#1 N \ufffd rest",
        "#2 CACHED", "#1 DONE Ns",
    ]  # fmt: skip
