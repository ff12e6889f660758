"""A guest's log is converted to steps on the host's clock."""

from __future__ import annotations

import itertools
import time

from lab.targets.base import CommandResult, Span
from lab.targets.machines import guest_log

LOG = """[    0.000000] Linux version 6.1.0
[    1.250000] Run /init as init process
[    9.000000] tonnage looks at the clock
UserspaceTimestampMonotonic=2000000
UnitsLoadFinishTimestampMonotonic=3500000
"""


def spans(text: str) -> list[Span]:
    def run(argv: list[str], timeout_seconds: float) -> CommandResult:
        return CommandResult(0, text.encode(), b"", 0)

    return guest_log.spans(run, BEGIN_NS, BEGIN_NS + int(6e9))


BEGIN_NS = time.monotonic_ns() - int(9.5e9)


def test_kernel_and_systemd_have_their_steps_and_none_leaves_a_gap() -> None:
    steps = spans(LOG)
    assert [span.step for span in steps] == [
        "firmware and loader", "kernel", "initramfs, root file system", "systemd loads its units",
        "services, until the program runs",
    ]  # fmt: skip
    assert steps[0].begin_ns == BEGIN_NS
    assert all(a.end_ns == b.begin_ns for a, b in itertools.pairwise(steps))
    assert steps[1].end_ns - steps[1].begin_ns == int(1.25e9)
    assert steps[3].end_ns - steps[3].begin_ns == int(1.5e9)


def test_without_systemd_the_last_step_is_init() -> None:
    steps = spans(LOG.partition("UserspaceTimestamp")[0])
    assert [span.step for span in steps] == ["firmware and loader", "kernel", "init"]


def test_a_guest_without_a_readable_log_has_no_steps() -> None:
    assert spans("dmesg: read kernel buffer failed") == []
