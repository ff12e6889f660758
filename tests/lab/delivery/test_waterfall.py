"""The clock of the steps: a step within another one does not count twice."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lab.delivery import waterfall

if TYPE_CHECKING:
    from collections.abc import Iterator


def test_a_step_within_another_is_not_counted_twice() -> None:
    clock = waterfall._Clock()
    began = time.monotonic()
    with clock.timing("write"):
        time.sleep(0.05)
        for _ in clock.pieces("inflate", slow(3)):
            with clock.timing("hash"):
                time.sleep(0.01)
    elapsed = time.monotonic() - began
    spent = {step: ns / 1e9 for step, ns in clock.spent_ns.items()}
    assert 0.05 <= spent["write"] < elapsed - 0.08
    assert spent["inflate"] >= 0.06
    assert spent["hash"] >= 0.03
    assert spent["write"] + spent["inflate"] + spent["hash"] <= elapsed
    assert spent["connect"] == spent["start"] == 0


def slow(count: int) -> Iterator[bytes]:
    for _ in range(count):
        time.sleep(0.02)
        yield b"x"
